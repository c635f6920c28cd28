package metric_test

import (
	"testing"

	"github.com/govene/govene/internal/golden/effects"
	"github.com/govene/govene/internal/host"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/metric"
)

// Metrics of a run that is patched, and of the clean one, are those that PyTorch computes from its logits.
func TestGoldenMetrics(t *testing.T) {
	effects.Run(t, engine, "metrics", []string{"llama top_tokens"}, func(t *testing.T, c *effects.Case) {
		var ask struct {
			Patch   interv.Site
			Measure interv.Measure
		}
		c.Ask(t, &ask)
		patch := interv.MustNew(engine, c.Model, interv.Single(ask.Patch.Layer, ask.Patch.Component, interv.Vanilla{}))
		call := interv.Interchange(c.Base, c.Source, nil)
		call.Metrics, call.WithBase = []interv.Measure{ask.Measure}, true
		result, err := patch.Run(call)
		if err != nil {
			t.Fatal(err)
		}
		c.Compare(t, "value", host.Floats(result.Metrics[0].Value), 1e-9)
		c.Compare(t, "base", host.Floats(result.Metrics[0].Base), 1e-9)
	})
}

// Summaries are those of Python's statistics; the interval is that of all samples that there are, in place of some that are drawn.
func TestGoldenSummaries(t *testing.T) {
	effects.Run(t, engine, "summaries", []string{"gpt2 of four", "gpt2 of six"}, func(t *testing.T, c *effects.Case) {
		var ask struct {
			Values []float64
			Level  float64
		}
		c.Ask(t, &ask)
		got, err := metric.Bootstrap{Level: ask.Level, Resamples: 50_000, Seed: 1}.Summarize(ask.Values)
		if err != nil {
			t.Fatal(err)
		}
		c.Compare(t, "mean", []float64{got.Mean}, 1e-12)
		c.Compare(t, "standard_error", []float64{got.StandardError}, 1e-12)
		c.Compare(t, "interval", []float64{got.Low, got.High}, 1e-12)
	})
}
