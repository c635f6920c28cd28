package transformer

// Families that follow GPT: layer norms with biases, an MLP without a gate.

var gpt2Names = map[part]string{
	tokenEmbedding: "wte", positionEmbedding: "wpe", finalNorm: "ln_f", languageHead: "lm_head", classifierHead: "score",
	attentionNorm: "ln_1", queryKeyValueProjection: "attn.c_attn", outputProjection: "attn.c_proj",
	mlpNorm: "ln_2", upProjection: "mlp.c_fc", downProjection: "mlp.c_proj",
}

// gpt2Config is GPT-2 (Radford et al., 2019).
func gpt2Config(f *fields) Config {
	only(f, "add_cross_attention", false)
	c := Config{Vocabulary: get[int](f, "vocab_size"), Width: get[int](f, "n_embd"), Layers: get[int](f, "n_layer"),
		MaxPositions: get[int](f, "n_positions"), LearnedPositions: true, EmbeddingScale: 1, TiedHead: getOr(f, "tie_word_embeddings", true),
		Norm: Norm{Centred: true, Epsilon: getOr(f, "layer_norm_epsilon", 1e-5), Before: true}}
	c.Attention = attention(f, c.Width, get[int](f, "n_head"), 0)
	c.Attention.Projections, c.Attention.Bias, c.Attention.OutputBias = Consecutive, true, true
	c.Attention.ScaleByLayer = getOr(f, "scale_attn_by_inverse_layer_idx", false)
	if !getOr(f, "scale_attn_weights", true) {
		c.Attention.Scale = 1
	}
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
