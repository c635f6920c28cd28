package transformer_test

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/transformer"
)

// saved is the folder of a model with random weights.
func saved(t *testing.T) (folder string) {
	t.Helper()
	folder = t.TempDir()
	if err := transformer.MustNew(tinyConfig("gpt2"), 1).Save(folder); err != nil {
		t.Fatal(err)
	}
	return folder
}

// pureGo is a backend of its own.
func pureGo(t *testing.T) compute.Backend {
	t.Helper()
	b, err := compute.NewWithConfig("go:ops_sequential")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Finalize)
	return b
}

// Models that share tensors are brought to the device at once, which -race sees, among them one whose weights this process has read before.
func TestSharedTensorsAreUploadedAtOnce(t *testing.T) {
	first := transformer.MustLoad(saved(t))
	second, err := first.WithWeights(first.Weights().All())
	if err != nil {
		t.Fatal(err)
	}
	var working sync.WaitGroup
	for range 2 {
		for _, model := range []*transformer.Model{first, second} {
			working.Go(func() {
				if err := model.Weights().Upload(engine); err != nil {
					t.Error(err)
				}
			})
		}
	}
	working.Wait()
}

// Weights are on one backend; of two that want them at once one is told, in words, and the other has them.
func TestWeightsAreOnOneBackend(t *testing.T) {
	model := transformer.MustLoad(saved(t))
	backends, errs := []compute.Backend{pureGo(t), pureGo(t)}, make([]error, 2)
	var working sync.WaitGroup
	for i, b := range backends {
		working.Go(func() { errs[i] = model.Weights().Upload(b) })
	}
	working.Wait()
	if (errs[0] == nil) == (errs[1] == nil) {
		t.Fatalf("got %v and %v, wanted one refusal", errs[0], errs[1])
	}
	ids := func(tokens ...int32) interv.Inputs {
		return interv.Inputs{interv.InputIDs: tensors.FromValue([][]int32{tokens})}
	}
	for i, b := range backends {
		if errs[i] != nil && !strings.Contains(errs[i].Error(), "weights: backend: got another than they are on") {
			t.Errorf("got %v", errs[i])
		}
		iv := interv.MustNew(b, model, interv.Single(0, transformer.BlockOutput, interv.Vanilla{}))
		_, err := iv.Run(interv.Interchange(ids(1, 2), ids(3, 4), interv.FromTo([][]int{{0}}, [][]int{{1}})))
		if (err == nil) != (errs[i] == nil) {
			t.Errorf("got %v of a call, and %v before", err, errs[i])
		}
	}
}

// Files that were cut after Load are errors where errors are returned, and nothing is saved.
func TestCutFilesAreErrors(t *testing.T) {
	folder, other := saved(t), t.TempDir()
	model := transformer.MustLoad(folder)
	if err := os.Truncate(filepath.Join(folder, "model.safetensors"), 4000); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{"Save": model.Save(other), "Upload": model.Weights().Upload(engine)} {
		if err == nil || !strings.Contains(err.Error(), "model.safetensors is not the file that it was") {
			t.Errorf("%s: got %v", what, err)
		}
	}
	if entries, err := os.ReadDir(other); err != nil || len(entries) > 0 {
		t.Errorf("saved %v, %v", entries, err)
	}
}

// A head in a file beside an embedding that it is tied to is compared when they are read, its shape when the model is loaded.
func TestTiedHeadsInFiles(t *testing.T) {
	other := func(embedding *tensors.Tensor) *tensors.Tensor { return tensors.FromShape(embedding.Shape()) }
	for name, c := range map[string]struct {
		head  func(embedding *tensors.Tensor) *tensors.Tensor
		words []string
	}{
		"the same":    {func(embedding *tensors.Tensor) *tensors.Tensor { return embedding }, nil},
		"other":       {other, []string{"lm_head.weight", "other values than in transformer.wte.weight"}},
		"other shape": {func(*tensors.Tensor) *tensors.Tensor { return tensors.FromValue([]float32{1}) }, []string{"lm_head.weight", "tie_word_embeddings"}},
	} {
		folder := saved(t)
		path := filepath.Join(folder, "model.safetensors")
		values, err := interv.LoadTensors(path)
		if err != nil {
			t.Fatal(err)
		}
		values["lm_head.weight"] = c.head(values["transformer.wte.weight"])
		if err := interv.SaveTensors(path, values); err != nil {
			t.Fatal(err)
		}
		model, err := transformer.Load(folder)
		if err == nil {
			err = model.Weights().Upload(pureGo(t))
		} else if name != "other shape" {
			t.Errorf("%s: %v, before anything was read", name, err)
		}
		if c.words != nil {
			wanted.Refusal(t, err, c.words...)
		} else if err != nil {
			t.Error(err)
		}
	}
}
