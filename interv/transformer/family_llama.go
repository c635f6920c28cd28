package transformer

// Families that follow Llama: rotated positions, root-mean-square norms, a gated MLP.

var llamaNames = map[part]string{
	tokenEmbedding: "embed_tokens", finalNorm: "norm", languageHead: "lm_head", classifierHead: "score",
	attentionNorm:   "input_layernorm",
	queryProjection: "self_attn.q_proj", keyProjection: "self_attn.k_proj", valueProjection: "self_attn.v_proj",
	queryNorm: "self_attn.q_norm", keyNorm: "self_attn.k_norm", outputProjection: "self_attn.o_proj",
	mlpNorm:        "post_attention_layernorm",
	gateProjection: "mlp.gate_proj", upProjection: "mlp.up_proj", downProjection: "mlp.down_proj",
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
	missing := rotaryJSON{Pretrained: 4096}
	c := f.decoder(defaults{epsilon: 1e-5, base: 10000, rotary: missing})
	if file := f.rotaryFile(missing); file.OldType == "su" || file.OldType == "yarn" { // names that longrope had
		file.Type = "longrope"
		c.Attention.Rotary = f.rotary(c, file, c.Attention.Rotary.Base, getOr(f, "partial_rotary_factor", 1.0))
		c.Attention.WindowRotary = c.Attention.Rotary
	}
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
