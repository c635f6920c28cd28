package resident

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/gomlx/compute"
	"github.com/pkg/errors"

	"github.com/govene/govene/resident/internal/wire"
)

// connection is a connection to an engine after the greeting.
type connection struct {
	net.Conn
	in *bufio.Reader
}

// calls are the requests of a client that wait for an answer, and what is to be told at the next opportunity.
type calls struct {
	conn connection

	sending sync.Mutex
	queue   []byte // frames that nobody waits for
	soon    bool   // the queue will be sent soon

	mu      sync.Mutex
	last    uint32
	waiting map[uint32]*pending
	err     error
}

// pending is a request that waits for its answer.
type pending struct {
	to     []byte // where data goes, if there is a place for it
	answer chan answer
}

type answer struct {
	message []byte
	data    []byte
	err     error
}

// newCalls starts to read answers. The first frame, number 0, is what the engine says of itself.
func newCalls(conn connection) *calls {
	c := &calls{conn: conn, waiting: map[uint32]*pending{0: {answer: make(chan answer, 1)}}}
	return c
}

// first waits for what the engine says of itself.
func (c *calls) first() (answer, error) {
	w := c.waiting[0]
	go c.read()
	a := <-w.answer
	return a, a.err
}

// queueLimit is how many bytes may wait to be sent with the next request.
const queueLimit = 256 << 10

// tell sends what needs no answer: small things along with the next request, or soon.
func (c *calls) tell(kind wire.Kind, message, data []byte) error {
	if err := c.closed(); err != nil {
		return err
	}
	c.sending.Lock()
	defer c.sending.Unlock()
	var err error
	if c.queue, err = wire.AppendFrame(c.queue, wire.Frame{Kind: kind, Message: message, Data: uint64(len(data))}); err != nil {
		return err
	}
	if len(data) < queueLimit/4 {
		c.queue = append(c.queue, data...)
		if len(c.queue) < queueLimit {
			if !c.soon {
				c.soon = true
				time.AfterFunc(time.Millisecond, func() {
					c.sending.Lock()
					defer c.sending.Unlock()
					c.soon = false
					c.flush(nil)
				})
			}
			return nil
		}
		data = nil
	}
	return c.flush(data)
}

// flush sends the queue and then data.
func (c *calls) flush(data []byte) (err error) {
	switch {
	case len(c.queue) == 0:
		return nil
	case len(data) == 0:
		_, err = c.conn.Write(c.queue)
	default:
		err = wire.Send(c.conn, c.queue, data)
	}
	c.queue = c.queue[:0]
	if err != nil {
		c.close(gone(err))
		return c.closed()
	}
	return nil
}

// ask sends a request and waits for its answer. The data of the answer go to a place of their size, if there is one.
func (c *calls) ask(kind wire.Kind, message, data []byte, to ...[]byte) (answer, error) {
	w := &pending{answer: make(chan answer, 1)}
	if len(to) > 0 {
		w.to = to[0]
	}
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return answer{}, c.err
	}
	c.last = max(c.last+1, 1)
	number := c.last
	c.waiting[number] = w
	c.mu.Unlock()

	c.sending.Lock()
	var err error
	c.queue, err = wire.AppendFrame(c.queue, wire.Frame{Kind: kind, Request: number, Message: message, Data: uint64(len(data))})
	if err == nil {
		err = c.flush(data)
	}
	c.sending.Unlock()
	if err != nil {
		c.mu.Lock()
		delete(c.waiting, number)
		c.mu.Unlock()
		return answer{}, err
	}
	a := <-w.answer
	return a, a.err
}

// read takes answers until the engine is gone.
func (c *calls) read() {
	for {
		if err := c.readOne(); err != nil {
			c.close(gone(err))
			return
		}
	}
}

func (c *calls) readOne() error {
	f, err := wire.ReadFrame(c.conn.in)
	if err != nil {
		return err
	}
	c.mu.Lock()
	w := c.waiting[f.Request]
	delete(c.waiting, f.Request)
	c.mu.Unlock()
	if w == nil {
		return fmt.Errorf("an answer to request %d, which nobody made", f.Request)
	}
	a := answer{message: f.Message}
	switch {
	case f.Kind == wire.Failure:
		a.err = failure(f.Message)
	case f.Kind != wire.Answer:
		a.err = fmt.Errorf("a frame of kind %d is no answer", f.Kind)
	case w.to != nil && uint64(len(w.to)) != f.Data:
		a.err = fmt.Errorf("%d bytes where %d were asked for", f.Data, len(w.to))
	case f.Data > 0:
		a.data = w.to
		if a.data == nil {
			a.data = make([]byte, f.Data)
		}
		if _, err = io.ReadFull(c.conn.in, a.data); err != nil {
			a.err = gone(err)
		}
	}
	w.answer <- a
	if f.Kind != wire.Answer && f.Data > 0 || f.Kind != wire.Answer && f.Kind != wire.Failure {
		return errors.New("what the engine says can't be understood")
	}
	if w.to != nil && f.Kind == wire.Answer && uint64(len(w.to)) != f.Data {
		return a.err
	}
	return err
}

// failure is the error that the engine tells.
func failure(message []byte) error {
	r := &wire.Reader{Bytes: message}
	notImplemented, text := r.Bool(), r.Text()
	if err := r.End(); err != nil {
		return err
	}
	if notImplemented {
		return errors.Wrap(compute.ErrNotImplemented, text)
	}
	return errors.New(text)
}

func gone(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) {
		return errors.New("the engine is gone: it was stopped or killed, and what it held with it; the next program starts another")
	}
	return errors.WithMessage(err, "the engine is gone")
}

// closed is why the connection has ended, nil if it has not.
func (c *calls) closed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// close ends the connection for a reason, which all who wait are told.
func (c *calls) close(reason error) {
	c.mu.Lock()
	if c.err == nil {
		c.err = reason
	}
	waiting := c.waiting
	c.waiting = map[uint32]*pending{}
	c.mu.Unlock()
	c.conn.Close()
	for _, w := range waiting {
		w.answer <- answer{err: c.err}
	}
}
