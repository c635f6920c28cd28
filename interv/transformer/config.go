package transformer

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/govene/govene/internal/activation"
	"github.com/govene/govene/interv"
)

// Config describes a decoder-only transformer by its parts. It is read from the config.json of a checkpoint by [ParseConfig], which
// is also the shortest way to describe a model that has none; the names of config.json are given below in brackets.
type Config struct {
	Family string // [model_type], which decides what the weights are called and how they are laid out
	Labels int    // classes of a classifier [architectures, id2label]; 0 for a language model

	Vocabulary       int     // tokens [vocab_size]
	Width            int     // d, the size of the residual stream [hidden_size, n_embd]
	Layers           int     // blocks [num_hidden_layers, n_layer]
	MaxPositions     int     // the longest sequence the model was made for [max_position_embeddings, n_positions]
	LearnedPositions bool    // position embeddings are added to those of the tokens; else attention tells positions apart
	PositionOffset   int     // rows of the position embedding before that of position 0
	EmbeddingWidth   int     // features of a token's embedding, which is then projected to d, and back for the head; 0 for d [word_embed_proj_dim]
	EmbeddingScale   float64 // factor on the token embeddings [embedding_multiplier]
	TiedHead         bool    // the head's weight is the token embedding [tie_word_embeddings]
	HeadBias         bool    // of the language model's head
	LogitScale       float64 // factor on the logits [logit_scale, 1/logits_scaling]
	LogitCap         float64 // c in the soft cap c·tanh(logits/c); 0 for none [final_logit_softcapping]

	Norm          Norm
	Parallel      bool    // attention and MLP both read the block's input [use_parallel_residual]; else the MLP reads attention's sum
	ResidualScale float64 // factor on what attention and MLP add to the stream [residual_multiplier]
	Attention     Attention
	MLP           MLP
	Mixture       Mixture

	source []byte // the config.json that all of the above was read from
}

// Norm says how activations are normalized: a layer norm, (x − mean) / √(variance + ε) · g + b, or by root mean square,
// x / √(mean(x²) + ε) · g + b.
type Norm struct {
	Centred     bool    // a layer norm
	Epsilon     float64 // ε
	Gain, Bias  bool    // g and b are weights, one for each feature; else 1 and 0
	GainPlusOne bool    // the weights hold g − 1

	Before bool // a block normalizes what attention and MLP read,
	After  bool // what they return,
	Sum    bool // or the stream after each of them has been added to it
	Shared bool // the MLP of a parallel block reads what attention reads; else there is a norm for each
	Final  bool // the head reads the stream normalized
	Narrow bool // the gain multiplies in the model's precision, not in float32
}

// QueryKeyNorm says what of the queries and keys is normalized before they are rotated.
type QueryKeyNorm int

// The ways to normalize queries and keys.
const (
	NoQueryKeyNorm         QueryKeyNorm = iota
	HeadQueryKeyNorm                    // each head apart, all with the same gains
	OwnHeadQueryKeyNorm                 // each head apart, with gains of its own and no biases
	ProjectionQueryKeyNorm              // all heads as one vector
)

// Fusion says how projections that read the same input are stored.
type Fusion int

// The ways to store several projections.
const (
	Separate    Fusion = iota // a weight for each
	Consecutive               // one weight: all of the first, then all of the second, …
	Interleaved               // one weight: for each key head, its query heads, itself, its value head; or feature by feature
)

// Attention describes the attention of every layer.
type Attention struct {
	Heads         int // query heads [num_attention_heads]
	KeyValueHeads int // key and value heads, each serving Heads/KeyValueHeads query heads [num_key_value_heads]
	HeadWidth     int // features of a head [head_dim]

	Projections      Fusion // of query, key and value
	Bias, OutputBias bool   // of the query, key and value projections; of the output projection
	Norm             QueryKeyNorm
	Clip             float64 // queries, keys (normalized) and values are cut to ±Clip; 0 for no limit [clip_qkv]
	Scale            float64 // factor on the scores q·k
	ScaleByLayer     bool    // in layer l, from 0, a further factor of 1/(l+1) [scale_attn_by_inverse_layer_idx]
	Cap              float64 // c in the soft cap c·tanh(scores/c); 0 for none [attn_logit_softcapping]
	Sinks            bool    // each head has a further score that takes probability and has no value
	Windows          []int   // of each layer: how many positions a query sees, itself included; 0 for all before it [sliding_window]

	Alibi        bool   // scores are Scale·(q·k + m·p) for a key at position p, with m of the head, and nothing is rotated [alibi]
	Unrotated    []bool // layers that do not rotate queries and keys; nil for none [no_rope_layers, where they have 0]
	Rotary       Rotary // of layers without a window
	WindowRotary Rotary // of layers with one; the same in most families
}

// Activation is an elementwise function, under the name that Hugging Face configs have for it.
type Activation = activation.Function

// The activation functions of transformers' families; Φ is the normal distribution function. A config may name any of package mlp's.
const (
	Gelu    = activation.Gelu    // x·Φ(x)
	GeluNew = activation.GeluNew // x/2 · (1 + tanh(√(2/π)·(x + 0.044715·x³))), which approximates Gelu
	Silu    = activation.Silu    // x·σ(x)
	Relu    = activation.Relu    // max(x, 0)
)

// MLP describes the multilayer perceptron of every layer that has no mixture, down(act(up(x))) or, gated, down(act(gate(x)) ⊙ up(x)).
type MLP struct {
	Width       int // features between up and down [intermediate_size, n_inner]
	Activation  Activation
	Gated       bool
	Projections Fusion // of gate and up
	Bias        bool
}

// Mixture describes the mixture of experts that takes the place of the MLP: Σ_e s_e(x)·expert_e(x) over the PerToken experts e that a
// router, a linear map from x to a score for each expert, scores highest. Experts are gated MLPs with the MLP's activation.
type Mixture struct {
	Experts     int     // 0 for no mixture [num_local_experts, num_experts]
	PerToken    int     // how many of them each token is given to [num_experts_per_tok]
	Width       int     // features between an expert's up and down [moe_intermediate_size, intermediate_size]
	Dense       []int   // the layers that have an MLP nonetheless, ascending [mlp_only_layers, decoder_sparse_step]
	SharesOfAll bool    // s is the softmax over the scores of all experts; else over those that count [norm_topk_prob: false]
	Projections Fusion  // Separate: a checkpoint has each expert's gate, up and down. Interleaved: one tensor [experts, in, out], features of gate and up in turn
	Bias        bool    // of router and experts
	Limit       float64 // L: experts compute (clamp(up, ±L) + 1) ⊙ g·σ(1.702g) with g = min(gate, L); 0 for act(gate) ⊙ up
}

// mixes tells whether a layer has a mixture.
func (c Config) mixes(layer int) bool {
	return c.Mixture.Experts > 0 && !slices.Contains(c.Mixture.Dense, layer)
}

// mixing lists the layers that have a mixture.
func (c Config) mixing() (layers []int) {
	for layer := range c.Layers {
		if c.mixes(layer) {
			layers = append(layers, layer)
		}
	}
	return layers
}

// clone is a copy that shares nothing.
func (c Config) clone() Config {
	c.Attention.Windows, c.Attention.Unrotated = slices.Clone(c.Attention.Windows), slices.Clone(c.Attention.Unrotated)
	c.source = slices.Clone(c.source)
	c.Mixture.Dense = slices.Clone(c.Mixture.Dense)
	for _, r := range []*Rotary{&c.Attention.Rotary, &c.Attention.WindowRotary} {
		r.ShortFactors, r.LongFactors = slices.Clone(r.ShortFactors), slices.Clone(r.LongFactors)
	}
	return c
}

// embeddingWidth is how many features a row of the token embedding and of the head has.
func (c Config) embeddingWidth() int { return cmp.Or(c.EmbeddingWidth, c.Width) }

// rotates tells whether a layer rotates queries and keys by their positions.
func (c Config) rotates(layer int) bool {
	a := c.Attention
	return !c.LearnedPositions && !a.Alibi && !(a.Unrotated != nil && a.Unrotated[layer])
}

// classifier tells whether the model has a classifier's head.
func (c Config) classifier() bool { return c.Labels > 0 }

// name is what messages call the model: "gpt2 language model".
func (c Config) name() string {
	if c.classifier() {
		return c.Family + " classifier"
	}
	return c.Family + " language model"
}

// The most that a size can be: far above all models, and low enough to compute with.
const (
	largeSize  = 1 << 30
	manyLayers = 1 << 14
)

// wrong is a refusal of a config.
func wrong(axis string, got any, wanted string, args ...any) error {
	return &interv.Error{Where: "transformer.Config", Axis: axis, Got: fmt.Sprint(got), Wanted: fmt.Sprintf(wanted, args...)}
}

// validate refuses sizes that no model can have and parts that do not fit together.
func (c Config) validate() error {
	f, err := c.family()
	if err != nil {
		return interv.Within("transformer.Config", err)
	}
	a := c.Attention
	for _, size := range []struct {
		name     string
		size, at int // at most
	}{
		{"Vocabulary", c.Vocabulary, largeSize}, {"Width", c.Width, largeSize}, {"Layers", c.Layers, manyLayers},
		{"MaxPositions", c.MaxPositions, largeSize}, {"MLP.Width", c.MLP.Width, largeSize}, {"Attention.Heads", a.Heads, largeSize},
		{"Attention.KeyValueHeads", a.KeyValueHeads, largeSize}, {"Attention.HeadWidth", a.HeadWidth, largeSize},
	} {
		if size.size < 1 || size.size > size.at {
			return wrong(size.name, size.size, "1 to %d", size.at)
		}
	}
	switch {
	case c.Labels < 0:
		return wrong("Labels", c.Labels, "at least 0")
	case !(c.Norm.Epsilon > 0):
		return wrong("Norm.Epsilon", c.Norm.Epsilon, "above 0")
	case c.PositionOffset < 0 || c.PositionOffset > largeSize:
		return wrong("PositionOffset", c.PositionOffset, "0 to %d", largeSize)
	case c.EmbeddingWidth < 0 || c.EmbeddingWidth > largeSize:
		return wrong("EmbeddingWidth", c.EmbeddingWidth, "0 to %d", largeSize)
	case !(c.EmbeddingScale > 0):
		return wrong("EmbeddingScale", c.EmbeddingScale, "above 0")
	case !(c.ResidualScale > 0):
		return wrong("ResidualScale", c.ResidualScale, "above 0")
	case !(c.LogitScale > 0):
		return wrong("LogitScale", c.LogitScale, "above 0")
	case c.Norm.Sum && (c.Norm.Before || c.Parallel):
		return wrong("Norm.Sum", c.Norm.Sum, "false where Norm.Before or Parallel is true")
	case c.Norm.Shared && !(c.Norm.Before && c.Parallel):
		return wrong("Norm.Shared", c.Norm.Shared, "false unless Norm.Before and Parallel are true")
	case c.Norm.GainPlusOne && !c.Norm.Gain:
		return wrong("Norm.GainPlusOne", c.Norm.GainPlusOne, "false where there are no gains")
	case c.LearnedPositions && (a.Alibi || a.Unrotated != nil):
		return wrong("Attention.Alibi and Unrotated", fmt.Sprint(a.Alibi, " and ", a.Unrotated), "none beside LearnedPositions")
	case !(c.LogitCap >= 0):
		return wrong("LogitCap", c.LogitCap, "above 0, or 0 for none")
	}
	if err := a.validate(c.Layers); err != nil {
		return err
	}
	if !slices.Contains(activation.All, c.MLP.Activation) {
		return interv.UnknownName("transformer.Config", "MLP.Activation", c.MLP.Activation, activation.All)
	}
	if err := c.Mixture.validate(c.Layers); err != nil {
		return err
	}
	for _, w := range c.weights(naming{f, f.base}) {
		if f.names[w.part] == "" {
			return wrong("Family", fmt.Sprintf("%s with %s", c.Family, w.part), "parts that checkpoints of the family have")
		}
	}
	if c.LearnedPositions || a.Alibi {
		return nil
	}
	for _, r := range []Rotary{a.Rotary, a.WindowRotary} {
		if err := r.validate(a.HeadWidth); err != nil {
			return interv.Within("transformer.Config", err)
		}
	}
	return nil
}

// validate refuses, given positive sizes, what does not fit together.
func (a Attention) validate(layers int) error {
	switch {
	case a.Heads%a.KeyValueHeads != 0:
		return wrong("Attention.KeyValueHeads", a.KeyValueHeads, "a divisor of the %d query heads", a.Heads)
	case !(a.Scale > 0):
		return wrong("Attention.Scale", a.Scale, "above 0")
	case !(a.Cap >= 0):
		return wrong("Attention.Cap", a.Cap, "above 0, or 0 for none")
	case !(a.Clip >= 0):
		return wrong("Attention.Clip", a.Clip, "above 0, or 0 for none")
	case a.Unrotated != nil && len(a.Unrotated) != layers:
		return wrong("Attention.Unrotated", fmt.Sprintf("%d layers", len(a.Unrotated)), "%d, or none", layers)
	case a.Unrotated != nil && a.Alibi:
		return wrong("Attention.Unrotated", a.Unrotated, "none beside Alibi")
	case len(a.Windows) != layers:
		return wrong("Attention.Windows", fmt.Sprintf("%d layers", len(a.Windows)), "%d, one window a layer", layers)
	}
	for layer, window := range a.Windows {
		if window < 0 {
			return wrong(fmt.Sprintf("Attention.Windows of layer %d", layer), window, "at least 1, or 0 for none")
		}
	}
	return nil
}

func (m Mixture) validate(layers int) error {
	switch {
	case m.Experts < 0 || m.Experts > largeSize:
		return wrong("Mixture.Experts", m.Experts, "0 to %d", largeSize)
	case m.Experts == 0:
		return nil
	case m.PerToken < 1 || m.PerToken > m.Experts:
		return wrong("Mixture.PerToken", m.PerToken, "1 to the %d experts", m.Experts)
	case m.Width < 1 || m.Width > largeSize:
		return wrong("Mixture.Width", m.Width, "1 to %d", largeSize)
	case m.Projections == Consecutive:
		return wrong("Mixture.Projections", m.Projections, "Separate or Interleaved")
	case !(m.Limit >= 0):
		return wrong("Mixture.Limit", m.Limit, "above 0, or 0 for none")
	}
	for i, layer := range m.Dense {
		if layer < 0 || layer >= layers || i > 0 && m.Dense[i-1] >= layer {
			return wrong("Mixture.Dense", m.Dense, "some of the layers 0 to %d, ascending", layers-1)
		}
	}
	return nil
}
