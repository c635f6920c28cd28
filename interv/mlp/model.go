// Package mlp is a multi-layer perceptron with a classifier head in which every activation can be intervened on: the smallest model to
// learn interventions with. Equations and weight names are those of pyvene's MLP, without its dropout, which no intervention runs with.
package mlp

import (
	"github.com/gomlx/gomlx/core/graph"

	"github.com/govene/govene/interv"
)

// Model is a stack of blocks with a head. In each layer, with x the block's input [batch, 1, d] and W of [d, d]:
//
//	a = W x + b      the preactivation
//	x ← act(a)       the activation, which is the block's output and the next block's input
//
// and at the end logits = S x + s, [batch, 1, classes], of which the axis of size 1 is dropped: the output is [batch, classes]. With
// KeepPositions the 1 may be any number of positions, each computed on its own, and the output is [batch, positions, classes].
//
// A model is made by [NewClassifier], [WithWeights] or [Load], and is not changed by use.
type Model struct {
	config  Config
	weights *interv.Weights
}

var _ interv.Model = (*Model)(nil)

// Config is what the model was made from, defaults filled in.
func (m *Model) Config() Config { return m.config }

// Catalogue lists the model's sites.
func (m *Model) Catalogue() interv.Catalogue { return m.config.Catalogue() }

// Weights are the model's tensors, under the names of pyvene's PyTorch modules.
func (m *Model) Weights() *interv.Weights { return m.weights }

// Forward adds a run of the model to a graph; see [interv.Model]. Inputs are those that Check takes.
func (m *Model) Forward(weights, inputs interv.Nodes, tap *interv.Tap) *graph.Node {
	x := inputs[interv.InputsEmbeds]
	for layer := range m.config.Layers {
		at := func(component interv.Component, value *graph.Node) *graph.Node {
			return tap.At(interv.Site{Layer: layer, Component: component}, value)
		}
		x = at(BlockInput, x)
		preactivation := at(MLPPreactivation, linear(x, weights, block(layer)))
		x = at(BlockOutput, at(MLPActivation, m.config.Activation.Apply(preactivation)))
	}
	logits := linear(x, weights, head)
	if m.config.KeepPositions {
		return logits
	}
	return graph.Squeeze(logits, 1)
}

// linear is x Wᵀ + b, with W [out, in] as PyTorch keeps it; a module without bias has no b. It is computed on rows [batch · positions, in]:
// gradients through more axes take longer.
func linear(x *graph.Node, weights interv.Nodes, module string) *graph.Node {
	batch, positions, width := x.Shape().Dim(0), x.Shape().Dim(1), x.Shape().Dim(2)
	y := graph.DotGeneral(graph.Reshape(x, batch*positions, width), []int{1}, nil, weights[module+".weight"], []int{1}, nil)
	if bias := weights[module+".bias"]; bias != nil {
		y = graph.Add(y, graph.ExpandLeftToRank(bias, y.Rank()))
	}
	return graph.Reshape(y, batch, positions, -1)
}
