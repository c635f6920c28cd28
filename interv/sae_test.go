package interv_test

import (
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/core/tensors/numpy"

	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/gru"
)

// New refuses latents that no memory holds before it makes room for them.
func TestLatentsRefusals(t *testing.T) {
	model := gru.MustNewClassifier(gru.Config{Layers: 1, Width: 4}, 1)
	for latents, words := range map[int]string{-1: "at least 1", 0: "at least 1", 60000000000000: "the width, 4", 1 << 62: "2³²"} {
		for _, intervention := range []interv.Intervention{
			interv.Autoencoder{Latents: latents}, interv.JumpReLUAutoencoder{Latents: latents}, interv.Constant{Of: interv.Autoencoder{Latents: latents}},
		} {
			_, err := interv.New(engine, model, interv.Config{Representations: []interv.Representation{{Component: gru.CellInput, Intervention: intervention}}})
			wanted.Refusal(t, err, "representation 0", "latents", fmt.Sprintf("got %d,", latents), words)
		}
	}
}

// saeTensors are a small random autoencoder under the names that files use.
func saeTensors(width, latents int) map[string]*tensors.Tensor {
	return map[string]*tensors.Tensor{"W_enc": random(1, width, latents), "b_enc": random(2, latents), "threshold": random(3, latents),
		"W_dec": random(4, latents, width), "b_dec": random(5, width)}
}

// reconstruct is what an autoencoder makes of x, computed on the host: files' formulas, with b_dec subtracted first if centered.
func reconstruct(sae map[string]*tensors.Tensor, x []float32, jumps, centered bool) []float32 {
	width, latents := sae["W_enc"].Shape().Dim(0), sae["W_enc"].Shape().Dim(1)
	encoder, decoder := flat(sae["W_enc"]), flat(sae["W_dec"])
	out := make([]float32, len(x))
	for row := 0; row < len(x); row += width {
		copy(out[row:row+width], flat(sae["b_dec"]))
		for j := range latents {
			z := float64(flat(sae["b_enc"])[j])
			for i := range width {
				value := x[row+i]
				if centered {
					value -= flat(sae["b_dec"])[i]
				}
				z += float64(value * encoder[i*latents+j])
			}
			if z = math.Max(z, 0); jumps && z <= float64(flat(sae["threshold"])[j]) {
				z = 0
			}
			for i := range width {
				out[row+i] += float32(z) * decoder[j*width+i]
			}
		}
	}
	return out
}

// Each file's autoencoder reconstructs the source as its own formula says.
func TestLoadedAutoencodersReconstruct(t *testing.T) {
	const width, latents = 4, 6
	write := func(t *testing.T, config string, values map[string]*tensors.Tensor) string {
		folder := t.TempDir()
		must(t, os.WriteFile(filepath.Join(folder, "cfg.json"), []byte(config), 0o644))
		must(t, interv.SaveTensors(filepath.Join(folder, "sae_weights.safetensors"), values))
		return folder
	}
	for name, c := range map[string]struct {
		path            func(t *testing.T, values map[string]*tensors.Tensor) string
		jumps, centered bool
	}{
		"gemma scope": {func(t *testing.T, values map[string]*tensors.Tensor) string {
			path := filepath.Join(t.TempDir(), "params.npz")
			must(t, numpy.ToNpzFile(values, path))
			return path
		}, true, false},
		"standard": {func(t *testing.T, values map[string]*tensors.Tensor) string {
			return write(t, `{"architecture": "standard", "d_in": 4, "hook_name": "blocks.0.hook_resid_post"}`, values)
		}, false, true},
		"standard, not centered": {func(t *testing.T, values map[string]*tensors.Tensor) string {
			return write(t, `{"architecture": "standard", "apply_b_dec_to_input": false}`, values)
		}, false, false},
		"standard of version 3": {func(t *testing.T, values map[string]*tensors.Tensor) string {
			return write(t, `{"d_in": 4, "d_sae": 6, "activation_fn_str": "relu", "apply_b_dec_to_input": true, "finetuning_scaling_factor": false,
				"hook_name": "blocks.8.attn.hook_z", "hook_head_index": null, "normalize_activations": false, "dtype": "torch.float32"}`, values)
		}, false, true},
		"jumprelu of version 6": {func(t *testing.T, values map[string]*tensors.Tensor) string {
			return write(t, `{"apply_b_dec_to_input": false, "reshape_activations": "hook_z", "dtype": "float32", "normalize_activations": "none",
				"d_in": 4, "d_sae": 6, "device": "cpu", "metadata": {"sae_lens_version": "6.18.0", "seqpos_slice": [null]}, "architecture": "jumprelu"}`, values)
		}, true, false},
		"jumprelu, centered unless told": {func(t *testing.T, values map[string]*tensors.Tensor) string {
			return write(t, `{"architecture": "jumprelu", "activation_fn": "relu", "normalize_activations": null}`, values)
		}, true, true},
		"jumprelu, centered": {func(t *testing.T, values map[string]*tensors.Tensor) string {
			return write(t, `{"architecture": "jumprelu", "apply_b_dec_to_input": true}`, values)
		}, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			values := saeTensors(width, latents)
			if !c.jumps {
				delete(values, "threshold")
			}
			intervention, parameters, err := interv.LoadAutoencoder(c.path(t, values))
			must(t, err)
			site := interv.Representation{Component: gru.CellInput, Intervention: intervention}
			iv := interv.MustNew(engine, gru.MustNewClassifier(gru.Config{Layers: 1, Width: width}, 1),
				interv.Config{Representations: []interv.Representation{site, {Component: gru.CellInput, Intervention: interv.Collect{}}}})
			must(t, iv.SetParametersOf(0, parameters))
			source := random(7, 2, 3, width)
			got := iv.MustRun(interv.Call{Base: interv.Inputs{"inputs_embeds": random(8, 2, 3, width)}, Sources: []interv.Inputs{{"inputs_embeds": source}, nil},
				Locations: []*interv.Location{interv.Everywhere(), interv.Everywhere()}}).Collected[0].Value
			wantClose(t, "reconstruction", flat(got), reconstruct(values, flat(source), c.jumps, c.centered), 1e-4)
		})
	}
}

func TestLoadAutoencoderRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		config string
		change func(values map[string]*tensors.Tensor)
		words  []string
	}{
		"gated":              {`{"architecture": "gated"}`, nil, []string{"architecture", `"gated"`, "standard, jumprelu"}},
		"normalized":         {`{"normalize_activations": "layer_norm"}`, nil, []string{"normalize_activations"}},
		"normalized, old":    {`{"normalize_activations": true}`, nil, []string{"normalize_activations", "true"}},
		"top k":              {`{"activation_fn_str": "topk", "activation_fn_kwargs": {"k": 2}}`, nil, []string{"activation_fn_str", `"topk"`, "one of relu"}},
		"top k, old":         {`{"activation_fn": "topk"}`, nil, []string{"activation_fn", `"topk"`, "one of relu"}},
		"reshaped":           {`{"reshape_activations": "hook_q"}`, nil, []string{"reshape_activations", `"hook_q"`, "none, hook_z"}},
		"rescaled":           {`{"rescale_acts_by_decoder_norm": true}`, nil, []string{"rescale_acts_by_decoder_norm", "true", "false"}},
		"half centered":      {`{"apply_b_dec_to_input": 0.5}`, nil, []string{"apply_b_dec_to_input", "0.5", "true, false"}},
		"another width":      {`{"d_in": 5}`, nil, []string{"d_in", `"5"`, "4, as W_enc"}},
		"other latents":      {`{"d_in": 4, "d_sae": 60}`, nil, []string{"d_sae", `"60"`, "6, as W_enc"}},
		"settings of a kind": {`{"architecture": ["standard"]}`, nil, []string{"architecture", "standard, jumprelu"}},
		"scaled": {`{"finetuning_scaling_factor": true}`, func(v map[string]*tensors.Tensor) { v["finetuning_scaling_factor"] = random(1, 6) },
			[]string{"finetuning_scaling_factor"}},
		"no latents":        {`{}`, func(v map[string]*tensors.Tensor) { maps.Copy(v, saeTensors(4, 0)); delete(v, "threshold") }, []string{"W_enc", "[4, 0]", "at least 1"}},
		"no encoder":        {`{}`, func(v map[string]*tensors.Tensor) { delete(v, "W_enc") }, []string{"W_enc"}},
		"no threshold":      {`{"architecture": "jumprelu"}`, func(v map[string]*tensors.Tensor) { delete(v, "threshold") }, []string{"threshold"}},
		"decoder of others": {`{}`, func(v map[string]*tensors.Tensor) { v["W_dec"] = random(1, 6, 5) }, []string{"W_dec", "[6 5]", "[6 4]"}},
	} {
		t.Run(name, func(t *testing.T) {
			folder, values := t.TempDir(), saeTensors(4, 6)
			if !strings.Contains(c.config, "jumprelu") {
				delete(values, "threshold")
			}
			if c.change != nil {
				c.change(values)
			}
			must(t, os.WriteFile(filepath.Join(folder, "cfg.json"), []byte(c.config), 0o644))
			must(t, interv.SaveTensors(filepath.Join(folder, "sae_weights.safetensors"), values))
			_, _, err := interv.LoadAutoencoder(folder)
			wanted.Refusal(t, err, c.words...)
		})
	}
	path := filepath.Join(t.TempDir(), "params.npz")
	must(t, numpy.ToNpzFile(saeTensors(4, 0), path))
	_, _, err := interv.LoadAutoencoder(path)
	wanted.Refusal(t, err, "W_enc", "[4, 0]", "at least 1")
	if _, _, err := interv.LoadAutoencoder(t.TempDir()); err == nil {
		t.Error("an empty folder was loaded")
	}
}
