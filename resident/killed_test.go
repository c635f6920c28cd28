//go:build linux

package resident_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/resident"
)

// An engine killed at any moment is an error for those who use it that says so. Who comes next starts another, and no file is in its way.
func TestEngineKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("kills twenty engines, in ten seconds")
	}
	const config = backend.GoSequential
	folder, weights := place(t), weightsOfRandom(t)
	r := rand.New(rand.NewPCG(1, 2))
	var said atomic.Int64
	for round := range uint64(20) {
		b, err := resident.New(config)
		if err != nil {
			t.Fatalf("after %d engines were killed: %v", round, err)
		}
		if got, err := graph.CallOnce(b, square, float32(3)); err != nil || got.Value() != float32(9) {
			t.Fatalf("after %d engines were killed: got %v, %v, want 9", round, got, err)
		}
		ended := make(chan error, 3)
		for i := range uint64(cap(ended)) {
			client, out := startRandom(t, 3*round+i, config, weights)
			go func() {
				err := client.Wait()
				switch {
				case err != nil && !strings.Contains(out.String(), "the engine is gone"):
					t.Errorf("a client whose engine was killed: %v, %s", err, out)
				case err != nil:
					said.Add(1)
				}
				ended <- err
			}()
		}
		time.Sleep(time.Duration(r.IntN(400)) * time.Millisecond)
		if err := syscall.Kill(newest(t, folder), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		for range cap(ended) {
			<-ended
		}
		if _, err := b.State(); err == nil || !strings.Contains(err.Error(), "the engine is gone") {
			t.Errorf("got %v", err)
		}
	}
	t.Logf("%d of 60 clients were told that their engine is gone", said.Load())
	if b, err := resident.Connect(config); err == nil {
		b.Stop()
	}
}

// Programs that never end, of clients that are gone, keep nobody from a turn, and the engine can be stopped.
func TestEndless(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for two seconds")
	}
	const config = backend.GoSequential
	folder := place(t)
	b, err := resident.New(config)
	if err != nil {
		t.Fatal(err)
	}
	endless := func(x *graph.Node) *graph.Node {
		loop := func(of func(x *graph.Node) *graph.Node) *graph.Function {
			return graph.NewClosure(x.Graph(), func(g *graph.Graph) []*graph.Node {
				return []*graph.Node{of(graph.Parameter(g, "x", x.Shape()))}
			})
		}
		return graph.While(loop(func(x *graph.Node) *graph.Node { return graph.Equal(x, x) }), loop(square), x)[0]
	}
	clients := runtime.GOMAXPROCS(0) // as many as there are turns
	for i := range clients {
		gone, err := resident.New(config)
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() {
			_, err := graph.CallOnce(gone, endless, float32(1))
			ended <- err
		}()
		eventually(t, "the endless program", func() bool { return stateOf(t, b).Executing == 1 })
		gone.Finalize()
		<-ended
		eventually(t, "its turn is over", func() bool { s := stateOf(t, b); return s.Orphans == i+1 && s.Executing == 0 && s.Clients == 1 })
	}
	if got, err := graph.CallOnce(b, square, float32(3)); err != nil || got.Value() != float32(9) {
		t.Errorf("got %v, %v, want 9", got, err)
	}
	if err := b.Stop(); err != nil {
		t.Error(err)
	}
	pid := newest(t, folder)
	eventually(t, "the engine's end", func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err != nil || strings.Contains(string(stat), ") Z ") // which waits for this process to ask after it
	})
}

// newest is the engine that was started last.
func newest(t *testing.T, folder string) (pid int) {
	t.Helper()
	var last time.Time
	files, _ := filepath.Glob(filepath.Join(folder, "started*"))
	for i, file := range files {
		if info, err := os.Stat(file); err == nil && info.ModTime().After(last) {
			pid, last = started(t, folder)[i], info.ModTime()
		}
	}
	return pid
}
