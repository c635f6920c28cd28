// Package gpu tells NVIDIA's GPUs from CPUs.
package gpu

import (
	"path"
	"strings"

	"github.com/gomlx/compute"
)

// Plugin tells by its name or file whether an XLA plugin is CUDA's, as go-xla does.
func Plugin(name string) bool {
	name = strings.ToLower(name)
	return strings.Contains(name, "cuda") || strings.Contains(name, "nvidia")
}

// Runs tells whether a backend, or the engine's behind it, computes on a GPU. Its description, such as "xla:cuda - …", names the plugin or its
// file; in what folder that is says nothing.
func Runs(b compute.Backend) bool {
	_, named, _ := strings.Cut(b.Description(), "xla:")
	plugin, _, _ := strings.Cut(named, " - ")
	return Plugin(path.Base(plugin))
}
