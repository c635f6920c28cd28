package resident_test

import (
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"

	"github.com/govene/govene/resident"
	"github.com/govene/govene/resident/engine"
)

// fileOf writes float32 values behind eight other bytes.
func fileOf(t *testing.T, path string, values ...float32) {
	t.Helper()
	content := make([]byte, 8)
	for _, v := range values {
		content = binary.LittleEndian.AppendUint32(content, math.Float32bits(v))
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, b *resident.Backend, path string, n int) (compute.Buffer, []float32) {
	t.Helper()
	buffer, err := b.FileBuffer(0, path, 8, shapes.Make(dtypes.Float32, n))
	if err != nil {
		t.Fatal(err)
	}
	values := make([]float32, n)
	if err := buffer.ToFlatData(values); err != nil {
		t.Fatal(err)
	}
	return buffer, values
}

// Clients share what a file holds, it outlives them, and a file that has changed is read anew.
func TestFileBuffer(t *testing.T) {
	socket := serveOn(t, pureGo(t), engine.Options{})
	path := filepath.Join(t.TempDir(), "weights")
	fileOf(t, path, 1, 2, 3)
	first, second := client(t, socket), client(t, socket)
	for _, b := range []*resident.Backend{first, second} {
		if _, values := read(t, b, path, 3); !slices.Equal(values, []float32{1, 2, 3}) {
			t.Errorf("got %v", values)
		}
	}
	second.Finalize()
	eventually(t, "one client less", func() bool { return stateOf(t, first).Clients == 1 })
	if state := stateOf(t, first); state.Used != 12 || len(state.Weights) != 1 || state.Weights[0].Tensors != 1 {
		t.Errorf("the engine holds %+v, want 12 bytes in one tensor", state)
	}
	fileOf(t, path, 4, 5, 6, 7)
	if _, values := read(t, first, path, 3); !slices.Equal(values, []float32{4, 5, 6}) {
		t.Errorf("got %v of a file that has changed", values)
	}
	if _, err := first.FileBuffer(0, path, 8, shapes.Make(dtypes.Float32, 5)); err == nil || !strings.Contains(err.Error(), "24 bytes, too few") {
		t.Errorf("got %v", err)
	}
}

// A weight that is donated to a program stays what it is.
func TestFileBufferDonated(t *testing.T) {
	b := client(t, serve(t, engine.Options{}))
	path := filepath.Join(t.TempDir(), "weights")
	fileOf(t, path, 1, 2, 3)
	builder := b.Builder("negative")
	f := builder.Main()
	x, err := f.Parameter("x", shapes.Make(dtypes.Float32, 3), nil)
	if err == nil {
		x, err = f.Neg(x)
	}
	if err == nil {
		err = f.Return([]compute.Value{x}, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	negative, err := builder.Compile()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		buffer, _ := read(t, b, path, 3)
		outputs, err := negative.Execute([]compute.Buffer{buffer}, []bool{true}, 0)
		if err != nil {
			t.Fatal(err)
		}
		values := make([]float32, 3)
		if err := outputs[0].ToFlatData(values); err != nil || !slices.Equal(values, []float32{-1, -2, -3}) {
			t.Errorf("got %v, %v", values, err)
		}
		if _, err := buffer.Shape(); err == nil {
			t.Error("a buffer that was donated can be used")
		}
	}
}

// Weights that nobody holds make room, the longest unused first, and the log says so; those held stay.
func TestUnusedWeightsGo(t *testing.T) {
	var mu sync.Mutex
	var log []string
	b := client(t, serveOn(t, pureGo(t), engine.Options{Limit: 3 * 4000, Log: func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		if strings.Contains(format, "make room") {
			log = append(log, args[0].(interface{ String() string }).String())
		}
	}}))
	folder := t.TempDir()
	names := []string{"old", "new", "held"}
	var held []compute.Buffer
	for _, name := range names {
		fileOf(t, filepath.Join(folder, name), make([]float32, 1000)...)
		buffer, _ := read(t, b, filepath.Join(folder, name), 1000)
		held = append(held, buffer)
	}
	for _, buffer := range held[:2] {
		buffer.Finalize()
		stateOf(t, b) // frees it
		time.Sleep(2 * time.Millisecond)
	}
	all := floats(t, b, 1000)
	if err := all.ToFlatData(make([]float32, 1000)); err != nil {
		t.Error(err)
	}
	mu.Lock()
	if len(log) != 1 || !strings.Contains(log[0], "old") {
		t.Errorf("%q made room", log)
	}
	mu.Unlock()
	another := floats(t, b, 1000)
	if err := floats(t, b, 1000).ToFlatData(make([]float32, 1000)); err == nil || !strings.Contains(err.Error(), "is missing") {
		t.Errorf("got %v", err)
	}
	if err := held[2].ToFlatData(make([]float32, 1000)); err != nil {
		t.Error(err)
	}
	runtime.KeepAlive([]compute.Buffer{all, another})
}
