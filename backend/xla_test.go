//go:build cgo && !noxla && ((linux && (amd64 || arm64)) || (darwin && arm64) || (windows && amd64))

package backend

import (
	"os"
	"path/filepath"
	"testing"
)

// pluginDirectory skips the test where the environment names no directory with a plugin.
func pluginDirectory(t *testing.T) string {
	t.Helper()
	directory := os.Getenv("PJRT_PLUGIN_LIBRARY_PATH")
	if files, _ := filepath.Glob(filepath.Join(directory, "pjrt_c_api_cpu*_plugin.*")); len(files) == 0 {
		t.Skip("PJRT_PLUGIN_LIBRARY_PATH names no XLA CPU plugin")
	}
	return "PJRT_PLUGIN_LIBRARY_PATH=" + directory
}

func TestXLAWhereFound(t *testing.T) {
	plugins := pluginDirectory(t)
	for _, parameters := range []int{0, int(Small)} {
		wantAll(t, pick(t, parameters, plugins), "xla:cpu", " (XLA): found the plugin ", "1+1 = 2\n")
	}
	wantAll(t, pick(t, 42, plugins), "go:ops_sequential (pure Go): the model has 42 parameters")
	wantAll(t, pick(t, 42, plugins, "GOMLX_BACKEND=xla"), "xla:cpu", " (XLA): GOMLX_BACKEND names it; the plugin is ", "1+1 = 2\n")
	wantAll(t, pick(t, 0, plugins, "GOMLX_BACKEND=xla:cpu,noshared_buffers"), "xla:cpu,noshared_buffers (XLA): GOMLX_BACKEND names it", "1+1 = 2\n")
}

func TestWrongXLANames(t *testing.T) {
	plugins := pluginDirectory(t)
	wantAll(t, pick(t, 0, plugins, "GOMLX_BACKEND=xla:cpi"), `error: GOMLX_BACKEND=xla:cpi: there is no XLA plugin "cpi"; there are `, `the nearest is "cpu`)
	wantAll(t, pick(t, 0, plugins, "GOMLX_BACKEND=xla:cpu,tf32=true"), "error: GOMLX_BACKEND=xla:cpu,tf32=true: the plugin cpu", " has no TF32")
	wantAll(t, pick(t, 0, "GOMLX_BACKEND=xls"), "there are go, hlo, resident, shlo, stablehlo, xla", `the nearest is "xla"`)
	wantAll(t, pick(t, 0, "GOMLX_BACKEND=xla:/nowhere/plugin.so"), "error: backend xla:/nowhere/plugin.so: ", "GOMLX_BACKEND=go:ops_sequential goes on without it")
}

// XLA asked for by name is never replaced.
func TestXLAAskedForAndMissing(t *testing.T) {
	empty := t.TempDir()
	wantAll(t, pick(t, 0, "GOMLX_BACKEND=xla:cpu", "PJRT_PLUGIN_LIBRARY_PATH="+empty),
		"error: GOMLX_BACKEND=xla:cpu: no XLA plugin found in PJRT_PLUGIN_LIBRARY_PATH="+empty)
	wantAll(t, pick(t, 0, "GOMLX_BACKEND=xla:cpu", "PJRT_PLUGIN_LIBRARY_PATH="),
		"error: GOMLX_BACKEND=xla:cpu: no XLA plugin found in PJRT_PLUGIN_LIBRARY_PATH, which is empty")
}

func TestDefaultDirectories(t *testing.T) {
	if files, _ := filepath.Glob("/usr/local/lib/go-xla/*plugin*"); len(files) > 0 {
		t.Skip("a plugin is installed for the whole system")
	}
	wantAll(t, pick(t, 0), "go:ops_sequential (pure Go): no XLA plugin found in ", "go-xla", "PJRT_PLUGIN_LIBRARY_PATH names others", "1+1 = 2\n")
}

// A file that the loader refuses makes go-xla panic; here it is a reason that names the file, or an error if XLA was asked for.
func TestBrokenPlugin(t *testing.T) {
	directory := t.TempDir()
	file := filepath.Join(directory, "pjrt_c_api_cpu_plugin.so")
	for _, content := range []string{"", "not a library"} {
		if err := os.WriteFile(file, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
		plugins := "PJRT_PLUGIN_LIBRARY_PATH=" + directory
		wantAll(t, pick(t, 0, plugins), "go:ops_sequential (pure Go): no XLA plugin: "+file+" can't be loaded (", "1+1 = 2\n")
		wantAll(t, pick(t, 0, plugins, "GOMLX_BACKEND=xla"), "error: GOMLX_BACKEND=xla: no XLA plugin: "+file+" can't be loaded (")
	}
}
