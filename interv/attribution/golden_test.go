package attribution_test

import (
	"fmt"
	"testing"

	"github.com/govene/govene/internal/golden/effects"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/attribution"
)

// Effects are those of an implementation of the same formulas in PyTorch.
func TestGoldenAttributions(t *testing.T) {
	effects.Run(t, engine, "attribution", []string{"gpt2 first order"}, func(t *testing.T, c *effects.Case) {
		a := attribution.Attribution{Base: c.Base, Source: c.Source}
		var ask struct {
			Sites   []interv.Site
			Measure interv.Measure
			Steps   int
			Along   interv.Site
			Drop    []interv.Component
			Softmax bool
		}
		c.Ask(t, &ask)
		a.Sites, a.Measure, a.Steps, a.Along, a.Drop, a.Softmax = ask.Sites, ask.Measure, ask.Steps, ask.Along, ask.Drop, ask.Softmax
		result, err := attribution.Run(t.Context(), engine, c.Model, a)
		if err != nil {
			t.Fatal(err)
		}
		if len(result.Effects) != len(ask.Sites) {
			t.Fatalf("effects of %d sites, wanted %d", len(result.Effects), len(ask.Sites))
		}
		for i, effect := range result.Effects {
			if effect.Site != ask.Sites[i] {
				t.Fatalf("effect %d is of %v, wanted %v", i, effect.Site, ask.Sites[i])
			}
			c.Compare(t, fmt.Sprintf("%s %d", effect.Site.Component, effect.Site.Layer), effect.Values, 1e-9)
		}
		c.Compare(t, "base", result.Base, 1e-9)
		if c.Has("source") {
			c.Compare(t, "source", result.Source, 1e-9)
		}
	})
}

func TestGoldenAgreements(t *testing.T) {
	effects.Run(t, engine, "agreements", []string{"gpt2 with ties"}, func(t *testing.T, c *effects.Case) {
		var ask struct{ Estimates, Measured []float64 }
		c.Ask(t, &ask)
		a, err := attribution.Compare(ask.Estimates, ask.Measured)
		if err != nil {
			t.Fatal(err)
		}
		c.Compare(t, "agreement", []float64{a.LargestError, a.MeanError, a.RankCorrelation}, 1e-12)
	})
}
