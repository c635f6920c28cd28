package transformer_test

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/golden"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/transformer"
)

// Processing a prompt and then one token after the other gives the logits of a run over the whole sequence, in every family; padding on
// either side changes nothing.
func TestGenerationAgreesWithWholeRuns(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range golden.Cases(t, goldenFamilies...) {
		if seen[c.Model.Checkpoint] {
			continue
		}
		seen[c.Model.Checkpoint] = true
		t.Run(c.Model.Checkpoint, func(t *testing.T) {
			if name := filepath.Base(c.Model.Checkpoint); (testing.Short() || sparing) && name != "gpt2" && name != "gemma3" {
				t.Skip("compiles four programs a family; TestTransformersGeneration has its generation")
			}
			iv := interv.MustNew(engine, checkpointOf(t, c), interv.Config{})
			const steps = 4
			prompts := [][]int32{{3, 1, 4, 1, 5}, {9, 2, 6}}
			var logits [][]float32
			for _, left := range []bool{false, true} {
				generated := iv.MustGenerate(interv.Call{Base: padded(prompts, 5, left)}, interv.Generation{NewTokens: steps, Logits: true})
				logits = append(logits, tensors.MustCopyFlatData[float32](generated.Logits))
				for i, prompt := range prompts {
					whole := slices.Clone(prompt)
					for _, token := range generated.New[i] {
						whole = append(whole, int32(token))
					}
					want := tensors.MustCopyFlatData[float32](iv.MustForward(padded([][]int32{whole}, len(whole), false)))
					vocabulary := len(want) / len(whole)
					for step := range steps {
						at := (len(prompt) - 1 + step) * vocabulary
						wantNear(t, logits[len(logits)-1][(i*steps+step)*vocabulary:][:vocabulary], want[at:at+vocabulary])
					}
				}
			}
			wantNear(t, logits[0], logits[1])
		})
	}
}

// padded are prompts as inputs of a common length.
func padded(prompts [][]int32, length int, left bool) interv.Inputs {
	ids, mask := make([]int32, len(prompts)*length), make([]int32, len(prompts)*length)
	for i, prompt := range prompts {
		start := i * length
		if left {
			start += length - len(prompt)
		}
		for k, token := range prompt {
			ids[start+k], mask[start+k] = token, 1
		}
	}
	return interv.Inputs{"input_ids": tensors.FromFlatDataAndDimensions(ids, len(prompts), length),
		"attention_mask": tensors.FromFlatDataAndDimensions(mask, len(prompts), length)}
}

func wantNear(t *testing.T, got, want []float32) {
	t.Helper()
	for i := range want {
		if d := got[i] - want[i]; !(d < 1e-4 && d > -1e-4) {
			t.Fatalf("logit %d: got %g, wanted %g", i, got[i], want[i])
		}
	}
}

var _ interv.Decoder = (*transformer.Model)(nil)
