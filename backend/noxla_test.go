//go:build noxla || !cgo || !((linux && (amd64 || arm64)) || (darwin && arm64) || (windows && amd64))

package backend

import "testing"

func TestWithoutXLALinked(t *testing.T) {
	wantAll(t, pick(t, 0), "go:ops_sequential (pure Go): no XLA plugin: this program was built without XLA", "1+1 = 2\n")
	wantAll(t, pick(t, 0, "GOMLX_BACKEND=xla:cpu"), "error: GOMLX_BACKEND=xla:cpu: no XLA plugin: this program was built without XLA", "there are go")
}
