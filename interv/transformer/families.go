package transformer

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/govene/govene/interv"
)

// A family is a model_type of transformers: how its config.json describes the parts, and what its checkpoints call the weights.
type family struct {
	config     func(f *fields) Config
	base       string          // what the names of all weights but the head's begin with
	block      string          // what follows in those of a layer's
	names      map[part]string // what follows in turn; a part that is not there, no model of the family has
	inputMajor bool            // weights of a block are [in, out], not [out, in]
}

// part is something that has weights.
type part string

const (
	tokenEmbedding    part = "token embedding"
	positionEmbedding part = "position embedding"
	finalNorm         part = "final norm"
	languageHead      part = "language-model head"
	classifierHead    part = "classifier head"

	attentionNorm      part = "norm before attention"
	attentionAfterNorm part = "norm after attention"
	mlpNorm            part = "norm before MLP"
	mlpAfterNorm       part = "norm after MLP"

	queryProjection         part = "query projection"
	keyProjection           part = "key projection"
	valueProjection         part = "value projection"
	queryKeyValueProjection part = "query, key and value projection"
	outputProjection        part = "output projection"
	queryNorm               part = "query norm"
	keyNorm                 part = "key norm"
	sinks                   part = "attention sinks"

	gateProjection   part = "gate projection"
	upProjection     part = "up projection"
	gateUpProjection part = "gate and up projection"
	downProjection   part = "down projection"
	router           part = "router"

	expertGateUp part = "experts' gate and up projection"
	expertDown   part = "experts' down projection"
)

// families lists what is known.
var families = map[string]family{
	"gpt2":  {config: gpt2Config, base: "transformer.", block: "h.%d.", names: gpt2Names, inputMajor: true},
	"llama": {config: llamaConfig, base: "model.", block: "layers.%d.", names: llamaNames},
}

// familyOf finds a family by its model_type.
func familyOf(name string) (family, error) {
	found, ok := families[name]
	if !ok {
		return found, interv.UnknownName("", "model_type", name, slices.Sorted(maps.Keys(families)))
	}
	return found, nil
}

// with is a copy of names with some changed; an empty name takes the part away.
func with(names, changed map[part]string) map[part]string {
	all := maps.Clone(names)
	maps.Copy(all, changed)
	maps.DeleteFunc(all, func(_ part, name string) bool { return name == "" })
	return all
}

var gpt2Names = map[part]string{
	tokenEmbedding: "wte", positionEmbedding: "wpe", finalNorm: "ln_f", languageHead: "lm_head", classifierHead: "score",
	attentionNorm: "ln_1", queryKeyValueProjection: "attn.c_attn", outputProjection: "attn.c_proj",
	mlpNorm: "ln_2", upProjection: "mlp.c_fc", downProjection: "mlp.c_proj",
}

// gpt2Config is GPT-2 (Radford et al., 2019).
func gpt2Config(f *fields) Config {
	only(f, "scale_attn_weights", true)
	only(f, "scale_attn_by_inverse_layer_idx", false)
	only(f, "add_cross_attention", false)
	c := Config{Vocabulary: get[int](f, "vocab_size"), Width: get[int](f, "n_embd"), Layers: get[int](f, "n_layer"),
		MaxPositions: get[int](f, "n_positions"), LearnedPositions: true, EmbeddingScale: 1, TiedHead: getOr(f, "tie_word_embeddings", true),
		Norm: Norm{Centred: true, Epsilon: getOr(f, "layer_norm_epsilon", 1e-5), Before: true}}
	c.Attention = f.attention(c.Width, get[int](f, "n_head"))
	c.Attention.Projections, c.Attention.Bias, c.Attention.OutputBias = Consecutive, true, true
	c.Attention.Windows = f.windows(c.Layers, 0, never)
	c.MLP = MLP{Width: getOr(f, "n_inner", 4*c.Width), Activation: f.activation("activation_function", "gelu_new"), Bias: true}
	return c
}

// attention is attention with as many key and value heads as query heads, which together are as wide as the model.
func (f *fields) attention(width, heads int) Attention {
	a := Attention{Heads: heads, KeyValueHeads: heads, HeadWidth: getOr(f, "head_dim", 0)}
	if a.HeadWidth == 0 && heads > 0 {
		if width%heads != 0 {
			f.fail("number of attention heads", fmt.Sprint(heads), fmt.Sprintf("a divisor of the model's width, %d", width))
		}
		a.HeadWidth = width / heads
	}
	a.Scale = 1 / math.Sqrt(float64(a.HeadWidth))
	return a
}

var llamaNames = map[part]string{
	tokenEmbedding: "embed_tokens", finalNorm: "norm", languageHead: "lm_head", classifierHead: "score",
	attentionNorm: "input_layernorm", queryProjection: "self_attn.q_proj", keyProjection: "self_attn.k_proj", valueProjection: "self_attn.v_proj", outputProjection: "self_attn.o_proj",
	mlpNorm: "post_attention_layernorm", gateProjection: "mlp.gate_proj", upProjection: "mlp.up_proj", downProjection: "mlp.down_proj",
}

// decoder reads what the families that follow Llama share: rotated positions, root-mean-square norms, a gated MLP.
func (f *fields) decoder(epsilon float64) Config {
	c := Config{Vocabulary: get[int](f, "vocab_size"), Width: get[int](f, "hidden_size"), Layers: get[int](f, "num_hidden_layers"),
		MaxPositions: get[int](f, "max_position_embeddings"), EmbeddingScale: 1, TiedHead: getOr(f, "tie_word_embeddings", false),
		Norm: Norm{Epsilon: getOr(f, "rms_norm_eps", epsilon), Before: true}}
	c.Attention = f.attention(c.Width, get[int](f, "num_attention_heads"))
	c.Attention.KeyValueHeads = getOr(f, "num_key_value_heads", c.Attention.Heads)
	c.Attention.Rotary = f.rotary(&c, 10000, 1)
	c.Attention.WindowRotary = c.Attention.Rotary
	c.Attention.Windows = f.windows(c.Layers, 0, never)
	c.MLP = MLP{Width: get[int](f, "intermediate_size"), Activation: f.activation("hidden_act", "silu"), Gated: true}
	return c
}

// llamaConfig is Llama (Touvron et al., 2023), also 2 and 3.
func llamaConfig(f *fields) Config {
	c := f.decoder(1e-6)
	c.Attention.Bias = getOr(f, "attention_bias", false)
	c.Attention.OutputBias = c.Attention.Bias
	c.MLP.Bias = getOr(f, "mlp_bias", false)
	return c
}
