//go:build linux || darwin

package place

import (
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// conn is a connection whose reads and writes wait in the system. Those of package net wait in Go's poller, and what comes then goes
// through several threads until it is with who waits for it: small calls would take twice as long.
type conn struct {
	net.Conn // for its addresses
	file     *os.File

	mu    sync.Mutex
	ended bool
	timer *time.Timer
}

// inSystem takes a connection over.
func inSystem(of *net.UnixConn) (net.Conn, error) {
	defer of.Close() // the socket goes on under another descriptor
	raw, err := of.SyscallConn()
	if err != nil {
		return nil, err
	}
	var descriptor int
	var dupErr error
	err = raw.Control(func(fd uintptr) {
		syscall.ForkLock.RLock()
		defer syscall.ForkLock.RUnlock()
		if descriptor, dupErr = syscall.Dup(int(fd)); dupErr == nil {
			syscall.CloseOnExec(descriptor)
			dupErr = syscall.SetNonblock(descriptor, false)
		}
	})
	if err = errors.Join(err, dupErr); err != nil {
		return nil, err
	}
	return &conn{Conn: of, file: os.NewFile(uintptr(descriptor), "socket")}, nil
}

func (c *conn) Read(b []byte) (int, error) { return c.file.Read(b) }

func (c *conn) Write(b []byte) (int, error) { return c.file.Write(b) }

// Close ends what waits, too.
func (c *conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return net.ErrClosed
	}
	c.ended = true
	c.shutdown()
	return c.file.Close()
}

func (c *conn) shutdown() {
	if raw, err := c.file.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { syscall.Shutdown(int(fd), syscall.SHUT_RDWR) })
	}
}

// SetDeadline ends the connection at a time, unless another is set before; none is the zero time.
func (c *conn) SetDeadline(at time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer != nil {
		c.timer.Stop()
		c.timer = nil
	}
	if !at.IsZero() {
		c.timer = time.AfterFunc(time.Until(at), func() { c.Close() })
	}
	return nil
}
