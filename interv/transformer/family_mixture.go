package transformer

import (
	"fmt"
	"slices"
)

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
	c.Norm.Narrow = false
	c.Attention.Sinks = true
	c.Attention.Windows = f.windows(c.Layers, optional(f, "sliding_window", 128), func(layer int) bool { return layer%2 == 0 })
	c.Mixture = Mixture{Experts: get[int](f, "num_local_experts"), PerToken: get[int](f, "num_experts_per_tok"), Width: c.MLP.Width,
		Projections: Interleaved, Bias: true, Limit: getOr(f, "swiglu_limit", 7.0)}
	return c
}

var mixtureNames = with(llamaNames, map[part]string{
	router: "mlp.gate", expertGateUp: "mlp.experts.gate_up_proj", expertDown: "mlp.experts.down_proj",
	expertGate: "mlp.experts.%d.gate_proj", expertUp: "mlp.experts.%d.up_proj", expertDownAlone: "mlp.experts.%d.down_proj",
})

// qwen3MoEConfig is Qwen3's mixtures (Yang et al., 2025).
func qwen3MoEConfig(f *fields) Config {
	c := f.decoder(defaults{epsilon: 1e-6, base: 10000})
	f.biased(&c, false)
	c.Attention.Norm = HeadQueryKeyNorm
	if getOr(f, "use_sliding_window", false) {
		c.Attention.Windows = f.windows(c.Layers, optional(f, "sliding_window", 4096), always)
	}
	c.Mixture = Mixture{Experts: get[int](f, "num_experts"), PerToken: get[int](f, "num_experts_per_tok"),
		Width: get[int](f, "moe_intermediate_size"), SharesOfAll: !getOr(f, "norm_topk_prob", false)}
	step, dense := getOr(f, "decoder_sparse_step", 1), getOr(f, "mlp_only_layers", []int(nil))
	if step < 1 {
		f.fail("decoder_sparse_step", fmt.Sprint(step), "at least 1")
		return c
	}
	for layer := range min(c.Layers, manyLayers) {
		if slices.Contains(dense, layer) || (layer+1)%step != 0 {
			c.Mixture.Dense = append(c.Mixture.Dense, layer)
		}
	}
	return c
}

// olmoeConfig is OLMoE (Muennighoff et al., 2024).
func olmoeConfig(f *fields) Config {
	c := f.decoder(defaults{epsilon: 1e-5, base: 10000})
	f.biased(&c, false)
	c.Attention.Norm = ProjectionQueryKeyNorm
	c.Attention.Clip = getOr(f, "clip_qkv", 0.0)
	c.Mixture = Mixture{Experts: get[int](f, "num_experts"), PerToken: get[int](f, "num_experts_per_tok"), Width: c.MLP.Width,
		SharesOfAll: !getOr(f, "norm_topk_prob", false)}
	return c
}

var mixtralNames = with(mixtureNames, map[part]string{
	router: "block_sparse_moe.gate", expertGateUp: "block_sparse_moe.experts.gate_up_proj", expertDown: "block_sparse_moe.experts.down_proj",
	expertGate: "block_sparse_moe.experts.%d.w1", expertUp: "block_sparse_moe.experts.%d.w3", expertDownAlone: "block_sparse_moe.experts.%d.w2",
})

// mixtralConfig is Mixtral (Jiang et al., 2024).
func mixtralConfig(f *fields) Config {
	c := f.decoder(defaults{epsilon: 1e-5, base: 1000000})
	c.Attention.Windows = f.windows(c.Layers, optional(f, "sliding_window", 0), always)
	c.Mixture = Mixture{Experts: get[int](f, "num_local_experts"), PerToken: get[int](f, "num_experts_per_tok"), Width: c.MLP.Width}
	return c
}
