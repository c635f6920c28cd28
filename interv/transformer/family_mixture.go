package transformer

// Families with a mixture of experts in place of the MLP.

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
