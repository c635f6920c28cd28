package interv

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/host"
	"github.com/govene/govene/internal/npz"
)

// LoadAutoencoder reads a trained sparse autoencoder and returns the intervention of its kind and size, with the parameters for
// [Intervenable.SetParametersOf]. It reads
//
//   - Gemma Scope's params.npz: W_enc [width, latents], b_enc, threshold, W_dec [latents, width], b_dec; a [JumpReLUAutoencoder];
//   - a folder of SAELens, versions 3 to 6: cfg.json and sae_weights.safetensors with the same names; an architecture of standard is an
//     [Autoencoder], one of jumprelu a JumpReLUAutoencoder. Where the encoder subtracts the decoder's bias from its input in one form and
//     not in the other, the encoder's bias makes up for it.
//
// Of cfg.json it reads what decides the numbers. An absent key means the first of these values, and any other is an error:
//
//	architecture                             standard, jumprelu
//	activation_fn, activation_fn_str         relu
//	apply_b_dec_to_input                     true, false
//	normalize_activations                    none, false
//	reshape_activations                      none, hook_z: the heads' values are side by side, as at a site without heads
//	rescale_acts_by_decoder_norm             false
//	d_in, d_sae                              width and latents of the tensors
//
// Tensors that do not fit each other, are none of these, or hold no latents are an error too.
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
	config          map[string]string // of a folder
	width, latents  int
	jumps, centered bool
}

// saeSettings are what keys of SAELens's cfg.json may be.
var saeSettings = []struct {
	key   string
	valid []string
}{
	{"architecture", []string{"standard", "jumprelu"}},
	{"activation_fn", []string{"relu"}},
	{"activation_fn_str", []string{"relu"}},
	{"apply_b_dec_to_input", []string{"true", "false"}},
	{"normalize_activations", []string{"none", "false"}},
	{"reshape_activations", []string{"none", "hook_z"}},
	{"rescale_acts_by_decoder_norm", []string{"false"}},
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
	config, err := readSAEConfig(filepath.Join(path, "cfg.json"))
	if err != nil {
		return nil, err
	}
	loaded := &sae{config: config, jumps: config["architecture"] == "jumprelu", centered: config["apply_b_dec_to_input"] != "false"}
	loaded.tensors, err = LoadTensors(filepath.Join(path, "sae_weights.safetensors"))
	return loaded, err
}

// readSAEConfig reads the values of a cfg.json, as they are written there, and refuses those that ask for what is not computed here.
func readSAEConfig(path string) (map[string]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w (wanted a .npz file, or a folder with cfg.json and sae_weights.safetensors)", err)
	}
	var values map[string]json.RawMessage
	if err := json.Unmarshal(text, &values); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	config := map[string]string{}
	for key, value := range values {
		if string(value) != "null" {
			config[key] = strings.Trim(string(value), `"`)
		}
	}
	for _, setting := range saeSettings {
		if got, given := config[setting.key]; given && !slices.Contains(setting.valid, got) {
			return nil, UnknownName(path, setting.key, got, setting.valid)
		}
	}
	return config, nil
}

// check settles the sizes, and wants every tensor to have them.
func (s *sae) check(path string) error {
	encoder := s.tensors["W_enc"]
	if encoder == nil || encoder.Rank() != 2 {
		return &Error{Where: path, Axis: "W_enc", Got: fmt.Sprintf("tensors %v", sortedKeys(s.tensors)), Wanted: "W_enc [width, latents] among them"}
	}
	s.width, s.latents = encoder.Shape().Dim(0), encoder.Shape().Dim(1)
	if s.width < 1 || s.latents < 1 {
		return &Error{Where: path, Axis: "W_enc", Got: encoder.Shape().String(), Wanted: "[width, latents], at least 1 of each"}
	}
	for i, key := range []string{"d_in", "d_sae"} {
		wanted := strconv.Itoa(encoder.Shape().Dim(i))
		if got, given := s.config[key]; given && got != wanted {
			return &Error{Where: filepath.Join(path, "cfg.json"), Axis: key, Got: fmt.Sprintf("%q", got), Wanted: wanted + ", as W_enc has"}
		}
	}
	wanted := []WeightShape{{"W_enc", []int{s.width, s.latents}}, {"b_enc", []int{s.latents}}, {"W_dec", []int{s.latents, s.width}}, {"b_dec", []int{s.width}}}
	if s.jumps {
		wanted = append(wanted, WeightShape{"threshold", []int{s.latents}})
	}
	_, err := NewWeights(wanted, s.tensors)
	return Within(path, err)
}

// biasBy is the encoder's bias plus sign · b_dec W_enc.
func (s *sae) biasBy(sign float64) *tensors.Tensor {
	bias, center, encoder := host.Floats(s.tensors["b_enc"]), host.Floats(s.tensors["b_dec"]), host.Floats(s.tensors["W_enc"])
	for i, c := range center {
		for j := range bias {
			bias[j] += sign * c * encoder[i*s.latents+j]
		}
	}
	return host.Tensor(bias, dtypes.Float32, s.latents)
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
		"encoder_weight": host.Tensor(transpose(host.Floats(s.tensors["W_enc"]), s.width, s.latents), dtypes.Float32, s.latents, s.width),
		"encoder_bias":   s.tensors["b_enc"],
		"decoder_weight": host.Tensor(transpose(host.Floats(s.tensors["W_dec"]), s.latents, s.width), dtypes.Float32, s.width, s.latents),
		"decoder_bias":   s.tensors["b_dec"],
	}
	if !s.centered {
		values["encoder_bias"] = s.biasBy(1)
	}
	return Autoencoder{Latents: s.latents}, values, nil
}
