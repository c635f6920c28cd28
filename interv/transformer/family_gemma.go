package transformer

import "math"

// The Gemma families: scaled embeddings, gains that are stored less one.

// gemmaConfig is Gemma (Gemma team, 2024), the first.
func gemmaConfig(f *fields) Config {
	c := f.decoder(defaults{epsilon: 1e-6, headWidth: 256, keyValueHeads: 16, base: 10000, activation: "gelu_pytorch_tanh", tied: true})
	f.biased(&c, false)
	c.EmbeddingScale = math.Sqrt(float64(c.Width))
	c.Norm.GainPlusOne = true
	return c
}

var gemma2Names = with(llamaNames, map[part]string{
	attentionAfterNorm: "post_attention_layernorm", mlpNorm: "pre_feedforward_layernorm", mlpAfterNorm: "post_feedforward_layernorm",
})

// gemma2Config is Gemma 2 (Gemma team, 2024).
func gemma2Config(f *fields) Config {
	c := f.gemma2(10000)
	c.Attention.Cap, c.LogitCap = optional(f, "attn_logit_softcapping", 50.0), optional(f, "final_logit_softcapping", 30.0)
	c.Attention.Windows = f.windows(c.Layers, optional(f, "sliding_window", 4096), func(layer int) bool { return layer%2 == 0 })
	return c
}

// gemma3Config is the text model of Gemma 3 (Gemma team, 2025).
func gemma3Config(f *fields) Config {
	only(f, "use_bidirectional_attention", false)
	c := f.gemma2(1000000)
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

// gemma2 reads what Gemma 2 and 3 share.
func (f *fields) gemma2(base float64) Config {
	c := f.decoder(defaults{epsilon: 1e-6, base: base, headWidth: 256, tied: true})
	f.biased(&c, false)
	c.EmbeddingScale = math.Sqrt(float64(c.Width))
	c.Norm.GainPlusOne, c.Norm.After, c.Norm.Narrow = true, true, false
	c.Attention.Scale = 1 / math.Sqrt(getOr(f, "query_pre_attn_scalar", 256.0))
	c.MLP.Activation = f.activation("hidden_activation", "gelu_pytorch_tanh")
	return c
}
