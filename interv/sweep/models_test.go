package sweep

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/foreign"
	"github.com/govene/govene/interv/metric"
	"github.com/govene/govene/interv/mlp"
	"github.com/govene/govene/interv/transformer"
)

// vectors are random inputs of a model that reads vectors.
func vectors(random *rand.Rand, name string, dimensions ...int) interv.Inputs {
	t := tensors.FromShape(tensors.FromScalarAndDimensions(float32(0), dimensions...).Shape())
	tensors.MustMutableFlatData(t, func(flat []float32) {
		for i := range flat {
			flat[i] = float32(random.NormFloat64())
		}
	})
	return interv.Inputs{name: t}
}

// singles holds every cell of a sweep of vanilla patches against the call that patches the same units.
func singles(t *testing.T, model interv.Model, s Sweep) *Result {
	t.Helper()
	r := MustRun(machine, model, s)
	for i, cell := range r.Cells {
		var config interv.Config
		call := interv.Call{Base: s.Base, Metrics: []interv.Measure{{Metric: s.Metric}}}
		for _, layer := range s.layers(cell, model.Catalogue()) {
			config.Representations = append(config.Representations, interv.Representation{Layer: layer, Component: cell.Component, Group: "all", Intervention: interv.Vanilla{}})
			location := interv.Everywhere()
			if cell.Place.At != nil {
				units := interv.Repeat(len(r.Base), cell.Place.At[0]...)
				location = interv.FromTo(units, units)
			}
			call.Locations = append(call.Locations, location)
			if cell.Features != nil {
				call.Subspaces = append(call.Subspaces, interv.Repeat(len(r.Base), cell.Features...))
			}
		}
		call.Sources = []interv.Inputs{s.Source}
		near(t, cell.where(i)+" at "+cell.Place.String(), r.Values[i], interv.MustNew(machine, model, config).MustRun(call).MustMetric(r.Metric))
	}
	if slices.Equal(r.Values[0], r.Base) {
		t.Error("nothing changes anything")
	}
	return r
}

// A perceptron is swept by layers and features.
func TestAPerceptronIsSwept(t *testing.T) {
	model, random := mlp.MustNewClassifier(mlp.Config{Layers: 3, Width: 4, Classes: 3}, 4), rand.New(rand.NewPCG(5, 6))
	s := Sweep{Base: vectors(random, interv.InputsEmbeds, 5, 1, 4), Source: vectors(random, interv.InputsEmbeds, 5, 1, 4),
		Components: []interv.Component{mlp.MLPPreactivation, mlp.BlockOutput}, Features: [][]int{{0}, {1, 3}}, Metric: metric.Logit{Tokens: []int{1}}}
	singles(t, model, s)
	s.Features, s.Window, s.Positions = nil, 2, At(-1)
	if r := singles(t, model, s); r.Stats.Programs != 2 {
		t.Errorf("%d programs", r.Stats.Programs)
	}
}

// A model whose graph knows nothing of interventions is swept by layers and positions.
func TestAForeignModelIsSwept(t *testing.T) {
	const width = 3
	random := rand.New(rand.NewPCG(7, 8))
	model := foreign.MustNew(machine, foreign.Description{
		Name:   "plain",
		Inputs: []foreign.Input{{Name: "x", DType: dtypes.Float32, Dims: []int{foreign.Batch, foreign.Positions, width}}},
		Sites:  []foreign.Sites{{Sites: interv.Sites{Component: "tanh", Layers: 2, Width: width}, Find: foreign.Alias("layer_%d/tanh")}},
	}, vectors(random, "w", width, width), func(weights, inputs interv.Nodes) *Node {
		x := inputs["x"]
		for _, scope := range []string{"layer_0", "layer_1"} {
			x.Graph().PushAliasScope(scope)
			y := Tanh(Einsum("bpi,io->bpo", x, weights["w"])).WithAlias("tanh")
			x.Graph().PopAliasScope()
			x = Add(x, y)
		}
		return ReduceSum(Mul(x, x), 1)
	})
	r := singles(t, model, Sweep{Base: vectors(random, "x", 2, 4, width), Source: vectors(random, "x", 2, 4, width), Components: []interv.Component{"tanh"},
		Positions: At(0, 1, -1), Metric: metric.Logit{Tokens: []int{2}}})
	if r.Stats.Programs != 2 {
		t.Errorf("%d programs", r.Stats.Programs)
	}
}

// A component that some layers alone have is swept in these, by both plans.
func TestComponentsOfSomeLayers(t *testing.T) {
	model := transformer.MustNew(transformer.MustParseConfig(`{"model_type": "qwen3_moe", "vocab_size": 23, "max_position_embeddings": 16, "hidden_size": 16,
		"num_hidden_layers": 4, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 20, "num_experts": 3, "num_experts_per_tok": 2,
		"moe_intermediate_size": 6, "decoder_sparse_step": 2}`), 1)
	random := rand.New(rand.NewPCG(9, 10))
	ends := [][2]int{{0, 6}, {1, 6}, {0, 5}}
	s := Sweep{Base: padded(random, 23, 6, ends), Source: padded(random, 23, 6, ends), Components: []interv.Component{transformer.ExpertOutput, transformer.MLPActivation},
		Positions: At(1, -1), Metric: metric.Logit{Tokens: []int{2}}}
	for _, window := range []int{0, 3} {
		s.Window = window
		singles(t, model, s)
		var layers []int
		for _, cell := range both(t, model, s).Cells {
			layers = append(layers, cell.Layer)
		}
		if wanted := []int{1, 1, 3, 3, 0, 0, 2, 2}; !slices.Equal(layers, wanted) {
			t.Errorf("layers %v, wanted %v", layers, wanted)
		}
	}
}

// Cells of other shapes in the same batch change nothing of what a cell draws.
func TestDrawsInBatches(t *testing.T) {
	model, s := scene(t, "gpt2")
	s.Corrupt = &Corruption{Component: transformer.Embedding, Intervention: interv.BaseFunc{Title: "half", Build: func(base *Node) *Node { return MulScalar(base, 0.5) }}}
	s.Intervention = interv.Noise{Level: 1}
	cells := []Cell{{Component: transformer.HeadKeyOutput, Place: At(-2)[0]}, {Component: transformer.HeadKeyOutput, Heads: []int{0}}}
	s.Cells = cells
	r := MustRun(machine, model, s)
	for i, cell := range cells {
		s.Cells = []Cell{cell}
		alone := MustRun(machine, model, s)
		near(t, cell.where(i), r.Values[i], alone.Values[0])
	}
}
