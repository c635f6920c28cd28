package resident

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"syscall"
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

// calls are the requests of a client that wait for an answer, and what is to be told at the next opportunity. One of those who wait reads
// answers, for all: an answer then wakes nobody but whom it is for.
type calls struct {
	conn connection

	sending sync.Mutex
	queue   []byte // frames that nobody waits for
	soon    bool   // the queue will be sent soon

	mu      sync.Mutex
	last    uint32
	waiting map[uint32]*pending
	reading bool // one of them reads
	err     error
}

// pending is a request that waits for its answer.
type pending struct {
	number uint32
	to     []byte // where data goes, if there is a place for it
	come   chan answer
}

type answer struct {
	message []byte
	data    []byte
	err     error
	read    bool // no answer yet: it is this one's turn to read
}

func newPending(number uint32) *pending {
	return &pending{number: number, come: make(chan answer, 2)} // the turn to read, and that the connection has ended
}

func newCalls(conn connection) *calls {
	return &calls{conn: conn, waiting: map[uint32]*pending{}}
}

// first waits for what the engine says of itself, which is frame number 0.
func (c *calls) first() (answer, error) {
	w := newPending(0)
	c.waiting[0] = w
	return c.wait(w)
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
func (c *calls) flush(data []byte) error {
	if len(c.queue) == 0 {
		return nil
	}
	err := wire.Send(c.conn, c.queue, data)
	c.queue = c.queue[:0]
	if err != nil {
		c.close(gone(err))
		return c.closed()
	}
	return nil
}

// ask sends a request and waits for its answer. The data of the answer go to a place of their size, if there is one.
func (c *calls) ask(kind wire.Kind, message, data []byte, to ...[]byte) (answer, error) {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return answer{}, c.err
	}
	c.last = max(c.last+1, 1)
	w := newPending(c.last)
	if len(to) > 0 {
		w.to = to[0]
	}
	c.waiting[w.number] = w
	c.mu.Unlock()

	c.sending.Lock()
	var err error
	c.queue, err = wire.AppendFrame(c.queue, wire.Frame{Kind: kind, Request: w.number, Message: message, Data: uint64(len(data))})
	if err == nil {
		err = c.flush(data)
	}
	c.sending.Unlock()
	if err != nil {
		c.giveUp(w)
		return answer{}, err
	}
	return c.wait(w)
}

// wait waits for an answer, and reads if nobody does. Another may have read this one's before.
func (c *calls) wait(w *pending) (answer, error) {
	c.mu.Lock()
	reads := !c.reading && c.waiting[w.number] == w
	if reads {
		c.reading = true
	}
	c.mu.Unlock()
	if !reads {
		if a := <-w.come; !a.read {
			return a, a.err
		}
	}
	for {
		of, a, err := c.readOne()
		switch {
		case err != nil:
			c.close(gone(err))
			err = c.closed()
			if of != nil && of != w {
				of.come <- answer{err: err}
			}
			return answer{}, err
		case of == w:
			c.passOn()
			return a, a.err
		}
		of.come <- a
	}
}

// giveUp ends a request that could not be sent.
func (c *calls) giveUp(w *pending) {
	c.mu.Lock()
	delete(c.waiting, w.number)
	c.mu.Unlock()
	select {
	case a := <-w.come:
		if a.read {
			c.passOn()
		}
	default:
	}
}

// passOn has another one read, if another waits.
func (c *calls) passOn() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.waiting {
		w.come <- answer{read: true}
		return
	}
	c.reading = false
}

// readOne reads the answer to a request. After an error nothing can be read any more.
func (c *calls) readOne() (*pending, answer, error) {
	f, err := wire.ReadFrame(c.conn.in)
	if err != nil {
		return nil, answer{}, err
	}
	c.mu.Lock()
	w := c.waiting[f.Request]
	delete(c.waiting, f.Request)
	c.mu.Unlock()
	a := answer{message: f.Message}
	switch {
	case w == nil:
		err = fmt.Errorf("an answer to request %d, which nobody made", f.Request)
	case f.Kind == wire.Failure && f.Data == 0:
		a.err = failure(f.Message)
	case f.Kind != wire.Answer:
		err = fmt.Errorf("a frame of kind %d with %d bytes is no answer", f.Kind, f.Data)
	case w.to != nil && uint64(len(w.to)) != f.Data:
		err = fmt.Errorf("%d bytes where %d were asked for", f.Data, len(w.to))
	case f.Data > 0:
		a.data = w.to
		if a.data == nil {
			a.data = make([]byte, f.Data)
		}
		_, err = io.ReadFull(c.conn.in, a.data)
	}
	return w, a, err
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
	if ended(err) {
		return errors.New("the engine is gone: it was stopped or killed, and what it held with it; the next program starts another")
	}
	return errors.WithMessage(err, "the engine is gone")
}

// ended tells whether an error says that the other end is gone.
func ended(err error) bool {
	end := func(as error) bool { return errors.Is(err, as) }
	return slices.ContainsFunc([]error{io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, syscall.EPIPE, syscall.ECONNRESET}, end)
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
		w.come <- answer{err: reason}
	}
}
