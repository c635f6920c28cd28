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
	"gpt2":        {config: gpt2Config, base: "transformer.", block: "h.%d.", names: gpt2Names, inputMajor: true},
	"gpt_neox":    {config: gptNeoXConfig, base: "gpt_neox.", block: "layers.%d.", names: gptNeoXNames},
	"llama":       {config: llamaConfig, base: "model.", block: "layers.%d.", names: llamaNames},
	"mistral":     {config: mistralConfig, base: "model.", block: "layers.%d.", names: llamaNames},
	"phi3":        {config: phi3Config, base: "model.", block: "layers.%d.", names: phi3Names},
	"qwen2":       {config: qwen2Config, base: "model.", block: "layers.%d.", names: llamaNames},
	"qwen3":       {config: qwen3Config, base: "model.", block: "layers.%d.", names: llamaNames},
	"olmo2":       {config: olmo2Config, base: "model.", block: "layers.%d.", names: olmo2Names},
	"gemma2":      {config: gemma2Config, base: "model.", block: "layers.%d.", names: gemmaNames},
	"gemma3_text": {config: gemma3Config, base: "model.", block: "layers.%d.", names: gemmaNames},
	"gpt_oss":     {config: gptOSSConfig, base: "model.", block: "layers.%d.", names: gptOSSNames},
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

// attention is attention with as many key and value heads as query heads, which together are as wide as the model if headWidth is 0.
func attention(f *fields, width, heads, headWidth int) Attention {
	if headWidth == 0 && heads > 0 {
		if width%heads != 0 {
			f.fail("number of attention heads", fmt.Sprint(heads), fmt.Sprintf("a divisor of the model's width, %d", width))
		}
		headWidth = width / heads
	}
	return Attention{Heads: heads, KeyValueHeads: heads, HeadWidth: headWidth, Scale: 1 / math.Sqrt(float64(headWidth))}
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
	c.Attention = attention(f, c.Width, get[int](f, "n_head"), 0)
	c.Attention.Projections, c.Attention.Bias, c.Attention.OutputBias = Consecutive, true, true
	c.Attention.Windows = f.windows(c.Layers, 0, never)
	c.MLP = MLP{Width: getOr(f, "n_inner", 4*c.Width), Activation: f.activation("activation_function", "gelu_new"), Bias: true}
	return c
}

var gptNeoXNames = map[part]string{
	tokenEmbedding: "embed_in", finalNorm: "final_layer_norm", languageHead: "embed_out", classifierHead: "score",
	attentionNorm: "input_layernorm", queryKeyValueProjection: "attention.query_key_value", outputProjection: "attention.dense",
	mlpNorm: "post_attention_layernorm", upProjection: "mlp.dense_h_to_4h", downProjection: "mlp.dense_4h_to_h",
}

// gptNeoXConfig is GPT-NeoX (Black et al., 2022) and Pythia (Biderman et al., 2023).
func gptNeoXConfig(f *fields) Config {
	c := Config{Vocabulary: get[int](f, "vocab_size"), Width: get[int](f, "hidden_size"), Layers: get[int](f, "num_hidden_layers"),
		MaxPositions: get[int](f, "max_position_embeddings"), EmbeddingScale: 1, TiedHead: getOr(f, "tie_word_embeddings", false),
		Norm: Norm{Centred: true, Epsilon: getOr(f, "layer_norm_eps", 1e-5), Before: true}, Parallel: getOr(f, "use_parallel_residual", true)}
	c.Attention = attention(f, c.Width, get[int](f, "num_attention_heads"), 0)
	c.Attention.Projections = Interleaved
	c.Attention.Bias = getOr(f, "attention_bias", true)
	c.Attention.OutputBias = c.Attention.Bias
	c.Attention.Rotary = f.rotary(c, f.rotaryFile(rotaryJSON{}), getOr(f, "rotary_emb_base", 10000.0), getOr(f, "rotary_pct", 0.25))
	c.Attention.WindowRotary = c.Attention.Rotary
	c.Attention.Windows = f.windows(c.Layers, 0, never)
	c.MLP = MLP{Width: get[int](f, "intermediate_size"), Activation: f.activation("hidden_act", "gelu"), Bias: true}
	return c
}

var llamaNames = map[part]string{
	tokenEmbedding: "embed_tokens", finalNorm: "norm", languageHead: "lm_head", classifierHead: "score",
	attentionNorm:   "input_layernorm",
	queryProjection: "self_attn.q_proj", keyProjection: "self_attn.k_proj", valueProjection: "self_attn.v_proj",
	queryNorm: "self_attn.q_norm", keyNorm: "self_attn.k_norm", outputProjection: "self_attn.o_proj",
	mlpNorm:        "post_attention_layernorm",
	gateProjection: "mlp.gate_proj", upProjection: "mlp.up_proj", downProjection: "mlp.down_proj",
}

// defaults are what transformers assumes in a family where config.json says nothing.
type defaults struct {
	epsilon   float64 // of norms
	headWidth int     // 0 for the model's width divided by the number of heads
	base      float64 // of rotations
	rotary    rotaryJSON
	tied      bool
}

// decoder reads what the families that follow Llama share: rotated positions, root-mean-square norms, a gated MLP.
func (f *fields) decoder(d defaults) Config {
	c := Config{Vocabulary: get[int](f, "vocab_size"), Width: get[int](f, "hidden_size"), Layers: get[int](f, "num_hidden_layers"),
		MaxPositions: get[int](f, "max_position_embeddings"), EmbeddingScale: 1, TiedHead: getOr(f, "tie_word_embeddings", d.tied),
		Norm: Norm{Epsilon: getOr(f, "rms_norm_eps", d.epsilon), Before: true}}
	c.Attention = attention(f, c.Width, get[int](f, "num_attention_heads"), getOr(f, "head_dim", d.headWidth))
	c.Attention.KeyValueHeads = getOr(f, "num_key_value_heads", c.Attention.Heads)
	c.Attention.Rotary = f.rotary(c, f.rotaryFile(d.rotary), getOr(f, "rope_theta", d.base), getOr(f, "partial_rotary_factor", 1.0))
	c.Attention.WindowRotary = c.Attention.Rotary
	c.Attention.Windows = f.windows(c.Layers, 0, never)
	c.MLP = MLP{Width: get[int](f, "intermediate_size"), Activation: f.activation("hidden_act", "silu"), Gated: true}
	return c
}

// biased gives attention's projections their biases, all or none.
func (f *fields) biased(c *Config, missing bool) {
	c.Attention.Bias = getOr(f, "attention_bias", missing)
	c.Attention.OutputBias = c.Attention.Bias
}

// llamaConfig is Llama (Touvron et al., 2023), also 2 and 3.
func llamaConfig(f *fields) Config {
	c := f.decoder(defaults{epsilon: 1e-6, base: 10000})
	f.biased(&c, false)
	c.MLP.Bias = getOr(f, "mlp_bias", false)
	return c
}

// mistralConfig is Mistral (Jiang et al., 2023).
func mistralConfig(f *fields) Config {
	c := f.decoder(defaults{epsilon: 1e-6, base: 10000})
	c.Attention.Windows = f.windows(c.Layers, optional(f, "sliding_window", 4096), always)
	return c
}

var phi3Names = with(llamaNames, map[part]string{
	queryProjection: "", keyProjection: "", valueProjection: "", queryKeyValueProjection: "self_attn.qkv_proj",
	gateProjection: "", upProjection: "", gateUpProjection: "mlp.gate_up_proj",
})

// phi3Config is Phi-3 (Abdin et al., 2024).
func phi3Config(f *fields) Config {
	c := f.decoder(defaults{epsilon: 1e-5, base: 10000})
	c.Attention.Projections, c.MLP.Projections = Consecutive, Consecutive
	c.Attention.Windows = f.windows(c.Layers, optional(f, "sliding_window", 0), always)
	return c
}

// qwen2Config is Qwen2 (Yang et al., 2024).
func qwen2Config(f *fields) Config {
	c := f.decoder(defaults{epsilon: 1e-6, base: 10000})
	c.Attention.Bias = true
	return f.qwen(c)
}

// qwen3Config is Qwen3 (Yang et al., 2025).
func qwen3Config(f *fields) Config {
	c := f.decoder(defaults{epsilon: 1e-6, base: 10000, headWidth: 128})
	f.biased(&c, false)
	c.Attention.Norm = HeadQueryKeyNorm
	return f.qwen(c)
}

// qwen reads what Qwen2 and Qwen3 share: windows in the upper layers, if at all.
func (f *fields) qwen(c Config) Config {
	if getOr(f, "use_sliding_window", false) {
		first := getOr(f, "max_window_layers", 28)
		c.Attention.Windows = f.windows(c.Layers, optional(f, "sliding_window", 4096), func(layer int) bool { return layer >= first })
	}
	return c
}

var olmo2Names = with(llamaNames, map[part]string{
	attentionNorm: "", attentionAfterNorm: "post_attention_layernorm", mlpNorm: "", mlpAfterNorm: "post_feedforward_layernorm",
})

// olmo2Config is OLMo 2 (OLMo team, 2024).
func olmo2Config(f *fields) Config {
	c := f.decoder(defaults{epsilon: 1e-5, base: 10000})
	f.biased(&c, false)
	c.Norm.Before, c.Norm.After = false, true
	c.Attention.Norm = ProjectionQueryKeyNorm
	return c
}

var gemmaNames = with(llamaNames, map[part]string{
	attentionAfterNorm: "post_attention_layernorm", mlpNorm: "pre_feedforward_layernorm", mlpAfterNorm: "post_feedforward_layernorm",
})

// gemma2Config is Gemma 2 (Gemma team, 2024).
func gemma2Config(f *fields) Config {
	c := f.gemma(10000)
	c.Attention.Cap, c.LogitCap = optional(f, "attn_logit_softcapping", 50.0), optional(f, "final_logit_softcapping", 30.0)
	c.Attention.Windows = f.windows(c.Layers, optional(f, "sliding_window", 4096), func(layer int) bool { return layer%2 == 0 })
	return c
}

// gemma3Config is the text model of Gemma 3 (Gemma team, 2025).
func gemma3Config(f *fields) Config {
	only(f, "use_bidirectional_attention", false)
	c := f.gemma(1000000)
	only(f, "attn_logit_softcapping", 0.0) // which transformers reads and does not apply
	c.LogitCap = optional(f, "final_logit_softcapping", 0.0)
	c.Attention.Norm = HeadQueryKeyNorm
	pattern := max(1, getOr(f, "sliding_window_pattern", getOr(f, "_sliding_window_pattern", 6)))
	c.Attention.Windows = f.windows(c.Layers, optional(f, "sliding_window", 4096), func(layer int) bool { return (layer+1)%pattern != 0 })
	c.Attention.WindowRotary = f.rotary(c, rotaryJSON{}, getOr(f, "rope_local_base_freq", 10000.0), 1)
	if kinds := getOr(f, "rope_parameters", map[string]rotaryJSON(nil)); kinds != nil {
		c.Attention.Rotary = f.rotary(c, kinds["full_attention"], 1000000, 1)
		c.Attention.WindowRotary = f.rotary(c, kinds["sliding_attention"], 10000, 1)
	}
	return c
}

// gemma reads what Gemma 2 and 3 share.
func (f *fields) gemma(base float64) Config {
	c := f.decoder(defaults{epsilon: 1e-6, base: base, headWidth: 256, tied: true})
	f.biased(&c, false)
	c.EmbeddingScale = math.Sqrt(float64(c.Width))
	c.Norm.GainPlusOne, c.Norm.After = true, true
	c.Attention.Scale = 1 / math.Sqrt(getOr(f, "query_pre_attn_scalar", 256.0))
	c.MLP.Activation = f.activation("hidden_activation", "gelu_pytorch_tanh")
	return c
}

var gptOSSNames = with(llamaNames, map[part]string{
	sinks: "self_attn.sinks", gateProjection: "", upProjection: "", downProjection: "",
	router: "mlp.router", expertGateUp: "mlp.experts.gate_up_proj", expertDown: "mlp.experts.down_proj",
})

// gptOSSConfig is gpt-oss (OpenAI, 2025).
func gptOSSConfig(f *fields) Config {
	truncate := false
	c := f.decoder(defaults{epsilon: 1e-5, base: 150000, headWidth: 64,
		rotary: rotaryJSON{Type: "yarn", Factor: 32, OriginalPositions: 4096, Truncate: &truncate}})
	f.biased(&c, true)
	c.Attention.Sinks = true
	c.Attention.Windows = f.windows(c.Layers, optional(f, "sliding_window", 128), func(layer int) bool { return layer%2 == 0 })
	c.MLP.Experts, c.MLP.ExpertsPerToken = get[int](f, "num_local_experts"), get[int](f, "num_experts_per_tok")
	c.MLP.Limit = getOr(f, "swiglu_limit", 7.0)
	return c
}
