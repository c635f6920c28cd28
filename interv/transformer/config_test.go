package transformer_test

import (
	"encoding/json"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv/transformer"
)

func TestConfigRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		text  string
		words []string
	}{
		"unknown family":      {`{"model_type": "lama"}`, []string{"config.json", "model_type", `"lama"`, "gemma2", `did you mean "llama"`}},
		"no family":           {`{"vocab_size": 3}`, []string{"model_type", "no such field"}},
		"size left out":       {`{"model_type": "llama", "vocab_size": 23, "hiden_size": 16}`, []string{"hidden_size", "no such field", `did you mean "hiden_size"`}},
		"size of no integer":  {llamaLike("llama", `"head_dim": "six"`), []string{"head_dim", `"six"`, "int"}},
		"size of 0":           {llamaLike("llama", `"head_dim": -1`), []string{"Attention.HeadWidth", "got -1", "1 to "}},
		"too many layers":     {strings.Replace(llamaLike("llama", ""), `"num_hidden_layers": 2`, `"num_hidden_layers": 2000000000`, 1), []string{"Layers", "got 2000000000"}},
		"heads of no size":    {strings.Replace(llamaLike("llama", ""), `"hidden_size": 16`, `"hidden_size": 18`, 1), []string{"attention heads", "got 4", "18"}},
		"groups of no size":   {strings.Replace(llamaLike("llama", ""), `value_heads": 2`, `value_heads": 3`, 1), []string{"KeyValueHeads", "got 3", "the 4 query heads"}},
		"activation":          {llamaLike("llama", `"hidden_act": "sili"`), []string{"hidden_act", `"sili"`, `did you mean "silu"`}},
		"layers of no number": {llamaLike("gemma2", `"layer_types": ["full_attention"]`), []string{"layer_types", "1 layers", "2"}},
		"layer of no type":    {llamaLike("gemma2", `"layer_types": ["full_attention", "chunked_attention"]`), []string{"layer_types of layer 1", "chunked_attention"}},
		"scaling":             {llamaLike("llama", `"rope_scaling": {"rope_type": "longrop", "factor": 2}`), []string{"Rotary.Scaling", `"longrop"`, "llama3, yarn"}},
		"short factors":       {long("llama", `"short_factor": [1.0], "long_factor": [1.0, 2.0], "factor": 2.0`, ""), []string{"Rotary.ShortFactors", "got 1", "wanted 2"}},
		"long factors":        {long("llama", `"short_factor": [1.0, 1.0], "long_factor": [1.0, 0], "factor": 2.0`, ""), []string{"Rotary.LongFactors, number 1", "got 0"}},
		"how much longer":     {long("llama", longFactors, ""), []string{"rope_scaling: factor", "got none"}},
		"where original is":   {long("llama", longFactors+`, "factor": 2.0, "original_max_position_embeddings": 4`, ""), []string{"got 4", "beside rope_scaling"}},
		"two factors":         {long("llama", longFactors+`, "factor": 3.0`, `"original_max_position_embeddings": 4`), []string{"rope_scaling: factor: got 3, wanted 4", "differ"}},
		"dynamic, two wide": {llamaLike("llama", `"head_dim": 2, "rope_scaling": {"rope_type": "dynamic", "factor": 2}`),
			[]string{"Rotary.Width", "got 2", "at least 4"}},
		"scaling factor": {llamaLike("llama", `"rope_scaling": {"rope_type": "linear"}`), []string{"Rotary.Factor", "got 0"}},
		"scaling frequencies": {llamaLike("llama", `"rope_scaling": {"rope_type": "llama3", "factor": 2, "low_freq_factor": 4, "high_freq_factor": 1}`),
			[]string{"Rotary.LowFrequency", "got 4"}},
		"rotation of odd width": {llamaLike("llama", `"partial_rotary_factor": 0.75`), []string{"Rotary.Width", "got 3", "even number"}},
		"rotation of nothing":   {llamaLike("llama", `"partial_rotary_factor": 0.1`), []string{"Rotary.Width", "got 0", "from 2"}},
		"rotation too wide":     {llamaLike("llama", `"partial_rotary_factor": 1.5`), []string{"Rotary.Width", "got 6", "the head's 4"}},
		"another computation":   {strings.TrimSuffix(tiny["gpt2"], "}") + `, "add_cross_attention": true}`, []string{"add_cross_attention", "got true"}},
		"cap not applied":       {llamaLike("gemma3_text", `"attn_logit_softcapping": 3.0`), []string{"attn_logit_softcapping", "got 3"}},
		"quantized":             {llamaLike("llama", `"quantization_config": {"bits": 4}`), []string{"quantization_config", "floating-point"}},
		"another head":          {llamaLike("llama", `"architectures": ["LlamaForTokenClassification"]`), []string{"architectures", "LlamaForTokenClassification"}},
		"too many experts":      {llamaLike("gpt_oss", `"num_local_experts": 2, "num_experts_per_tok": 3`), []string{"Mixture.PerToken", "got 3", "2 experts"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := transformer.ParseConfig([]byte(c.text))
			wanted.Refusal(t, err, c.words...)
		})
	}
	if _, err := transformer.ParseConfig([]byte(`{"model_type": `)); err == nil {
		t.Error("half a file passed")
	}
}

// A config has the config.json that it was read from, as long as it is what was read.
func TestConfigKeepsItsFile(t *testing.T) {
	eachFamily(t, onXLA, func(t *testing.T, name string) {
		config := tinyConfig(name)
		text, err := json.Marshal(config)
		if err != nil {
			t.Fatal(err)
		}
		if again := transformer.MustParseConfig(string(text)); again.Catalogue().Model != config.Catalogue().Model || !reflect.DeepEqual(again.Attention, config.Attention) {
			t.Errorf("got %v, wanted %v", again, config)
		}
		config.Attention.Cap = 2
		if _, err := config.MarshalJSON(); err == nil {
			t.Error("a changed config passed")
		}
	})
}

// What is changed in a config that was read is checked like what is read.
func TestChangedConfigs(t *testing.T) {
	changed := tinyConfig("llama")
	changed.Attention.Sinks = true
	_, err := transformer.New(changed, 1)
	wanted.Refusal(t, err, "Family", "llama with attention sinks")
	for name, c := range map[string]struct {
		family string
		change func(c *transformer.Config)
		word   string
	}{
		"key heads":     {"llama", func(c *transformer.Config) { c.Attention.KeyValueHeads = 3 }, "a divisor of the 4"},
		"windows":       {"llama", func(c *transformer.Config) { c.Attention.Windows = []int{0} }, "2, one window a layer"},
		"a window":      {"llama", func(c *transformer.Config) { c.Attention.Windows = []int{0, -1} }, "Windows of layer 1"},
		"scale":         {"llama", func(c *transformer.Config) { c.Attention.Scale = 0 }, "Attention.Scale"},
		"cap":           {"gemma2", func(c *transformer.Config) { c.Attention.Cap = math.NaN() }, "Attention.Cap"},
		"experts":       {"gpt_oss", func(c *transformer.Config) { c.Mixture.Experts = -1 }, "Mixture.Experts: got -1"},
		"experts each":  {"gpt_oss", func(c *transformer.Config) { c.Mixture.PerToken = 5 }, "1 to the 4 experts"},
		"limit":         {"gpt_oss", func(c *transformer.Config) { c.Mixture.Limit = -1 }, "Mixture.Limit"},
		"no limit":      {"gpt_oss", func(c *transformer.Config) { c.Mixture.Limit = math.NaN() }, "Mixture.Limit"},
		"dense layers":  {"qwen3_moe", func(c *transformer.Config) { c.Mixture.Dense = []int{1, 0} }, "Mixture.Dense: got [1 0]"},
		"no such layer": {"qwen3_moe", func(c *transformer.Config) { c.Mixture.Dense = []int{3} }, "the layers 0 to 1"},
		"clip":          {"olmoe", func(c *transformer.Config) { c.Attention.Clip = -1 }, "Attention.Clip"},
		"epsilon":       {"llama", func(c *transformer.Config) { c.Norm.Epsilon = 0 }, "Norm.Epsilon"},
		"without width": {"llama", func(c *transformer.Config) { c.Width = 0 }, "Width: got 0"},
	} {
		config := tinyConfig(c.family)
		c.change(&config)
		_, err := transformer.New(config, 1)
		t.Run(name, func(t *testing.T) { wanted.Refusal(t, err, "transformer.Config", c.word) })
	}
	unknown := tinyConfig("llama")
	unknown.MLP.Activation = "gelu_tanh"
	_, err = transformer.New(unknown, 1)
	wanted.Refusal(t, err, "MLP.Activation", `"gelu_tanh"`, "did you mean", "gelu_new")
}

// What later versions of transformers write says the same.
func TestConfigsOfLaterVersions(t *testing.T) {
	for name, c := range map[string]struct{ earlier, later string }{
		"phi3": {long("phi3", longFactors, `"original_max_position_embeddings": 4`), llamaLike("phi3", `"original_max_position_embeddings": 4,
			"rope_parameters": {"rope_type": "longrope", "rope_theta": 10000.0, "original_max_position_embeddings": 4, `+longFactors+`}`)},
		"phi3, an old name": {long("phi3", longFactors, `"original_max_position_embeddings": 4`),
			llamaLike("phi3", `"original_max_position_embeddings": 4, "rope_scaling": {"type": "su", `+longFactors+`}`)},
		"llama": {llamaLike("llama", `"rope_theta": 500.0, "rope_scaling": {"rope_type": "linear", "factor": 2.0}`),
			llamaLike("llama", `"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 500.0}`)},
		"gpt_neox": {strings.TrimSuffix(tiny["gpt_neox"], "}") + `, "rotary_emb_base": 300}`,
			strings.TrimSuffix(tiny["gpt_neox"], "}") + `, "rope_parameters": {"rope_type": "default", "rope_theta": 300.0, "partial_rotary_factor": 0.5}}`},
		"phi": {llamaLike("phi", `"rope_theta": 300.0, "partial_rotary_factor": 1.0`),
			llamaLike("phi", `"rope_parameters": {"rope_type": "default", "rope_theta": 300.0, "partial_rotary_factor": 1.0}`)},
		"smollm3": {llamaLike("smollm3", `"rope_theta": 300.0, "no_rope_layer_interval": 2, "use_sliding_window": true, "sliding_window": 3`),
			llamaLike("smollm3", `"rope_parameters": {"rope_type": "default", "rope_theta": 300.0}, "no_rope_layers": [1, 0], "use_sliding_window": true,
				"sliding_window": 3, "layer_types": ["full_attention", "sliding_attention"]`)},
		"cohere": {llamaLike("cohere", `"rope_theta": 300.0`), llamaLike("cohere", `"rope_parameters": {"rope_type": "default", "rope_theta": 300.0}`)},
		"gemma3_text": {llamaLike("gemma3_text", `"head_dim": 6, "rope_theta": 500.0, "rope_local_base_freq": 70.0`),
			llamaLike("gemma3_text", `"head_dim": 6, "rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 500.0},
				"sliding_attention": {"rope_type": "default", "rope_theta": 70.0}}`)},
	} {
		earlier, later := transformer.MustParseConfig(c.earlier), transformer.MustParseConfig(c.later)
		if !reflect.DeepEqual(earlier.Attention, later.Attention) {
			t.Errorf("%s: got %+v, wanted %+v", name, later.Attention, earlier.Attention)
		}
	}
}

const longFactors = `"short_factor": [1.0, 1.5], "long_factor": [2.0, 5.0]`

// long is a config with longrope.
func long(family, inside, beside string) string {
	if beside != "" {
		beside += ", "
	}
	return llamaLike(family, beside+`"rope_scaling": {"rope_type": "longrope", `+inside+`}`)
}

func FuzzParseConfig(f *testing.F) {
	for _, text := range tiny {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		config, err := transformer.ParseConfig(data)
		if err != nil {
			return
		}
		if len(config.Catalogue().All()) == 0 {
			t.Error("a model without sites")
		}
	})
}
