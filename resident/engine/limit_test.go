package engine

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/gomlx/compute"
)

// described is a backend that says where it computes.
type described struct {
	compute.Backend
	as string
}

func (d described) Description() string { return d.as }

// A GPU's memory is what nvidia-smi says of the smallest; where it says nothing to be read as such, 8 GiB are taken.
func TestLimitOfGPU(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("PATH", folder)
	for _, c := range []struct {
		name, script string
		want         int64
	}{
		{"none", "", 8 << 30},
		{"two", "#!/bin/sh\necho 81920; echo 40960\n", 30 << 30},
		{"broken", "#!/bin/sh\necho no devices were found\n", 8 << 30},
		{"failing", "#!/bin/sh\necho 81920; exit 9\n", 8 << 30},
	} {
		if c.script != "" {
			if err := os.WriteFile(filepath.Join(folder, "nvidia-smi"), []byte(c.script), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if got := DefaultLimit(described{as: "xla:cuda - PJRT plugin [1 device(s)]"}); got != c.want {
			t.Errorf("%s: got %d, wanted %d", c.name, got, c.want)
		}
	}
	want := machineMemory() / 4 * 3
	if want == 0 { // not on Linux
		want = 8 << 30
	}
	if got := DefaultLimit(described{as: "xla:cpu - PJRT plugin [1 device(s)]"}); got != want {
		t.Errorf("of the machine: got %d, wanted %d", got, want)
	}
}
