package transformer_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/metric"
)

// The gradient of a metric at every site of every family, found in one backward pass, predicts what a small change of the activation does.
// In families that do not normalize before attention, what attention reads is the very value that goes on along the stream: only what it
// does by way of attention counts at that site.
func TestGradientsAtAllSitesAreFiniteDifferences(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles two programs a family, half a minute on XLA")
	}
	eachFamily(t, gradientsOnXLA, func(t *testing.T, name string) {
		model := tinyModel[float64](t, name)
		sites := model.Catalogue().All()
		base := withMask(tokens(2, 5), []int{0, 1}, []int{5, 4})
		measure := interv.Measure{Metric: metric.LogitDifference{Right: metric.Each(3, 4), Wrong: [][]int{{5, 6}}}}
		clean := interv.MustNew(engine, model, interv.Config{})
		result := clean.GradientOf(measure).At(sites...).MustRun(interv.Call{Base: base})

		var config interv.Config
		call := interv.Call{Base: base, Metrics: []interv.Measure{measure}}
		for _, site := range sites {
			config.Representations = append(config.Representations, interv.Representation{Layer: site.Layer, Component: site.Component, Intervention: interv.Addition{}})
			call.Locations = append(call.Locations, interv.Everywhere())
		}
		moved := interv.MustNew(engine, model, config)
		random := rand.New(rand.NewPCG(1, 2))
		for i, site := range sites {
			a := result.Activations[i]
			if a.Site != site || !a.Value.Shape().Equal(a.Gradient.Shape()) {
				t.Fatalf("got %s, %s and %s, wanted %s and equal shapes", a.Site, a.Value.Shape(), a.Gradient.Shape(), site)
			}
			direction, slope := make([]float64, a.Value.Size()), 0.0
			for k, g := range tensors.MustCopyFlatData[float64](a.Gradient) {
				direction[k] = random.NormFloat64()
				slope += direction[k] * g
			}
			const step = 1e-6
			change := 0.0
			for _, sign := range []float64{1, -1} {
				call.Activations = nil
				for j := range sites {
					flat := make([]float64, result.Activations[j].Value.Size())
					for k := range flat {
						if j == i {
							flat[k] = sign * step * direction[k]
						}
					}
					call.Activations = append(call.Activations, tensors.FromFlatDataAndDimensions(flat, result.Activations[j].Value.Shape().Dimensions...))
				}
				for _, value := range moved.MustRun(call).MustMetric("logit_difference") {
					change += sign * value / (2 * step)
				}
			}
			if math.Abs(change-slope) > 1e-6*max(1, math.Abs(slope)) {
				t.Errorf("%s: the gradient says %g, a small change %g", site, slope, change)
			}
			if slope == 0 {
				t.Errorf("%s: got no gradient", site)
			}
		}
	})
}
