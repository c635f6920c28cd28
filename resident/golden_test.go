package resident_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/internal/golden"
	"github.com/govene/govene/internal/golden/models"
	"github.com/govene/govene/resident/engine"
)

// Golden cases have the same bits through an engine as on its backend, of all that a case compares: outputs, what is collected, gradients, generated
// tokens and their logits.
func TestSameBits(t *testing.T) {
	behind, _, err := backend.New()
	if err != nil {
		t.Fatal(err)
	}
	cases := golden.Cases(t, models.Families...)
	step := 1
	if os.Getenv("GOVENE_LONG") == "" && (testing.Short() || strings.HasPrefix(behind.Name(), "xla")) {
		step = 20 // each is compiled twice, which takes XLA seconds
	}
	through := client(t, serveOn(t, behind, engine.Options{}))
	for i := 0; i < len(cases); i += step {
		c := cases[i]
		t.Run(c.Name, func(t *testing.T) {
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
