package transformer_test

import (
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/transformer"
)

// tiny has a config.json for every family and for what golden cases leave out.
var tiny = map[string]string{
	"gpt2": `{"model_type": "gpt2", "vocab_size": 23, "n_positions": 16, "n_embd": 12, "n_layer": 2, "n_head": 3}`,
	"gpt2, scaled by layer": `{"model_type": "gpt2", "vocab_size": 23, "n_positions": 16, "n_embd": 12, "n_layer": 2, "n_head": 3,
		"scale_attn_by_inverse_layer_idx": true, "scale_attn_weights": false}`,
	"gpt_neox": `{"model_type": "gpt_neox", "vocab_size": 23, "max_position_embeddings": 16, "hidden_size": 24, "num_hidden_layers": 2,
		"num_attention_heads": 3, "intermediate_size": 20, "rotary_pct": 0.5}`,
	"gpt_neox, sequential": `{"model_type": "gpt_neox", "vocab_size": 23, "max_position_embeddings": 16, "hidden_size": 24, "num_hidden_layers": 2,
		"num_attention_heads": 3, "intermediate_size": 20, "use_parallel_residual": false, "attention_bias": false, "hidden_act": "gelu_fast"}`,
	"llama": llamaLike("llama", ""),
	"llama 3": llamaLike("llama", `"attention_bias": true, "mlp_bias": true, "tie_word_embeddings": true, "rope_scaling": {"rope_type": "llama3",
		"factor": 8, "low_freq_factor": 1, "high_freq_factor": 4, "original_max_position_embeddings": 8}`),
	"llama, dynamic": strings.Replace(llamaLike("llama", `"rope_scaling": {"rope_type": "dynamic", "factor": 3.0}`), "16", "4", 1),
	"phi3, long":     long("phi3", longFactors, `"original_max_position_embeddings": 4`),
	"mistral":        llamaLike("mistral", `"sliding_window": 3`),
	"phi3":           llamaLike("phi3", `"partial_rotary_factor": 0.5`),
	"qwen2":          llamaLike("qwen2", `"use_sliding_window": true, "sliding_window": 3, "max_window_layers": 1`),
	"qwen3":          llamaLike("qwen3", `"head_dim": 6`),
	"olmo2":          llamaLike("olmo2", ""),
	"gemma2":         llamaLike("gemma2", `"head_dim": 6, "sliding_window": 3, "query_pre_attn_scalar": 5, "attn_logit_softcapping": 4.0`),
	"gemma3_text":    llamaLike("gemma3_text", `"head_dim": 6, "sliding_window": 3, "sliding_window_pattern": 2, "final_logit_softcapping": 3.0`),
	"gpt_neo": `{"model_type": "gpt_neo", "vocab_size": 23, "max_position_embeddings": 16, "hidden_size": 12, "num_layers": 2, "num_heads": 3,
		"attention_types": [[["local", "global"], 1]], "window_size": 3}`,
	"gptj": `{"model_type": "gptj", "vocab_size": 23, "n_positions": 16, "n_embd": 24, "n_layer": 2, "n_head": 3, "rotary_dim": 6}`,
	"opt": `{"model_type": "opt", "vocab_size": 23, "max_position_embeddings": 16, "hidden_size": 12, "num_hidden_layers": 2,
		"num_attention_heads": 3, "ffn_dim": 20, "word_embed_proj_dim": 8}`,
	"opt, norm after the sum": `{"model_type": "opt", "vocab_size": 23, "max_position_embeddings": 16, "hidden_size": 12,
		"num_hidden_layers": 2, "num_attention_heads": 3, "ffn_dim": 20, "do_layer_norm_before": false}`,
	"gemma": llamaLike("gemma", `"head_dim": 6`),
	"olmo":  llamaLike("olmo", `"clip_qkv": 0.5`),
	"phi":   llamaLike("phi", `"qk_layernorm": true`),
	"falcon": `{"model_type": "falcon", "vocab_size": 23, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 4,
		"num_kv_heads": 2, "new_decoder_architecture": true}`,
	"falcon, alibi": `{"model_type": "falcon", "vocab_size": 23, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3, "bias": true,
		"alibi": true, "multi_query": false, "parallel_attn": false}`,
	"stablelm":   llamaLike("stablelm", `"partial_rotary_factor": 0.5, "qk_layernorm": true, "use_parallel_residual": true`),
	"starcoder2": llamaLike("starcoder2", `"sliding_window": 3`),
	"cohere":     llamaLike("cohere", `"use_qk_norm": true`),
	"granite": llamaLike("granite", `"embedding_multiplier": 3.0, "attention_multiplier": 0.3, "residual_multiplier": 0.6,
		"logits_scaling": 2.0`),
	"smollm3": llamaLike("smollm3", `"no_rope_layer_interval": 2, "use_sliding_window": true, "sliding_window": 3`),
	"mixtral": llamaLike("mixtral", `"num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 3`),
	"olmoe":   llamaLike("olmoe", `"num_experts": 4, "num_experts_per_tok": 2, "clip_qkv": 0.5`),
	"qwen3_moe": llamaLike("qwen3_moe", `"num_experts": 5, "num_experts_per_tok": 2, "moe_intermediate_size": 6, "norm_topk_prob": true,
		"decoder_sparse_step": 2`),
	"gpt_oss": llamaLike("gpt_oss", `"head_dim": 6, "num_local_experts": 4, "num_experts_per_tok": 2, "sliding_window": 3`),
}

func llamaLike(family, more string) string {
	text := `{"model_type": "` + family + `", "vocab_size": 23, "max_position_embeddings": 16, "hidden_size": 16, "num_hidden_layers": 2,
		"num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 20`
	if more != "" {
		text += ", " + more
	}
	return text + "}"
}

// tinyConfig is a config of the table; the name may end in ", classifier".
func tinyConfig(name string) transformer.Config {
	name, classifier := strings.CutSuffix(name, ", classifier")
	text := tiny[name]
	if classifier {
		text = strings.TrimSuffix(text, "}") + `, "architectures": ["XForSequenceClassification"], "id2label": {"0": "a", "1": "b", "2": "c"}}`
	}
	return transformer.MustParseConfig(text)
}

// tinyModel is a model with weights that are far from doing nothing, float32 or float64.
func tinyModel[T float32 | float64](t testing.TB, name string) *transformer.Model {
	t.Helper()
	config := tinyConfig(name)
	source := rand.New(rand.NewPCG(5, 7))
	shapes := transformer.MustNew(config, 0).Weights()
	values := map[string]*tensors.Tensor{}
	for _, name := range shapes.Names() {
		shape := shapes.Tensor(name).Shape()
		flat := make([]T, shape.Size())
		for i := range flat {
			flat[i] = T(0.4 * source.NormFloat64())
			if shape.Rank() == 1 && strings.HasSuffix(name, "weight") {
				flat[i]++
			}
		}
		values[name] = tensors.FromFlatDataAndDimensions(flat, shape.Dimensions...)
	}
	model, err := transformer.WithWeights(config, values)
	if err != nil {
		t.Fatal(err)
	}
	return model
}

// onXLA are configs that have every part of a block among them.
var onXLA = []string{"gpt2", "gpt_neox", "llama", "phi3", "qwen3", "gemma2", "opt, norm after the sum", "phi", "falcon, alibi", "cohere", "smollm3", "mixtral",
	"qwen3_moe", "gpt_oss", oneKeyHead}

const oneKeyHead = "llama with one head of keys and values" // which a test of its own adds

// gradientsOnXLA have every operation of a backward pass among them: a backend adds nothing to the formulas, which pure Go checks in all families.
var gradientsOnXLA = []string{"gpt2", "gemma2", "phi", "qwen3_moe"}

// sparing tells tests to leave to pure Go what is the same on XLA but for the compiler, which takes a second or more for each program;
// GOVENE_LONG=1 has all.
var sparing = strings.HasPrefix(engine.Name(), "xla") && os.Getenv("GOVENE_LONG") == ""

// eachFamily runs a test for every config of the table, those of onXLA where tests are sparing.
func eachFamily(t *testing.T, onXLA []string, test func(t *testing.T, name string)) {
	for _, name := range slices.Sorted(maps.Keys(tiny)) {
		if sparing && !slices.Contains(onXLA, name) {
			continue
		}
		t.Run(name, func(t *testing.T) { test(t, name) })
	}
}

// build runs a graph of a model: its weights and inputs are the graph's parameters.
func build(t testing.TB, model *transformer.Model, inputs interv.Inputs, graph func(weights, inputs interv.Nodes) []*Node) []*tensors.Tensor {
	t.Helper()
	if _, err := model.Check(inputs); err != nil {
		t.Fatal(err)
	}
	g := NewGraph(engine, "test")
	weights, nodes := interv.Nodes{}, interv.Nodes{}
	var feed []any
	for name, value := range model.Weights().All() {
		weights[name] = Parameter(g, "weight "+name, value.Shape())
		feed = append(feed, value)
	}
	for name, value := range inputs {
		nodes[name] = Parameter(g, "input "+name, value.Shape())
		feed = append(feed, value)
	}
	if err := g.Compile(graph(weights, nodes)...); err != nil {
		t.Fatal(err)
	}
	return g.Run(feed...)
}

// forward is the output of a run with a tap.
func forward(t testing.TB, model *transformer.Model, inputs interv.Inputs, tap *interv.Tap) []float32 {
	t.Helper()
	return tensors.MustCopyFlatData[float32](build(t, model, inputs, func(weights, inputs interv.Nodes) []*Node {
		return []*Node{model.Forward(weights, inputs, tap)}
	})[0])
}

// tokens are ids of a batch.
func tokens(batch, length int) interv.Inputs {
	ids := make([]int32, batch*length)
	for i := range ids {
		ids[i] = int32((7*i*i + 3*i + 1) % 23)
	}
	return interv.Inputs{"input_ids": tensors.FromFlatDataAndDimensions(ids, batch, length)}
}

// withMask adds an attention mask: example i has tokens in positions starts[i] to ends[i]-1.
func withMask(inputs interv.Inputs, starts, ends []int) interv.Inputs {
	shape := inputs["input_ids"].Shape()
	mask := make([]int32, shape.Size())
	for example := range starts {
		for position := starts[example]; position < ends[example]; position++ {
			mask[example*shape.Dim(1)+position] = 1
		}
	}
	inputs = maps.Clone(inputs)
	inputs["attention_mask"] = tensors.FromFlatDataAndDimensions(mask, shape.Dimensions...)
	return inputs
}

func wantClose(t *testing.T, what string, got, want []float32, tolerance float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: got %d elements, wanted %d", what, len(got), len(want))
	}
	for i := range want {
		if d := got[i] - want[i]; !(d <= tolerance && -d <= tolerance) {
			t.Fatalf("%s: element %d: got %g, wanted %g", what, i, got[i], want[i])
		}
	}
}
