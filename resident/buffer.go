package resident

import (
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/pkg/errors"

	"github.com/govene/govene/resident/internal/wire"
)

// buffer is a handle of a tensor in the engine, which frees it when the handle is finalized, collected as garbage, or gone with its client.
type buffer struct {
	backend *Backend
	number  uint64
	device  compute.DeviceNum
	shape   shapes.Shape
	content []byte // what came along with the answer that made it
	freed   *atomic.Bool
}

var _ compute.Buffer = (*buffer)(nil)

func (b *Backend) newBuffer(device compute.DeviceNum, shape shapes.Shape) *buffer {
	return b.handle(b.last.Add(1), device, shape)
}

func (b *Backend) handle(number uint64, device compute.DeviceNum, shape shapes.Shape) *buffer {
	made := &buffer{backend: b, number: number, device: device, shape: shape, freed: new(atomic.Bool)}
	freed := made.freed
	runtime.AddCleanup(made, func(number uint64) {
		if !freed.Load() {
			b.free(number)
		}
	}, number)
	return made
}

// free tells the engine that a buffer is not needed any more.
func (b *Backend) free(number uint64) error {
	var w wire.Writer
	w.Uint(1)
	w.Uint(number)
	return b.calls.tell(wire.Free, w.Bytes, nil)
}

func (b *buffer) Backend() compute.Backend { return b.backend }

func (b *buffer) Finalize() error {
	if b.freed.Swap(true) || b.backend.calls.closed() != nil {
		return nil
	}
	b.content = nil
	return b.backend.free(b.number)
}

var errFreed = errors.New("the buffer was finalized, or given to a program")

func (b *buffer) Shape() (shapes.Shape, error) {
	if b.freed.Load() {
		return shapes.Invalid(), errFreed
	}
	return b.shape, nil
}

func (b *buffer) DeviceNum() (compute.DeviceNum, error) { return b.device, nil }

func (b *buffer) ToFlatData(flat any) error {
	to := dtypes.UnsafeByteSliceFromAny(flat)
	if b.freed.Load() {
		return errFreed
	}
	if len(to) != int(b.shape.ByteSize()) {
		return errors.Errorf("a slice of %d bytes for a tensor of shape %s", len(to), b.shape)
	}
	if b.content != nil {
		copy(to, b.content)
		return nil
	}
	if len(to) == 0 {
		return nil
	}
	var w wire.Writer
	w.Uint(b.number)
	_, err := b.backend.calls.ask(wire.Read, w.Bytes, nil, to)
	runtime.KeepAlive(b)
	return err
}

func (b *buffer) Data() (any, error) {
	return nil, errors.New("the memory of a resident backend is the engine's")
}

func (b *buffer) CopyToDevice(device compute.DeviceNum) (compute.Buffer, error) {
	if b.freed.Load() {
		return nil, errFreed
	}
	made := b.backend.newBuffer(device, b.shape)
	var w wire.Writer
	w.Uint(b.number)
	w.Uint(made.number)
	w.Int(int64(device))
	if _, err := b.backend.calls.ask(wire.Copy, w.Bytes, nil); err != nil {
		made.freed.Store(true)
		return nil, err
	}
	runtime.KeepAlive(b)
	return made, nil
}

// executable is a program that the engine has compiled.
type executable struct {
	backend  *Backend
	name     string
	number   uint64
	names    []string
	inputs   []shapes.Shape
	outputs  []shapes.Shape
	dropping *sync.Once
}

var _ compute.Executable = (*executable)(nil)

func (e *executable) Inputs() ([]string, []shapes.Shape) { return e.names, e.inputs }

func (e *executable) Outputs() []shapes.Shape { return e.outputs }

func (e *executable) Finalize() { e.backend.drop(e.number, e.dropping) }

func (b *Backend) drop(number uint64, once *sync.Once) {
	once.Do(func() {
		var w wire.Writer
		w.Uint(number)
		b.calls.tell(wire.Drop, w.Bytes, nil)
	})
}
