package gpu

import (
	"testing"

	"github.com/gomlx/compute"
)

// described is a backend that says where it computes.
type described struct {
	compute.Backend
	as string
}

func (d described) Description() string { return d.as }

func TestRuns(t *testing.T) {
	for as, want := range map[string]bool{
		"xla:cuda - PJRT \"cuda\" plugin [1 device(s)]":                             true,
		"xla:cuda_v13 - PJRT [1 device(s)]":                                         true,
		"resident: xla:cuda - PJRT [1 device(s)]":                                   true,
		"xla:/lib/pjrt_c_api_cuda_plugin.so - PJRT [1 device(s)]":                   true,
		"xla:/cuda/pjrt_c_api_cpu_plugin.so - PJRT (/cuda/plugin.so) [1 device(s)]": false,
		"xla:cpu - PJRT (/home/cuda/plugin.so) [1 device(s)]":                       false,
		"resident: xla:cpu - PJRT [1 device(s)]":                                    false,
		"Go backend, on a machine with cuda":                                        false,
		"":                                                                          false,
	} {
		if got := Runs(described{as: as}); got != want {
			t.Errorf("%q: got %t, wanted %t", as, got, want)
		}
	}
}
