// Package gru is a gated recurrent network (Cho et al., "Learning Phrase Representations using RNN Encoder–Decoder", 2014, in the
// form that PyTorch computes) in which every activation can be intervened on. Equations, weight names and initial distributions
// are those of pyvene's GRU.
package gru

import (
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/govene/govene/interv"
)

// Model is a GRU with a head. In layer l, at step t, with x its input and h its state, both [batch, d]:
//
//	x2h = Wₓ x + bₓ        h2h = Wₕ h + bₕ        each 3d wide: the reset, update and new thirds, below with indices r, u and n
//	r = σ(x2h_r + h2h_r)   u = σ(x2h_u + h2h_u)   reset and update gate
//	n = tanh(x2h_n + r ⊙ h2h_n)                   new gate
//	h ← u ⊙ h + (1 − u) ⊙ n                       the cell's output; h is 0 before the first step
//
// Layer l+1 reads the states of layer l. The steps may be any number. A classifier's output is the head's projection of the top
// layer's state at the last unmasked step, [batch, labels]; a language model's is that of every step, [batch, steps, vocabulary].
//
// A model is made by [NewClassifier], [NewLanguageModel], [WithWeights] or [Load], and is not changed by use.
type Model struct {
	config  Config
	head    head
	weights *interv.Weights
}

var _ interv.Model = (*Model)(nil)

// Config is what the model was made from, defaults filled in.
func (m *Model) Config() Config { return m.config }

// Catalogue lists the model's sites.
func (m *Model) Catalogue() interv.Catalogue { return m.config.catalogue(m.head) }

// Weights are the model's tensors, under the names of pyvene's PyTorch modules.
func (m *Model) Weights() *interv.Weights { return m.weights }

// Forward adds a run of the model to a graph; see [interv.Model]. Inputs are those that Check takes.
func (m *Model) Forward(weights, inputs interv.Nodes, tap *interv.Tap) *Node {
	states := m.embed(weights, inputs)
	for layer := range m.config.Layers {
		states = m.layer(layer, weights, states, tap)
	}
	if m.head == languageModel {
		return linear(states, weights[languageModelWeight], nil)
	}
	return linear(lastStep(states, inputs[interv.AttentionMask], tap), weights[scoreWeight], nil)
}

// embed is the input of the first layer, [batch, steps, d].
func (m *Model) embed(weights, inputs interv.Nodes) *Node {
	x := inputs[interv.InputsEmbeds]
	if x == nil {
		x = Gather(weights[tokenEmbedding], ExpandDims(inputs[interv.InputIDs], -1))
	}
	if positions := inputs[interv.PositionIDs]; positions != nil {
		x = Add(x, Gather(weights[positionEmbedding], ExpandDims(positions, -1)))
	}
	return x
}

// layer runs one cell over all steps: [batch, steps, d] → [batch, steps, d]. What depends on the input alone is computed and
// announced for all steps at once, the rest step by step.
func (m *Model) layer(layer int, weights interv.Nodes, x *Node, tap *interv.Tap) *Node {
	site := func(component interv.Component) interv.Site { return interv.Site{Layer: layer, Component: component} }
	project := func(x *Node, projection string) *Node {
		return linear(x, weights[cellWeight(layer, projection, "weight")], weights[cellWeight(layer, projection, "bias")])
	}

	x = tap.At(site(CellInput), x)
	x2h := tap.At(site(X2HOutput), project(x, "x2h"))
	thirds := split(x2h)
	xReset := tap.At(site(ResetX2HOutput), thirds[0])
	xUpdate := tap.At(site(UpdateX2HOutput), thirds[1])
	xNew := tap.At(site(NewX2HOutput), thirds[2])

	h := ZerosLike(stepOf(x, 0))
	states := make([]*Node, x.Shape().Dim(1))
	for t := range states {
		at := func(component interv.Component, value *Node) *Node { return tap.AtStep(site(component), t, value) }
		// Rows may join at any announcement, so what was computed before the last one is brought to the rows of now.
		input := func(x *Node) *Node { return tap.Rows(stepOf(x, t)) }

		h2h := split(at(H2HOutput, project(tap.Rows(h), "h2h")))
		hReset := at(ResetH2HOutput, h2h[0])
		hUpdate := at(UpdateH2HOutput, h2h[1])
		hNew := at(NewH2HOutput, h2h[2])

		reset := at(ResetGateOutput, Sigmoid(at(ResetGateInput, Add(input(xReset), tap.Rows(hReset)))))
		update := at(UpdateGateOutput, Sigmoid(at(UpdateGateInput, Add(input(xUpdate), tap.Rows(hUpdate)))))
		newGate := at(NewGateOutput, Tanh(at(NewGateInput, Add(input(xNew), Mul(tap.Rows(reset), tap.Rows(hNew))))))

		update, h, newGate = tap.Rows(update), tap.Rows(h), tap.Rows(newGate)
		h = at(CellOutput, Add(Mul(update, h), Mul(OneMinus(update), newGate)))
		states[t] = h
	}
	for t := range states {
		states[t] = tap.Rows(states[t])
	}
	return Stack(states, 1)
}

// lastStep picks, for each example, the state of the last unmasked step: [batch, steps, d] → [batch, d].
func lastStep(states, mask *Node, tap *interv.Tap) *Node {
	steps := states.Shape().Dim(1)
	if mask == nil {
		return stepOf(states, steps-1)
	}
	last := AddScalar(ReduceSum(tap.Rows(mask), 1), -1)
	is := Equal(Iota(states.Graph(), mask.Shape(), 1), ExpandDims(last, -1))
	return ReduceSum(Where(is, states, ZerosLike(states)), 1)
}

// linear is x Wᵀ + b, with W [out, in] as PyTorch keeps it; b may be nil.
func linear(x, weight, bias *Node) *Node {
	y := DotGeneral(x, []int{-1}, nil, weight, []int{1}, nil)
	if bias != nil {
		y = Add(y, ExpandLeftToRank(bias, y.Rank()))
	}
	return y
}

// split cuts the last axis in three.
func split(x *Node) []*Node { return Split(x, -1, 3) }

// stepOf is step t of [batch, steps, d], as [batch, d].
func stepOf(x *Node, t int) *Node { return Squeeze(SliceAxis(x, 1, AxisElem(t)), 1) }
