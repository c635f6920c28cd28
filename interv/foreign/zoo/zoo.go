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

	"github.com/govene/govene/internal/must"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/foreign"
)

// firstInput is the alias of what the first layer reads.
const firstInput = "first_input"

// Build makes a transformer from a scope of a store that has its variables; go-huggingface's Model.CreateGoMLXModel is one.
type Build = func(scope *model.Scope) *transformer.Model

// Head computes the output of a run, [batch, …], from the last layer's, [batch, positions, d]; [transformer.Model.LogitsFromEmbeddings] is
// one, the mean over positions another.
type Head = func(m *transformer.Model, last *graph.Node) *graph.Node

// New makes a model of a transformer whose variables are in a store; what [foreign.FromStore] says of stores holds here. The function is
// called for every run. A nil head is that of language models: the output is logits, [batch, positions, vocabulary]. A run has one input,
// input_ids [batch, positions] int32, without padding.
func New(backend compute.Backend, store *model.Store, build Build, head Head) (*foreign.Model, error) {
	if head == nil {
		head = (*transformer.Model).LogitsFromEmbeddings
	}
	return foreign.FromStore(backend, describe(build(store.RootScope())), store, func(scope *model.Scope, inputs interv.Nodes) *graph.Node {
		m := build(scope)
		last, layers, _ := m.AllLayers(inputs[interv.InputIDs], options(m, inputs[interv.InputIDs]))
		layers[0].WithAlias(firstInput)
		return head(m, last)
	})
}

// MustNew is New that panics on an error.
func MustNew(backend compute.Backend, store *model.Store, build Build, head Head) *foreign.Model {
	return must.Of(New(backend, store, build, head))
}

// options has a mask that masks nothing where a layer has a window, as GoMLX 0.28 applies windows only on top of a mask.
func options(m *transformer.Model, tokens *graph.Node) (o transformer.CallOptions) {
	if m.SlidingWindow > 0 && slices.Contains(m.LayerTypes, transformer.LocalLayer) {
		o.AttentionMask = graph.Ones(tokens.Graph(), shapes.Make(dtypes.Bool, tokens.Shape().Dimensions...))
	}
	return o
}

func describe(m *transformer.Model) foreign.Description {
	return foreign.Description{
		Name:   "zoo transformer",
		Inputs: []foreign.Input{{Name: interv.InputIDs, DType: dtypes.Int32, Dims: []int{foreign.Batch, foreign.Positions}, Below: m.VocabSize}},
		Sites:  sites(m),
	}
}
