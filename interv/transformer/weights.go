package transformer

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/gomlx/gomlx/core/tensors"

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
	case tokenEmbedding, positionEmbedding, finalNorm:
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
}

// weights lists the tensors of a model.
func (c Config) weights(n naming) []weight {
	var list []weight
	add := func(start initial, layer int, p part, ending string, dimensions ...int) {
		list = append(list, weight{interv.WeightShape{Name: n.of(layer, p) + ending, Dimensions: dimensions}, p, start})
	}
	gain := one
	if c.Norm.GainPlusOne {
		gain = zero
	}
	norm := func(layer int, p part, size int) {
		add(gain, layer, p, ".weight", size)
		if c.Norm.Centred {
			add(zero, layer, p, ".bias", size)
		}
	}
	linear := func(layer int, p part, out, in int, bias bool) {
		if n.inputMajor {
			add(normal, layer, p, ".weight", in, out)
		} else {
			add(normal, layer, p, ".weight", out, in)
		}
		if bias {
			add(zero, layer, p, ".bias", out)
		}
	}

	a, d := c.Attention, c.Width
	queries, keys := a.Heads*a.HeadWidth, a.KeyValueHeads*a.HeadWidth
	add(normal, 0, tokenEmbedding, ".weight", c.Vocabulary, d)
	if c.LearnedPositions {
		add(normal, 0, positionEmbedding, ".weight", c.MaxPositions, d)
	}
	for layer := range c.Layers {
		if c.Norm.Before {
			norm(layer, attentionNorm, d)
		}
		if a.Projections == Separate {
			linear(layer, queryProjection, queries, d, a.Bias)
			linear(layer, keyProjection, keys, d, a.Bias)
			linear(layer, valueProjection, keys, d, a.Bias)
		} else {
			linear(layer, queryKeyValueProjection, queries+2*keys, d, a.Bias)
		}
		switch a.Norm {
		case HeadQueryKeyNorm:
			norm(layer, queryNorm, a.HeadWidth)
			norm(layer, keyNorm, a.HeadWidth)
		case ProjectionQueryKeyNorm:
			norm(layer, queryNorm, queries)
			norm(layer, keyNorm, keys)
		}
		if a.Sinks {
			add(normal, layer, sinks, "", a.Heads)
		}
		linear(layer, outputProjection, d, queries, a.OutputBias)
		if c.Norm.After {
			norm(layer, attentionAfterNorm, d)
		}
		if c.Norm.Before {
			norm(layer, mlpNorm, d)
		}
		switch m := c.MLP; {
		case m.Experts > 0:
			linear(layer, router, m.Experts, d, true)
			add(normal, layer, expertGateUp, "", m.Experts, d, 2*m.Width)
			add(zero, layer, expertGateUp, "_bias", m.Experts, 2*m.Width)
			add(normal, layer, expertDown, "", m.Experts, m.Width, d)
			add(zero, layer, expertDown, "_bias", m.Experts, d)
		case m.Gated && m.Projections != Separate:
			linear(layer, gateUpProjection, 2*m.Width, d, m.Bias)
			linear(layer, downProjection, d, m.Width, m.Bias)
		default:
			if m.Gated {
				linear(layer, gateProjection, m.Width, d, m.Bias)
			}
			linear(layer, upProjection, m.Width, d, m.Bias)
			linear(layer, downProjection, d, m.Width, m.Bias)
		}
		if c.Norm.After {
			norm(layer, mlpAfterNorm, d)
		}
	}
	norm(0, finalNorm, d)
	switch {
	case c.classifier():
		add(normal, 0, classifierHead, ".weight", c.Labels, d)
	case !c.TiedHead:
		add(normal, 0, languageHead, ".weight", c.Vocabulary, d)
	}
	return list
}

// notParameters are endings of tensors that checkpoints contain and that are not parameters: masks and the frequencies of rotations,
// which older versions of transformers saved.
var notParameters = []string{".attn.bias", ".attn.masked_bias", ".attention.bias", ".attention.masked_bias", ".rotary_emb.inv_freq"}

func notParameter(name string) bool {
	return slices.ContainsFunc(notParameters, func(ending string) bool { return strings.HasSuffix(name, ending) })
}

// parameters leaves out of a checkpoint's tensors those that are not parameters, and the head's weight where it is tied to the
// embedding, to which it must then be equal.
func (c Config) parameters(n naming, values map[string]*tensors.Tensor) (map[string]*tensors.Tensor, error) {
	kept := map[string]*tensors.Tensor{}
	for name, value := range values {
		if !notParameter(name) {
			kept[name] = value
		}
	}
	tied, embedding := n.of(0, languageHead)+".weight", n.of(0, tokenEmbedding)+".weight"
	if c.TiedHead && !c.classifier() && kept[tied] != nil {
		if kept[embedding] != nil && !same(kept[tied], kept[embedding]) {
			return nil, &interv.Error{Where: "weights", Axis: tied, Got: "other values than in " + embedding,
				Wanted: "the same: config.json says that they are tied (tie_word_embeddings)"}
		}
		delete(kept, tied)
	}
	return kept, nil
}

// same tells whether two tensors are equal, bit for bit.
func same(a, b *tensors.Tensor) bool {
	if a == b || !a.Shape().Equal(b.Shape()) { // a tensor's lock is not to be taken twice
		return a == b
	}
	equal := false
	err := a.ConstBytes(func(x []byte) {
		if b.ConstBytes(func(y []byte) { equal = bytes.Equal(x, y) }) != nil {
			equal = false
		}
	})
	return err == nil && equal
}
