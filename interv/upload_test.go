package interv

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/gobackend"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/garbage"
	"github.com/govene/govene/internal/stored"
)

// reads is a backend that reads files itself, all but one.
type reads struct {
	compute.Backend
	asked  [][]int64 // offsets
	except int64
}

// readHere is a buffer of it.
type readHere struct {
	compute.Buffer
	of *reads
}

func (p readHere) Backend() compute.Backend { return p.of }

func (r *reads) FileBuffers(device compute.DeviceNum, list []*stored.Tensor) (buffers []compute.Buffer, err error) {
	var offsets []int64
	for _, t := range list {
		offsets = append(offsets, t.Pieces[0].Offset)
		values := make([]float32, t.As.Size())
		for i := range values {
			values[i] = float32(t.Pieces[0].Offset) + float32(i)
		}
		buffer, err := r.BufferFromFlatData(device, values, t.As)
		if err != nil {
			return nil, err
		}
		if t.Pieces[0].Offset == r.except {
			buffers = append(buffers, nil)
		} else {
			buffers = append(buffers, readHere{buffer, r})
		}
	}
	r.asked = append(r.asked, offsets)
	return buffers, nil
}

// inFile are weights of two numbers each in one file: their offset, and one more.
func inFile(t *testing.T, count int) (expected []WeightShape, places map[string]*stored.Tensor) {
	var content []byte
	for i := range 2 * count {
		content = binary.LittleEndian.AppendUint32(content, math.Float32bits(float32(8*(i/2)+i%2)))
	}
	path := filepath.Join(t.TempDir(), "weights")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := stored.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	places = map[string]*stored.Tensor{}
	for i := range count {
		name := fmt.Sprint(i)
		expected = append(expected, WeightShape{name, []int{2}})
		places[name] = &stored.Tensor{As: shapes.Make(dtypes.Float32, 2), Pieces: []stored.Piece{{Name: name, File: file, Offset: int64(8 * i), DType: "F32"}}}
	}
	return expected, places
}

// A backend that reads files is asked for each weight once, some at a time, what it cannot read is read here, and each byte is told once, also
// of a weight that was read before.
func TestWeightsAreAskedForInParts(t *testing.T) {
	defer func(before int64) { readAtOnce = before }(readAtOnce)
	readAtOnce = 16
	b, err := gobackend.New("ops_sequential")
	if err != nil {
		t.Fatal(err)
	}
	expected, places := inFile(t, 5)
	var told []int64
	w, err := StoredWeights(expected, places, func(done, total int64) { told = append(told, done, total) })
	if err != nil {
		t.Fatal(err)
	}
	w.Tensor("3")
	backend := &reads{Backend: b, except: 16}
	for range 2 {
		if err := w.Upload(backend); err != nil {
			t.Fatal(err)
		}
	}
	if got := fmt.Sprint(backend.asked); got != "[[0 8] [16 24] [32]]" {
		t.Errorf("asked for %s", got)
	}
	if want := []int64{8, 40, 24, 40, 32, 40, 40, 40}; !slices.Equal(told, want) {
		t.Errorf("told %v, wanted %v", told, want)
	}
	var released garbage.Bytes
	if err := w.bring(backend, "0", &released); err != nil || released != 0 {
		t.Errorf("of a weight that the backend read %d bytes were let go here (%v)", released, err)
	}
	for i, name := range w.Names() {
		if got := tensors.MustCopyFlatData[float32](w.Tensor(name)); !slices.Equal(got, []float32{float32(8 * i), float32(8*i + 1)}) {
			t.Errorf("%s: got %v", name, got)
		}
	}
}

// ends is a backend that reads files itself, some, and then is gone.
type ends struct {
	reads
	gone bool
}

func (e *ends) FileBuffers(device compute.DeviceNum, list []*stored.Tensor) ([]compute.Buffer, error) {
	if e.gone = len(e.asked) > 0; e.gone {
		return nil, errors.New("the engine is gone")
	}
	return e.reads.FileBuffers(device, list)
}

func (e *ends) Gone() bool { return e.gone }

// What a backend had read that was gone before the last weight is read again for another.
func TestUploadAfterOneThatBrokeOff(t *testing.T) {
	defer func(before int64) { readAtOnce = before }(readAtOnce)
	readAtOnce = 16
	b, err := gobackend.New("ops_sequential")
	if err != nil {
		t.Fatal(err)
	}
	expected, places := inFile(t, 5)
	w, err := StoredWeights(expected, places, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Upload(&ends{reads: reads{Backend: b, except: -1}}); err == nil || !strings.Contains(err.Error(), "gone") {
		t.Fatalf("got %v", err)
	}
	if err := w.Upload(b); err != nil { // which reads no files itself
		t.Fatal(err)
	}
	for _, name := range w.Names() {
		if buffer, err := w.Tensor(name).Buffer(b, 0); err != nil || buffer.Backend() != b {
			t.Errorf("%s is on the backend that is gone (%v)", name, err)
		}
	}
}

// Who is told how far reading is may ask for weights, read or not; while it does, others read on and it is told of that after, by one
// goroutine at a time.
func TestWhoIsToldMayAskForWeights(t *testing.T) {
	expected, places := inFile(t, 5)
	backend, err := gobackend.New("ops_sequential")
	if err != nil {
		t.Fatal(err)
	}
	for name, read := range map[string]func(w *Weights) error{
		"Upload": func(w *Weights) error { return w.Upload(backend) },
		"Values": func(w *Weights) error { _, err := w.Values(); return err },
		"Tensor": func(w *Weights) error { w.Tensor("4"); return nil },
	} {
		var w *Weights
		var told []int64
		var inside atomic.Int32
		w, err := StoredWeights(expected, places, func(done, total int64) {
			if inside.Add(1) > 1 {
				t.Errorf("%s: told by two goroutines at a time", name)
			}
			defer inside.Add(-1)
			told = append(told, done)
			w.Tensor("2")
			var other sync.WaitGroup
			other.Go(func() { w.Tensor("3") })
			other.Wait()
			w.All()
		})
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error)
		go func() { ended <- read(w) }()
		select {
		case err := <-ended:
			if want := []int64{8, 40}; err != nil || !slices.Equal(told, want) {
				t.Errorf("%s: told %v, %v, wanted %v", name, told, err, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("%s waits for ever", name)
		}
	}
}
