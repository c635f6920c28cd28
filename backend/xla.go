//go:build cgo && !noxla && ((linux && (amd64 || arm64)) || (darwin && arm64) || (windows && amd64))

package backend

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/gomlx/go-xla/compute/xla" // registers "xla" and its aliases
	"github.com/gomlx/go-xla/installer"
	"github.com/gomlx/go-xla/pjrt"
)

const xlaLinked = true

var errNotLinked error // never: XLA is linked

// findPlugins returns the plugins that go-xla finds and can load, the preferred first; never none without an error.
// It looks once, since go-xla reads PJRT_PLUGIN_LIBRARY_PATH when the program starts.
var findPlugins = sync.OnceValues(func() (found []plugin, err error) {
	xla.EnableAutoInstall(false) // by default go-xla downloads a plugin without asking
	defer func() {
		if r := recover(); r != nil { // go-xla v0.4.1 dereferences nil on a plugin that dlopen refuses
			found, err = nil, brokenPlugin(r)
		}
	}()
	defer onceLoaded()
	for name, path := range pjrt.AvailablePlugins() {
		found = append(found, plugin{name, path})
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%w found in %s", errNoPlugin, searched())
	}
	slices.SortFunc(found, func(a, b plugin) int {
		if d := preference(a.name) - preference(b.name); d != 0 {
			return d
		}
		return strings.Compare(a.name, b.name)
	})
	return found, nil
})

// preference ranks a plugin as go-xla does: CUDA, then CPU, then any other. Names may end in a version ("cpu_v0.83.4").
func preference(name string) int {
	for i, kind := range xla.DefaultPlugins {
		if name == kind || strings.HasPrefix(name, kind+"_v") {
			return i
		}
	}
	return len(xla.DefaultPlugins)
}

// pluginPath returns the directories that PJRT_PLUGIN_LIBRARY_PATH names, and whether it is set.
func pluginPath() (directories []string, set bool) {
	value, set := os.LookupEnv(pjrt.PJRTPluginPathsEnv)
	return slices.DeleteFunc(strings.Split(value, ":"), func(dir string) bool { return dir == "" }), set
}

// searched says in words where go-xla looked.
func searched() string {
	directories, set := pluginPath()
	switch {
	case !set:
		return strings.Join(defaultDirectories(), ", ") + " or the system's library directories (" + pjrt.PJRTPluginPathsEnv + " names others)"
	case len(directories) == 0:
		return pjrt.PJRTPluginPathsEnv + ", which is empty"
	}
	return pjrt.PJRTPluginPathsEnv + "=" + strings.Join(directories, ":")
}

// defaultDirectories returns where go-xla's own installer puts plugins.
func defaultDirectories() []string {
	directories := []string{"/usr/local/lib/go-xla"}
	if home, err := installer.DefaultHomeLibPath(); err == nil {
		directories = slices.Insert(directories, 0, filepath.Join(home, "go-xla"))
	}
	return directories
}

// brokenPlugin names the file that can't be loaded, with the loader's reason.
func brokenPlugin(panicked any) error {
	directories, set := pluginPath()
	if !set {
		directories = defaultDirectories()
	}
	for _, dir := range directories {
		files, _ := filepath.Glob(filepath.Join(dir, "*pjrt*plugin*"))
		for _, file := range files {
			if _, err := pjrt.GetPlugin(file); err != nil {
				return fmt.Errorf("%w: %s can't be loaded (%s)", errNoPlugin, file, firstLine(err))
			}
		}
	}
	return fmt.Errorf("%w: one of those found in %s can't be loaded (%v)", errNoPlugin, searched(), panicked)
}

// firstLine drops what follows the first line of an error, so that a reason stays one line.
func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
