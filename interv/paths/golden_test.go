package paths_test

import (
	"testing"

	"github.com/govene/govene/internal/golden/effects"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/paths"
	"github.com/govene/govene/interv/sweep"
)

// Paths are Wang et al.'s two runs, written out in PyTorch: whichever way they are computed.
func TestGoldenPaths(t *testing.T) {
	effects.Run(t, engine, "paths", []string{"llama keys"}, func(t *testing.T, c *effects.Case) {
		var ask struct {
			Senders     []sweep.Cell
			Receivers   []paths.Receiver
			ThroughMLPs bool
			Metric      interv.Measure
			ReadAt      [][]int `json:"read_at"`
		}
		c.Ask(t, &ask)
		p := paths.Paths{Base: c.Base, Source: c.Source, Senders: ask.Senders, Receivers: ask.Receivers, ThroughMLPs: ask.ThroughMLPs,
			Metric: ask.Metric.Metric, ReadAt: ask.ReadAt}
		result, err := paths.Run(t.Context(), engine, c.Model, p)
		if err != nil {
			t.Fatal(err)
		}
		c.Compare(t, "values", effects.Flat(result.Values), 1e-9)
		c.Compare(t, "base", result.Base, 1e-9)
		if c.Has("source") {
			c.Compare(t, "source", result.Source, 1e-9)
		}
		if engine.Name() == "xla" {
			return
		}
		batches, err := paths.RunInBatches(engine, c.Model, p)
		if err != nil {
			t.Fatal(err)
		}
		c.Compare(t, "values", effects.Flat(batches.Values), 1e-9)
	})
}
