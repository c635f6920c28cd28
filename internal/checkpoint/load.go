package checkpoint

import (
	"fmt"
	"runtime"
	"sync"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/safetensors"
)

// Progress is told how far something is that takes long: bytes done, and bytes in all. It is called from one goroutine at a time.
type Progress func(done, total int64)

// Load reads tensors by name as float32, each into its own buffer; float64 is rounded. Several cores read and convert at once.
// A nil progress is not told.
func (c *Checkpoint) Load(progress Progress, names ...string) (map[string]*tensors.Tensor, error) {
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
		loaded[name] = tensors.FromShape(shapes.Make(dtypes.Float32, t.Shape...))
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
	values []float32
}

// blocks cuts a tensor into parts. They write to the tensor's own buffer, which nobody else has yet, so that the biggest tensor,
// too, is read by all cores.
func (t Tensor) blocks(into *tensors.Tensor) (list []block) {
	var values []float32
	tensors.MustMutableFlatData(into, func(flat []float32) { values = flat })
	size := safetensors.Size(t.DType)
	for offset := t.start; len(values) > 0; {
		count := min(len(values), blockSize/size)
		list = append(list, block{t, offset, values[:count]})
		values = values[count:]
		offset += int64(count * size)
	}
	return list
}

// read fills the block, by way of a buffer of blockSize, and returns how many bytes that took.
func (b block) read(buffer []byte) (int64, error) {
	data := buffer[:len(b.values)*safetensors.Size(b.tensor.DType)]
	if n, err := b.tensor.file.ReadAt(data, b.offset); n < len(data) {
		return 0, fmt.Errorf("tensor %q: got %d bytes, wanted %d: %w", b.tensor.Name, n, len(data), err)
	}
	safetensors.ToFloat32(b.values, b.tensor.DType, data)
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
