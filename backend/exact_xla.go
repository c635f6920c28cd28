//go:build cgo && !noxla && ((linux && (amd64 || arm64)) || (darwin && arm64) || (windows && amd64))

package backend

import (
	"os"
	"strings"
)

// XLA reads its flags when a plugin is first used. Unless they say otherwise, a number that a program rounds to 16 bits is rounded: XLA
// would go on with more of it where it can, here and not there, so that a model in bfloat16 that is patched with its own activation would
// come to other bits.
func init() {
	const variable, flag = "XLA_FLAGS", "--xla_allow_excess_precision"
	if flags := os.Getenv(variable); !strings.Contains(flags, flag) {
		os.Setenv(variable, strings.TrimSpace(flags+" "+flag+"=false"))
	}
}
