package mlp_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/draw"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/mlp"
)

// functions are the activations in float64, from their definitions.
var functions = map[mlp.Activation]func(x float64) float64{
	mlp.Relu:    func(x float64) float64 { return math.Max(x, 0) },
	mlp.Gelu:    func(x float64) float64 { return x * math.Erfc(-x/math.Sqrt2) / 2 },
	mlp.GeluNew: func(x float64) float64 { return x / 2 * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x))) },
	mlp.Silu:    func(x float64) float64 { return x / (1 + math.Exp(-x)) },
	mlp.Sigmoid: func(x float64) float64 { return 1 / (1 + math.Exp(-x)) },
	mlp.Tanh:    math.Tanh,
	mlp.Linear:  func(x float64) float64 { return x },
}

// oracle runs a model on one example and one position, in plain loops. It replaces the value of a site for which put has one, and
// records all others in seen.
func oracle(model *mlp.Model, x []float64, put, seen map[interv.Site][]float64) []float64 {
	config := model.Config()
	at := func(layer int, component interv.Component, value []float64) []float64 {
		site := interv.Site{Layer: layer, Component: component}
		seen[site] = value
		if other, ok := put[site]; ok {
			return other
		}
		return value
	}
	linear := func(x []float64, weight, bias *tensors.Tensor) []float64 {
		w := tensors.MustCopyFlatData[float32](weight)
		y := make([]float64, weight.Shape().Dim(0))
		for i := range y {
			for k, value := range x {
				y[i] += float64(w[i*len(x)+k]) * value
			}
			if bias != nil {
				y[i] += float64(tensors.MustCopyFlatData[float32](bias)[i])
			}
		}
		return y
	}
	weight := model.Weights().Tensor
	for layer := range config.Layers {
		name := fmt.Sprintf("mlp.h.%d.ff1", layer)
		x = at(layer, mlp.BlockInput, x)
		pre := at(layer, mlp.MLPPreactivation, linear(x, weight(name+".weight"), weight(name+".bias")))
		x = make([]float64, len(pre))
		for i, a := range pre {
			x[i] = functions[config.Activation](a)
		}
		x = at(layer, mlp.BlockOutput, at(layer, mlp.MLPActivation, x))
	}
	return linear(x, weight("score.weight"), weight("score.bias"))
}

// vector is a row of a tensor in float64.
func vector(t *tensors.Tensor, row, width int) []float64 {
	flat := tensors.MustCopyFlatData[float32](t)[row*width : (row+1)*width]
	values := make([]float64, width)
	for i, value := range flat {
		values[i] = float64(value)
	}
	return values
}

func near(t *testing.T, what string, got, want []float64) {
	t.Helper()
	for i := range want {
		if len(got) != len(want) || !(math.Abs(got[i]-want[i]) < 1e-5*(1+math.Abs(want[i]))) {
			t.Fatalf("%s: got %v, wanted %v", what, got, want)
		}
	}
}

// Clean runs and patches against the oracle: with every activation function, and at every site.
func TestOracle(t *testing.T) {
	source := rand.New(rand.NewPCG(1, 2))
	for activation := range functions {
		for _, config := range []mlp.Config{
			{Layers: 2, Width: 5, Classes: 3, Activation: activation},
			{Layers: 3, Width: 4, Activation: activation, NoBias: true, KeepPositions: true},
		} {
			t.Run(string(activation), func(t *testing.T) {
				model, positions := mlp.MustNewClassifier(config, 7), 1
				if config.KeepPositions {
					positions = 3
				}
				for _, site := range model.Catalogue().All() {
					if activation == mlp.Gelu || site == (interv.Site{Layer: 1, Component: mlp.MLPPreactivation}) {
						inputs := func() *tensors.Tensor { return draw.Tensor(source.NormFloat64, 2, positions, config.Width) }
						comparePatch(t, model, site, inputs(), inputs())
					}
				}
			})
		}
	}
}

// comparePatch puts the source's last position at the site into the base's first.
func comparePatch(t *testing.T, model *mlp.Model, site interv.Site, base, source *tensors.Tensor) {
	t.Helper()
	config, positions := model.Config(), base.Shape().Dim(1)
	patch := interv.MustNew(engine, model, interv.Config{Representations: []interv.Representation{
		{Layer: site.Layer, Component: site.Component, Intervention: interv.Vanilla{}},
	}})
	result, err := patch.Run(interv.Call{
		Base:      interv.Inputs{"inputs_embeds": base},
		Sources:   []interv.Inputs{{"inputs_embeds": source}},
		Locations: []*interv.Location{interv.FromTo(interv.Repeat(2, positions-1), interv.Repeat(2, 0))},
		WithBase:  true,
	})
	if err != nil {
		t.Fatal(err)
	}
	for row := range 2 * positions {
		x, put, seen := vector(base, row, config.Width), map[interv.Site][]float64{}, map[interv.Site][]float64{}
		clean := oracle(model, x, nil, seen)
		near(t, "clean run", vector(result.BaseOutput, row, config.Classes), clean)
		if row%positions == 0 {
			oracle(model, vector(source, row+positions-1, config.Width), nil, seen)
			put[site] = seen[site]
		}
		near(t, site.String(), vector(result.Output, row, config.Classes), oracle(model, x, put, seen))
	}
	want := []int{2, config.Classes}
	if config.KeepPositions {
		want = []int{2, positions, config.Classes}
	}
	if got := result.Output.Shape().Dimensions; !slices.Equal(got, want) {
		t.Errorf("output %v, wanted %v", got, want)
	}
}
