package training_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/mlp"
	"github.com/govene/govene/interv/training"
)

// interchange exchanges some units of the first block's output.
func interchange() interv.Config {
	return interv.Config{Representations: []interv.Representation{{Layer: 0, Component: mlp.BlockOutput, Intervention: interv.Vanilla{}}}}
}

// onHost is the loss of interchanges of some units between the blocks of a network of two layers without activation functions' kinks, and the
// loss on the bases, computed on the host.
func onHost(weights map[string][]float64, width int, base, source []float64, units [][]int, labels, baseLabels []int32) float64 {
	linear := func(name string, x []float64) []float64 {
		w, b := weights[name+".weight"], weights[name+".bias"]
		y := slices.Clone(b)
		for i := range y {
			for k := range x {
				y[i] += w[i*len(x)+k] * x[k]
			}
		}
		return y
	}
	tanh := func(x []float64) []float64 {
		for i := range x {
			x[i] = math.Tanh(x[i])
		}
		return x
	}
	lost := func(hidden []float64, label int32) float64 {
		logits, total := linear("score", tanh(linear("mlp.h.1.ff1", hidden))), 0.0
		for _, logit := range logits {
			total += math.Exp(logit)
		}
		return math.Log(total) - logits[label]
	}
	sum := 0.0
	for i := range labels {
		b, s := tanh(linear("mlp.h.0.ff1", base[i*width:(i+1)*width])), tanh(linear("mlp.h.0.ff1", source[i*width:(i+1)*width]))
		mixed := slices.Clone(b)
		for _, unit := range units[i] {
			mixed[unit] = s[unit]
		}
		sum += lost(mixed, labels[i]) + lost(b, baseLabels[i])
	}
	return sum / float64(len(labels))
}

// Training on interchanges follows Adam on the gradients of an intervened run, through base and source, as finite differences find them on the
// host.
func TestInterchangeTrainingFollowsFiniteDifferences(t *testing.T) {
	for seed := range uint64(2) {
		random := rand.New(rand.NewPCG(seed, 4))
		width, batch := 2+random.IntN(3), 1+random.IntN(4)
		model := mlp.MustNewClassifier(mlp.Config{Layers: 2, Width: width, Classes: 3, Activation: "tanh"}, seed)
		values, weights := map[string]*tensors.Tensor{}, map[string][]float64{}
		for name, value := range model.Weights().All() {
			weights[name] = numbers(value)
			values[name] = tensors.FromFlatDataAndDimensions(slices.Clone(weights[name]), value.Shape().Dimensions...)
		}
		precise, err := model.WithWeights(values)
		must(t, err)
		vectors := func() []float64 {
			flat := make([]float64, batch*width)
			for i := range flat {
				flat[i] = random.NormFloat64()
			}
			return flat
		}
		base, source := vectors(), vectors()
		units, labels, baseLabels := make([][]int, batch), make([]int32, batch), make([]int32, batch)
		for i := range units {
			units[i] = random.Perm(width)[:1+random.IntN(width)]
			labels[i], baseLabels[i] = int32(random.IntN(3)), int32(random.IntN(3))
		}
		inputs := func(flat []float64) interv.Inputs {
			return interv.Inputs{interv.InputsEmbeds: tensors.FromFlatDataAndDimensions(slices.Clone(flat), batch, 1, width)}
		}
		at := interv.Repeat(batch, 0)
		call := interv.Call{Base: inputs(base), Sources: []interv.Inputs{inputs(source)}, Locations: []*interv.Location{interv.FromTo(at, at)}, Subspaces: [][][]int{units},
			WithBase: true, Labels: interv.Inputs{training.Label: tensors.FromFlatDataAndDimensions(labels, batch), training.BaseLabel: tensors.FromFlatDataAndDimensions(baseLabels, batch)}}
		const steps, rate, h = 3, 0.05, 1e-5
		result := training.MustRun(t.Context(), engine, precise, training.Always(call), training.Settings{Steps: steps, Rate: rate, Every: steps, Config: interchange()})

		loss := func() float64 { return onHost(weights, width, base, source, units, labels, baseLabels) }
		if got, want := result.Curves.Looks[0].HeldLoss, loss(); math.Abs(got-want) > 1e-9 {
			t.Errorf("seed %d: got a loss of %g, wanted %g", seed, got, want)
		}
		mean, square := map[string][]float64{}, map[string][]float64{}
		for step := range steps {
			gradients := map[string][]float64{}
			for name, w := range weights {
				for i := range w {
					old := w[i]
					w[i] = old + h
					above := loss()
					w[i] = old - h
					gradients[name] = append(gradients[name], (above-loss())/(2*h))
					w[i] = old
				}
			}
			for name, w := range weights {
				if step == 0 {
					mean[name], square[name] = make([]float64, len(w)), make([]float64, len(w))
				}
				for i, g := range gradients[name] {
					mean[name][i] = 0.9*mean[name][i] + 0.1*g
					square[name][i] = 0.999*square[name][i] + 0.001*g*g
					n := float64(step + 1)
					w[i] -= rate * mean[name][i] / (1 - math.Pow(0.9, n)) / (math.Sqrt(square[name][i]/(1-math.Pow(0.999, n))) + 1e-8)
				}
			}
		}
		for name, want := range weights {
			for i, got := range numbers(result.Model.Weights().Tensor(name)) {
				if math.Abs(got-want[i]) > 1e-4 {
					t.Errorf("seed %d, %s, element %d: got %g, wanted %g", seed, name, i, got, want[i])
				}
			}
		}
	}
}

// A network is induced to keep in its first two units whether one number is above 0, and in the others whether another is: it learns
// to say whether both or none are, and what it would say if the first two units came from another run.
func ExampleRun_interchange() {
	const width, size = 8, 128
	model := mlp.MustNewClassifier(mlp.Config{Layers: 2, Width: width}, 1)
	draw := func(random *rand.Rand) (interv.Call, error) {
		var flat [2][]float32
		var above [2][][2]bool
		for run := range 2 {
			flat[run], above[run] = make([]float32, size*width), make([][2]bool, size)
			for i := range size {
				for k := range 2 {
					number := random.NormFloat64()
					flat[run][i*width+k], above[run][i][k] = float32(number), number > 0
				}
			}
		}
		labels, baseLabels := make([]int32, size), make([]int32, size)
		for i := range size {
			if above[1][i][0] == above[0][i][1] { // the first from the source, the second from the base
				labels[i] = 1
			}
			if above[0][i][0] == above[0][i][1] {
				baseLabels[i] = 1
			}
		}
		inputs := func(flat []float32) interv.Inputs {
			return interv.Inputs{interv.InputsEmbeds: tensors.FromFlatDataAndDimensions(flat, size, 1, width)}
		}
		at := interv.Repeat(size, 0)
		return interv.Call{
			Base: inputs(flat[0]), Sources: []interv.Inputs{inputs(flat[1])}, WithBase: true,
			Locations: []*interv.Location{interv.FromTo(at, at)}, Subspaces: [][][]int{slices.Repeat([][]int{{0, 1}}, size)},
			Labels: interv.Inputs{training.Label: tensors.FromFlatDataAndDimensions(labels, size), training.BaseLabel: tensors.FromFlatDataAndDimensions(baseLabels, size)},
		}, nil
	}
	induced := training.MustRun(context.Background(), engine, model, training.Fresh(1, draw), training.Settings{Steps: 500, Rate: 0.03, Config: interchange()})
	before, after := induced.Curves.Looks[0], induced.Curves.Last()
	fmt.Println(before.Accuracy < 0.7, after.Accuracy > 0.95, after.BaseAccuracy > 0.95)
	// Output: true true true
}
