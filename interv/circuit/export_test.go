package circuit

import (
	"testing"

	"github.com/gomlx/compute"

	"github.com/govene/govene/interv"
)

// PairBytes is what a pair is taken to need for gradients.
func PairBytes(t *testing.T, backend compute.Backend, model interv.Model, base, source interv.Inputs) int {
	t.Helper()
	j, err := newJob(backend, model, base, source)
	if err != nil {
		t.Fatal(err)
	}
	return j.bytes(true)
}
