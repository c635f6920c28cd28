//go:build cgo && !noxla && ((linux && (amd64 || arm64)) || (darwin && arm64) || (windows && amd64))

package backend

import (
	"os"
	"slices"
	"strings"
	"testing"
)

// XLA is told what suits it on a CPU, and on CUDA, by whatever name it is asked for; what the user has set stays.
func TestFlagsOfXLA(t *testing.T) {
	const (
		onCPU  = "--xla_backend_optimization_level=1 --xla_cpu_use_xnnpack=false"
		onCUDA = "--xla_gpu_enable_triton_gemm=false --xla_gpu_autotune_level=0"
	)
	for _, c := range []struct{ name, set, want string }{
		{"xla:cpu", "", onCPU},
		{"xla:cpu_v0.83.4,preallocate=true", "", onCPU},
		{"stablehlo:/cuda/pjrt_c_api_cpu_plugin.so", "", onCPU},
		{"xla:cpu", "--xla_cpu_use_xnnpack=true", "--xla_cpu_use_xnnpack=true --xla_backend_optimization_level=1"},
		{"xla:cuda,tf32=false", "", onCUDA},
		{"xla:/lib/pjrt_c_api_cuda_plugin.so,tf32=false", "--xla_gpu_enable_triton_gemm=true", "--xla_gpu_enable_triton_gemm=true"},
		{"xla:cuda,tf32=false", "--xla_gpu_autotune_level=4", "--xla_gpu_autotune_level=4 --xla_gpu_enable_triton_gemm=false"},
		{"go:ops_sequential", "", ""},
		{"resident:xla:cpu", "", ""},
	} {
		t.Setenv("XLA_FLAGS", c.set)
		if beforeLoading(c.name); os.Getenv("XLA_FLAGS") != c.want {
			t.Errorf("%s with XLA_FLAGS=%q: got %q, wanted %q", c.name, c.set, os.Getenv("XLA_FLAGS"), c.want)
		}
	}
}

// XLA on a CPU is one device, whose threads are as many as there are cores.
func TestOneDeviceOnCPU(t *testing.T) {
	plugins, err := findPlugins()
	if err != nil || !slices.ContainsFunc(plugins, func(p plugin) bool { return strings.HasPrefix(p.name, "cpu") }) {
		t.Skip("no plugin for a CPU")
	}
	engine, err := Choice{Name: "xla:cpu"}.New()
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Finalize()
	if got := engine.NumDevices(); got != 1 {
		t.Errorf("got %d devices, wanted 1", got)
	}
}
