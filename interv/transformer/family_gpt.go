package transformer

import (
	"encoding/json"
	"fmt"
)

// Families that follow GPT-2: learned positions, layer norms, an MLP without a gate.

var gpt2Names = map[part]string{
	tokenEmbedding: "wte", positionEmbedding: "wpe", finalNorm: "ln_f", languageHead: "lm_head", classifierHead: "score",
	attentionNorm: "ln_1", queryKeyValueProjection: "attn.c_attn", outputProjection: "attn.c_proj",
	mlpNorm: "ln_2", upProjection: "mlp.c_fc", downProjection: "mlp.c_proj",
}

// gpt2Config is GPT-2 (Radford et al., 2019).
func gpt2Config(f *fields) Config {
	only(f, "add_cross_attention", false)
	c := Config{Vocabulary: get[int](f, "vocab_size"), Width: get[int](f, "n_embd"), Layers: get[int](f, "n_layer"),
		MaxPositions: get[int](f, "n_positions"), LearnedPositions: true, TiedHead: getOr(f, "tie_word_embeddings", true),
		EmbeddingScale: 1, ResidualScale: 1, LogitScale: 1, Norm: f.layerNorm("layer_norm_epsilon")}
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

var gptNeoNames = with(gpt2Names, map[part]string{
	queryKeyValueProjection: "", queryProjection: "attn.attention.q_proj", keyProjection: "attn.attention.k_proj",
	valueProjection: "attn.attention.v_proj", outputProjection: "attn.attention.out_proj",
})

// gptNeoConfig is GPT-Neo (Black et al., 2021), of which TinyStories (Eldan and Li, 2023) are. Scores are not scaled.
func gptNeoConfig(f *fields) Config {
	c := Config{Vocabulary: get[int](f, "vocab_size"), Width: get[int](f, "hidden_size"), Layers: get[int](f, "num_layers"),
		MaxPositions: get[int](f, "max_position_embeddings"), LearnedPositions: true, TiedHead: getOr(f, "tie_word_embeddings", true),
		EmbeddingScale: 1, ResidualScale: 1, LogitScale: 1, Norm: f.layerNorm("layer_norm_epsilon")}
	c.Attention = attention(f, c.Width, get[int](f, "num_heads"), 0)
	c.Attention.OutputBias, c.Attention.Scale = true, 1
	c.Attention.Windows = f.localWindows(c.Layers, getOr(f, "window_size", 256))
	c.MLP = MLP{Width: getOr(f, "intermediate_size", 4*c.Width), Activation: f.activation("activation_function", "gelu_new"), Bias: true}
	return c
}

// localWindows lists the window of each layer: size where attention is local. attention_layers has each layer's kind, or attention_types
// has them as lists with how often each is repeated.
func (f *fields) localWindows(layers, size int) []int {
	kinds := getOr[[]string](f, "attention_layers", nil)
	if kinds == nil {
		for _, item := range getOr(f, "attention_types", [][]json.RawMessage{{[]byte(`["global", "local"]`), []byte("12")}}) {
			var repeated []string
			times := 0
			if len(item) != 2 || json.Unmarshal(item[0], &repeated) != nil || json.Unmarshal(item[1], &times) != nil {
				f.fail("attention_types", string(f.values["attention_types"]), `lists such as [["global", "local"], 12]`)
				return nil
			}
			for range times {
				if kinds = append(kinds, repeated...); len(kinds) > manyLayers || len(repeated) == 0 {
					break
				}
			}
		}
	}
	if len(kinds) != layers {
		f.fail("attention_types", fmt.Sprintf("%d layers", len(kinds)), fmt.Sprint(layers))
		return nil
	}
	windows := make([]int, layers)
	for layer, kind := range kinds {
		switch kind {
		case "local":
			windows[layer] = size
		case "global":
		default:
			f.fail(fmt.Sprintf("attention_types of layer %d", layer), kind, "local or global")
		}
	}
	return windows
}

var optNames = map[part]string{
	tokenEmbedding: "decoder.embed_tokens", embeddingProjection: "decoder.project_in", positionEmbedding: "decoder.embed_positions",
	finalNorm: "decoder.final_layer_norm", headProjection: "decoder.project_out", languageHead: "lm_head", classifierHead: "score",
	attentionNorm: "self_attn_layer_norm", attentionSumNorm: "self_attn_layer_norm",
	queryProjection: "self_attn.q_proj", keyProjection: "self_attn.k_proj", valueProjection: "self_attn.v_proj", outputProjection: "self_attn.out_proj",
	mlpNorm: "final_layer_norm", mlpSumNorm: "final_layer_norm", upProjection: "fc1", downProjection: "fc2",
}

// optConfig is OPT (Zhang et al., 2022) and Galactica (Taylor et al., 2022).
func optConfig(f *fields) Config {
	before := getOr(f, "do_layer_norm_before", true)
	affine := getOr(f, "layer_norm_elementwise_affine", true)
	c := Config{Vocabulary: get[int](f, "vocab_size"), Width: get[int](f, "hidden_size"), Layers: get[int](f, "num_hidden_layers"),
		MaxPositions: get[int](f, "max_position_embeddings"), LearnedPositions: true, PositionOffset: 2, TiedHead: getOr(f, "tie_word_embeddings", true),
		EmbeddingScale: 1, ResidualScale: 1, LogitScale: 1,
		Norm: Norm{Centred: true, Epsilon: 1e-5, Gain: affine, Bias: affine, Before: before, Sum: !before,
			Final: before && !getOr(f, "_remove_final_layer_norm", false)}}
	if width := getOr(f, "word_embed_proj_dim", c.Width); width != c.Width {
		c.EmbeddingWidth = width
	}
	c.Attention = attention(f, c.Width, get[int](f, "num_attention_heads"), 0)
	c.Attention.Bias = getOr(f, "enable_bias", true)
	c.Attention.OutputBias = c.Attention.Bias
	c.Attention.Windows = f.windows(c.Layers, 0, never)
	c.MLP = MLP{Width: get[int](f, "ffn_dim"), Activation: f.activation("activation_function", "relu"), Bias: c.Attention.Bias}
	return c
}
