package engine

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/gomlx/compute"

	"github.com/govene/govene/resident/internal/program"
	"github.com/govene/govene/resident/internal/wire"
)

// sentAlong is how many bytes of results are sent with the answer, which saves small calls from asking for them.
const sentAlong = 64 << 10

// atOnce is how long a program without loops may have taken last that runs before the client's next request is taken: another goroutine, which
// takes that meanwhile, would cost more.
const atOnce = 200 * time.Microsecond

// execution is a program about to run.
type execution struct {
	program *compiled
	inputs  []*buffer
	donate  []bool
	device  compute.DeviceNum
	first   uint64 // number of the first output
}

// execute finds what a request names, in order with other requests, and runs it when it is its turn.
func (s *session) execute(f wire.Frame, r *wire.Reader) error {
	x := execution{}
	id := r.Uint()
	ids := make([]uint64, r.Count())
	for i := range ids {
		ids[i] = r.Uint()
	}
	x.donate = make([]bool, len(ids))
	for i := range x.donate {
		x.donate[i] = r.Bool()
	}
	x.device, x.first = compute.DeviceNum(r.Int()), r.Uint()
	if err := r.End(); err != nil {
		return err
	}
	if err := s.find(&x, id, ids); err != nil {
		s.letGo(x)
		for i, id := range ids {
			if x.donate[i] { // the client has no handle of it any more
				s.free(id)
			}
		}
		s.fail(f.Request, err)
		return nil
	}
	run := func() error {
		defer s.letGo(x)
		return s.run(f.Request, x)
	}
	short := !x.program.loops && time.Duration(x.program.took.Load()) < atOnce
	if short && s.in.Buffered() == 0 && len(s.turns) < cap(s.turns) {
		s.now(f, run)
	} else {
		s.later(f, run)
	}
	return nil
}

// find holds the program and the inputs. The client's handles of donated inputs end here. Weights are others' too: they are not given away.
func (s *session) find(x *execution, id uint64, ids []uint64) error {
	s.mu.Lock()
	c := s.programs[id]
	s.mu.Unlock()
	if c == nil {
		return fmt.Errorf("there is no program %d", id)
	}
	s.engine.programs.mu.Lock()
	c.users++
	s.engine.programs.mu.Unlock()
	x.program = c
	for i, id := range ids {
		b, err := s.hold(id)
		if err != nil {
			return fmt.Errorf("input %d: %w", i, err)
		}
		x.inputs = append(x.inputs, b)
	}
	for i, id := range ids {
		if !x.donate[i] {
			continue
		}
		s.free(id)
		s.mu.Lock()
		x.donate[i] = x.inputs[i].weight == nil && x.inputs[i].uses == 1
		s.mu.Unlock()
	}
	return nil
}

func (s *session) letGo(x execution) {
	for _, b := range x.inputs {
		s.release(b)
	}
	if x.program != nil {
		s.engine.programs.letGo(x.program)
	}
}

// run waits for its turn, executes and answers.
func (s *session) run(request uint32, x execution) error {
	var reserved int64
	for _, shape := range x.program.outputs {
		if !shape.IsDynamic() {
			reserved += size(shape)
		}
	}
	if err := s.memory.reserve(reserved); err != nil {
		return fmt.Errorf("the results of %q: %w", x.program.name, err)
	}
	outputs, err := s.inTurn(x)
	if err != nil {
		s.memory.release(reserved)
		return err
	}
	var w wire.Writer
	var along []byte
	w.Uint(uint64(len(outputs)))
	var used int64
	for i, buf := range outputs {
		b := &buffer{buf: buf, uses: 1}
		if b.shape, err = buf.Shape(); err != nil {
			b.err = err
		} else {
			b.size = size(b.shape)
		}
		used += b.size
		program.AppendShape(&w, b.shape)
		sent := b.err == nil && b.size > 0 && len(along)+int(b.size) <= sentAlong
		if sent {
			content, err := contentOf(s.backend, b)
			if sent = err == nil; sent {
				along = append(along, content...)
			}
		}
		w.Bool(sent)
		if !s.keep(x.first+uint64(i), b) {
			err = errGone
		}
	}
	s.memory.release(reserved - used) // other than what was reserved, if shapes are dynamic
	if err != nil {
		return err
	}
	s.answer(request, w.Bytes, along)
	return nil
}

// inTurn executes when it is this client's turn. What goes on when the client is gone takes no turn any more, in which others would wait.
func (s *session) inTurn(x execution) (outputs []compute.Buffer, err error) {
	s.engine.programs.wait(1)
	select {
	case s.turns <- struct{}{}:
		s.engine.programs.wait(-1)
	case <-s.gone.Done():
		s.engine.programs.wait(-1)
		return nil, errGone
	}
	endTurn := sync.OnceFunc(func() { <-s.turns })
	defer endTurn()
	if s.gone.Err() != nil {
		return nil, errGone
	}
	stays := context.AfterFunc(s.gone, func() {
		s.engine.orphans.Add(1)
		endTurn()
	})
	defer func() {
		if !stays() {
			s.engine.orphans.Add(-1)
		}
	}()
	inputs := make([]compute.Buffer, len(x.inputs))
	for i, b := range x.inputs {
		inputs[i] = b.buf
	}
	began := time.Now()
	err = safely(func() (err error) { outputs, err = x.program.exec.Execute(inputs, x.donate, x.device); return err })
	x.program.took.Store(int64(time.Since(began)))
	for i := range x.inputs {
		if x.donate[i] {
			x.inputs[i].buf = nil // the backend's from here on
		}
	}
	return outputs, err
}

// wait counts those who wait for their turn.
func (p *programs) wait(n int) {
	p.mu.Lock()
	p.waiting += n
	p.mu.Unlock()
}
