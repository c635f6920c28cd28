package checkpoint

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"sync"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/bfloat16"
	"github.com/gomlx/compute/dtypes/float16"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/safetensors"
)

// Progress is told how far something is that takes long: bytes done, and bytes in all. It is called from one goroutine at a time.
type Progress func(done, total int64)

// Load reads tensors by name as float32, bfloat16 or float16, each into its own buffer, rounded where they have more bits. Several cores
// read and convert at once. A nil progress is not told.
func (c *Checkpoint) Load(as dtypes.DType, progress Progress, names ...string) (map[string]*tensors.Tensor, error) {
	loaded := make(map[string]*tensors.Tensor, len(names))
	var all []block
	var total int64
	for _, name := range names {
		t, err := c.find(name)
		if err != nil {
			return nil, err
		}
		if !safetensors.Floating(t.DType) {
			return nil, fmt.Errorf("%s: tensor %q: got element type %s, wanted F32, F64, F16 or BF16", c.folder, name, t.DType)
		}
		if loaded[name] != nil {
			continue
		}
		loaded[name] = tensors.FromShape(shapes.Make(as, t.Shape...))
		all = append(all, t.blocks(loaded[name])...)
		total += int64(t.size()) * int64(safetensors.Size(t.DType))
	}
	if err := readAll(all, total, progress); err != nil {
		return nil, fmt.Errorf("%s: %w", c.folder, err)
	}
	return loaded, nil
}

// blockSize is how many bytes are read at once: small enough to be converted from the cache.
const blockSize = 1 << 18

// block is a part of a tensor on disk, and where its elements go.
type block struct {
	tensor Tensor
	offset int64 // in the file
	count  int
	store  func(data []byte) // converts the elements
}

// blocks cuts a tensor into parts. They write to the tensor's own buffer, which nobody else has yet, so that the biggest tensor,
// too, is read by all cores.
func (t Tensor) blocks(into *tensors.Tensor) (list []block) {
	var store func(from, to int, data []byte)
	switch into.DType() {
	case dtypes.BFloat16:
		tensors.MustMutableFlatData(into, func(flat []bfloat16.BFloat16) { store = storing(flat, t.DType, "BF16", bfloat16.FromFloat32) })
	case dtypes.Float16:
		tensors.MustMutableFlatData(into, func(flat []float16.Float16) { store = storing(flat, t.DType, "F16", float16.FromFloat32) })
	default:
		tensors.MustMutableFlatData(into, func(flat []float32) {
			store = func(from, to int, data []byte) { safetensors.ToFloat32(flat[from:to], t.DType, data) }
		})
	}
	size, all := safetensors.Size(t.DType), t.size()
	for from := 0; from < all; from += blockSize / size {
		to := min(all, from+blockSize/size)
		list = append(list, block{t, t.start + int64(from*size), to - from, func(data []byte) { store(from, to, data) }})
	}
	return list
}

// storing converts bytes of a file's type to elements of 16 bits, whose own type in files is named.
func storing[T ~uint16](flat []T, dtype, own string, round func(float32) T) func(from, to int, data []byte) {
	if dtype == own {
		return func(from, to int, data []byte) {
			for i := range flat[from:to] {
				flat[from+i] = T(binary.LittleEndian.Uint16(data[2*i:]))
			}
		}
	}
	return func(from, to int, data []byte) {
		values := make([]float32, to-from)
		safetensors.ToFloat32(values, dtype, data)
		for i, value := range values {
			flat[from+i] = round(value)
		}
	}
}

// read fills the block, by way of a buffer of blockSize, and returns how many bytes that took.
func (b block) read(buffer []byte) (int64, error) {
	data := buffer[:b.count*safetensors.Size(b.tensor.DType)]
	if n, err := b.tensor.file.ReadAt(data, b.offset); n < len(data) {
		return 0, fmt.Errorf("tensor %q: got %d bytes, wanted %d: %w", b.tensor.Name, n, len(data), err)
	}
	b.store(data)
	return int64(len(data)), nil
}

// readAll reads blocks on all cores, and stops at the first failure.
func readAll(all []block, total int64, progress Progress) error {
	var workers sync.WaitGroup
	var state sync.Mutex // guards next, done, failure, and calls of progress
	var next int
	var done int64
	var failure error
	take := func(read int64, err error) (b block, ok bool) {
		state.Lock()
		defer state.Unlock()
		if failure == nil {
			failure = err
		}
		if done += read; read > 0 && progress != nil {
			progress(done, total)
		}
		if failure != nil || next == len(all) {
			return block{}, false
		}
		next++
		return all[next-1], true
	}
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			buffer := make([]byte, blockSize)
			for b, ok := take(0, nil); ok; {
				read, err := b.read(buffer)
				b, ok = take(read, err)
			}
		})
	}
	workers.Wait()
	return failure
}
