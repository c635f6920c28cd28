package transformer_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"math"
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

func TestTheSameSeedDrawsTheSameWeights(t *testing.T) {
	eachFamily(t, onXLA, func(t *testing.T, name string) {
		a, again, other := transformer.MustNew(tinyConfig(name), 1), transformer.MustNew(tinyConfig(name), 1), transformer.MustNew(tinyConfig(name), 2)
		differ := false
		for _, name := range a.Weights().Names() {
			values := tensors.MustCopyFlatData[float32](a.Weights().Tensor(name))
			if !slices.Equal(values, tensors.MustCopyFlatData[float32](again.Weights().Tensor(name))) {
				t.Errorf("%s: another value from the same seed", name)
			}
			differ = differ || !slices.Equal(values, tensors.MustCopyFlatData[float32](other.Weights().Tensor(name)))
		}
		if !differ {
			t.Error("the same values from another seed")
		}
	})
}

// What is saved is loaded again: the same config, the same weights, the same bytes.
func TestSaveAndLoad(t *testing.T) {
	eachFamily(t, onXLA, func(t *testing.T, name string) {
		model, first, second := tinyModel[float32](t, name+", classifier"), t.TempDir(), t.TempDir()
		if err := model.Save(first); err != nil {
			t.Fatal(err)
		}
		loaded, err := transformer.Load(first)
		if err != nil {
			t.Fatal(err)
		}
		if err := loaded.Save(second); err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{"config.json", "model.safetensors"} {
			a, b := read(t, first, file), read(t, second, file)
			if len(a) == 0 || !bytes.Equal(a, b) {
				t.Errorf("%s: %d bytes saved first, then %d others", file, len(a), len(b))
			}
		}
		if got, want := loaded.Catalogue().Model, model.Catalogue().Model; got != want {
			t.Errorf("got a %s, wanted a %s", got, want)
		}
	})
}

func read(t *testing.T, folder, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(folder, file))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Checkpoints of the bare model lack the base of all names; some have masks and a copy of the embedding for a head.
func TestWeightsAsCheckpointsHaveThem(t *testing.T) {
	model := tinyModel[float32](t, "gpt2")
	bare := map[string]*tensors.Tensor{}
	for name, value := range model.Weights().All() {
		bare[strings.TrimPrefix(name, "transformer.")] = value
	}
	bare["h.0.attn.bias"] = tensors.FromShape(bare["wpe.weight"].Shape())
	bare["lm_head.weight"] = bare["wte.weight"]
	again, err := transformer.WithWeights(model.Config(), bare)
	if err != nil {
		t.Fatal(err)
	}
	if names := again.Weights().Names(); slices.Contains(names, "h.0.attn.bias") || !slices.Contains(names, "h.0.ln_1.weight") {
		t.Errorf("got weights %v", names)
	}
	wantClose(t, "logits", forward(t, again, tokens(1, 4), nil), forward(t, model, tokens(1, 4), nil), 0)

	bare["lm_head.weight"] = tensors.FromShape(bare["wte.weight"].Shape())
	_, err = transformer.WithWeights(model.Config(), bare)
	wanted.Refusal(t, err, "lm_head.weight", "other values than in wte.weight", "tie_word_embeddings")
}

func TestWeightRefusals(t *testing.T) {
	model := tinyModel[float32](t, "llama")
	for name, c := range map[string]struct {
		change func(values map[string]*tensors.Tensor)
		words  []string
	}{
		"missing": {func(v map[string]*tensors.Tensor) { delete(v, "model.layers.1.mlp.up_proj.weight") },
			[]string{"llama language model", "model.layers.1.mlp.up_proj.weight", "no such tensor", "[20 16]"}},
		"surplus": {func(v map[string]*tensors.Tensor) { v["model.layers.0.self_attn.q_proj.bias"] = v["model.norm.weight"] },
			[]string{"model.layers.0.self_attn.q_proj.bias", "a tensor the model does not have"}},
		"of another shape": {func(v map[string]*tensors.Tensor) {
			v["model.layers.0.self_attn.k_proj.weight"] = v["model.layers.0.self_attn.q_proj.weight"]
		}, []string{"model.layers.0.self_attn.k_proj.weight", "[16 16]", "[8 16]"}},
	} {
		t.Run(name, func(t *testing.T) {
			values := maps.Clone(model.Weights().All())
			c.change(values)
			_, err := transformer.WithWeights(model.Config(), values)
			wanted.Refusal(t, err, c.words...)
		})
	}
	_, err := transformer.Load(filepath.Join(t.TempDir(), "no", "such", "folder"))
	if err == nil {
		t.Error("a folder that is not there passed")
	}
}

// A checkpoint has each expert's matrices, the model all of them as one; each that is missing, of another shape or too many is named.
func TestExpertsAreStacked(t *testing.T) {
	model, folder := tinyModel[float32](t, "qwen3_moe"), t.TempDir()
	if err := model.Save(folder); err != nil {
		t.Fatal(err)
	}
	saved, err := interv.LoadTensors(filepath.Join(folder, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	const whole = "model.layers.1.mlp.experts.gate_up_proj"
	all := tensors.MustCopyFlatData[float32](model.Weights().Tensor(whole)) // [5, 2 · 6, 16]
	for name, from := range map[string]int{"gate_proj": 3 * 12 * 16, "up_proj": (3*12 + 6) * 16} {
		got := saved["model.layers.1.mlp.experts.3."+name+".weight"]
		if got == nil || !slices.Equal(tensors.MustCopyFlatData[float32](got), all[from:from+6*16]) {
			t.Errorf("%s of expert 3 was saved as %v", name, got)
		}
	}
	if saved[whole] != nil || saved["model.layers.0.mlp.gate_proj.weight"] == nil {
		t.Error("the checkpoint has other tensors than transformers'")
	}
	const up = "model.layers.1.mlp.experts.4.up_proj.weight"
	for name, c := range map[string]struct {
		change func(values map[string]*tensors.Tensor)
		words  []string
	}{
		"missing":          {func(v map[string]*tensors.Tensor) { delete(v, up) }, []string{up, "no such tensor", "[6 16]", "did you mean"}},
		"of another shape": {func(v map[string]*tensors.Tensor) { v[up] = v["model.norm.weight"] }, []string{up, "shape [16]", "[6 16]"}},
		"of another type":  {func(v map[string]*tensors.Tensor) { v[up] = tensors.FromScalarAndDimensions(1.0, 6, 16) }, []string{up, "Float64", "Float32"}},
		"not finite": {func(v map[string]*tensors.Tensor) {
			v[up] = tensors.FromScalarAndDimensions(float32(math.NaN()), 6, 16)
		}, []string{up, "NaN"}},
		"one more": {func(v map[string]*tensors.Tensor) { v["model.layers.1.mlp.experts.5.up_proj.weight"] = v[up] },
			[]string{"experts.5.up_proj", "a tensor the model does not have"}},
		"in a dense layer": {func(v map[string]*tensors.Tensor) { v["model.layers.0.mlp.experts.0.up_proj.weight"] = v[up] },
			[]string{"layers.0.mlp.experts.0.up_proj", "a tensor the model does not have"}},
	} {
		t.Run(name, func(t *testing.T) {
			values := maps.Clone(saved)
			c.change(values)
			_, err := transformer.WithWeights(model.Config(), values)
			wanted.Refusal(t, err, c.words...)
		})
	}
	if saved[up] == nil || saved[whole] != nil {
		t.Error("the caller's map was changed")
	}
	again, err := transformer.WithWeights(model.Config(), saved)
	if err != nil {
		t.Fatal(err)
	}
	wantClose(t, "logits", forward(t, again, tokens(1, 4), nil), forward(t, model, tokens(1, 4), nil), 0)
}

// A digest of weights, and one of their ends, is the same of those given, of those that lie in files, which are read for it alone, and of
// those that have been read.
func TestDigests(t *testing.T) {
	digests := func(m *transformer.Model) (all, ends string) {
		w, sum, most := m.Weights(), sha256.New(), 256
		if err := w.Digest(sum); err != nil {
			t.Fatal(err)
		}
		all = fmt.Sprintf("%x", sum.Sum(nil))
		for _, name := range w.Names() {
			if err := w.Ends(name, most, func(data []byte) { sum.Write(data) }); err != nil {
				t.Fatal(err)
			}
		}
		return all, fmt.Sprintf("%x", sum.Sum(nil))
	}
	for _, family := range []string{"gpt2", "qwen3_moe"} {
		given, folder := tinyModel[float32](t, family), t.TempDir()
		if err := given.Save(folder); err != nil {
			t.Fatal(err)
		}
		all, ends := digests(given)
		told := 0
		loaded, err := transformer.Load(folder, transformer.Progress(func(string, int64, int64) { told++ }))
		if err != nil {
			t.Fatal(err)
		}
		for _, when := range []string{"in files", "on a device"} {
			if gotAll, gotEnds := digests(loaded); gotAll != all || gotEnds != ends {
				t.Errorf("%s, %s: other digests than of what was saved", family, when)
			}
			if told > 0 && when == "in files" {
				t.Errorf("%s: a digest loaded the weights", family)
			}
			if err := loaded.Weights().Upload(engine); err != nil {
				t.Fatal(err)
			}
		}
		other := given.Weights().All()
		name := given.Weights().Names()[2]
		other[name] = tensors.FromShape(other[name].Shape())
		changed, err := given.WithWeights(other)
		if err != nil {
			t.Fatal(err)
		}
		if gotAll, gotEnds := digests(changed); gotAll == all || gotEnds == ends {
			t.Errorf("%s: other weights have the same digests", family)
		}
	}
}

// Layers without a mixture have an MLP's sites, and the others the experts'.
func TestSitesOfMixtures(t *testing.T) {
	catalogue := tinyConfig("qwen3_moe").Catalogue()
	for layer, component := range []interv.Component{transformer.EachExpertOutput, transformer.MLPActivation} {
		_, err := catalogue.Find(interv.Site{Layer: layer, Component: component})
		wanted.Refusal(t, err, "layer of "+string(component), fmt.Sprint("got ", layer), fmt.Sprint("wanted ", 1-layer))
	}
}

// Each tensor that a checkpoint lacks is named, and one that it should not have.
func TestMissingAndForeignTensorsAreNamed(t *testing.T) {
	eachFamily(t, onXLA, func(t *testing.T, name string) {
		model := tinyModel[float32](t, name)
		for _, name := range model.Weights().Names() {
			if strings.Contains(name, ".experts.") {
				continue // may be there in two forms
			}
			values := model.Weights().All()
			delete(values, name)
			_, err := transformer.WithWeights(model.Config(), values)
			wanted.Refusal(t, err, name, "no such tensor")
		}
		values := model.Weights().All()
		values["foreign.weight"] = tensors.FromValue([]float32{1})
		_, err := transformer.WithWeights(model.Config(), values)
		wanted.Refusal(t, err, "foreign.weight", "a tensor the model does not have")
	})
}

func TestInputRefusals(t *testing.T) {
	model := tinyModel[float32](t, "gpt2")
	ints := func(values ...int32) *tensors.Tensor {
		return tensors.FromFlatDataAndDimensions(values, 1, len(values))
	}
	for name, c := range map[string]struct {
		inputs interv.Inputs
		words  []string
	}{
		"none":              {interv.Inputs{}, []string{"input_ids"}},
		"unknown":           {interv.Inputs{"input_id": ints(1)}, []string{`"input_id"`, `did you mean "input_ids"`}},
		"both":              {interv.Inputs{"input_ids": ints(1), "inputs_embeds": ints(1)}, []string{"input_ids", "one of the two"}},
		"token":             {interv.Inputs{"input_ids": ints(1, 23)}, []string{"input_ids of example 0, position 1", "got 23", "0 to 22"}},
		"negative token":    {interv.Inputs{"input_ids": ints(-1)}, []string{"got -1"}},
		"of another type":   {interv.Inputs{"input_ids": tensors.FromValue([][]int64{{1}})}, []string{"input_ids", "Int64", "Int32"}},
		"too long":          {interv.Inputs{"input_ids": ints(make([]int32, 17)...)}, []string{"length of example 0", "17 positions", "at most 16"}},
		"position":          {interv.Inputs{"input_ids": ints(1), "position_ids": ints(16)}, []string{"position_ids", "got 16", "0 to 15"}},
		"mask with a hole":  {interv.Inputs{"input_ids": ints(1, 2, 3), "attention_mask": ints(1, 0, 1)}, []string{"attention_mask of example 0, position 2", "padding"}},
		"mask of twos":      {interv.Inputs{"input_ids": ints(1, 2), "attention_mask": ints(1, 2)}, []string{"position 1", "got 2"}},
		"empty mask":        {interv.Inputs{"input_ids": ints(1, 2), "attention_mask": ints(0, 0)}, []string{"example 0", "no ones"}},
		"mask of no shape":  {interv.Inputs{"input_ids": ints(1, 2), "attention_mask": ints(1)}, []string{"attention_mask", "[1 1]", "[1 2]"}},
		"embeds of no size": {interv.Inputs{"inputs_embeds": tensors.FromValue([][][]float32{{{1, 2}}})}, []string{"inputs_embeds", "[1 1 2]"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := model.Check(c.inputs)
			wanted.Refusal(t, err, c.words...)
		})
	}
	// Padding on the left does not count as length.
	if _, err := model.Check(withMask(tokens(1, 20), []int{4}, []int{20})); err != nil {
		t.Error(err)
	}
	extent, err := model.Check(withMask(tokens(2, 6), []int{2, 0}, []int{6, 5}))
	if err != nil || !slices.Equal(extent.Starts, []int{2, 0}) || !slices.Equal(extent.Ends, []int{6, 5}) {
		t.Errorf("got %v, %v", extent, err)
	}
}
