package transformer

import "fmt"

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
	c.Norm.Before, c.Norm.After, c.Norm.Narrow = false, true, false
	c.Attention.Norm = ProjectionQueryKeyNorm
	return c
}

// olmoConfig is OLMo (Groeneveld et al., 2024), whose layer norms have no weights.
func olmoConfig(f *fields) Config {
	c := f.decoder(defaults{base: 10000})
	f.biased(&c, false)
	c.Norm = Norm{Centred: true, Epsilon: 1e-5, Before: true, Final: true}
	c.Attention.Clip = optional(f, "clip_qkv", 0.0)
	return c
}

// graniteConfig is Granite 3 (IBM, 2024).
func graniteConfig(f *fields) Config {
	c := f.decoder(defaults{epsilon: 1e-6, base: 10000})
	f.biased(&c, false)
	c.MLP.Bias = getOr(f, "mlp_bias", false)
	c.EmbeddingScale, c.ResidualScale = getOr(f, "embedding_multiplier", 1.0), getOr(f, "residual_multiplier", 1.0)
	c.Attention.Scale, c.LogitScale = getOr(f, "attention_multiplier", 1.0), 1/getOr(f, "logits_scaling", 1.0)
	return c
}

// smolLM3Config is SmolLM3 (Hugging Face, 2025). Some layers do not rotate; where there are windows, these layers have them.
func smolLM3Config(f *fields) Config {
	c := f.decoder(defaults{epsilon: 1e-6, keyValueHeads: 4, base: 2000000, tied: true})
	f.biased(&c, false)
	c.MLP.Bias = getOr(f, "mlp_bias", false)
	rotated, interval := getOr[[]int](f, "no_rope_layers", nil), getOr(f, "no_rope_layer_interval", 4)
	switch {
	case rotated != nil && len(rotated) != c.Layers:
		f.fail("no_rope_layers", fmt.Sprintf("%d layers", len(rotated)), fmt.Sprint(c.Layers))
	case interval < 1:
		f.fail("no_rope_layer_interval", fmt.Sprint(interval), "at least 1")
	case c.Layers > 0 && c.Layers <= manyLayers:
		c.Attention.Unrotated = make([]bool, c.Layers)
		for layer := range c.Layers {
			c.Attention.Unrotated[layer] = rotated != nil && rotated[layer] == 0 || rotated == nil && (layer+1)%interval == 0
		}
		windowed := func(layer int) bool { return getOr(f, "use_sliding_window", false) && c.Attention.Unrotated[layer] }
		c.Attention.Windows = f.windows(c.Layers, optional(f, "sliding_window", 0), windowed)
	}
	return c
}
