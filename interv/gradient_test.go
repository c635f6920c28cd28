package interv_test

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
	"pgregory.net/rapid"

	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/gru"
)

// slopes is a case of gradients to be measured: a model in float64 with interventions, all of whose trained parameters are listed.
type slopes struct {
	model           interv.Model
	mode            interv.Mode
	representations []interv.Representation
	subspaces       [][][]int
	location        *interv.Location // of all; three examples
	trained         []string
}

func wideGRU() *gru.Model {
	single := gru.MustNewClassifier(gru.Config{Layers: 2, Width: 4}, 9)
	weights := map[string]*tensors.Tensor{}
	for name, value := range single.Weights().All() {
		weights[name] = as(dtypes.Float64, value)
	}
	model, err := gru.WithWeights(single.Config(), weights)
	if err != nil {
		panic(err)
	}
	return model
}

func gradientCases() map[string]slopes {
	recurrent, heads := wideGRU(), newAttention(2, 4, 2, 3, dtypes.Float64, 9)
	steps, two := interv.FromTo(interv.Repeat(3, 0, 2), interv.Repeat(3, 3, 1)), interv.FromTo(interv.Repeat(3, 0, 2), interv.Repeat(3, 3, 1))
	ragged := interv.FromTo([][]int{{0}, {2, 1}, {}}, [][]int{{-1}, {1, 3}, {}})
	cell := func(layer int, i interv.Intervention, link string) interv.Representation {
		return interv.Representation{Layer: layer, Component: gru.CellOutput, Intervention: i, Link: link}
	}
	one := func(component interv.Component, i interv.Intervention, together int) []interv.Representation {
		return []interv.Representation{{Component: component, Intervention: i, MaxUnits: together}}
	}
	low, mask := interv.LowRankRotatedSpace{Rank: 2}, interv.SigmoidMask{}
	autoencoder := []string{"0.encoder_weight", "0.encoder_bias", "0.decoder_weight", "0.decoder_bias"}
	jump := []string{"0.W_enc", "0.b_enc", "0.W_dec", "0.b_dec"}
	rotation, maskOnly := []string{"0.rotation"}, []string{"0.mask"}
	return map[string]slopes{
		"rotated space, subspaces": {recurrent, "", []interv.Representation{cell(0, interv.RotatedSpace{}, "")}, [][][]int{{{0, 2}, {1}, {3}}}, steps, rotation},
		"low rank":                 {recurrent, "", []interv.Representation{cell(1, low, "")}, nil, steps, rotation},
		"low rank, subspaces":      {recurrent, "", []interv.Representation{cell(0, low, "")}, [][][]int{{{0}, {1}, {0, 1}}}, steps, rotation},
		"low rank, ragged":         {heads, "", one(attends, low, 0), nil, ragged, rotation},
		"low rank, parts": {heads, "", []interv.Representation{{Component: attends, Intervention: interv.LowRankRotatedSpace{Rank: 3},
			SubspacePartition: [][]int{{2, 0}, {1}}}}, [][][]int{{{0}, {1}, {1, 0}}}, two, rotation},
		"boundless":    {recurrent, "", []interv.Representation{cell(0, interv.BoundlessRotatedSpace{}, "")}, nil, steps, []string{"0.rotation", "0.boundary"}},
		"mask":         {recurrent, "", []interv.Representation{cell(0, mask, "")}, nil, steps, maskOnly},
		"rotated mask": {heads, "", one(mlpOutput, interv.SigmoidMaskRotatedSpace{}, 0), nil, two, []string{"0.rotation", "0.mask"}},
		"autoencoder":  {recurrent, "", []interv.Representation{cell(1, interv.Autoencoder{Latents: 6}, "")}, nil, steps, autoencoder},
		"autoencoder, error kept, subspaces": {heads, "", one(blockOutput, interv.Autoencoder{Latents: 5, KeepError: true}, 0),
			[][][]int{{{0, 1}, {4}, {2, 3, 1}}}, two, autoencoder},
		"jumprelu": {heads, "", one(attends, interv.JumpReLUAutoencoder{Latents: 6}, 0), nil, two, jump},
		"jumprelu, error kept, subspaces": {recurrent, "", []interv.Representation{cell(0, interv.JumpReLUAutoencoder{Latents: 5, KeepError: true}, "")},
			[][][]int{{{0, 1}, {4}, {2, 3, 1}}}, steps, jump},
		"constant, subspaces": {recurrent, "", []interv.Representation{cell(0, interv.Constant{Of: interv.Addition{}, Trainable: true}, "")},
			[][][]int{{{0}, {1}, {3}}}, interv.At(steps.Base), []string{"0.constant"}},
		"constant in a rotated space": {heads, "", one(attends, interv.Constant{Of: low, Trainable: true}, 0), nil, interv.At(two.Base),
			[]string{"0.constant", "0.rotation"}},
		"constant that is not trained": {heads, "", one(attends, interv.Constant{Of: low}, 0), nil, interv.At(two.Base), rotation},
		"one's own, linked, subspaces": {heads, "", []interv.Representation{{Component: attends, Intervention: Gate{}, Link: "a"},
			{Component: mlpOutput, Intervention: Gate{}, Link: "a"}}, [][][]int{{{0}, {1}, {3}}, {{3}, {2}, {0}}}, two, []string{"0.gate"}},

		"linked at two layers, subspaces": {recurrent, "", []interv.Representation{cell(0, low, "a"), cell(1, low, "a")},
			[][][]int{{{0}, {1}, {0}}, {{1}, {1}, {0}}}, steps, rotation},
		"linked masks":      {recurrent, "", []interv.Representation{cell(0, mask, "a"), cell(1, mask, "a")}, nil, steps, maskOnly},
		"linked in a chain": {recurrent, interv.Serial, []interv.Representation{cell(0, low, "a"), cell(0, low, "a")}, nil, steps, rotation},

		"two units together, subspaces": {heads, "", one(attends, low, 2), [][][]int{{{0}, {1}, {0, 1}}}, two, rotation},
		"two units together, boundless": {heads, "", one(queries, interv.BoundlessRotatedSpace{}, 2), nil, two, []string{"0.rotation", "0.boundary"}},
		"two heads together": {heads, "", []interv.Representation{{Component: headMixed, Unit: interv.HeadPosition, MaxUnits: 2,
			Intervention: interv.SigmoidMaskRotatedSpace{}}},
			nil, interv.FromTo(interv.Repeat(3, 0), interv.Repeat(3, 3)).Heads(interv.Repeat(3, 0, 1), interv.Repeat(3, 1, 0)), []string{"0.rotation", "0.mask"}},
	}
}

// moderate sets parameters to values at which all of them are felt: some start at 0 or at a temperature that rounds them off.
func moderate(t *testing.T, iv *interv.Intervenable, r *rand.Rand) {
	t.Helper()
	values := map[string]*tensors.Tensor{}
	for _, name := range sorted(iv.Parameters()) {
		switch value := iv.Parameters()[name]; name[2:] {
		case "rotation":
			values[name] = polished(value)
		case "W_enc", "W_dec", "encoder_weight", "decoder_weight", "boundary":
		case "temperature":
			values[name] = tensors.FromScalar(2.0)
		default:
			values[name] = normal(r, dtypes.Float64, value.Shape().Dimensions...)
		}
	}
	must(t, iv.SetParameters(values))
}

// polished makes the columns of a matrix that are orthonormal in float32 orthonormal in float64: X ← X (3 I − XᵀX)/2.
func polished(t *tensors.Tensor) *tensors.Tensor {
	x := matrix(t)
	for range 2 {
		excess := times(x, times(turned(x), x))
		for i := range x {
			x[i] = both(x[i], excess[i], func(x, e float64) float64 { return (3*x - e) / 2 })
		}
	}
	return tensors.FromFlatDataAndDimensions(slices.Concat(x...), t.Shape().Dimensions...)
}

// Gradients against central differences, with model and parameters in float64. A rotation is moved along the manifold, so the
// slope is that of its tangent part; other parameters are moved in directions of all their entries.
func TestGradientsAgainstFiniteDifferences(t *testing.T) {
	cases := gradientCases()
	for i, name := range sorted(cases) {
		if slow && i%4 > 0 {
			continue
		}
		c := cases[name]
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(4, 4))
			iv := interv.MustNew(engine, c.model, interv.Config{Seed: 5, Mode: c.mode, Representations: c.representations})
			moderate(t, iv, r)
			call := interv.Call{Base: embeds(as(dtypes.Float64, random(1, 3, 4, 4))), Subspaces: c.subspaces}
			for i := range c.representations {
				var source interv.Inputs
				if c.location.Source != nil {
					source = embeds(as(dtypes.Float64, random(uint64(i)+2, 3, 4, 4)))
				}
				call.Sources, call.Locations = append(call.Sources, source), append(call.Locations, c.location)
			}
			gradient := iv.Gradient(sumOfSquares)
			result := gradient.MustRun(call)
			if got := slices.Sorted(maps.Keys(result.Gradients)); !slices.Equal(got, slices.Sorted(slices.Values(c.trained))) {
				t.Fatalf("got gradients of %v, wanted %v", got, c.trained)
			}
			felt := false
			for _, parameter := range c.trained {
				steepest := compareSlopes(t, iv, parameter, result, r, func() float64 { return gradient.MustRun(call).Loss })
				felt = felt || steepest > 1e-3
			}
			if !felt {
				t.Error("all gradients are 0, so that the case shows nothing")
			}
		})
	}
}

// The same in random scenarios.
func TestGradientsOfRandomScenariosAgainstFiniteDifferences(t *testing.T) {
	if slow {
		t.Skip("for the Go backend: each scenario is a program")
	}
	seen := 0
	rapid.Check(t, func(t *rapid.T) {
		s := drawScenario(t)
		if s.dtype != dtypes.Float64 || s.breaksChain() {
			return
		}
		iv := interv.MustNew(engine, s.model, s.config)
		must(t, iv.SetParameters(s.someParameters(iv.Parameters())))
		if _, err := iv.Run(s.call); err != nil {
			t.Fatal(err)
		}
		gradient := iv.Gradient(sumOfSquares)
		result, err := gradient.Run(s.call)
		if err != nil {
			wanted.Refusal(t, err, "loss", "trainable parameters that take part", "none")
			return
		}
		for _, parameter := range sorted(result.Gradients) {
			seen++
			if _, rotates := result.Tangents[parameter]; rotates {
				must(t, iv.SetParameters(map[string]*tensors.Tensor{parameter: polished(iv.Parameters()[parameter])}))
			}
		}
		result = gradient.MustRun(s.call)
		for _, parameter := range sorted(result.Gradients) {
			compareSlopes(t, iv, parameter, result, s.random, func() float64 { return gradient.MustRun(s.call).Loss })
		}
	})
	if seen < 20 {
		t.Errorf("compared %d gradients, wanted more", seen)
	}
}

// compareSlopes moves a parameter in three directions, by central differences of fourth order, and compares how the loss changes with
// what its gradient says. It returns the steepest slope.
func compareSlopes(t rapid.TB, iv *interv.Intervenable, parameter string, result *interv.GradientResult,
	r *rand.Rand, loss func() float64) (steepest float64) {
	t.Helper()
	start, g := iv.Parameters()[parameter], result.Gradients[parameter]
	tangent, rotates := result.Tangents[parameter]
	if rotates {
		g = tangent
	}
	for range 3 {
		direction := numbers(normal(r, dtypes.Float64, g.Shape().Dimensions...))
		if rotates {
			direction = tangentOf(numbers(start), direction, g.Shape().Dim(0), g.Shape().Dim(1))
		}
		predicted := 0.0
		for i, slope := range numbers(g) {
			predicted += slope * direction[i]
		}
		steepest = max(steepest, math.Abs(predicted))
		const step = 1e-5
		moved := func(by float64) float64 {
			values := slices.Clone(numbers(start))
			for i := range values {
				values[i] += by * direction[i]
			}
			must(t, iv.SetParameters(map[string]*tensors.Tensor{parameter: tensors.FromFlatDataAndDimensions(values, g.Shape().Dimensions...)}))
			return loss()
		}
		measured := (8*(moved(step)-moved(-step)) - moved(2*step) + moved(-2*step)) / (12 * step)
		must(t, iv.SetParameters(map[string]*tensors.Tensor{parameter: start}))
		if rounding := 1e-9 * result.Loss; !(math.Abs(measured-predicted) <= 1e-6*max(1, math.Abs(predicted))+rounding) {
			t.Fatalf("%s: got a slope of %g, measured %g", parameter, predicted, measured)
		}
	}
	return steepest
}

// tangentOf projects a direction on those in which the orthonormal r, [d, k], can move: D − R (RᵀD + DᵀR)/2.
func tangentOf(r, direction []float64, d, k int) []float64 {
	along := slices.Clone(direction)
	for a := range k {
		for b := range k {
			symmetric := 0.0
			for i := range d {
				symmetric += (r[i*k+a]*direction[i*k+b] + direction[i*k+a]*r[i*k+b]) / 2
			}
			for i := range d {
				along[i*k+b] -= r[i*k+a] * symmetric
			}
		}
	}
	return along
}

// The gradient of the model's weights through an intervention, sources included, as in interchange intervention training.
func TestGradientsOfTheModelAgainstFiniteDifferences(t *testing.T) {
	recurrent, heads := wideGRU(), newAttention(2, 4, 2, 3, dtypes.Float64, 9)
	for _, c := range []struct {
		model interv.Model
		with  func(weights map[string]*tensors.Tensor) interv.Model
		site  interv.Component
	}{
		{recurrent, func(weights map[string]*tensors.Tensor) interv.Model {
			model, err := gru.WithWeights(recurrent.Config(), weights)
			must(t, err)
			return model
		}, gru.CellOutput},
		{heads, func(weights map[string]*tensors.Tensor) interv.Model {
			moved := *heads
			var shapes []interv.WeightShape
			for _, name := range heads.weights.Names() {
				shapes = append(shapes, interv.WeightShape{Name: name, Dimensions: weights[name].Shape().Dimensions})
			}
			var err error
			moved.weights, err = interv.NewWeights(shapes, weights)
			must(t, err)
			return &moved
		}, attends},
	} {
		t.Run(c.model.Catalogue().Model, func(t *testing.T) {
			r := rand.New(rand.NewPCG(4, 4))
			call := interv.Call{Base: embeds(as(dtypes.Float64, random(1, 3, 3, 4))), Sources: []interv.Inputs{embeds(as(dtypes.Float64, random(2, 3, 3, 4)))},
				Locations: []*interv.Location{interv.FromTo(interv.Repeat(3, 1), interv.Repeat(3, 2))}}
			result := patch(c.model, c.site, interv.LowRankRotatedSpace{Rank: 2}).Gradient(sumOfSquares).OfModel().MustRun(call)
			if got := slices.Sorted(maps.Keys(result.Model)); !slices.Equal(got, slices.Sorted(slices.Values(c.model.Weights().Names()))) {
				t.Fatalf("got gradients of %v, wanted those of all weights", got)
			}
			directions := map[string][]float64{}
			predicted := 0.0
			for _, name := range sorted(result.Model) {
				directions[name] = numbers(normal(r, dtypes.Float64, result.Model[name].Shape().Dimensions...))
				for i, slope := range numbers(result.Model[name]) {
					predicted += slope * directions[name][i]
				}
			}
			const step = 1e-6
			loss := func(by float64) (sum float64) {
				weights := map[string]*tensors.Tensor{}
				for name, direction := range directions {
					values := slices.Clone(numbers(c.model.Weights().Tensor(name)))
					for i := range values {
						values[i] += by * direction[i]
					}
					weights[name] = tensors.FromFlatDataAndDimensions(values, result.Model[name].Shape().Dimensions...)
				}
				for _, value := range numbers(patch(c.with(weights), c.site, interv.LowRankRotatedSpace{Rank: 2}).MustRun(call).Output) {
					sum += value * value
				}
				return sum
			}
			wantClose(t, "slope", []float32{float32((loss(step) - loss(-step)) / (2 * step))}, []float32{float32(predicted)}, 1e-6)
		})
	}
}

// What is frozen between two calls decides which gradients the second gives, and leaves these as they were.
func TestGradientsAfterFreezing(t *testing.T) {
	model, call := stretch(3, dtypes.Float32)
	iv := patch(model, attends, interv.BoundlessRotatedSpace{})
	gradient := iv.Gradient(sumOfSquares)
	before := gradient.MustRun(call).Gradients
	must(t, iv.Freeze("0.rotation"))
	after := gradient.MustRun(call).Gradients
	if len(before) != 2 || len(after) != 1 {
		t.Fatalf("got gradients of %v and, with a rotation frozen, of %v", sorted(before), sorted(after))
	}
	wantClose(t, "gradient of the boundary", flat(after["0.boundary"]), flat(before["0.boundary"]), 1e-6)
}
