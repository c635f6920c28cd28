package sweep

import (
	"encoding/json"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/golden/effects"
	"github.com/govene/govene/interv"
)

// Cells are what runs in PyTorch say in each of which an activation is replaced.
func TestGoldenSweeps(t *testing.T) {
	effects.Run(t, machine, "sweep", []string{"llama causal tracing"}, func(t *testing.T, c *effects.Case) {
		var ask struct {
			Sweep      json.RawMessage
			Sourceless bool
			Corrupt    *struct {
				Component interv.Component
				Layer     int
				Place     Place
			}
			Noise [][]float64
		}
		c.Ask(t, &ask)
		var s Sweep
		if err := json.Unmarshal(ask.Sweep, &s); err != nil {
			t.Fatal(err)
		}
		if s.Base = c.Base; !ask.Sourceless {
			s.Source = c.Source
		}
		if at := ask.Corrupt; at != nil {
			noise := interv.BaseFunc{Title: "given noise", Build: func(b *Node) *Node {
				return Add(b, ExpandDims(Const(b.Graph(), tensors.FromValue(ask.Noise)), 0))
			}}
			s.Corrupt = &Corruption{Component: at.Component, Layer: at.Layer, Place: at.Place, Intervention: noise}
		}
		result, err := Run(t.Context(), machine, c.Model, s)
		if err != nil {
			t.Fatal(err)
		}
		c.Compare(t, "values", effects.Flat(result.Values), 1e-9)
		c.Compare(t, "base", result.Base, 1e-9)
		for what, got := range map[string][]float64{"source": result.Source, "corrupted": result.Corrupted, "recovered": effects.Flat(result.Recovered())} {
			if c.Has(what) {
				c.Compare(t, what, got, 1e-9)
			} else if got != nil {
				t.Errorf("there is %s, wanted none", what)
			}
		}
	})
}
