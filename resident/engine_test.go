package resident_test

import (
	"fmt"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/gobackend"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"

	"github.com/govene/govene/resident"
	"github.com/govene/govene/resident/engine"
)

// pureGo is the Go backend, for tests of what does not depend on the backend.
func pureGo(t testing.TB) compute.Backend {
	t.Helper()
	b, err := gobackend.New("ops_sequential")
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func floats(t testing.TB, b compute.Backend, n int) compute.Buffer {
	t.Helper()
	buffer, err := b.BufferFromFlatData(0, make([]float32, n), shapes.Make(dtypes.Float32, n))
	if err != nil {
		t.Fatal(err)
	}
	return buffer
}

func stateOf(t testing.TB, b *resident.Backend) resident.State {
	t.Helper()
	state, err := b.State()
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// eventually waits until something holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for range 500 {
		if holds() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("in vain: ", what)
}

func square(x *graph.Node) *graph.Node { return graph.Mul(x, x) }

// Any number of clients that build the same graph have it compiled once.
func TestCompiledOnce(t *testing.T) {
	socket := serveOn(t, pureGo(t), engine.Options{})
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			got, err := graph.CallOnce(client(t, socket), square, []float32{float32(i)})
			if err != nil {
				t.Error(err)
			} else if want := []float32{float32(i * i)}; !slices.Equal(got.Value().([]float32), want) {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
	all.Wait()
	if n := stateOf(t, client(t, socket)).Programs; n != 1 {
		t.Errorf("%d programs, want 1", n)
	}
}

// Goroutines of one client get their own answers, to small calls and to large ones, and an error each once the engine has ended.
func TestAtOnce(t *testing.T) {
	socket := serveOn(t, pureGo(t), engine.Options{})
	b := client(t, socket)
	call, err := graph.NewExec(b, square)
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	const enough = 30
	ends := make(chan struct{})
	for i := range 8 {
		n := 1
		if i%4 == 0 {
			n = 20_000 // more than comes along with an answer
		}
		values := slices.Repeat([]float32{float32(i)}, n)
		all.Go(func() {
			for calls := 0; ; calls++ {
				if calls == enough {
					ends <- struct{}{}
				}
				got, err := call.Call1(values)
				switch {
				case err != nil && calls < enough:
					t.Error(err)
					ends <- struct{}{}
					return
				case err != nil:
					return
				case calls >= enough:
					continue
				}
				if flat := got.Value().([]float32); len(flat) != n || flat[0] != float32(i*i) || flat[n-1] != float32(i*i) {
					t.Errorf("%d: got %v …", i, flat[0])
				}
			}
		})
	}
	for range 8 {
		<-ends
	}
	if err := client(t, socket).Stop(); err != nil {
		t.Error(err)
	}
	all.Wait()
}

// Many goroutines of a client ask at the same time, and each has its answer, whoever reads it for it.
func TestManyAsk(t *testing.T) {
	b := client(t, serveOn(t, pureGo(t), engine.Options{}))
	exec, err := graph.NewExec(b, square)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 8)
	for i := range cap(done) {
		go func() {
			for range 1000 {
				if got, err := exec.Call1(float32(i)); err != nil || got.Value() != float32(i*i) {
					done <- fmt.Errorf("got %v, %v, want %d", got, err, i*i)
					return
				}
				if i%2 == 0 {
					runtime.Gosched()
				}
			}
			done <- nil
		}()
	}
	for range cap(done) {
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(time.Minute):
			t.Fatal("somebody waits for an answer that has come")
		}
	}
}

// What a client held is free when it is gone, and another cannot name it.
func TestClientGone(t *testing.T) {
	socket := serveOn(t, pureGo(t), engine.Options{})
	watcher := client(t, socket)
	gone := client(t, socket)
	held := floats(t, gone, 1<<20)
	if got := stateOf(t, gone).Used; got != 4<<20 {
		t.Errorf("%d bytes are used, want 4 MiB", got)
	}
	own := floats(t, watcher, 4) // has the same number as held
	values := make([]float32, 4)
	if err := own.ToFlatData(values); err != nil {
		t.Error(err)
	}
	gone.Finalize()
	eventually(t, "the memory of a client that is gone", func() bool { return stateOf(t, watcher).Used == 16 })
	runtime.KeepAlive(held)
}

func TestFreed(t *testing.T) {
	b := client(t, serveOn(t, pureGo(t), engine.Options{}))
	floats(t, b, 1<<20).Finalize()
	func() { floats(t, b, 1<<20) }()
	eventually(t, "the memory of a buffer that is garbage", func() bool { runtime.GC(); return stateOf(t, b).Used == 0 })
}

// A tensor or a result that does not fit is an error that says how much is missing, and nothing else is lost.
func TestLimit(t *testing.T) {
	b := client(t, serveOn(t, pureGo(t), engine.Options{Limit: 3 << 20}))
	first, second := floats(t, b, 1<<19), floats(t, b, 1<<19)
	err := second.ToFlatData(make([]float32, 1<<19))
	if err == nil || !strings.Contains(err.Error(), "it takes 2.0 MiB, and 1.0 MiB is missing") {
		t.Errorf("got %v", err)
	}
	if err := first.ToFlatData(make([]float32, 1<<19)); err != nil {
		t.Error(err)
	}
	_, err = graph.CallOnce(b, func(x *graph.Node) *graph.Node { return graph.BroadcastToDims(x, 1<<20) }, float32(1))
	if err == nil || !strings.Contains(err.Error(), "a value of shape (Float32)[1048576] takes 4.0 MiB, more than the 3.0 MiB") {
		t.Errorf("got %v", err)
	}
	second.Finalize()
	eventually(t, "what did not fit is not counted", func() bool { runtime.GC(); return stateOf(t, b).Used == 2<<20 })
	runtime.KeepAlive(first)
}

// Who speaks another version is told so.
func TestRefused(t *testing.T) {
	socket := serveOn(t, pureGo(t), engine.Options{})
	for said, want := range map[string]string{
		"govene-engine 99 x\n": "the client speaks version 99, this engine version 3",
		"govene-engine 3 x\n":  "built with different versions of GoMLX",
		"GET / HTTP/1.1\n":     "what called it is not its client",
	} {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(conn, said)
		answer := make([]byte, 1000)
		n, _ := conn.Read(answer)
		if !strings.Contains(string(answer[:n]), want) {
			t.Errorf("to %q the engine says %q", said, answer[:n])
		}
		conn.Close()
	}
}

// When the engine is gone those who wait are told, and so are those who come later.
func TestEngineGone(t *testing.T) {
	b := client(t, serveOn(t, pureGo(t), engine.Options{}))
	buffer := floats(t, b, 1<<20)
	if err := b.Stop(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end", func() bool { _, err := b.State(); return err != nil })
	if err := buffer.ToFlatData(make([]float32, 1<<20)); err == nil || !strings.Contains(err.Error(), "the engine is gone") {
		t.Errorf("got %v", err)
	}
}

func TestEndsWhenIdle(t *testing.T) {
	b := client(t, serveOn(t, pureGo(t), engine.Options{Idle: 50 * time.Millisecond}))
	time.Sleep(100 * time.Millisecond)
	stateOf(t, b) // is alive as long as there is a client
	b.Finalize()
}

// What was given to a program that could not run, as another of its inputs found no place, takes no memory: its client has no handle of it any
// more.
func TestGivenToAProgramThatCannotRun(t *testing.T) {
	b := client(t, serveOn(t, pureGo(t), engine.Options{Limit: 4000}))
	of := shapes.Make(dtypes.Float32, 500)
	builder := b.Builder("sum")
	f := builder.Main()
	x, err := f.Parameter("x", of, nil)
	if err != nil {
		t.Fatal(err)
	}
	y, err := f.Parameter("y", of, nil)
	if err == nil {
		x, err = f.Add(x, y)
	}
	if err == nil {
		err = f.Return([]compute.Value{x}, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	sum, err := builder.Compile()
	if err != nil {
		t.Fatal(err)
	}
	held := floats(t, b, 300)
	for range 2 {
		_, err = sum.Execute([]compute.Buffer{floats(t, b, 500), floats(t, b, 500)}, []bool{true, true}, 0)
		if err == nil || !strings.Contains(err.Error(), "input 1") || !strings.Contains(err.Error(), "is missing") {
			t.Errorf("got %v", err)
		}
		if state := stateOf(t, b); state.Used != 1200 {
			t.Errorf("the engine holds %d bytes, want 1200", state.Used)
		}
	}
	runtime.KeepAlive(held)
}
