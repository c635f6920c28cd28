package resident_test

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/transformer"
	"github.com/govene/govene/resident"
	"github.com/govene/govene/resident/engine"
)

// tiny is the folder of a model with experts, whose weights are stacked, and random weights.
func tiny(t *testing.T) (folder string) {
	t.Helper()
	config, err := transformer.ParseConfig([]byte(`{"model_type": "qwen3_moe", "vocab_size": 31, "hidden_size": 16, "intermediate_size": 20, "num_hidden_layers": 2,
		"num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 4, "moe_intermediate_size": 6, "num_experts": 5, "num_experts_per_tok": 2,
		"max_position_embeddings": 16, "tie_word_embeddings": false, "rope_theta": 10000, "decoder_sparse_step": 1, "mlp_only_layers": [],
		"norm_topk_prob": true, "rms_norm_eps": 1e-6, "hidden_act": "silu", "attention_bias": false}`))
	if err != nil {
		t.Fatal(err)
	}
	folder = t.TempDir()
	if err := transformer.MustNew(config, 1).Save(folder); err != nil {
		t.Fatal(err)
	}
	return folder
}

// patched are the logits of a patch in a model that is loaded from a folder.
func patched(b compute.Backend, folder string, options ...transformer.Option) (*transformer.Model, []float32, error) {
	model, err := transformer.Load(folder, options...)
	if err != nil {
		return nil, nil, err
	}
	logits, err := patch(b, model)
	return model, logits, err
}

func patch(b compute.Backend, model *transformer.Model) ([]float32, error) {
	iv, err := interv.New(b, model, interv.Single(0, transformer.BlockOutput, interv.Vanilla{}))
	if err != nil {
		return nil, err
	}
	base := interv.Inputs{"input_ids": tensors.FromValue([][]int32{{1, 2, 3, 4}})}
	source := interv.Inputs{"input_ids": tensors.FromValue([][]int32{{5, 6, 7, 8}})}
	result, err := iv.Run(interv.Interchange(base, source, interv.FromTo([][]int{{1}}, [][]int{{2}})))
	if err != nil {
		return nil, err
	}
	return tensors.MustCopyFlatData[float32](result.Output), nil
}

// A model goes on in the same process where its engine is gone and there is another: one from files, one that was given its weights. One that is
// on an engine that is there stays on it, in words.
func TestModelGoesOnWithAnotherEngine(t *testing.T) {
	loaded := transformer.MustLoad(tiny(t))
	given, err := transformer.MustLoad(tiny(t)).WithWeights(transformer.MustLoad(tiny(t)).Weights().All())
	if err != nil {
		t.Fatal(err)
	}
	for name, model := range map[string]*transformer.Model{"loaded": loaded, "given": given} {
		first, second := client(t, serveOn(t, pureGo(t), engine.Options{})), client(t, serveOn(t, pureGo(t), engine.Options{}))
		want, err := patch(first, model)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := patch(second, model); err == nil || !strings.Contains(err.Error(), "load it again for another") {
			t.Errorf("%s: got %v", name, err)
		}
		stop(t, first)
		got, err := patch(second, model)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: other bits on another engine, or %v", name, err)
		}
		if _, err := patch(first, model); err == nil {
			t.Errorf("%s runs on an engine that is gone", name)
		}
	}
}

// stop ends an engine, and waits until it has.
func stop(t *testing.T, b *resident.Backend) {
	if err := b.Stop(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the engine is gone", b.Gone)
}

// An engine that ends while it is asked for weights leaves a model as it was.
func TestEngineGoneWhileAskedForWeights(t *testing.T) {
	model := transformer.MustLoad(tiny(t))
	first, second := client(t, serveOn(t, pureGo(t), engine.Options{})), client(t, serveOn(t, pureGo(t), engine.Options{}))
	stop(t, first)
	if err := model.Weights().Upload(first); err == nil || !strings.Contains(err.Error(), "the engine is gone") {
		t.Errorf("got %v", err)
	}
	if _, err := patch(second, model); err != nil {
		t.Error(err)
	}
}

// Two programs that load a model have one copy in the engine, none of their own, and the bits of a program that reads the files itself.
func TestModelIsReadByTheEngine(t *testing.T) {
	folder := tiny(t)
	for _, precision := range []transformer.Precision{transformer.Float32, transformer.BFloat16} {
		socket := serveOn(t, pureGo(t), engine.Options{})
		model, want, err := patched(pureGo(t), folder, precision)
		if err != nil {
			t.Fatal(err)
		}
		bytes := int64(model.Weights().Size() * model.Weights().DType().Size())
		for range 2 {
			b := client(t, socket)
			var told []int64
			model, got, err := patched(b, folder, precision, transformer.Progress(func(_ string, done, total int64) { told = append(told, done, total) }))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s: other bits than in one process", precision)
			}
			if all := int64(4 * model.Weights().Size()); !slices.Equal(told, []int64{all, all}) {
				t.Errorf("told %v of %d bytes", told, all)
			}
			for _, name := range model.Weights().Names() {
				if model.Weights().Tensor(name).HasLocal() {
					t.Errorf("%s is in this process", name)
				}
			}
			state := stateOf(t, b)
			if len(state.Weights) != 1 || state.Weights[0].Bytes != bytes || state.Weights[0].Tensors != len(model.Weights().Names()) {
				t.Errorf("the engine holds %+v, want %d bytes once", state.Weights, bytes)
			}
		}
	}
}

// An engine that does not find the files, as it may be on another machine, is sent the weights.
func TestModelThatTheEngineCannotRead(t *testing.T) {
	folder := tiny(t)
	_, want, err := patched(pureGo(t), folder)
	if err != nil {
		t.Fatal(err)
	}
	model, err := transformer.Load(folder)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(folder); err != nil { // they are still open here
		t.Fatal(err)
	}
	b := client(t, serveOn(t, pureGo(t), engine.Options{}))
	if err := model.Weights().Upload(b); err != nil {
		t.Fatal(err)
	}
	iv := interv.MustNew(b, model, interv.Single(0, transformer.BlockOutput, interv.Vanilla{}))
	result := iv.MustRun(interv.Interchange(interv.Inputs{"input_ids": tensors.FromValue([][]int32{{1, 2, 3, 4}})},
		interv.Inputs{"input_ids": tensors.FromValue([][]int32{{5, 6, 7, 8}})}, interv.FromTo([][]int{{1}}, [][]int{{2}})))
	if !slices.Equal(tensors.MustCopyFlatData[float32](result.Output), want) {
		t.Error("other bits than in one process")
	}
}

// A model's files are refused on either way: cut at once, and with what is no number, or changed in the meantime, before anything runs.
func TestModelRefusals(t *testing.T) {
	socket := serveOn(t, pureGo(t), engine.Options{})
	for name, b := range map[string]compute.Backend{"resident": client(t, socket), "here": pureGo(t)} {
		t.Run(name, func(t *testing.T) {
			folder := tiny(t)
			path := filepath.Join(folder, "model.safetensors")
			model, err := transformer.Load(folder)
			if err != nil {
				t.Fatal(err)
			}
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			change := func(content []byte) {
				if err := os.WriteFile(path, content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			binary.LittleEndian.PutUint32(content[len(content)-4:], math.Float32bits(float32(math.NaN())))
			change(content)
			if err := model.Weights().Upload(b); err == nil || !strings.Contains(err.Error(), path+" is not the file that it was") {
				t.Errorf("a file that has changed: got %v", err)
			}
			if _, _, err = patched(b, folder); err == nil || !strings.Contains(err.Error(), path+", ") || !strings.Contains(err.Error(), "got NaN, wanted a finite number") {
				t.Errorf("a NaN: got %v", err)
			}
			change(content[:len(content)-1])
			if _, err = transformer.Load(folder); err == nil || !strings.Contains(err.Error(), "cut short") {
				t.Errorf("a file that is cut: got %v", err)
			}
		})
	}
}
