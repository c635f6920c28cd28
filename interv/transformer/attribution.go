package transformer

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/must"
	"github.com/govene/govene/interv"
)

// Attribution is the same model with another output, direct logit attribution: what each component that writes into the residual stream
// adds to the logits of some tokens. With the last stream x the sum of what its components wrote, x = Σ c, and the scale σ that the final
// norm divides x by taken as it is, component c adds
//
//	gain ⊙ (c − mean(c))/σ · u_t        (without the mean in families whose norm is not centred)
//
// to the logit of token t, with u_t the head's row; the norm's and the head's bias add the rest. What all components add is the logit, before a
// soft cap if the family has one. The output is [batch, components, positions, tokens]; see [Attribution.Components]. It has one more input:
// tokens [batch, tokens] int32, whose logits are attributed.
//
// Elhage et al., "A Mathematical Framework for Transformer Circuits" (2021). Interventions act as on the model.
type Attribution struct {
	*Model
	byHead bool
}

var _ interv.Model = (*Attribution)(nil)

// attributed is the input that names the tokens.
const attributed = "tokens"

// Attribution makes it, with attention as one component of a layer, or each head as one (and what is not the heads', such as the bias of
// the projection, as another). A classifier, a stream that is itself normalized, and heads where attention is normalized before it is
// added, are an error.
func (m *Model) Attribution(byHead bool) (*Attribution, error) {
	if m.config.classifier() {
		return nil, noVocabulary(m)
	}
	if m.config.Norm.Sum {
		return nil, &interv.Error{Where: m.config.name(), Axis: "attribution", Got: "a stream that every layer normalizes", Wanted: "one that is the sum of what components add"}
	}
	if byHead && m.config.Norm.After {
		return nil, &interv.Error{Where: m.config.name(), Axis: "attribution by head", Got: "attention that is normalized before it is added to the stream", Wanted: "attribution by layer"}
	}
	return &Attribution{m, byHead}, nil
}

// MustAttribution is Attribution that panics on an error.
func (m *Model) MustAttribution(byHead bool) *Attribution { return must.Of(m.Attribution(byHead)) }

// Components names the components in the order of the output: "embedding"; for each layer "0 attention", or "0 head 0", "0 head 1", … and
// "0 attention rest", and "0 mlp"; and "norm bias" and "head bias" in families that have them.
func (a *Attribution) Components() []string {
	names := []string{"embedding"}
	for layer := range a.config.Layers {
		if a.byHead {
			for head := range a.config.Attention.Heads {
				names = append(names, fmt.Sprintf("%d head %d", layer, head))
			}
			names = append(names, fmt.Sprintf("%d attention rest", layer))
		} else {
			names = append(names, fmt.Sprintf("%d attention", layer))
		}
		names = append(names, fmt.Sprintf("%d mlp", layer))
	}
	if a.weights.Shape(a.naming.of(0, finalNorm) + ".bias").Ok() {
		names = append(names, "norm bias")
	}
	if a.config.HeadBias {
		names = append(names, "head bias")
	}
	return names
}

// Check is the model's, of inputs with tokens beside.
func (a *Attribution) Check(inputs interv.Inputs) (interv.Extent, error) {
	own := interv.Inputs{}
	for name, t := range inputs {
		if name != attributed {
			own[name] = t
		}
	}
	extent, err := a.Model.Check(own)
	if err != nil {
		return extent, err
	}
	_, err = inputs.RequireIDs(attributed, a.config.Vocabulary, extent.Batch, interv.Any)
	return extent, err
}

// Forward runs the model, keeps what it writes, and reads that as the tokens' logits.
func (a *Attribution) Forward(weights, inputs interv.Nodes, tap *interv.Tap) *Node {
	tap, written := recording(tap)
	r := a.newRun(weights, inputs, tap)
	r.stream(inputs)
	components := a.components(r, written)
	at := func(layer int, c interv.Component) *Node {
		return wide(written[interv.Site{Layer: layer, Component: c}])
	}
	x := at(a.config.Layers-1, BlockOutput)

	all := r.project(headProjection, a.normalized(r, Stack(components, 1), x)) // [batch, components, positions, d]
	directions := Gather(r.headWeight(), ExpandDims(inputs[attributed], -1))   // [batch, tokens, d]
	logits := DotGeneral(all, []int{-1}, []int{0}, directions, []int{-1}, []int{0})
	if bias := r.weight(0, languageHead, ".bias"); bias != nil {
		bias = ExpandDims(Gather(bias, ExpandDims(inputs[attributed], -1)), 1, 1) // [batch, 1, 1, tokens]
		logits = Concatenate([]*Node{logits, BroadcastToShape(bias, SliceAxis(logits, 1, AxisElem(0)).Shape())}, 1)
	}
	return scaled(logits, a.config.LogitScale)
}

// normalized is the final norm of all components, [batch, components, positions, d], with the scale that it has for their sum, x; its bias,
// if there is one, is a further component.
func (a *Attribution) normalized(r *run, all, x *Node) *Node {
	norm := a.config.Norm
	if !norm.Final {
		return all
	}
	if norm.Centred {
		x = Sub(x, ReduceAndKeep(x, ReduceMean, -1))
		all = Sub(all, ReduceAndKeep(all, ReduceMean, -1))
	}
	scale := Sqrt(AddScalar(ReduceAndKeep(Square(x), ReduceMean, -1), norm.Epsilon))
	all = Div(all, ExpandDims(scale, 1))
	if gain := wide(r.weight(0, finalNorm, ".weight")); gain != nil {
		if norm.GainPlusOne {
			gain = OnePlus(gain)
		}
		all = Mul(all, ExpandLeftToRank(gain, 4))
	}
	if bias := r.weight(0, finalNorm, ".bias"); bias != nil {
		all = Concatenate([]*Node{all, BroadcastToShape(ExpandLeftToRank(wide(bias), 4), SliceAxis(all, 1, AxisElem(0)).Shape())}, 1)
	}
	return all
}

// components are what was written into the stream, in the order of Components without the norm's bias.
func (a *Attribution) components(r *run, written map[interv.Site]*Node) []*Node {
	at := func(layer int, c interv.Component) *Node {
		return wide(written[interv.Site{Layer: layer, Component: c}])
	}
	list := []*Node{at(0, BlockInput)}
	for layer := range a.config.Layers {
		before, after := at(layer, BlockInput), at(layer, BlockOutput)
		middle := at(layer, ResidualMiddle)
		if a.config.Parallel {
			middle = Sub(after, scaled(at(layer, MLPOutput), a.config.ResidualScale))
		}
		attention := Sub(middle, before)
		if a.byHead {
			for _, head := range r.layer(layer).headOutputs(at(layer, HeadAttentionValueOutput)) {
				head = scaled(head, a.config.ResidualScale)
				list = append(list, head)
				attention = Sub(attention, head)
			}
		}
		list = append(list, attention, Sub(after, middle))
		if next := layer + 1; next < a.config.Layers { // what an edit of a block's input adds to the stream counts as the block's before
			list[len(list)-1] = Add(list[len(list)-1], Sub(at(next, BlockInput), after))
		}
	}
	return list
}

// headOutputs is what each head adds to the stream, [batch, positions, d].
func (l layer) headOutputs(mixed *Node) []*Node {
	outputs := l.eachHeadOutput(mixed)
	list := make([]*Node, l.config.Attention.Heads)
	for head := range list {
		list[head] = Squeeze(SliceAxis(outputs, 0, AxisElem(head)), 0)
	}
	return list
}

// eachHeadOutput is each head's mixed values through its part of the output projection, [heads, batch, positions, d].
func (l layer) eachHeadOutput(mixed *Node) *Node {
	a := l.config.Attention
	weight := l.weight(l.index, outputProjection, ".weight")
	if !l.naming.inputMajor {
		weight = Transpose(weight, 0, 1)
	}
	weight = Reshape(weight, a.Heads, a.HeadWidth, -1)
	return DotGeneral(mixed, []int{-1}, []int{1}, wide(weight), []int{1}, []int{0})
}

// Tokens are inputs with the tokens to attribute, [batch][token].
func (a *Attribution) Tokens(inputs interv.Inputs, tokens [][]int) (interv.Inputs, error) {
	with := interv.Inputs{}
	for name, t := range inputs {
		with[name] = t
	}
	var flat []int32
	for i, row := range tokens {
		if len(row) != len(tokens[0]) || len(row) == 0 {
			return nil, &interv.Error{Where: "attribution", Axis: fmt.Sprintf("tokens of example %d", i), Got: fmt.Sprint(len(row)), Wanted: fmt.Sprintf("as many as for example 0, %d, and at least 1", len(tokens[0]))}
		}
		for _, token := range row {
			flat = append(flat, int32(token))
		}
	}
	if len(tokens) == 0 {
		return nil, &interv.Error{Where: "attribution", Axis: "tokens", Got: "none", Wanted: "a list for each example"}
	}
	with[attributed] = tensors.FromFlatDataAndDimensions(flat, len(tokens), len(tokens[0]))
	return with, nil
}

// MustTokens is Tokens that panics on an error.
func (a *Attribution) MustTokens(inputs interv.Inputs, tokens [][]int) interv.Inputs {
	return must.Of(a.Tokens(inputs, tokens))
}
