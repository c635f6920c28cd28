package engine

import (
	"errors"
	"fmt"
	"io"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"

	"github.com/govene/govene/resident/internal/program"
	"github.com/govene/govene/resident/internal/wire"
)

// create makes a buffer of the bytes that follow. Nobody waits for it, so what goes wrong is kept with it.
func (s *session) create(r *wire.Reader, data uint64) error {
	id, device, shape := r.Uint(), compute.DeviceNum(r.Int()), program.ReadShape(r)
	if err := r.End(); err != nil {
		return err
	}
	if !shape.Ok() || shape.IsDynamic() || uint64(size(shape)) != data {
		return fmt.Errorf("%d bytes for a tensor of shape %s", data, shape)
	}
	b := &buffer{shape: shape, size: size(shape), uses: 1}
	content := &io.LimitedReader{R: s.in, N: int64(data)}
	read := func(into []byte) error { _, err := io.ReadFull(content, into); return err }
	if b.err = s.memory.reserve(b.size); b.err != nil {
		b.size = 0
	} else if b.err = safely(func() (err error) { b.buf, err = fill(s.backend, device, shape, read); return err }); b.err != nil {
		s.memory.release(b.size)
		b.size = 0
	}
	if _, err := io.Copy(io.Discard, content); err != nil || content.N > 0 {
		s.release(b)
		return errors.Join(errGone, err)
	}
	s.keep(id, b)
	return nil
}

// fill makes a buffer of bytes that are read. Large ones are read to where they stay, if the backend shares its memory.
func fill(backend compute.Backend, device compute.DeviceNum, shape shapes.Shape, read func(into []byte) error) (compute.Buffer, error) {
	if int(device) < 0 || int(device) >= backend.NumDevices() {
		return nil, fmt.Errorf("there is no device %d", device)
	}
	const small = 64 << 10
	if size(shape) > small && backend.HasSharedBuffers() {
		buf, flat, err := backend.NewSharedBuffer(device, shape)
		if err != nil {
			return nil, err
		}
		if err := read(dtypes.UnsafeByteSliceFromAny(flat)); err != nil {
			buf.Finalize()
			return nil, err
		}
		return buf, nil
	}
	flat := dtypes.MakeAnySlice(shape.DType, shape.Size())
	bytes := dtypes.UnsafeByteSliceFromAny(flat)
	if int64(len(bytes)) != size(shape) {
		return nil, fmt.Errorf("elements of type %s can't be sent", shape.DType)
	}
	if err := read(bytes); err != nil {
		return nil, err
	}
	return backend.BufferFromFlatData(device, flat, shape)
}

// keep gives a buffer the number that the client chose; a client that is gone, or that has one of that number, gets none.
func (s *session) keep(id uint64, b *buffer) bool {
	s.mu.Lock()
	_, taken := s.buffers[id]
	ok := s.gone.Err() == nil && !taken
	if ok {
		s.buffers[id] = b
	}
	s.mu.Unlock()
	if !ok {
		s.release(b)
	}
	return ok
}

// hold finds a buffer and holds it for a use.
func (s *session) hold(id uint64) (*buffer, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buffers[id]
	if b == nil {
		return nil, fmt.Errorf("there is no buffer %d", id)
	}
	if b.err != nil {
		return nil, b.err
	}
	b.uses++
	return b, nil
}

// free ends the client's handle of a buffer.
func (s *session) free(id uint64) {
	s.mu.Lock()
	b := s.buffers[id]
	delete(s.buffers, id)
	s.mu.Unlock()
	if b != nil {
		s.release(b)
	}
}

// release ends a use of a buffer; after the last its memory is free.
func (s *session) release(b *buffer) {
	s.mu.Lock()
	b.uses--
	last := b.uses == 0
	s.mu.Unlock()
	if !last {
		return
	}
	if b.weight != nil {
		s.memory.letGo(b.weight)
		return
	}
	if b.buf != nil {
		b.buf.Finalize()
	}
	s.memory.release(b.size)
}

// using does something with a buffer, later.
func (s *session) using(f wire.Frame, id uint64, do func(*buffer) error) error {
	b, err := s.hold(id)
	if err != nil {
		s.fail(f.Request, err)
		return nil
	}
	s.later(f, func() error {
		defer s.release(b)
		return do(b)
	})
	return nil
}

// read sends a buffer's bytes.
func (s *session) read(request uint32, b *buffer) error {
	content, err := contentOf(s.backend, b)
	if err != nil {
		return err
	}
	s.answer(request, nil, content)
	return nil
}

// contentOf is a buffer's bytes: where they lie, if the backend shares its memory.
func contentOf(backend compute.Backend, b *buffer) ([]byte, error) {
	if b.size == 0 {
		return nil, nil
	}
	if backend.HasSharedBuffers() {
		flat, err := b.buf.Data()
		if err != nil {
			return nil, err
		}
		return dtypes.UnsafeByteSliceFromAny(flat), nil
	}
	flat := dtypes.MakeAnySlice(b.shape.DType, b.shape.Size())
	if err := b.buf.ToFlatData(flat); err != nil {
		return nil, err
	}
	return dtypes.UnsafeByteSliceFromAny(flat), nil
}

// copyTo copies a buffer to another device.
func (s *session) copyTo(request uint32, b *buffer, to uint64, device compute.DeviceNum) error {
	if err := s.memory.reserve(b.size); err != nil {
		return err
	}
	buf, err := b.buf.CopyToDevice(device)
	if err != nil {
		s.memory.release(b.size)
		return err
	}
	if !s.keep(to, &buffer{buf: buf, shape: b.shape, size: b.size, uses: 1}) {
		return fmt.Errorf("there is a buffer %d already", to)
	}
	s.answer(request, nil, nil)
	return nil
}
