package backend

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/govene/govene/internal/gpu"
)

// Full precision is what every backend computes in unless its name asks for less. On CUDA that takes a setting: left to itself, go-xla
// multiplies matrices of float32 in TF32, which keeps 10 bits of the fraction, and results are off by 1e-3.

// tf32 is go-xla's setting: "xla:cuda,tf32=true" asks for TF32.
const tf32 = "tf32"

// inFullPrecision is the configuration name of an XLA backend that loads the given plugin: with the plugin where name has none, and with full
// precision where name does not say which. TF32 on another device than CUDA's is an error: there is none.
func inFullPrecision(name, plugin string) (string, error) {
	engine, settings, _ := strings.Cut(name, ":")
	if settings == "" || strings.HasPrefix(settings, ",") {
		settings = plugin + settings
	}
	name = engine + ":" + settings
	asked, set, err := asksForTF32(name)
	switch isCUDA := gpu.Plugin(plugin); {
	case err != nil:
		return "", err
	case asked && !isCUDA:
		return "", fmt.Errorf("the plugin %s has no TF32: CUDA's alone has", plugin)
	case set || !isCUDA:
		return name, nil
	}
	return name + "," + tf32 + "=false", nil
}

// asksForTF32 reads the setting as go-xla does.
func asksForTF32(name string) (asked, set bool, err error) {
	_, settings, _ := strings.Cut(name, ":")
	parts := strings.Split(settings, ",")[1:]
	if slices.Contains(parts, "no"+tf32) {
		return false, true, nil
	}
	for _, part := range parts {
		key, value, hasValue := strings.Cut(part, "=")
		if key != tf32 {
			continue
		}
		set = true
		if asked = true; hasValue && value != "" {
			if asked, err = strconv.ParseBool(value); err != nil {
				return false, true, fmt.Errorf("%s: want true or false", part)
			}
		}
	}
	return asked, set, nil
}

// precision says in words what the backend of a name computes in, where there is a choice.
func precision(name string) string {
	switch asked, set, err := asksForTF32(name); {
	case !set || err != nil:
		return ""
	case asked:
		return ", TF32"
	}
	return ", full precision"
}
