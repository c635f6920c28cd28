// Package transformer is the decoder-only transformer (Vaswani et al., "Attention Is All You Need", 2017; Radford et al., 2019) of the
// families that transformers' checkpoints have: one block written from parts, every activation of which can be intervened on.
package transformer

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/govene/govene/interv"
)

// Model is a transformer with a head. With x the residual stream, [batch, positions, d], block l computes
//
//	x ← x + attention(norm(x))        or, after-norm, x + norm(attention(x)), or both, or norm(x + attention(x))
//	x ← x + MLP(norm(x))              in parallel blocks, MLP reads the block's input as attention does
//
// and attention, for head h with keys and values of its group g, d_h the head's features,
//
//	q = W_q x + b_q   k = W_k x + b_k   v = W_v x + b_v          then norm, if any, and rotation of q and k, in most families
//	A = softmax(scale · q_h k_gᵀ, capped; −∞ where masked)       [positions, positions]
//	attention(x) = W_o [A_1 v_1, …, A_H v_H] + b_o
//
// A position sees those before it and itself that are not padding, in layers with a window only the nearest. The output is the
// head's projection of the normalized stream: logits [batch, positions, vocabulary], or, of a classifier, that of the last position
// which is not padding, [batch, labels].
//
// A model is made by [New], [WithWeights] or [Load], and is not changed by use.
type Model struct {
	config  Config
	naming  naming
	weights *interv.Weights
	leftOut []string // of the checkpoint's weights
}

var _ interv.Model = (*Model)(nil)

// Config is what the model was made from.
func (m *Model) Config() Config { return m.config.clone() }

// Catalogue lists the model's sites.
func (m *Model) Catalogue() interv.Catalogue { return m.config.Catalogue() }

// Weights are the model's tensors, under the checkpoint's names.
func (m *Model) Weights() *interv.Weights { return m.weights }

// Forward adds a run of the model to a graph; see [interv.Model]. Inputs are those that Check takes.
func (m *Model) Forward(weights, inputs interv.Nodes, tap *interv.Tap) *Node {
	r := m.newRun(weights, inputs, tap)
	x := r.stream(inputs)
	if m.config.classifier() {
		return r.head(r.lastReal(x))
	}
	return r.head(tap.Read(x))
}

// run is one run of a model being added to a graph.
type run struct {
	*Model
	weights  interv.Nodes
	tap      *interv.Tap
	sequence *sequence
	cache    *cache  // nil in a run over a whole sequence
	tokens   *Node   // the outputs that a run on columns wants; nil for all
	scores   []*Node // of the layers so far: what attention's softmax is taken of
}

// layer is a run in one of the model's layers.
type layer struct {
	*run
	index int
}

func (r *run) layer(index int) layer { return layer{r, index} }

// weight is a tensor of a part; nil if there is none. That of a part which is several tensors is all of them along a first axis.
func (r *run) weight(layer int, p part, ending string) *Node {
	name := r.naming.of(layer, p) + ending
	if !isNumbered(name) {
		return r.weights[name]
	}
	var entries []*Node
	for i := 0; r.weights[fmt.Sprintf(name, i)] != nil; i++ {
		entries = append(entries, r.weights[fmt.Sprintf(name, i)])
	}
	if len(entries) == 0 {
		return nil
	}
	return Stack(entries, 0)
}

// stream is the residual stream above all blocks, normalized, [batch, positions, d]: what the head reads.
func (r *run) stream(inputs interv.Nodes) *Node {
	x := r.embed(inputs)
	for l := range r.config.Layers {
		x = r.layer(l).block(x)
	}
	return r.normalized(x)
}

// normalized is what the head reads of the stream above all blocks.
func (r *run) normalized(x *Node) *Node { return r.layer(0).at(FinalNorm, r.final(x)) }

// final normalizes the stream for the head, in families that do.
func (r *run) final(x *Node) *Node { return r.layer(0).normIf(r.config.Norm.Final, finalNorm, x) }

// head takes the normalized stream to the model's output.
func (r *run) head(x *Node) *Node {
	if r.config.classifier() {
		return r.onOutputs(r.project(headProjection, x), r.weight(0, classifierHead, ".weight"), nil)
	}
	return r.logits(x)
}

// embed is the input of the first layer, [batch, positions, d].
func (r *run) embed(inputs interv.Nodes) *Node {
	x := inputs[interv.InputsEmbeds]
	if x == nil {
		x = Gather(r.weight(0, tokenEmbedding, ".weight"), ExpandDims(inputs[interv.InputIDs], -1))
		x = r.project(embeddingProjection, x)
		x = scaled(x, r.config.EmbeddingScale)
	}
	x = narrow(x, r.sequence.like)
	x = r.layer(0).at(Embedding, x)
	if r.config.LearnedPositions {
		row := AddScalar(r.sequence.positions, r.config.PositionOffset)
		x = Add(x, r.rows(Gather(r.weight(0, positionEmbedding, ".weight"), ExpandDims(row, -1))))
	}
	return x
}

// project is a projection between the stream and narrower embeddings; x itself in a model whose embeddings are as wide as the stream.
func (r *run) project(p part, x *Node) *Node {
	if weight := r.weight(0, p, ".weight"); weight != nil {
		return linear(x, weight, nil, false)
	}
	return x
}

// headWeight is the language-model head's, [vocabulary, embedding width].
func (r *run) headWeight() *Node {
	if r.config.TiedHead {
		return r.weight(0, tokenEmbedding, ".weight")
	}
	return r.weight(0, languageHead, ".weight")
}

// logits projects the normalized stream on the vocabulary.
func (r *run) logits(x *Node) *Node {
	x = r.onOutputs(r.project(headProjection, x), r.headWeight(), r.weight(0, languageHead, ".bias"))
	return capped(scaled(x, r.config.LogitScale), r.config.LogitCap)
}

// rows brings x to the rows that the batch has by now; what has a single row is the same for all of them.
func (r *run) rows(x *Node) *Node {
	if x.Shape().Dim(0) == 1 {
		return x
	}
	return r.tap.Rows(x)
}

// read picks, of a run on columns, those whose streams are wanted above the block.
func (r *run) read(x *Node) *Node {
	if r.sequence.own == nil {
		return x
	}
	return r.sequence.own.Read(x)
}

// at announces an activation.
func (l layer) at(component interv.Component, x *Node) *Node {
	return l.tap.At(interv.Site{Layer: l.index, Component: component}, x)
}

// block is x → x + attention + MLP.
func (l layer) block(x *Node) *Node {
	norm, scale := l.config.Norm, l.config.ResidualScale
	readByMLP := mlpNorm
	if norm.Shared {
		readByMLP = attentionNorm
	}
	attend := func(x *Node) *Node {
		y := l.attention(l.at(AttentionInput, l.normIf(norm.Before, attentionNorm, x)))
		return scaled(l.normIf(norm.After, attentionAfterNorm, y), scale)
	}
	think := func(x *Node) *Node {
		y := l.mlp(l.at(MLPInput, l.normIf(norm.Before, readByMLP, x)))
		return scaled(l.normIf(norm.After, mlpAfterNorm, y), scale)
	}
	x = l.at(BlockInput, x)
	attended := attend(x)
	x = l.tap.Rows(l.read(x))
	if l.config.Parallel {
		y := think(x)
		return l.at(BlockOutput, Add(l.tap.Rows(x), Add(l.tap.Rows(attended), y)))
	}
	x = l.at(ResidualMiddle, l.normIf(norm.Sum, attentionSumNorm, Add(x, attended)))
	y := think(x)
	return l.at(BlockOutput, l.normIf(norm.Sum, mlpSumNorm, Add(l.tap.Rows(x), y)))
}

// normIf normalizes x, [batch, positions, d], where the config has the norm.
func (l layer) normIf(has bool, p part, x *Node) *Node {
	if !has {
		return x
	}
	return l.norm(p, x, -1)
}

// attention is causal attention with several heads: [batch, positions, d] → [batch, positions, d].
func (l layer) attention(x *Node) *Node { return l.attend(l.queryKeyValue(x)) }

// attend is attention from the projections on, each [batch, positions, heads · head width].
func (l layer) attend(q, k, v *Node) *Node {
	a := l.config.Attention
	q = l.at(HeadQueryOutput, heads(l.at(QueryOutput, q), a.Heads)) // [batch, heads, positions, head width]
	k = l.at(HeadKeyOutput, heads(l.at(KeyOutput, k), a.KeyValueHeads))
	v = l.at(HeadValueOutput, heads(l.at(ValueOutput, v), a.KeyValueHeads))
	q, k = l.tap.Rows(q), l.tap.Rows(k)
	q, k = l.queryKeyNorm(queryNorm, q), l.queryKeyNorm(keyNorm, k)
	q, k, v = clipped(q, a.Clip), clipped(k, a.Clip), clipped(v, a.Clip)
	if l.config.rotates(l.index) {
		q, k = l.rotate(q), l.rotate(k)
	}
	if l.cache != nil {
		k, v = l.cached(keysOf(l.index), k), l.cached(valuesOf(l.index), v)
	}
	if l.sequence.own != nil {
		k, v = l.sequence.join(k, v)
		q = l.read(q)
	}
	scale := a.Scale
	if a.ScaleByLayer {
		scale /= float64(l.index + 1)
	}
	scores := grouped(wideDot, q, k, -1)
	if a.Alibi {
		scores = Add(scores, BroadcastToDims(l.rows(l.sequence.alibi(a.Heads)), scores.Shape().Dimensions...))
	}
	scores = capped(MulScalar(scores, scale), a.Cap)
	sees := BroadcastToDims(l.rows(l.sequence.sees(a.Windows[l.index])), scores.Shape().Dimensions...)
	scores = Where(sees, scores, Scalar(scores.Graph(), scores.DType(), -1e30))
	weights := l.at(AttentionWeight, narrow(l.probabilities(scores), v))
	mixed := l.at(HeadAttentionValueOutput, grouped(narrowDot, weights, l.tap.Rows(v), -2))
	return l.at(AttentionOutput, l.linear(outputProjection, l.at(AttentionValueOutput, sideBySide(mixed))))
}

// queryKeyValue projects x to queries, keys and values, each [batch, positions, heads · head width].
func (l layer) queryKeyValue(x *Node) (q, k, v *Node) {
	if l.config.Attention.Projections == Separate {
		return l.linear(queryProjection, x), l.linear(keyProjection, x), l.linear(valueProjection, x)
	}
	return l.split(l.linear(queryKeyValueProjection, x))
}

// split takes queries, keys and values, [batch, positions, heads · head width], out of what a projection makes of all of them at once.
func (l layer) split(all *Node) (q, k, v *Node) {
	a := l.config.Attention
	queries, keys := a.Heads*a.HeadWidth, a.KeyValueHeads*a.HeadWidth
	if a.Projections == Consecutive {
		return features(all, 0, queries), features(all, queries, queries+keys), features(all, queries+keys, queries+2*keys)
	}
	batch, positions := all.Shape().Dim(0), all.Shape().Dim(1)
	all = Reshape(all, batch, positions, a.KeyValueHeads, -1) // interleaved: (query heads of each key head + 2) · head width
	group := queries / a.KeyValueHeads
	part := func(from, to int) *Node { return Reshape(features(all, from, to), batch, positions, -1) }
	return part(0, group), part(group, group+a.HeadWidth), part(group+a.HeadWidth, group+2*a.HeadWidth)
}

// queryKeyNorm normalizes queries or keys, [batch, heads, positions, head width].
func (l layer) queryKeyNorm(p part, x *Node) *Node {
	switch l.config.Attention.Norm {
	case HeadQueryKeyNorm, OwnHeadQueryKeyNorm:
		return l.norm(p, x, -1)
	case ProjectionQueryKeyNorm:
		return l.norm(p, x, 1, -1)
	}
	return x
}

// rotate turns queries or keys by their positions.
func (l layer) rotate(x *Node) *Node {
	a := l.config.Attention
	r := a.Rotary
	if a.Windows[l.index] > 0 {
		r = a.WindowRotary
	}
	turned := l.sequence.rotation(r)
	turned.cos, turned.sin = l.rows(turned.cos), l.rows(turned.sin)
	return turned.apply(x)
}

// probabilities is the softmax over key positions. A sink is one more score of a head, whose probability is dropped.
func (l layer) probabilities(scores *Node) *Node {
	columns := scores.Shape().Dim(-1)
	if l.config.Attention.Sinks {
		sink := scores.Shape().Clone()
		sink.Dimensions[3] = 1
		scores = Concatenate([]*Node{scores, BroadcastToShape(Reshape(wide(l.weight(l.index, sinks, "")), 1, -1, 1, 1), sink)}, -1)
	}
	l.scores = append(l.scores, scores)
	probabilities := Softmax(scores, -1)
	if l.config.Attention.Sinks {
		return features(probabilities, 0, columns)
	}
	return probabilities
}

// mlp is the multilayer perceptron or the mixture of experts: [batch, positions, d] → [batch, positions, d].
func (l layer) mlp(x *Node) *Node {
	m := l.config.MLP
	if l.config.mixes(l.index) {
		return l.at(MLPOutput, l.experts(x))
	}
	var gated, y *Node
	switch {
	case !m.Gated:
		gated = l.linear(upProjection, x)
	case m.Projections == Separate:
		gated, y = l.linear(gateProjection, x), l.linear(upProjection, x)
	default:
		both := l.linear(gateUpProjection, x)
		gated, y = features(both, 0, m.Width), features(both, m.Width, 2*m.Width)
	}
	h := l.at(MLPActivation, narrow(m.Activation.Apply(wide(gated)), gated))
	if m.Gated {
		h = Mul(h, l.tap.Rows(y))
	}
	return l.at(MLPOutput, l.linear(downProjection, h))
}
