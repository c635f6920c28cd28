package resident_test

import (
	"context"
	"net"
	"path/filepath"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/support/backendtest"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/resident"
	"github.com/govene/govene/resident/engine"
)

// serve starts an engine in this process, on the backend that GOMLX_BACKEND names, and returns where it listens.
func serve(t testing.TB, o engine.Options) (socket string) {
	t.Helper()
	behind, choice, err := backend.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Log(choice)
	return serveOn(t, behind, o)
}

func serveOn(t testing.TB, behind compute.Backend, o engine.Options) (socket string) {
	t.Helper()
	socket = filepath.Join(t.TempDir(), "engine.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- engine.Serve(ctx, listener, behind, o) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		behind.Finalize()
	})
	return socket
}

// client connects to an engine.
func client(t testing.TB, socket string) *resident.Backend {
	t.Helper()
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	b, err := resident.NewOn(conn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Finalize)
	return b
}

// GoMLX's own tests of backends. On XLA they take a minute, in which it compiles.
func TestBackend(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a thousand programs")
	}
	backendtest.RunAll(t, client(t, serve(t, engine.Options{})), nil)
}
