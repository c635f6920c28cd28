package transformer

import "fmt"

// Families that follow GPT-NeoX: layer norms, rotated positions, and in most of them attention and MLP in parallel.

var gptNeoXNames = map[part]string{
	tokenEmbedding: "embed_in", finalNorm: "final_layer_norm", languageHead: "embed_out", classifierHead: "score",
	attentionNorm: "input_layernorm", queryKeyValueProjection: "attention.query_key_value", outputProjection: "attention.dense",
	mlpNorm: "post_attention_layernorm", upProjection: "mlp.dense_h_to_4h", downProjection: "mlp.dense_4h_to_h",
}

// gptNeoXConfig is GPT-NeoX (Black et al., 2022) and Pythia (Biderman et al., 2023).
func gptNeoXConfig(f *fields) Config {
	c := Config{Vocabulary: get[int](f, "vocab_size"), Width: get[int](f, "hidden_size"), Layers: get[int](f, "num_hidden_layers"),
		MaxPositions: get[int](f, "max_position_embeddings"), TiedHead: getOr(f, "tie_word_embeddings", false),
		EmbeddingScale: 1, ResidualScale: 1, LogitScale: 1, Norm: f.layerNorm("layer_norm_eps"), Parallel: getOr(f, "use_parallel_residual", true)}
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

var gptJNames = with(gpt2Names, map[part]string{
	positionEmbedding: "", queryKeyValueProjection: "", queryProjection: "attn.q_proj", keyProjection: "attn.k_proj", valueProjection: "attn.v_proj",
	outputProjection: "attn.out_proj", mlpNorm: "", upProjection: "mlp.fc_in", downProjection: "mlp.fc_out",
})

// gptJConfig is GPT-J (Wang and Komatsuzaki, 2021).
func gptJConfig(f *fields) Config {
	c := Config{Vocabulary: get[int](f, "vocab_size"), Width: get[int](f, "n_embd"), Layers: get[int](f, "n_layer"),
		MaxPositions: get[int](f, "n_positions"), TiedHead: getOr(f, "tie_word_embeddings", false), HeadBias: true,
		EmbeddingScale: 1, ResidualScale: 1, LogitScale: 1, Norm: f.layerNorm("layer_norm_epsilon"), Parallel: true}
	c.Norm.Shared = true
	c.Attention = attention(f, c.Width, get[int](f, "n_head"), 0)
	c.Attention.Windows = f.windows(c.Layers, 0, never)
	c.Attention.Rotary = Rotary{Width: optional(f, "rotary_dim", 64), Base: 10000, Adjacent: true}
	c.Attention.WindowRotary = c.Attention.Rotary
	c.MLP = MLP{Width: getOr(f, "n_inner", 4*c.Width), Activation: f.activation("activation_function", "gelu_new"), Bias: true}
	return c
}

var phiNames = with(llamaNames, map[part]string{
	finalNorm: "final_layernorm", outputProjection: "self_attn.dense", queryNorm: "self_attn.q_layernorm", keyNorm: "self_attn.k_layernorm",
	mlpNorm: "", gateProjection: "", upProjection: "mlp.fc1", downProjection: "mlp.fc2",
})

// phiConfig is Phi-1 (Gunasekar et al., 2023), 1.5 and 2.
func phiConfig(f *fields) Config {
	c := f.decoder(defaults{base: 10000, partial: 0.5, activation: "gelu_new"})
	c.Norm, c.Parallel, c.HeadBias = f.layerNorm("layer_norm_eps"), true, true
	c.Norm.Shared = true
	c.Attention.Bias, c.Attention.OutputBias = true, true
	if getOr(f, "qk_layernorm", false) {
		c.Attention.Norm = HeadQueryKeyNorm
	}
	c.MLP.Gated, c.MLP.Bias = false, true
	return c
}

var falconNames = with(gptNeoXNames, map[part]string{
	tokenEmbedding: "word_embeddings", finalNorm: "ln_f", languageHead: "lm_head",
	queryKeyValueProjection: "self_attention.query_key_value", outputProjection: "self_attention.dense",
})

// falconNorms are the names of two norms that are read in parallel.
func falconNorms(c Config) map[part]string {
	if c.Parallel && !c.Norm.Shared {
		return map[part]string{attentionNorm: "ln_attn", mlpNorm: "ln_mlp"}
	}
	return nil
}

// falconConfig is Falcon (Almazrouei et al., 2023) and Falcon 2. The families before them, RefinedWeb's, have ALiBi.
func falconConfig(f *fields) Config {
	width := getOr(f, "n_embed", 0)
	if width == 0 {
		width = get[int](f, "hidden_size")
	}
	c := Config{Vocabulary: get[int](f, "vocab_size"), Width: width, Layers: get[int](f, "num_hidden_layers"),
		MaxPositions: getOr(f, "max_position_embeddings", 2048), TiedHead: getOr(f, "tie_word_embeddings", true),
		EmbeddingScale: 1, ResidualScale: 1, LogitScale: 1, Norm: f.layerNorm("layer_norm_epsilon"), Parallel: getOr(f, "parallel_attn", true)}
	c.Attention = attention(f, c.Width, get[int](f, "num_attention_heads"), 0)
	c.Attention.Projections = Interleaved
	grouped, norms := getOr(f, "new_decoder_architecture", false), 1
	switch {
	case grouped && !c.Parallel:
		f.fail("parallel_attn", "false beside new_decoder_architecture", "true")
	case grouped:
		c.Attention.KeyValueHeads, norms = getOr(f, "num_kv_heads", c.Attention.Heads), 2
	case getOr(f, "multi_query", true):
		c.Attention.KeyValueHeads = 1
	}
	if norms = getOr(f, "num_ln_in_parallel_attn", norms); c.Parallel && norms != 1 && !(norms == 2 && grouped) {
		f.fail("num_ln_in_parallel_attn", fmt.Sprint(norms), "1, or 2 with new_decoder_architecture")
	}
	c.Norm.Shared = c.Parallel && norms == 1
	c.Attention.Bias = getOr(f, "bias", false)
	c.Attention.OutputBias = c.Attention.Bias
	if c.Attention.Alibi = getOr(f, "alibi", false); !c.Attention.Alibi {
		c.Attention.Rotary = f.rotary(c, f.rotaryFile(rotaryJSON{}), getOr(f, "rope_theta", 10000.0), 1)
		c.Attention.WindowRotary = c.Attention.Rotary
	}
	c.Attention.Windows = f.windows(c.Layers, 0, never)
	c.MLP = MLP{Width: getOr(f, "ffn_hidden_size", 4*c.Width), Activation: f.activation("activation", "gelu"), Bias: c.Attention.Bias}
	return c
}

var stableLMNames = with(llamaNames, map[part]string{
	queryNorm: "self_attn.q_layernorm.norms.%d", keyNorm: "self_attn.k_layernorm.norms.%d",
})

// stableLMConfig is StableLM 2 (Bellagente et al., 2024) and StableLM 3B.
func stableLMConfig(f *fields) Config {
	c := f.decoder(defaults{keyValueHeads: 32, base: 10000, partial: 0.25})
	c.Norm, c.Parallel = f.layerNorm("layer_norm_eps"), getOr(f, "use_parallel_residual", false)
	c.Norm.Shared = c.Parallel
	c.Attention.Bias = getOr(f, "use_qkv_bias", false)
	if getOr(f, "qk_layernorm", false) {
		c.Attention.Norm = OwnHeadQueryKeyNorm
	}
	return c
}

var starcoder2Names = with(llamaNames, map[part]string{
	queryNorm: "", keyNorm: "", gateProjection: "", upProjection: "mlp.c_fc", downProjection: "mlp.c_proj",
})

// starcoder2Config is StarCoder 2 (Lozhkov et al., 2024).
func starcoder2Config(f *fields) Config {
	c := f.decoder(defaults{keyValueHeads: 2, base: 10000, activation: "gelu_pytorch_tanh", tied: true})
	c.Norm = f.layerNorm("norm_epsilon")
	c.Attention.Bias = getOr(f, "use_bias", true)
	c.Attention.OutputBias = c.Attention.Bias
	c.Attention.Windows = f.windows(c.Layers, optional(f, "sliding_window", 0), always)
	c.MLP.Gated, c.MLP.Bias = false, c.Attention.Bias
	return c
}

// cohereConfig is Command R (Cohere, 2024), Command R+ and Aya 23.
func cohereConfig(f *fields) Config {
	c := f.decoder(defaults{base: 10000, tied: true})
	f.biased(&c, false)
	c.Norm, c.Parallel = f.layerNorm("layer_norm_eps"), true
	c.Norm.Bias, c.Norm.Shared = false, true
	c.LogitScale = getOr(f, "logit_scale", 0.0625)
	if getOr(f, "use_qk_norm", false) {
		c.Attention.Norm = OwnHeadQueryKeyNorm
	}
	c.Attention.Rotary.Adjacent, c.Attention.WindowRotary.Adjacent = true, true
	return c
}
