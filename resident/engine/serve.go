// Package engine holds GoMLX programs, buffers and weights for clients in other processes of the same user, on a backend of its own.
//
// Programs are kept under the hash of what a client recorded and compiled once however many ask. A buffer belongs to the client that made
// it: others cannot name it, and it is freed when its client is gone. Weights are named by the place in a file where they come from, read
// once and shared; those that nobody holds stay until memory is needed, and the longest unused go first.
package engine

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"

	"github.com/govene/govene/resident/internal/program"
	"github.com/govene/govene/resident/internal/wire"
)

// Options say how an engine behaves.
type Options struct {
	Limit int64                            // bytes that buffers and weights may take; 0 is no limit
	Idle  time.Duration                    // how long without clients until it ends; 0 is never
	Log   func(format string, args ...any) // nil is silence
}

// engine is what all clients share.
type engine struct {
	Options
	backend  compute.Backend
	memory   memory
	programs programs
	turns    chan struct{} // who executes; the others wait in the order in which they came
	orphans  atomic.Int64  // executions whose client is gone
	started  time.Time

	mu      sync.Mutex
	clients map[*session]struct{}
	left    time.Time // since when there has been no client
	stop    context.CancelFunc
}

// Serve answers those who connect until the context ends, a client asks it to stop, or nobody has been there for the idle time. The
// backend serves it alone from then on. Whoever made the listener checks who may connect.
func Serve(ctx context.Context, listener net.Listener, backend compute.Backend, o Options) error {
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	e := &engine{Options: o, backend: backend, turns: make(chan struct{}, runtime.GOMAXPROCS(0)), started: time.Now(), left: time.Now(),
		clients: map[*session]struct{}{}, stop: stop}
	e.memory = memory{limit: o.Limit, log: o.Log, weights: map[weightKey]*weight{}}
	e.programs = programs{engine: e, known: map[[32]byte]*compiled{}}
	defer context.AfterFunc(ctx, func() { listener.Close() })()
	if o.Idle > 0 {
		go e.endWhenIdle(ctx)
	}
	var sessions sync.WaitGroup
	defer e.leave(&sessions)
	for {
		conn, err := listener.Accept()
		if err != nil {
			e.closeAll()
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		sessions.Go(func() { e.serve(conn) })
	}
}

// patience is how long an engine that ends waits for what executes, which may be a loop that goes on for ever.
const patience = 2 * time.Second

func (e *engine) leave(sessions *sync.WaitGroup) {
	gone := make(chan struct{})
	go func() { sessions.Wait(); close(gone) }()
	select {
	case <-gone:
	case <-time.After(patience):
		e.Log("ends, though a program still executes")
	}
}

// serve greets a client and answers it until it is gone.
func (e *engine) serve(conn net.Conn) {
	defer conn.Close()
	r := bufio.NewReaderSize(conn, 64<<10)
	if err := wire.Welcome(conn, r, program.Dialect()); err != nil {
		e.Log("refused a client: %v", err)
		return
	}
	s := newSession(e, conn, r)
	e.mu.Lock()
	e.clients[s] = struct{}{}
	e.mu.Unlock()
	err := s.serve()
	s.close()
	e.mu.Lock()
	delete(e.clients, s)
	e.left = time.Now()
	e.mu.Unlock()
	if err != nil {
		e.Log("a client is gone: %v", err)
	}
	s.finish()
}

func (e *engine) closeAll() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for s := range e.clients {
		s.conn.Close()
	}
}

func (e *engine) endWhenIdle(ctx context.Context) {
	tick := time.NewTicker(max(e.Idle/10, 10*time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		e.mu.Lock()
		idle := len(e.clients) == 0 && time.Since(e.left) >= e.Idle
		e.mu.Unlock()
		if idle {
			e.Log("ends: no client for %s", e.Idle)
			e.stop()
			return
		}
	}
}

// about is what a client must know of the backend, sent after the greeting.
func (e *engine) about() ([]byte, error) {
	about := wire.About{
		Name: e.backend.Name(), Text: e.backend.String(), Description: e.backend.Description(), Capabilities: e.backend.Capabilities(),
	}
	for device := range e.backend.NumDevices() {
		about.Devices = append(about.Devices, e.backend.DeviceDescription(compute.DeviceNum(device)))
	}
	return json.Marshal(about)
}

// status is what the engine holds.
func (e *engine) status() wire.State {
	e.mu.Lock()
	clients := len(e.clients)
	e.mu.Unlock()
	state := wire.State{Backend: e.backend.Description(), Since: e.started, Clients: clients, Executing: len(e.turns),
		Orphans: int(e.orphans.Load()), Goroutines: runtime.NumGoroutine()}
	e.programs.mu.Lock()
	state.Programs, state.Compiling = len(e.programs.known), e.programs.compiling
	state.Waiting = e.programs.waiting
	e.programs.mu.Unlock()
	e.memory.report(&state)
	return state
}

// size is the number of bytes of a tensor.
func size(s shapes.Shape) int64 { return int64(s.ByteSize()) }

// safely turns a panic of the backend into an error of the request at hand.
func safely(do func() error) (err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			if failed, ok := panicked.(error); ok {
				err = failed
			} else {
				err = fmt.Errorf("%v", panicked)
			}
		}
	}()
	return do()
}

var errGone = errors.New("the client is gone")
