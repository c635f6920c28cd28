package metric_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/draw"
	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/gru"
	"github.com/govene/govene/interv/metric"
	"github.com/govene/govene/interv/transformer"
)

// At a site that is announced step by step gradients come as one tensor, and each metric of an example is moved by its own steps alone.
func TestGradientsOfARecurrentModel(t *testing.T) {
	model := gru.MustNewClassifier(gru.Config{Layers: 2, Width: 3}, 11)
	random := rand.New(rand.NewPCG(6, 6))
	base := interv.Inputs{interv.InputsEmbeds: draw.Tensor(random.NormFloat64, 2, 4, 3)}
	measure := interv.Measure{Metric: metric.LogProbability{Tokens: []int{1, 0}}}
	iv := interv.MustNew(engine, model, interv.Config{})
	result := iv.GradientOf(measure).At(model.Catalogue().All()...).MustRun(interv.Call{Base: base})
	if sum := result.MustMetric("log_probability"); len(sum) != 2 || result.Output != nil {
		t.Errorf("got %v and the output %v, wanted two values and no output", sum, result.Output)
	}
	for i, site := range model.Catalogue().All() {
		a := result.Activations[i]
		sites, _ := model.Catalogue().Find(site)
		if want := []int{2, 4, sites.Width}; !slices.Equal(a.Value.Shape().Dimensions, want) || !slices.Equal(a.Gradient.Shape().Dimensions, want) {
			t.Errorf("%s: got %s and %s, wanted %v", site, a.Value.Shape(), a.Gradient.Shape(), want)
		}
		patch := interv.MustNew(engine, model, interv.Config{Representations: []interv.Representation{{Layer: site.Layer, Component: site.Component, Intervention: interv.Addition{}}}})
		for example := range 2 {
			for step := range 4 {
				const size = 1e-2
				direction := draw.Tensor(random.NormFloat64, sites.Width)
				row := logitsOf(a.Gradient)[(example*4+step)*sites.Width:]
				slope := 0.0
				for k, d := range logitsOf(direction) {
					slope += d * row[k]
				}
				var values [2][]float64
				for j, sign := range []float32{1, -1} {
					scaled := tensors.MustCopyFlatData[float32](direction)
					for k := range scaled {
						scaled[k] *= sign * size
					}
					at := [][]int{{}, {}}
					at[example] = []int{step}
					values[j] = patch.MustRun(interv.Call{Base: base, Locations: []*interv.Location{interv.At(at)}, Metrics: []interv.Measure{measure},
						Activations: []*tensors.Tensor{tensors.FromFlatDataAndDimensions(scaled, sites.Width)}}).MustMetric("log_probability")
				}
				if got := (values[0][example] - values[1][example]) / (2 * size); got-slope > 1e-3 || slope-got > 1e-3 {
					t.Errorf("%s, example %d, step %d: the gradient says %g, a small change %g", site, example, step, slope, got)
				}
				if values[0][1-example] != values[1][1-example] {
					t.Errorf("%s: example %d moves the other", site, example)
				}
			}
		}
	}
}

// A loss is made of metrics, too: here with gradients of a parameter and of an activation at once.
func TestLossOfMetrics(t *testing.T) {
	model := model()
	das := interv.MustNew(engine, model, interv.Config{Representations: []interv.Representation{
		{Layer: 0, Component: transformer.BlockOutput, Intervention: interv.LowRankRotatedSpace{Rank: 2}}}})
	call := interv.Call{
		Base:      interv.Inputs{interv.InputIDs: tensors.FromValue([][]int32{{1, 2, 3}, {4, 5, 6}})},
		Sources:   []interv.Inputs{{interv.InputIDs: tensors.FromValue([][]int32{{7, 2, 3}, {4, 8, 6}})}},
		Locations: []*interv.Location{interv.FromTo(interv.Repeat(2, 1), interv.Repeat(2, 1))},
		Metrics:   []interv.Measure{{Metric: metric.CrossEntropy{Labels: []int{1, 2}}}},
	}
	loss := func(o interv.Outcome) *Node { return ReduceAllMean(o.Metrics["cross_entropy"]) }
	site := interv.Site{Layer: 1, Component: transformer.MLPOutput}
	result := das.Gradient(loss).At(site).MustRun(call)
	each := result.MustMetric("cross_entropy")
	wantNear(t, "loss", []float64{result.Loss}, []float64{(each[0] + each[1]) / 2})
	if result.Gradients["0.rotation"] == nil || result.Activations[0].Gradient.Shape().String() != "(Float32)[2, 3, 12]" {
		t.Errorf("got %v and %v, wanted a gradient of the rotation and one of the activation", result.Gradients, result.Activations)
	}
	trainer := das.MustTrainer(loss, interv.Adam{Rate: 0.01})
	first := trainer.MustStep(call)
	for range 20 {
		trainer.MustStep(call)
	}
	if last := trainer.MustStep(call); last >= first {
		t.Errorf("training on a metric went from %g to %g", first, last)
	}
}

func TestRefusalsOfGradients(t *testing.T) {
	iv := interv.MustNew(engine, model(), interv.Config{})
	call := interv.Call{Base: interv.Inputs{interv.InputIDs: tensors.FromValue([][]int32{{1, 2, 3}, {4, 5, 6}})}}
	site := interv.Site{Component: transformer.BlockOutput}
	logit := interv.Measure{Metric: metric.Logit{Tokens: []int{1}}}
	for name, c := range map[string]struct {
		gradients *interv.Gradients
		words     []string
	}{
		"no site":   {iv.GradientOf(logit), []string{"none", "Gradients.At"}},
		"component": {iv.GradientOf(logit).At(interv.Site{Component: "block_outputs"}), []string{"gradient", `did you mean "block_output"?`}},
		"layer":     {iv.GradientOf(logit).At(interv.Site{Layer: 2, Component: transformer.BlockOutput}), []string{"got 2", "0 to 1"}},
		"twice":     {iv.GradientOf(logit).At(site, site), []string{"block_output twice"}},
		"no metric": {iv.GradientOf(interv.Measure{}).At(site), []string{"got none", "a Metric"}},
		"several":   {iv.GradientOf(interv.Measure{Metric: metric.TopTokens{K: 2}}).At(site), []string{"one number for each example"}},
		"rank":      {iv.GradientOf(interv.Measure{Metric: metric.Rank{Tokens: []int{2}}}).At(site), []string{"rank", "no gradient"}},
		"accuracy":  {iv.GradientOf(interv.Measure{Metric: metric.Accuracy{Labels: []int{2}}}).At(site), []string{"accuracy", "no gradient"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.gradients.Run(call)
			wanted.Refusal(t, err, c.words...)
		})
	}
}
