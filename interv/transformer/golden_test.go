package transformer_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/internal/golden"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/transformer"
)

// engine is the backend that GOMLX_BACKEND names, shared by the tests of this package.
var engine = backend.MustNew()

// goldenFamilies are those that the golden cases have checkpoints of.
var goldenFamilies = []string{"gpt2", "gpt_neox", "llama", "mistral", "phi3", "qwen2", "qwen3", "olmo2", "gemma2", "gemma3_text", "gpt_oss"}

// checkpointOf loads the model of a case.
func checkpointOf(t testing.TB, c *golden.Case) *transformer.Model {
	t.Helper()
	root := os.Getenv("GOVENE_GOLDEN")
	if root == "" {
		root = filepath.Join("..", "..", "internal", "golden", "testdata", "public")
	}
	model, err := transformer.Load(filepath.Join(root, c.Name, c.Model.Checkpoint))
	if err != nil {
		t.Fatal(err)
	}
	return model
}

func TestGolden(t *testing.T) {
	for _, c := range golden.Cases(t, goldenFamilies...) {
		t.Run(c.Name, func(t *testing.T) { c.Run(t, engine, checkpointOf(t, c)) })
	}
}

// Logits of transformers for checkpoints that ask for what the golden cases do not: testdata/generate.py says which.
func TestTransformersLogits(t *testing.T) {
	folders, err := filepath.Glob(filepath.Join("testdata", "transformers", "*"))
	if err != nil || len(folders) == 0 {
		t.Fatal("no cases", err)
	}
	for _, folder := range folders {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			model, err := transformer.Load(folder)
			if err != nil {
				t.Fatal(err)
			}
			file, err := interv.LoadTensors(filepath.Join(folder, "inputs.safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			want, mask := tensors.MustCopyFlatData[float32](file["logits"]), tensors.MustCopyFlatData[int32](file["attention_mask"])
			got := forward(t, model, interv.Inputs{"input_ids": file["input_ids"], "attention_mask": file["attention_mask"]}, nil)
			if model.Config().Labels == 0 {
				for i := range got {
					got[i] *= float32(mask[i*len(mask)/len(got)])
				}
			}
			wantClose(t, "logits", got, want, 1e-5)
		})
	}
}
