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
	"github.com/gomlx/compute/dtypes/bfloat16"
	"github.com/gomlx/compute/shapes"

	"github.com/govene/govene/internal/stored"
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

// placed is where the values of such a file lie.
func placed(t *testing.T, path string, as dtypes.DType, n int) *stored.Tensor {
	t.Helper()
	file, err := stored.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return &stored.Tensor{As: shapes.Make(as, n), Pieces: []stored.Piece{{Name: "values", File: file, Offset: 8, DType: "F32"}}}
}

func read(t *testing.T, b *resident.Backend, path string, n int) (compute.Buffer, []float32) {
	t.Helper()
	buffers, err := b.FileBuffers(0, []*stored.Tensor{placed(t, path, dtypes.Float32, n)})
	if err != nil || buffers[0] == nil {
		t.Fatal(buffers, err)
	}
	buffer := buffers[0]
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
	before, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(20 * time.Millisecond) // the clock of file systems has ticks of up to 10 ms
	fileOf(t, path, 7, 8, 9, 10)      // of the same size and, on Linux and macOS, time
	modified := before.ModTime()
	if runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
		modified = time.Unix(1, 0)
	}
	if err := os.Chtimes(path, time.Time{}, modified); err != nil {
		t.Fatal(err)
	}
	if _, values := read(t, first, path, 3); !slices.Equal(values, []float32{7, 8, 9}) {
		t.Errorf("got %v of a file that has changed again", values)
	}
	if _, err := first.FileBuffers(0, []*stored.Tensor{placed(t, path, dtypes.Float32, 5)}); err == nil || !strings.Contains(err.Error(), "24 bytes, too few") {
		t.Errorf("got %v", err)
	}
}

// What is converted is kept converted, once for all clients and beside what others want of the same place.
func TestFileBuffersAreConvertedOnce(t *testing.T) {
	socket := serveOn(t, pureGo(t), engine.Options{})
	path := filepath.Join(t.TempDir(), "weights")
	fileOf(t, path, 1, -2, 3.0009765625)
	for _, b := range []*resident.Backend{client(t, socket), client(t, socket)} {
		for _, as := range []dtypes.DType{dtypes.BFloat16, dtypes.Float32} {
			buffers, err := b.FileBuffers(0, []*stored.Tensor{placed(t, path, as, 3)})
			if err != nil || buffers[0] == nil {
				t.Fatal(buffers, err)
			}
			if as == dtypes.BFloat16 {
				values := make([]bfloat16.BFloat16, 3)
				if err := buffers[0].ToFlatData(values); err != nil || values[2].Float32() != 3 {
					t.Errorf("got %v, %v", values, err)
				}
			}
		}
		if state := stateOf(t, b); state.Used != 3*(2+4) || len(state.Weights) != 1 || state.Weights[0].Tensors != 2 {
			t.Errorf("the engine holds %+v, want two tensors of 18 bytes", state)
		}
	}
}

// What an engine cannot read is nil, and nothing is held for it: a number that is not finite, a file that has changed, one that is not there.
// What does not fit beside what others hold is an error.
func TestFileBuffersThatAreNone(t *testing.T) {
	b := client(t, serveOn(t, pureGo(t), engine.Options{Limit: 8}))
	folder := t.TempDir()
	path := func(name string) string { return filepath.Join(folder, name) }
	fileOf(t, path("nan"), 1, float32(math.NaN()))
	fileOf(t, path("changed"), 1, 2)
	fileOf(t, path("gone"), 1, 2)
	fileOf(t, path("there"), 1, 2)
	list := []*stored.Tensor{placed(t, path("nan"), dtypes.Float32, 2), placed(t, path("changed"), dtypes.Float32, 2),
		placed(t, path("gone"), dtypes.Float32, 2), placed(t, path("there"), dtypes.Float32, 2)}
	fileOf(t, path("changed"), 1, 2, 3)
	if err := os.Remove(path("gone")); err != nil {
		t.Fatal(err)
	}
	buffers, err := b.FileBuffers(0, list)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{false, false, false, true} {
		if got := buffers[i] != nil; got != want {
			t.Errorf("%s: got %v", list[i].Pieces[0].File.Path, buffers[i])
		}
	}
	if state := stateOf(t, b); state.Used != 8 {
		t.Errorf("the engine holds %+v, want 8 bytes", state)
	}
	_, err = b.FileBuffers(0, []*stored.Tensor{list[3], placed(t, path("there"), dtypes.BFloat16, 1)})
	if err == nil || !strings.Contains(err.Error(), "2 bytes is missing") {
		t.Errorf("got %v", err)
	}
	buffers[3].Finalize()
	eventually(t, "the tensor that was made for the request that failed is given back", func() bool {
		return stateOf(t, b).Weights[0].Held == 0
	})
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
			log = append(log, args[0].(string))
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

// What could not be read is not remembered: files in a folder that is moved away are none, and read when it is back.
func TestFileBufferOfAFileThatComesBack(t *testing.T) {
	b := client(t, serveOn(t, pureGo(t), engine.Options{}))
	folder := filepath.Join(t.TempDir(), "model")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(folder, "weights")
	fileOf(t, path, 1, 2)
	list := []*stored.Tensor{placed(t, path, dtypes.Float32, 2)}
	if err := os.Rename(folder, folder+".away"); err != nil {
		t.Fatal(err)
	}
	if buffers, err := b.FileBuffers(0, list); err != nil || buffers[0] != nil {
		t.Errorf("got %v, %v of a file that is not there", buffers, err)
	}
	if state := stateOf(t, b); state.Used != 0 || len(state.Weights) != 0 {
		t.Errorf("the engine holds %+v for what it has not read", state)
	}
	if err := os.Rename(folder+".away", folder); err != nil {
		t.Fatal(err)
	}
	if buffers, err := b.FileBuffers(0, list); err != nil || buffers[0] == nil {
		t.Errorf("got %v, %v of a file that is back", buffers, err)
	}
}

// Weights that several clients hold stay until the last lets go, whoever asked first.
func TestSharedWeightsStay(t *testing.T) {
	socket := serveOn(t, pureGo(t), engine.Options{Limit: 4000})
	path := filepath.Join(t.TempDir(), "weights")
	fileOf(t, path, make([]float32, 500)...)
	first, second := client(t, socket), client(t, socket)
	mine, _ := read(t, first, path, 500)
	others, _ := read(t, second, path, 500)
	mine.Finalize()
	stateOf(t, first) // frees it
	if err := floats(t, first, 700).ToFlatData(make([]float32, 700)); err == nil || !strings.Contains(err.Error(), "is missing") {
		t.Errorf("got %v, wanted no room beside what another holds", err)
	}
	if err := others.ToFlatData(make([]float32, 500)); err != nil {
		t.Error(err)
	}
	others.Finalize()
	stateOf(t, second)
	if err := floats(t, first, 700).ToFlatData(make([]float32, 700)); err != nil {
		t.Error(err)
	}
}
