package backend

import "testing"

// CUDA's plugin is asked for full precision unless the name says TF32; nothing else is asked for what it computes in anyway.
func TestFullPrecisionUnlessNamed(t *testing.T) {
	for _, c := range []struct{ name, plugin, want, shown string }{
		{"xla:cuda", "cuda", "xla:cuda,tf32=false", "xla:cuda,tf32=false (XLA, full precision): why"},
		{"xla", "cuda_v0.83.4", "xla:cuda_v0.83.4,tf32=false", "xla:cuda_v0.83.4,tf32=false (XLA, full precision): why"},
		{"xla:,preallocate=true", "cuda", "xla:cuda,preallocate=true,tf32=false", "xla:cuda,preallocate=true,tf32=false (XLA, full precision): why"},
		{"stablehlo:cuda,preallocate=true", "cuda", "stablehlo:cuda,preallocate=true,tf32=false", "stablehlo:cuda,preallocate=true,tf32=false (XLA, full precision): why"},
		{"xla:/a/pjrt_c_api_cuda_plugin.so", "/a/pjrt_c_api_cuda_plugin.so", "xla:/a/pjrt_c_api_cuda_plugin.so,tf32=false", "xla:/a/pjrt_c_api_cuda_plugin.so,tf32=false (XLA, full precision): why"},
		{"xla:cuda,tf32=true", "cuda", "xla:cuda,tf32=true", "xla:cuda,tf32=true (XLA, TF32): why"},
		{"xla:cuda,tf32", "cuda", "xla:cuda,tf32", "xla:cuda,tf32 (XLA, TF32): why"},
		{"xla:cuda,tf32=0", "cuda", "xla:cuda,tf32=0", "xla:cuda,tf32=0 (XLA, full precision): why"},
		{"xla:cuda,notf32", "cuda", "xla:cuda,notf32", "xla:cuda,notf32 (XLA, full precision): why"},
		{"xla:cpu", "cpu", "xla:cpu", "xla:cpu (XLA): why"},
		{"xla:/a/pjrt_c_api_cpu_plugin.so", "/a/pjrt_c_api_cpu_plugin.so", "xla:/a/pjrt_c_api_cpu_plugin.so", "xla:/a/pjrt_c_api_cpu_plugin.so (XLA): why"},
		{"xla", "cpu", "xla:cpu", "xla:cpu (XLA): why"},
		{"xla:,preallocate=true", "cpu", "xla:cpu,preallocate=true", "xla:cpu,preallocate=true (XLA): why"},
	} {
		got, err := inFullPrecision(c.name, c.plugin)
		if shown := (Choice{got, "why"}).String(); got != c.want || err != nil || shown != c.shown {
			t.Errorf("%s with the plugin %s: got %q, %v, shown as %q, want %q, shown as %q", c.name, c.plugin, got, err, shown, c.want, c.shown)
		}
	}
	for _, c := range []struct{ name, plugin, want string }{
		{"xla:cpu,tf32=true", "cpu", "the plugin cpu has no TF32: CUDA's alone has"},
		{"xla:cuda,tf32=yes", "cuda", "tf32=yes: want true or false"},
	} {
		if _, err := inFullPrecision(c.name, c.plugin); err == nil || err.Error() != c.want {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}
