package stored

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"runtime"
	"sync"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/bfloat16"
	"github.com/gomlx/compute/dtypes/float16"
	"github.com/gomlx/compute/shapes"

	"github.com/govene/govene/internal/refusal"
	"github.com/govene/govene/internal/safetensors"
)

// blockElements is how many elements are read at once: few enough to be converted from the cache.
const blockElements = 1 << 16

// block is a part of a piece.
type block struct {
	Piece
	from, to int64 // elements of the piece
	into     int64 // where they go: the number of the first
	twin     bool  // they are compared with what is there
}

// Read reads the tensor on all cores into memory of its size. An error of its values names the piece and the first element. Read may be told
// how many bytes of files are done; from one goroutine at a time.
func (t *Tensor) Read(into []byte, progress func(bytes int64)) error {
	if err := t.Check(); err != nil {
		return err
	}
	if int64(len(into)) != int64(t.As.ByteSize()) {
		return fmt.Errorf("%d bytes of memory for a tensor of shape %s", len(into), t.As)
	}
	if err := t.checkFiles(); err != nil {
		return err
	}
	var blocks, compared []block
	for i, p := range t.Places() {
		list, first := &blocks, int64(i)*t.count()
		twin := i == len(t.Pieces)
		if twin {
			list, first = &compared, 0
		}
		for from := int64(0); from < t.count(); from += blockElements {
			*list = append(*list, block{p, from, min(from+blockElements, t.count()), first + from, twin})
		}
	}
	for _, list := range [][]block{blocks, compared} {
		if err := t.readAll(list, into, progress); err != nil {
			return err
		}
	}
	return t.checkFiles() // nobody has written while they were read
}

func (t *Tensor) checkFiles() error {
	var last *File
	for _, p := range t.Places() {
		if p.File == last {
			continue
		}
		if err := p.File.check(); err != nil {
			return err
		}
		last = p.File
	}
	return nil
}

// readAll reads blocks on all cores. They are begun in order and those begun are finished, so that of several failures the first is told.
func (t *Tensor) readAll(list []block, into []byte, progress func(int64)) error {
	var state sync.Mutex // guards next, failed, failure, and calls of progress
	next, failed := 0, len(list)
	var failure error
	work := func() {
		r := readers.Get().(*reader)
		defer readers.Put(r)
		state.Lock()
		defer state.Unlock()
		for next < min(len(list), failed) {
			at := next
			next++
			state.Unlock()
			err := r.read(t, list[at], into)
			state.Lock()
			if err != nil && at < failed {
				failed, failure = at, err
			}
			if progress != nil {
				progress(list[at].size())
			}
		}
	}
	var workers sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(list)) - 1 {
		workers.Go(work)
	}
	work()
	workers.Wait()
	return failure
}

// size is the bytes of a block in its file.
func (b block) size() int64 { return (b.to - b.from) * int64(safetensors.Size(b.DType)) }

// where is the block's tensor in words.
func (b block) where() string { return b.File.Path + ", " + b.Name }

// reader reads blocks, one at a time.
type reader struct {
	raw, twin []byte
	wide      []float32
}

// readers are kept for the next tensor: a model has hundreds, and Go collects what they leave only once it has come to much.
var readers = sync.Pool{New: func() any { return new(reader) }}

func (r *reader) read(t *Tensor, b block, into []byte) error {
	size := int64(t.As.DType.Size())
	there := into[b.into*size : (b.into+b.to-b.from)*size]
	to := there
	if b.twin {
		r.twin = sized(r.twin, len(to))
		to = r.twin
	}
	raw, asIs := to, littleEndian && b.DType == own[t.As.DType]
	if !asIs {
		r.raw = sized(r.raw, int(b.size()))
		raw = r.raw
	}
	if n, err := b.File.file.ReadAt(raw, b.Offset+b.from*int64(safetensors.Size(b.DType))); n < len(raw) {
		return fmt.Errorf("%s, tensor %q: got %d bytes, wanted %d: %w", b.File.Path, b.Name, n, len(raw), err)
	}
	if !asIs {
		r.convert(t.As.DType, to, b.DType)
	}
	if at := notFinite(t.As.DType, to); at >= 0 {
		shape := shapes.Make(t.As.DType, int(t.count()))
		if len(t.Pieces) == 1 {
			shape = t.As
		}
		return &refusal.Error{Where: b.where(), Axis: fmt.Sprintf("element %d of %s", int(b.from)+at, shape),
			Got: fmt.Sprint(element(t.As.DType, to, at)), Wanted: "a finite number"}
	}
	if b.twin && !bytes.Equal(to, there) {
		return &refusal.Error{Where: b.where(), Got: "other values than in " + t.Pieces[0].Name, Wanted: "the same, as they are tied"}
	}
	return nil
}

func sized(buffer []byte, size int) []byte {
	if cap(buffer) < size {
		return make([]byte, size)
	}
	return buffer[:size]
}

// convert writes what was read as elements of a type.
func (r *reader) convert(as dtypes.DType, to []byte, dtype string) {
	count := len(to) / as.Size()
	if cap(r.wide) < count {
		r.wide = make([]float32, count)
	}
	wide := r.wide[:count]
	safetensors.ToFloat32(wide, dtype, r.raw)
	switch as {
	case dtypes.BFloat16:
		for i, value := range wide {
			binary.NativeEndian.PutUint16(to[2*i:], uint16(bfloat16.FromFloat32(value)))
		}
	case dtypes.Float16:
		for i, value := range wide {
			binary.NativeEndian.PutUint16(to[2*i:], uint16(float16.FromFloat32(value)))
		}
	default:
		for i, value := range wide {
			binary.NativeEndian.PutUint32(to[4*i:], math.Float32bits(value))
		}
	}
}

// own are the names that files have for the types that are read.
var own = map[dtypes.DType]string{dtypes.Float32: "F32", dtypes.BFloat16: "BF16", dtypes.Float16: "F16"}

var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// notFinite is the first element that is none, −1 if there is none.
func notFinite(dtype dtypes.DType, data []byte) int {
	if dtype == dtypes.Float32 {
		for i := 0; i+4 <= len(data); i += 4 {
			if binary.NativeEndian.Uint32(data[i:])&0x7f800000 == 0x7f800000 {
				return i / 4
			}
		}
		return -1
	}
	exponent := uint16(0x7f80)
	if dtype == dtypes.Float16 {
		exponent = 0x7c00
	}
	for i := 0; i+2 <= len(data); i += 2 {
		if binary.NativeEndian.Uint16(data[i:])&exponent == exponent {
			return i / 2
		}
	}
	return -1
}

// element is a number among others.
func element(dtype dtypes.DType, data []byte, at int) float64 {
	switch dtype {
	case dtypes.BFloat16:
		return bfloat16.BFloat16(binary.NativeEndian.Uint16(data[2*at:])).Float64()
	case dtypes.Float16:
		return float64(float16.Float16(binary.NativeEndian.Uint16(data[2*at:])).Float32())
	}
	return float64(math.Float32frombits(binary.NativeEndian.Uint32(data[4*at:])))
}
