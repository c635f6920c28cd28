package transformer_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/transformer"
)

var multimodalFolder = filepath.Join("testdata", "transformers", "gemma3_multimodal")

// renamed is a copy of the multimodal checkpoint with other names of its weights, and some more.
func renamed(t *testing.T, name func(string) string, more map[string]*tensors.Tensor) string {
	t.Helper()
	folder := t.TempDir()
	text, err := os.ReadFile(filepath.Join(multimodalFolder, "config.json"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(folder, "config.json"), text, 0o644))
	read, err := interv.LoadTensors(filepath.Join(multimodalFolder, "model.safetensors"))
	must(t, err)
	weights := map[string]*tensors.Tensor{}
	for old, value := range read {
		if name(old) != "" {
			weights[name(old)] = value
		}
	}
	for other, value := range more {
		weights[other] = value
	}
	must(t, interv.SaveTensors(filepath.Join(folder, "model.safetensors"), weights))
	return folder
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// The text model of a multimodal checkpoint is loaded under the names of either version of transformers; what is left out is named, and it saves
// as a text model.
func TestMultimodal(t *testing.T) {
	model := transformer.MustLoad(multimodalFolder)
	left := model.LeftOut()
	if len(left) != 34 || !slices.IsSorted(left) || !slices.Contains(left, "vision_tower.vision_model.head.layernorm.bias") ||
		slices.ContainsFunc(left, func(name string) bool { return strings.Contains(name, "language_model") }) {
		t.Errorf("left out: %d, %v", len(left), left)
	}
	if got := model.Config().Family; got != "gemma3_text" {
		t.Errorf("got family %s", got)
	}
	saved := t.TempDir()
	must(t, model.Save(saved))
	later := renamed(t, func(name string) string {
		plain := strings.TrimPrefix(name, "language_model.")
		if plain == name {
			return "model." + name
		}
		return "model.language_model." + strings.TrimPrefix(plain, "model.")
	}, nil)
	for folder, wantLeft := range map[string]int{saved: 0, later: 34} {
		again := transformer.MustLoad(folder)
		if got := len(again.LeftOut()); got != wantLeft {
			t.Errorf("got %d left out, wanted %d", got, wantLeft)
		}
		for name, weight := range model.Weights().All() {
			if other := again.Weights().Tensor(name); other == nil || !other.Equal(weight) {
				t.Errorf("%s differs", name)
			}
		}
	}
}

func TestMultimodalRefusals(t *testing.T) {
	same := func(name string) string { return name }
	small := tensors.FromValue([]float32{1})
	_, err := transformer.Load(renamed(t, same, map[string]*tensors.Tensor{"audio_tower.weight": small}))
	wanted.Refusal(t, err, "audio_tower.weight", "a tensor the model does not have")
	_, err = transformer.Load(renamed(t, same, map[string]*tensors.Tensor{"model.language_model.norm.weight": small}))
	wanted.Refusal(t, err, "model.norm.weight", "one of the two")
	_, err = transformer.Load(renamed(t, func(name string) string {
		if strings.HasSuffix(name, "layers.1.self_attn.q_norm.weight") {
			return ""
		}
		return name
	}, nil))
	wanted.Refusal(t, err, "model.layers.1.self_attn.q_norm.weight", "no such tensor")
	_, err = transformer.ParseConfig([]byte(`{"model_type": "gemma3"}`))
	wanted.Refusal(t, err, "text_config", "no such field")
	_, err = transformer.ParseConfig([]byte(`{"model_type": "gemma3", "text_config": {}, "quantization_config": {"bits": 4}}`))
	wanted.Refusal(t, err, "quantization_config")
}

// The hub's files leave out of text_config what is transformers' default.
func TestMultimodalDefaults(t *testing.T) {
	config, err := transformer.ParseConfig([]byte(`{"model_type": "gemma3", "architectures": ["Gemma3ForConditionalGeneration"], "vision_config": {"hidden_size": 1152},
		"text_config": {"hidden_size": 2560, "intermediate_size": 10240, "model_type": "gemma3_text", "num_hidden_layers": 34,
			"rope_scaling": {"factor": 8.0, "rope_type": "linear"}, "sliding_window": 1024}}`))
	must(t, err)
	if a := config.Attention; config.Vocabulary != 262208 || config.MaxPositions != 131072 || a.Heads != 8 || a.KeyValueHeads != 4 || a.HeadWidth != 256 ||
		!config.TiedHead || a.Rotary.Factor != 8 || a.Windows[0] != 1024 || a.Windows[5] != 0 {
		t.Errorf("got %+v", config)
	}
}
