package engine

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"

	"github.com/govene/govene/resident/internal/program"
	"github.com/govene/govene/resident/internal/wire"
)

// session is one client. Requests are taken in order; those that may take long are answered when they are done.
type session struct {
	*engine
	conn net.Conn
	in   *bufio.Reader

	sending sync.Mutex
	working sync.WaitGroup

	mu       sync.Mutex
	closed   bool
	buffers  map[uint64]*buffer
	programs map[uint64]*compiled
	next     uint64 // number of the next program
}

// buffer is a client's tensor, or what went wrong when it was made.
type buffer struct {
	buf    compute.Buffer
	err    error
	shape  shapes.Shape
	size   int64
	weight *weight // whose tensor it is
	uses   int     // the client's handle, and executions
}

func newSession(e *engine, conn net.Conn, in *bufio.Reader) *session {
	return &session{engine: e, conn: conn, in: in, buffers: map[uint64]*buffer{}, programs: map[uint64]*compiled{}}
}

// serve takes requests until the client is gone or sends what is none.
func (s *session) serve() error {
	about, err := s.about()
	if err != nil {
		return err
	}
	s.answer(0, nil, about)
	for {
		f, err := wire.ReadFrame(s.in)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := s.handle(f); err != nil {
			return err
		}
	}
}

// handle takes one request. An error ends the session: the bytes that follow can't be understood any more.
func (s *session) handle(f wire.Frame) error {
	r := &wire.Reader{Bytes: f.Message}
	if f.Data > 0 && f.Kind != wire.Create && f.Kind != wire.Compile && f.Kind != wire.Probe {
		return fmt.Errorf("a frame of kind %d with data", f.Kind)
	}
	switch f.Kind {
	case wire.Create:
		return s.create(r, f.Data)
	case wire.Compile, wire.Probe:
		code, err := s.readCode(f.Data)
		if err != nil {
			return err
		}
		if f.Kind == wire.Probe {
			s.later(f, func() error { return s.probe(f.Request, code) })
			return nil
		}
		name := r.Text()
		if err := r.End(); err != nil {
			return err
		}
		s.later(f, func() error { return s.compile(f.Request, name, code) })
	case wire.Execute:
		return s.execute(f, r)
	case wire.File:
		return s.file(f, r)
	case wire.Read:
		id := r.Uint()
		if err := r.End(); err != nil {
			return err
		}
		return s.using(f, id, func(b *buffer) error { return s.read(f.Request, b) })
	case wire.Copy:
		id, to, device := r.Uint(), r.Uint(), compute.DeviceNum(r.Int())
		if err := r.End(); err != nil {
			return err
		}
		return s.using(f, id, func(b *buffer) error { return s.copyTo(f.Request, b, to, device) })
	case wire.Free:
		for n := r.Count(); n > 0; n-- {
			s.free(r.Uint())
		}
		return r.End()
	case wire.Drop:
		s.drop(r.Uint())
		return r.End()
	case wire.Status:
		state, err := json.Marshal(s.status())
		if err != nil {
			return err
		}
		s.answer(f.Request, nil, state)
	case wire.Stop:
		s.answer(f.Request, nil, nil)
		s.stop()
	default:
		return fmt.Errorf("a frame of kind %d is no request", f.Kind)
	}
	return nil
}

// later does something that may take long, and answers with its error if it has one.
func (s *session) later(f wire.Frame, do func() error) {
	s.working.Go(func() {
		if err := safely(do); err != nil {
			s.fail(f.Request, err)
		}
	})
}

func (s *session) answer(request uint32, message, data []byte) {
	s.send(wire.Frame{Kind: wire.Answer, Request: request, Message: message, Data: uint64(len(data))}, data)
}

func (s *session) fail(request uint32, err error) {
	var w wire.Writer
	w.Bool(compute.IsNotImplemented(err))
	w.Text(err.Error())
	s.send(wire.Frame{Kind: wire.Failure, Request: request, Message: w.Bytes}, nil)
}

// send writes a frame. A client that is gone is noticed where its requests are read.
func (s *session) send(f wire.Frame, data []byte) {
	head, err := wire.AppendFrame(nil, f)
	if err != nil {
		s.conn.Close()
		return
	}
	s.sending.Lock()
	defer s.sending.Unlock()
	if len(data) == 0 {
		s.conn.Write(head)
	} else {
		wire.Send(s.conn, head, data)
	}
}

func (s *session) readCode(n uint64) ([]byte, error) {
	if s.Limit > 0 && n > uint64(s.Limit) {
		return nil, fmt.Errorf("a program of %s, more than the engine may use", inWords(int64(n)))
	}
	return readAll(s.in, n)
}

// readAll reads n bytes; memory is taken as they come, so that a number alone takes none.
func readAll(r io.Reader, n uint64) ([]byte, error) {
	const step = 16 << 20
	var all []byte
	for n > 0 {
		part := make([]byte, min(n, step))
		if _, err := io.ReadFull(r, part); err != nil {
			return nil, err
		}
		if all == nil {
			all = part
		} else {
			all = append(all, part...)
		}
		n -= uint64(len(part))
	}
	return all, nil
}

func (s *session) compile(request uint32, name string, code []byte) error {
	c, err := s.engine.programs.get(name, code)
	if err != nil {
		return err
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		s.engine.programs.letGo(c)
		return errGone
	}
	s.next++
	id := s.next
	s.programs[id] = c
	s.mu.Unlock()
	var w wire.Writer
	w.Uint(id)
	w.Uint(uint64(len(c.inputs)))
	for i, shape := range c.inputs {
		w.Text(c.names[i])
		program.AppendShape(&w, shape)
	}
	w.Uint(uint64(len(c.outputs)))
	for _, shape := range c.outputs {
		program.AppendShape(&w, shape)
	}
	s.answer(request, w.Bytes, nil)
	return nil
}

func (s *session) probe(request uint32, code []byte) error {
	results, err := program.RunProbe(s.backend.Builder("probe"), code)
	if err != nil {
		return err
	}
	var w wire.Writer
	w.Uint(uint64(len(results)))
	for _, result := range results {
		w.Bool(result.List)
		w.Uint(uint64(len(result.Shapes)))
		for _, shape := range result.Shapes {
			program.AppendShape(&w, shape)
		}
	}
	s.answer(request, w.Bytes, nil)
	return nil
}

func (s *session) drop(id uint64) {
	s.mu.Lock()
	c := s.programs[id]
	delete(s.programs, id)
	s.mu.Unlock()
	if c != nil {
		s.engine.programs.letGo(c)
	}
}

// close frees all that the client had. What is still executing is finished first and dropped.
func (s *session) close() {
	s.conn.Close()
	s.mu.Lock()
	s.closed = true
	buffers, programs := s.buffers, s.programs
	s.buffers, s.programs = nil, nil
	s.mu.Unlock()
	for _, b := range buffers {
		s.release(b)
	}
	s.working.Wait()
	for _, c := range programs {
		s.engine.programs.letGo(c)
	}
}

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
	if b.err = s.memory.reserve(b.size); b.err != nil {
		b.size = 0
	} else if b.err = safely(func() (err error) { b.buf, err = fill(s.backend, device, shape, content); return err }); b.err != nil {
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
func fill(backend compute.Backend, device compute.DeviceNum, shape shapes.Shape, from io.Reader) (compute.Buffer, error) {
	if int(device) < 0 || int(device) >= backend.NumDevices() {
		return nil, fmt.Errorf("there is no device %d", device)
	}
	const small = 64 << 10
	if size(shape) > small && backend.HasSharedBuffers() {
		buf, flat, err := backend.NewSharedBuffer(device, shape)
		if err != nil {
			return nil, err
		}
		if _, err := io.ReadFull(from, dtypes.UnsafeByteSliceFromAny(flat)); err != nil {
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
	if _, err := io.ReadFull(from, bytes); err != nil {
		return nil, err
	}
	return backend.BufferFromFlatData(device, flat, shape)
}

// keep gives a buffer the number that the client chose; a client that is gone, or that has one of that number, gets none.
func (s *session) keep(id uint64, b *buffer) bool {
	s.mu.Lock()
	_, taken := s.buffers[id]
	ok := !s.closed && !taken
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

// file makes a buffer of what lies in a file.
func (s *session) file(f wire.Frame, r *wire.Reader) error {
	id := r.Uint()
	var a wire.FileTensor
	if err := json.Unmarshal(r.Raw(), &a.Identity); err != nil {
		return err
	}
	a.Offset, a.Device, a.Shape = r.Int(), compute.DeviceNum(r.Int()), program.ReadShape(r)
	if err := r.End(); err != nil {
		return err
	}
	if !a.Shape.Ok() || a.Shape.IsDynamic() {
		return fmt.Errorf("a weight of shape %s", a.Shape)
	}
	s.later(f, func() error {
		key := weightKey{a.Identity, a.Offset, a.Shape.String(), a.Device, size(a.Shape)}
		w, err := s.memory.weight(key, func() (compute.Buffer, error) { return readWeight(s.backend, key, a) })
		if err != nil {
			return err
		}
		if !s.keep(id, &buffer{buf: w.buf, shape: a.Shape, size: w.size, weight: w, uses: 1}) {
			return fmt.Errorf("there is a buffer %d already", id)
		}
		s.answer(f.Request, nil, nil)
		return nil
	})
	return nil
}
