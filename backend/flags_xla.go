//go:build cgo && !noxla && ((linux && (amd64 || arm64)) || (darwin && arm64) || (windows && amd64))

package backend

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/govene/govene/resident"
)

// XLA reads its flags when a plugin is first used. Unless they say otherwise, a number that a program rounds to 16 bits is rounded: XLA
// would go on with more of it where it can, here and not there, so that a model in bfloat16 that is patched with its own activation would
// come to other bits.
func init() {
	setFlag("--xla_allow_excess_precision", "false")
	beforeLoading = func(name string) {
		_, config, _ := strings.Cut(name, ":")
		plugin, _, _ := strings.Cut(config, ",")
		if engine := engineOf(name); engine != "go" && engine != resident.Name && strings.Contains(filepath.Base(plugin), "cpu") { // cpu, cpu_v…, or the plugin's file
			// On a CPU the loops between matrix products are as fast as at the highest level, 3, and compiling takes a third less.
			setFlag("--xla_backend_optimization_level", "1")
			// XNNPACK keeps weights in an order of its own beside the model's, and makes it anew where one program runs on many blocks: a
			// call on GPT-2 small is a fourteenth slower without it, a sweep a sixth faster, and memory is less by a third.
			setFlag("--xla_cpu_use_xnnpack", "false")
		}
	}
}

// setFlag gives XLA a flag, unless the user did.
func setFlag(flag, value string) {
	const variable = "XLA_FLAGS"
	if flags := os.Getenv(variable); !strings.Contains(flags, flag) {
		os.Setenv(variable, strings.TrimSpace(flags+" "+flag+"="+value))
	}
}
