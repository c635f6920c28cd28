//go:build cgo && !noxla && ((linux && (amd64 || arm64)) || (darwin && arm64) || (windows && amd64))

package backend

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/go-xla/compute/xla"
	"github.com/gomlx/go-xla/pjrt"

	"github.com/govene/govene/internal/gpu"
)

// XLA reads its flags when a plugin is first used. Unless they say otherwise, a number that a program rounds to 16 bits is rounded: XLA
// would go on with more of it where it can, here and not there, so that a model in bfloat16 that is patched with its own activation would
// come to other bits.
func init() {
	setFlag("--xla_allow_excess_precision", "false")
	beforeLoading = func(name string) {
		if gpu.Plugin(filepath.Base(pluginOf(name))) {
			// Triton's matrix products are chosen by compiling many: a program of a block takes 10 to 30 s, and 1 s without, to be no faster in
			// float32, and in bfloat16 by a sixth (bench/CUDA.md).
			if setFlag("--xla_gpu_enable_triton_gemm", "false") {
				// Tuning chooses algorithms by the clock, so that two processes would come to other bits. Without Triton it gains nothing; with it,
				// a program is five times as slow untuned, or more.
				setFlag("--xla_gpu_autotune_level", "0")
			}
		}
		if onCPU(name) {
			// On a CPU the loops between matrix products are as fast as at the highest level, 3, and compiling takes a third less.
			setFlag("--xla_backend_optimization_level", "1")
			// XNNPACK keeps weights in an order of its own beside the model's, and makes it anew where one program runs on many blocks: a
			// call on GPT-2 small is a fourteenth slower without it, a sweep a sixth faster, and memory is less by a third.
			setFlag("--xla_cpu_use_xnnpack", "false")
		}
	}
	load = func(name string) (compute.Backend, error) {
		if !onCPU(name) {
			return compute.NewWithConfig(name)
		}
		// The plugin's own choice is four devices and no fewer threads: where there are fewer cores, these wait for work at one another's cost,
		// and small programs take a quarter longer.
		_, config, _ := strings.Cut(name, ":")
		b, err := xla.NewWithOptions(config, pjrt.NamedValuesMap{"cpu_device_count": int64(1)})
		if err != nil {
			return nil, err
		}
		return b, nil
	}
}

func onCPU(name string) bool { return strings.Contains(filepath.Base(pluginOf(name)), "cpu") }

// pluginOf is the plugin that a configuration of XLA names: cpu, cpu_v… or its file; nothing for other backends.
func pluginOf(name string) string {
	engine, config, _ := strings.Cut(name, ":")
	if !slices.Contains([]string{xla.BackendName, "stablehlo", "hlo", "shlo"}, engine) { // that go-xla goes by
		return ""
	}
	plugin, _, _ := strings.Cut(config, ",")
	return plugin
}

// setFlag gives XLA a flag, unless the user did.
func setFlag(flag, value string) (set bool) {
	const variable = "XLA_FLAGS"
	flags := os.Getenv(variable)
	if strings.Contains(flags, flag) {
		return false
	}
	os.Setenv(variable, strings.TrimSpace(flags+" "+flag+"="+value))
	return true
}
