package transformer

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/bfloat16"
	"github.com/gomlx/compute/dtypes/float16"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/draw"
	"github.com/govene/govene/interv"
)

// naming says what a checkpoint calls its weights. A checkpoint of the bare model, without a head, has no base.
type naming struct {
	family
	base string
}

// of is the name of a part, such as "model.layers.3.self_attn.q_proj"; the layer does not matter to parts that are outside the blocks.
func (n naming) of(layer int, p part) string {
	switch p {
	case languageHead, classifierHead:
		return n.names[p]
	case tokenEmbedding, embeddingProjection, positionEmbedding, finalNorm, headProjection:
		return n.base + n.names[p]
	}
	return n.base + fmt.Sprintf(n.block, layer) + n.names[p]
}

// namingOf finds out whether the names of a checkpoint's weights have the base.
func namingOf(f family, has func(name string) bool) naming {
	with, without := naming{f, f.base}, naming{f, ""}
	if has(without.of(0, tokenEmbedding)+".weight") && !has(with.of(0, tokenEmbedding)+".weight") {
		return without
	}
	return with
}

// initial says how a weight is drawn.
type initial int

const (
	normal initial = iota
	zero
	one
)

// weight is one tensor of a model.
type weight struct {
	interv.WeightShape
	part
	initial
	pieces []interv.WeightShape // what checkpoints have in its place, in the order in which they lie in it; see stack
}

// draw makes the tensor's initial values.
func (w weight) draw(seed uint64, dtype dtypes.DType) *tensors.Tensor {
	t := tensors.FromShape(shapes.Make(dtype, w.Dimensions...))
	switch dtype {
	case dtypes.BFloat16:
		tensors.MustMutableFlatData(t, func(flat []bfloat16.BFloat16) { fill(flat, w, seed, bfloat16.FromFloat32) })
	case dtypes.Float16:
		tensors.MustMutableFlatData(t, func(flat []float16.Float16) { fill(flat, w, seed, float16.FromFloat32) })
	default:
		tensors.MustMutableFlatData(t, func(flat []float32) { fill(flat, w, seed, func(x float32) float32 { return x }) })
	}
	return t
}

// fill makes the initial values, each rounded to the tensor's type.
func fill[T any](flat []T, w weight, seed uint64, round func(float32) T) {
	const deviation = 0.02
	switch w.initial {
	case normal:
		draw.Blocks(seed, w.Name, len(flat), func(from, to int, random *rand.Rand) {
			for i := from; i < to; i++ {
				flat[i] = round(float32(deviation * random.NormFloat64()))
			}
		})
	case one:
		for i := range flat {
			flat[i] = round(1)
		}
	}
}

// weights lists the tensors of a model.
func (c Config) weights(n naming) []weight {
	l := &weightList{config: c, naming: n}
	width := c.embeddingWidth()
	l.add(normal, 0, tokenEmbedding, ".weight", c.Vocabulary, width)
	if width != c.Width {
		l.add(normal, 0, embeddingProjection, ".weight", c.Width, width)
	}
	if c.LearnedPositions {
		l.add(normal, 0, positionEmbedding, ".weight", c.PositionOffset+c.MaxPositions, c.Width)
	}
	for layer := range c.Layers {
		l.normIf(c.Norm.Before, layer, attentionNorm)
		l.attention(layer)
		l.normIf(c.Norm.After, layer, attentionAfterNorm)
		l.normIf(c.Norm.Sum, layer, attentionSumNorm)
		l.normIf(c.Norm.Before && !c.Norm.Shared, layer, mlpNorm)
		l.mlp(layer)
		l.normIf(c.Norm.After, layer, mlpAfterNorm)
		l.normIf(c.Norm.Sum, layer, mlpSumNorm)
	}
	l.normIf(c.Norm.Final, 0, finalNorm)
	if width != c.Width {
		l.add(normal, 0, headProjection, ".weight", width, c.Width)
	}
	if c.classifier() {
		l.add(normal, 0, classifierHead, ".weight", c.Labels, width)
		return l.weights
	}
	if !c.TiedHead {
		l.add(normal, 0, languageHead, ".weight", c.Vocabulary, width)
	}
	if c.HeadBias {
		l.add(zero, 0, languageHead, ".bias", c.Vocabulary)
	}
	return l.weights
}

// weightList is the tensors of a model being listed.
type weightList struct {
	config Config
	naming
	weights []weight
}

func (l *weightList) add(start initial, layer int, p part, ending string, dimensions ...int) {
	name := l.of(layer, p) + ending
	if !isNumbered(name) {
		l.weights = append(l.weights, weight{interv.WeightShape{Name: name, Dimensions: dimensions}, p, start, nil})
		return
	}
	for i := range dimensions[0] {
		l.weights = append(l.weights, weight{interv.WeightShape{Name: fmt.Sprintf(name, i), Dimensions: dimensions[1:]}, p, start, nil})
	}
}

// isNumbered tells whether a part is several tensors, one for each entry of its first axis, such as the norms of StableLM's heads.
func isNumbered(name string) bool { return strings.Contains(name, "%d") }

func (l *weightList) linear(layer int, p part, out, in int, bias bool) {
	if l.inputMajor {
		l.add(normal, layer, p, ".weight", in, out)
	} else {
		l.add(normal, layer, p, ".weight", out, in)
	}
	if bias {
		l.add(zero, layer, p, ".bias", out)
	}
}

// norm lists the gains and biases of a norm, of the given dimensions.
func (l *weightList) norm(layer int, p part, dimensions ...int) {
	gain := one
	if l.config.Norm.GainPlusOne {
		gain = zero
	}
	if l.config.Norm.Gain {
		l.add(gain, layer, p, ".weight", dimensions...)
	}
	if l.config.Norm.Bias && len(dimensions) == 1 {
		l.add(zero, layer, p, ".bias", dimensions...)
	}
}

// normIf lists a norm of the stream where the config has it.
func (l *weightList) normIf(has bool, layer int, p part) {
	if has {
		l.norm(layer, p, l.config.Width)
	}
}

func (l *weightList) attention(layer int) {
	a, d := l.config.Attention, l.config.Width
	queries, keys := a.Heads*a.HeadWidth, a.KeyValueHeads*a.HeadWidth
	if a.Projections == Separate {
		l.linear(layer, queryProjection, queries, d, a.Bias)
		l.linear(layer, keyProjection, keys, d, a.Bias)
		l.linear(layer, valueProjection, keys, d, a.Bias)
	} else {
		l.linear(layer, queryKeyValueProjection, queries+2*keys, d, a.Bias)
	}
	switch a.Norm {
	case HeadQueryKeyNorm:
		l.norm(layer, queryNorm, a.HeadWidth)
		l.norm(layer, keyNorm, a.HeadWidth)
	case OwnHeadQueryKeyNorm:
		l.norm(layer, queryNorm, a.Heads, a.HeadWidth)
		l.norm(layer, keyNorm, a.KeyValueHeads, a.HeadWidth)
	case ProjectionQueryKeyNorm:
		l.norm(layer, queryNorm, queries)
		l.norm(layer, keyNorm, keys)
	}
	if a.Sinks {
		l.add(normal, layer, sinks, "", a.Heads)
	}
	l.linear(layer, outputProjection, d, queries, a.OutputBias)
}

func (l *weightList) mlp(layer int) {
	m, d := l.config.MLP, l.config.Width
	switch {
	case l.config.mixes(layer):
		l.mixture(layer)
		return
	case m.Gated && m.Projections != Separate:
		l.linear(layer, gateUpProjection, 2*m.Width, d, m.Bias)
	case m.Gated:
		l.linear(layer, gateProjection, m.Width, d, m.Bias)
		l.linear(layer, upProjection, m.Width, d, m.Bias)
	default:
		l.linear(layer, upProjection, m.Width, d, m.Bias)
	}
	l.linear(layer, downProjection, d, m.Width, m.Bias)
}

func (l *weightList) mixture(layer int) {
	m, d := l.config.Mixture, l.config.Width
	l.linear(layer, router, m.Experts, d, m.Bias)
	if m.Projections == Separate {
		l.stacked(layer, expertGateUp, []part{expertGate, expertUp}, m.Width, d)
		l.stacked(layer, expertDown, []part{expertDownAlone}, d, m.Width)
		return
	}
	l.add(normal, layer, expertGateUp, "", m.Experts, d, 2*m.Width)
	l.add(normal, layer, expertDown, "", m.Experts, m.Width, d)
	if m.Bias {
		l.add(zero, layer, expertGateUp, "_bias", m.Experts, 2*m.Width)
		l.add(zero, layer, expertDown, "_bias", m.Experts, d)
	}
}

// notParameters are endings of tensors that checkpoints contain and that are not parameters: masks and the frequencies of rotations,
// which older versions of transformers saved.
var notParameters = []string{".attn.bias", ".attn.masked_bias", ".attention.bias", ".attention.masked_bias", ".rotary_emb.inv_freq"}

func notParameter(name string) bool {
	return slices.ContainsFunc(notParameters, func(ending string) bool { return strings.HasSuffix(name, ending) })
}

// parameters leaves out of a checkpoint's tensors those that are not parameters, and the head's weight where it is tied to the
// embedding, to which it must then be equal.
func parameters[T source](c Config, n naming, values map[string]T, of kind[T]) (map[string]T, error) {
	kept := map[string]T{}
	for name, value := range values {
		if !notParameter(name) {
			kept[name] = value
		}
	}
	tied, embedding := n.of(0, languageHead)+".weight", n.of(0, tokenEmbedding)+".weight"
	if c.TiedHead && !c.classifier() && there(kept, tied) {
		if there(kept, embedding) {
			var same bool
			if kept[embedding], same = of.tie(kept[embedding], kept[tied]); !same {
				return nil, &interv.Error{Where: "weights", Axis: tied, Got: "other values than in " + embedding,
					Wanted: "the same: config.json says that they are tied (tie_word_embeddings)"}
			}
		}
		delete(kept, tied)
	}
	return kept, nil
}
