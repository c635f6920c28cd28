package backend

import "testing"

// pyvene could make no model where a package was missing that only remote models need: number 11 of docs/pyvene.md. Here all that may be
// missing is XLA's plugin.
func TestPyvene11NothingThatMayBeMissingIsNeeded(t *testing.T) {
	wantAll(t, pick(t, 0, "PJRT_PLUGIN_LIBRARY_PATH="+t.TempDir()), "1+1 = 2\n")
}
