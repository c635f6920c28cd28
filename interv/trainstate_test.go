package interv_test

import (
	"maps"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv"
)

// again is the model with other weights.
func (m *attention) again(t *testing.T, values map[string]*tensors.Tensor) *attention {
	var expected []interv.WeightShape
	for _, name := range m.Weights().Names() {
		expected = append(expected, interv.WeightShape{Name: name, Dimensions: m.Weights().Tensor(name).Shape().Dimensions})
	}
	weights, err := interv.NewWeights(expected, values)
	must(t, err)
	other := *m
	other.weights = weights
	return &other
}

// Weights follow Adam on the gradients of an intervened run, as do the parameters of interventions beside them; the model stays as it is.
func TestAdamOfWeights(t *testing.T) {
	model, call := stretch(4, dtypes.Float64)
	first := model.Weights().Names()[0]
	before := numbers(model.Weights().Tensor(first))
	iv := patch(model, attends, interv.LowRankRotatedSpace{Rank: 2})
	trainer, err := iv.MustTrainer(sumOfSquares, interv.Adam{Rate: 0.01}).OfModel()
	must(t, err)
	adams, want := map[string]*hostAdam{}, map[string][]float64{}
	for name, value := range trainer.Weights() {
		adams[name], want[name] = &hostAdam{}, numbers(value)
	}
	for range 2 {
		now := patch(model.again(t, trainer.Weights()), attends, interv.LowRankRotatedSpace{Rank: 2})
		must(t, now.SetParameters(iv.Parameters()))
		gradients := now.Gradient(sumOfSquares).OfModel().MustRun(call)
		if loss := trainer.MustStep(call); math.Abs(loss-gradients.Loss) > 1e-12*math.Abs(loss) {
			t.Errorf("got a loss of %g, wanted %g", loss, gradients.Loss)
		}
		for name, gradient := range gradients.Model {
			want[name] = both(want[name], adams[name].update(numbers(gradient)), func(w, u float64) float64 { return w - 0.01*u })
		}
	}
	for name, value := range trainer.Weights() {
		for i, got := range numbers(value) {
			if math.Abs(got-want[name][i]) > 1e-9 {
				t.Fatalf("%s, element %d: got %g, wanted %g", name, i, got, want[name][i])
			}
		}
	}
	if !slices.Equal(before, numbers(model.Weights().Tensor(first))) {
		t.Error("the model has changed")
	}
}

// A state that is saved and set goes on to the same bits; one of something else is refused, and nothing is set.
func TestStateOfTraining(t *testing.T) {
	model, call := stretch(4, dtypes.Float32)
	started := func() (*interv.Intervenable, *interv.Trainer) {
		iv := patch(model, attends, interv.LowRankRotatedSpace{Rank: 2})
		trainer, err := iv.MustTrainer(sumOfSquares, interv.Adam{Rate: 0.01}).OfModel()
		must(t, err)
		return iv, trainer
	}
	iv, whole := started()
	whole.MustStep(call)
	path := filepath.Join(t.TempDir(), "state.safetensors")
	must(t, interv.SaveTensors(path, whole.State()))
	whole.MustStep(call)
	state, err := interv.LoadTensors(path)
	must(t, err)
	other, resumed := started()
	must(t, resumed.SetState(state))
	if resumed.Steps() != 1 {
		t.Errorf("got %d steps, wanted 1", resumed.Steps())
	}
	resumed.MustStep(call)
	for name, value := range whole.State() {
		if got := resumed.State()[name]; !got.Equal(value) {
			t.Errorf("%s: got %v, wanted %v", name, got, value)
		}
	}
	wantSame(t, "rotation", flat(other.Parameters()["0.rotation"]), flat(iv.Parameters()["0.rotation"]))

	sum := resumed.Numbers(func(o interv.Outcome) *Node {
		return Stack([]*Node{ReduceAllSum(o.Output), ReduceAllMean(o.Output)}, 0)
	})
	got, err := sum(other.MustPrepare(call))
	must(t, err)
	if size := float64(other.MustRun(call).Output.Size()); len(got) != 2 || math.Abs(got[0]/size-got[1]) > 1e-5 {
		t.Errorf("got numbers %v of %g", got, size)
	}
	_, err = sum(iv.MustPrepare(call))
	wanted.Refusal(t, err, "another Intervenable")

	for name, change := range map[string]func(map[string]*tensors.Tensor){
		"steps":                           func(s map[string]*tensors.Tensor) { delete(s, "steps") },
		"whole number":                    func(s map[string]*tensors.Tensor) { s["steps"] = tensors.FromValue([]float64{-1}) },
		"no such":                         func(s map[string]*tensors.Tensor) { s["value, no such"] = s["steps"] },
		"value, 0.rotation: got none":     func(s map[string]*tensors.Tensor) { delete(s, "value, 0.rotation") },
		"one of mean and square":          func(s map[string]*tensors.Tensor) { delete(s, "mean, 0.rotation") },
		"mean, 0.rotation: got (Float64)": func(s map[string]*tensors.Tensor) { s["mean, 0.rotation"] = s["steps"] },
		"0.rotation: orthonormality":      func(s map[string]*tensors.Tensor) { s["value, 0.rotation"] = s["mean, 0.rotation"] },
	} {
		bad := maps.Clone(state)
		change(bad)
		wanted.Refusal(t, resumed.SetState(bad), name)
		if resumed.Steps() != 2 {
			t.Fatalf("%s: the state was set nonetheless", name)
		}
	}
}

func TestSchedules(t *testing.T) {
	for name, c := range map[string]struct {
		schedule func(int) float64
		want     []float64
	}{
		"linear":         {interv.Linear(1, 0, 4), []float64{1, 0.75, 0.5, 0.25, 0, 0}},
		"cosine":         {interv.Cosine(3, 1, 4), []float64{3, 2 + math.Sqrt2/2, 2, 2 - math.Sqrt2/2, 1, 1}},
		"warm-up":        {interv.WarmUp(2, interv.Linear(4, 0, 2)), []float64{2, 4, 4, 2, 0, 0}},
		"warm-up alone":  {interv.WarmUp(4, nil), []float64{0.25, 0.5, 0.75, 1, 1, 1}},
		"warm-up of 0":   {interv.WarmUp(0, interv.Linear(1, 0, 1)), []float64{1, 0, 0}},
		"cosine at once": {interv.Cosine(1, 0, 0), []float64{1, 0}},
	} {
		for step, want := range c.want {
			if got := c.schedule(step); math.Abs(got-want) > 1e-12 {
				t.Errorf("%s, step %d: got %g, wanted %g", name, step, got, want)
			}
		}
	}
}
