//go:build linux || darwin

package place

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

func TestClosingEndsWhatWaits(t *testing.T) {
	for name, end := range map[string]func(c net.Conn){
		"close":    func(c net.Conn) { c.Close() },
		"deadline": func(c net.Conn) { c.SetDeadline(time.Now()) },
	} {
		t.Run(name, func(t *testing.T) {
			near, far := pair(t)
			if err := near.SetDeadline(time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			if err := near.SetDeadline(time.Time{}); err != nil {
				t.Fatal(err)
			}
			waits := make(chan error)
			go func() {
				_, err := near.Read(make([]byte, 1))
				waits <- err
			}()
			time.Sleep(10 * time.Millisecond)
			end(near)
			if err := <-waits; err == nil {
				t.Error("a read ended without an error")
			}
			if _, err := far.Read(make([]byte, 1)); err != io.EOF {
				t.Errorf("the other end got %v", err)
			}
			if err := near.Close(); name == "close" && !errors.Is(err, net.ErrClosed) {
				t.Errorf("closed twice: %v", err)
			}
			if _, err := near.Write([]byte{1}); err == nil {
				t.Error("a write after the end")
			}
		})
	}
}

// pair is a connection's two ends.
func pair(t *testing.T) (near, far net.Conn) {
	t.Helper()
	t.Setenv(FolderVar, t.TempDir()+"/of-its-own")
	p, err := Of("test", "0")
	if err != nil {
		t.Fatal(err)
	}
	l, err := p.Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if near, err = p.Dial(); err != nil {
		t.Fatal(err)
	}
	if far, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { near.Close(); far.Close() })
	return near, far
}
