package transformer_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/internal/golden"
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
