package engine

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/gomlx/compute"
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
	gone    context.Context // ends with the client
	leave   context.CancelFunc

	mu       sync.Mutex
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
	s := &session{engine: e, conn: conn, in: in, buffers: map[uint64]*buffer{}, programs: map[uint64]*compiled{}}
	s.gone, s.leave = context.WithCancel(context.Background())
	return s
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
	s.working.Go(func() { s.now(f, do) })
}

// now does something, and answers with its error if it has one.
func (s *session) now(f wire.Frame, do func() error) {
	if err := safely(do); err != nil {
		s.fail(f.Request, err)
	}
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
	wire.Send(s.conn, head, data)
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
	if s.gone.Err() != nil {
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

// close frees all that the client had, but for what executes.
func (s *session) close() {
	s.conn.Close()
	s.mu.Lock()
	s.leave()
	buffers := s.buffers
	s.buffers = nil
	s.mu.Unlock()
	for _, b := range buffers {
		s.release(b)
	}
}

// finish waits until what executes has been finished and dropped.
func (s *session) finish() {
	s.working.Wait()
	for _, c := range s.programs {
		s.engine.programs.letGo(c)
	}
}
