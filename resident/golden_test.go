package resident_test

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/internal/golden"
	"github.com/govene/govene/internal/golden/models"
	"github.com/govene/govene/resident/engine"
)

// someCases have all that is compared among them.
var someCases = []string{"gpt2_sites", "gpt2_low_rank_rotated_space", "gpt2_generate_both_add", "gru_steps_second", "mlp_unlinked_rotations"}

// Golden cases have the same bits through an engine as on its backend, of all that a case compares: outputs, what is collected, gradients, generated
// tokens and their logits.
func TestSameBits(t *testing.T) {
	behind, _, err := backend.New()
	if err != nil {
		t.Fatal(err)
	}
	cases := golden.Cases(t, models.Families...)
	few := os.Getenv("GOVENE_LONG") == "" && (testing.Short() || strings.HasPrefix(behind.Name(), "xla"))
	through := client(t, serveOn(t, behind, engine.Options{}))
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			if few && !slices.Contains(someCases, c.Name) {
				t.Skip("each is compiled twice, which takes XLA seconds")
			}
			c.Seen = map[string]*tensors.Tensor{}
			c.Run(t, behind, models.Of(t, c))
			want := c.Seen
			c.Seen = map[string]*tensors.Tensor{}
			c.Run(t, through, models.Of(t, c))
			if len(want) == 0 || len(want) != len(c.Seen) {
				t.Fatalf("compared %d and %d tensors", len(want), len(c.Seen))
			}
			for name, tensor := range want {
				if !bytes.Equal(bitsOf(t, tensor), bitsOf(t, c.Seen[name])) {
					t.Errorf("%s has other bits", name)
				}
			}
		})
	}
}

func bitsOf(t *testing.T, of *tensors.Tensor) (all []byte) {
	t.Helper()
	if err := of.ConstBytes(func(data []byte) { all = bytes.Clone(data) }); err != nil {
		t.Fatal(err)
	}
	return all
}
