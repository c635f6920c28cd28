package interv

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/npz"
)

// LoadAutoencoder reads a trained sparse autoencoder and returns the intervention of its kind and size, with the parameters for
// [Intervenable.SetParametersOf]. It reads
//
//   - Gemma Scope's params.npz: W_enc [width, latents], b_enc, threshold, W_dec [latents, width], b_dec; a [JumpReLUAutoencoder];
//   - a folder of SAELens: cfg.json and sae_weights.safetensors with the same names; an architecture of standard is an [Autoencoder], one
//     of jumprelu a JumpReLUAutoencoder. Where the encoder subtracts the decoder's bias from its input in one form and not in the other,
//     the encoder's bias makes up for it.
//
// Another architecture, activations that are normalized first, or tensors that do not fit each other are an error.
func LoadAutoencoder(path string) (Intervention, map[string]*tensors.Tensor, error) {
	loaded, err := readSAE(path)
	if err != nil {
		return nil, nil, err
	}
	if err := loaded.check(path); err != nil {
		return nil, nil, err
	}
	if loaded.jumps {
		return loaded.jumpReLU()
	}
	return loaded.standard()
}

// sae is a sparse autoencoder as files hold it: x W_enc + b_enc, with b_dec subtracted from x first if centered.
type sae struct {
	tensors         map[string]*tensors.Tensor
	width, latents  int
	jumps, centered bool
}

// saeConfig is what matters of SAELens's cfg.json.
type saeConfig struct {
	Architecture string `json:"architecture"`
	Centered     *bool  `json:"apply_b_dec_to_input"`
	Normalize    string `json:"normalize_activations"`
	Activation   string `json:"activation_fn_str"`
}

func readSAE(path string) (*sae, error) {
	if strings.HasSuffix(path, ".npz") {
		arrays, err := npz.Read(path)
		if err != nil {
			return nil, err
		}
		values, err := toTensors(path, arrays)
		return &sae{tensors: values, jumps: true}, err
	}
	text, err := os.ReadFile(filepath.Join(path, "cfg.json"))
	if err != nil {
		return nil, fmt.Errorf("%w (wanted a .npz file, or a folder with cfg.json and sae_weights.safetensors)", err)
	}
	config := saeConfig{Architecture: "standard", Normalize: "none", Activation: "relu"}
	if err := json.Unmarshal(text, &config); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for _, setting := range []struct {
		name, got string
		valid     []string
	}{
		{"architecture", config.Architecture, []string{"standard", "jumprelu"}},
		{"normalize_activations", config.Normalize, []string{"none"}},
		{"activation_fn_str", config.Activation, []string{"relu"}},
	} {
		if !slices.Contains(setting.valid, setting.got) {
			return nil, UnknownName(filepath.Join(path, "cfg.json"), setting.name, setting.got, setting.valid)
		}
	}
	jumps := config.Architecture == "jumprelu"
	loaded := &sae{jumps: jumps, centered: !jumps}
	if config.Centered != nil {
		loaded.centered = *config.Centered
	}
	loaded.tensors, err = LoadTensors(filepath.Join(path, "sae_weights.safetensors"))
	return loaded, err
}

// check settles the sizes, and wants every tensor to have them.
func (s *sae) check(path string) error {
	encoder := s.tensors["W_enc"]
	if encoder == nil || encoder.Rank() != 2 {
		return &Error{Where: path, Axis: "W_enc", Got: fmt.Sprintf("tensors %v", sortedKeys(s.tensors)), Wanted: "W_enc [width, latents] among them"}
	}
	s.width, s.latents = encoder.Shape().Dim(0), encoder.Shape().Dim(1)
	wanted := []WeightShape{{"W_enc", []int{s.width, s.latents}}, {"b_enc", []int{s.latents}}, {"W_dec", []int{s.latents, s.width}}, {"b_dec", []int{s.width}}}
	if s.jumps {
		wanted = append(wanted, WeightShape{"threshold", []int{s.latents}})
	}
	_, err := NewWeights(wanted, s.tensors)
	return Within(path, err)
}

// biasBy is the encoder's bias plus sign · b_dec W_enc.
func (s *sae) biasBy(sign float64) *tensors.Tensor {
	bias, center, encoder := floats(s.tensors["b_enc"]), floats(s.tensors["b_dec"]), floats(s.tensors["W_enc"])
	for i, c := range center {
		for j := range bias {
			bias[j] += sign * c * encoder[i*s.latents+j]
		}
	}
	return float32Tensor(bias, s.latents)
}

func (s *sae) jumpReLU() (Intervention, map[string]*tensors.Tensor, error) {
	values := map[string]*tensors.Tensor{}
	for _, name := range []string{"W_enc", "b_enc", "threshold", "W_dec", "b_dec"} {
		values[name] = s.tensors[name]
	}
	if s.centered {
		values["b_enc"] = s.biasBy(-1)
	}
	return JumpReLUAutoencoder{Latents: s.latents}, values, nil
}

func (s *sae) standard() (Intervention, map[string]*tensors.Tensor, error) {
	values := map[string]*tensors.Tensor{
		"encoder_weight": float32Tensor(transpose(floats(s.tensors["W_enc"]), s.width, s.latents), s.latents, s.width),
		"encoder_bias":   s.tensors["b_enc"],
		"decoder_weight": float32Tensor(transpose(floats(s.tensors["W_dec"]), s.latents, s.width), s.width, s.latents),
		"decoder_bias":   s.tensors["b_dec"],
	}
	if !s.centered {
		values["encoder_bias"] = s.biasBy(1)
	}
	return Autoencoder{Latents: s.latents}, values, nil
}
