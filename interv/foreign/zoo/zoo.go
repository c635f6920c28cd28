// Package zoo makes the transformers of GoMLX's zoo (ml/zoo/transformer), and what is built from them, such as go-huggingface's
// models, into models whose activations can be intervened on. Components have the names of package interv/transformer.
package zoo

import (
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/zoo/transformer"

	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/foreign"
)

// inputIDs is the name of the one input of a run, [batch, positions] int32.
const inputIDs = "input_ids"

// firstInput is the alias of what the first layer reads.
const firstInput = "first_input"

// New makes a model from the store that holds the variables of a transformer, and the function that makes the transformer from a scope of
// such a store; go-huggingface's Model.CreateGoMLXModel is one. What [foreign.FromStore] says of stores holds here.
//
// A run has one input, input_ids [batch, positions] int32, and the output is [transformer.Model.Logits], [batch, positions, vocabulary].
func New(backend compute.Backend, store *model.Store, build func(scope *model.Scope) *transformer.Model) (*foreign.Model, error) {
	return foreign.FromStore(backend, describe(build(store.RootScope())), store, func(scope *model.Scope, inputs interv.Nodes) *graph.Node {
		m := build(scope)
		last, layers, _ := m.AllLayers(inputs[inputIDs], options(m, inputs[inputIDs]))
		layers[0].WithAlias(firstInput)
		return m.LogitsFromEmbeddings(last)
	})
}

// options has a mask that masks nothing where a layer has a window, as GoMLX 0.28 applies windows only on top of a mask.
func options(m *transformer.Model, tokens *graph.Node) (o transformer.CallOptions) {
	if m.SlidingWindow > 0 && slices.Contains(m.LayerTypes, transformer.LocalLayer) {
		o.AttentionMask = graph.Ones(tokens.Graph(), shapes.Make(dtypes.Bool, tokens.Shape().Dimensions...))
	}
	return o
}

// MustNew is New that panics on an error.
func MustNew(backend compute.Backend, store *model.Store, build func(scope *model.Scope) *transformer.Model) *foreign.Model {
	m, err := New(backend, store, build)
	if err != nil {
		panic(err)
	}
	return m
}

func describe(m *transformer.Model) foreign.Description {
	return foreign.Description{
		Name:   "zoo transformer",
		Inputs: []foreign.Input{{Name: inputIDs, DType: dtypes.Int32, Dims: []int{foreign.Batch, foreign.Positions}, Below: m.VocabSize}},
		Sites:  sites(m),
	}
}
