package zoo_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/layers/attention/pos"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/zoo/transformer"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/internal/draw"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/foreign/internal/twin"
	"github.com/govene/govene/interv/foreign/zoo"
	names "github.com/govene/govene/interv/transformer"
)

// engine is the backend that GOMLX_BACKEND names, shared by the tests of this package.
var engine = backend.MustNew()

// onXLA says that compiling takes seconds, so that tests do less of it.
var onXLA = strings.HasPrefix(engine.Name(), "xla")

func random(seed uint64, dimensions ...int) *tensors.Tensor {
	return draw.Tensor(rand.New(rand.NewPCG(seed, 1)).NormFloat64, dimensions...)
}

func ids(seed uint64, vocabulary, batch, positions int) interv.Inputs {
	source := rand.New(rand.NewPCG(seed, 2))
	flat := make([]int32, batch*positions)
	for i := range flat {
		flat[i] = int32(source.IntN(vocabulary))
	}
	return interv.Inputs{"input_ids": tensors.FromFlatDataAndDimensions(flat, batch, positions)}
}

// filled is a store with random variables, the same on all backends, and the function that makes a transformer of it.
func filled(t testing.TB, seed uint64, build zoo.Build) *model.Store {
	t.Helper()
	store := model.NewStore()
	exec := model.MustNewExec(engine, store, func(scope *model.Scope, tokens *graph.Node) *graph.Node {
		return build(scope).Logits(tokens, transformer.CallOptions{})
	})
	if _, err := exec.Call(tensors.FromFlatDataAndDimensions([]int32{1, 2, 3}, 1, 3)); err != nil {
		t.Fatal(err)
	}
	var paths []string
	for v := range store.IterVariables() {
		paths = append(paths, v.Path())
	}
	slices.Sort(paths)
	for i, path := range paths {
		v := store.GetVariable(path)
		if !v.DType().IsFloat() {
			continue
		}
		if err := v.SetValue(random(seed+uint64(i), v.Shape().Dimensions...)); err != nil {
			t.Fatal(err)
		}
	}
	return store
}

const vocabulary = 11

// base has what the models of these tests share.
func base(scope *model.Scope) *transformer.Model {
	return transformer.New(scope).WithVocabSize(vocabulary).WithEmbedDim(8).WithNumLayers(2).WithNumHeads(2).WithHeadDim(4).WithFFNDim(12)
}

// standard is BERT, but for its causal mask.
func standard(scope *model.Scope) *transformer.Model {
	return base(scope).WithPositionalEncoder(pos.NewLearned(scope, 16, 8)).WithEmbedNormalization("layer")
}

func gemma(scope *model.Scope) *transformer.Model {
	return base(scope).WithArchitecture(transformer.ArchitectureGemma3).WithNormalization("rms").WithFinalNormalization("rms").
		WithBias(false).WithNumKVHeads(1).WithRoPE(10000)
}

func TestStandardEqualsItsTwin(t *testing.T) {
	m := zoo.MustNew(engine, filled(t, 1, standard), standard, nil)
	twin.Pair{Backend: engine, Got: m, Want: bert{Model: m, layers: 2, heads: 2, head: 4},
		Base: ids(1, vocabulary, 3, 7), Source: ids(2, vocabulary, 3, 7), Tolerance: 2e-5}.Compare(t)
}

// A model of embeddings has no variables for logits, and its output is what its head makes of the last layer.
func TestHead(t *testing.T) {
	store := filled(t, 1, standard)
	if err := store.DeleteVariable("/output/dense/weights"); err != nil {
		t.Fatal(err)
	}
	if _, err := zoo.New(engine, store, standard, nil); err == nil || !strings.Contains(err.Error(), "/output/dense/weights") {
		t.Errorf("got error %v, wanted one about the variable that is missing", err)
	}
	m := zoo.MustNew(engine, store, standard, func(_ *transformer.Model, last *graph.Node) *graph.Node { return graph.ReduceMean(last, 1) })
	iv := interv.MustNew(engine, m, interv.Config{Representations: []interv.Representation{
		{Layer: 1, Component: names.BlockOutput, Intervention: interv.Zero{}}}})
	result := iv.MustRun(interv.Call{Base: ids(1, vocabulary, 3, 5), Locations: []*interv.Location{interv.Everywhere()}, WithBase: true})
	if zeros := tensors.FromShape(result.BaseOutput.Shape()); !result.Output.Equal(zeros) || result.BaseOutput.Equal(zeros) {
		t.Errorf("got %v and %v clean, wanted zeros and others", result.Output, result.BaseOutput)
	}
}
