//go:build linux || darwin

package place

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
)

// own refuses a folder that another user has made or can enter.
func own(folder string, info os.FileInfo) error {
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.IsDir():
		return fmt.Errorf("%s is no folder", folder)
	case !ok || int(stat.Uid) != os.Getuid():
		return fmt.Errorf("%s belongs to another user; %s names another folder", folder, FolderVar)
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("other users can enter %s (mode %o); chmod 700 it, or name another folder in %s", folder, info.Mode().Perm(), FolderVar)
	}
	return nil
}

// Dial connects to an engine, and only to one of the same user.
func (p Place) Dial() (net.Conn, error) {
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: p.Socket, Net: "unix"})
	if err != nil {
		return nil, err
	}
	if err := sameUser(conn); err != nil {
		conn.Close()
		return nil, err
	}
	return inSystem(conn)
}

// sameUser checks who is at the other end.
func sameUser(conn *net.UnixConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var user int
	var peerErr error
	if err := raw.Control(func(fd uintptr) { user, peerErr = peer(int(fd)) }); err != nil {
		return err
	}
	if peerErr != nil {
		return peerErr
	}
	if user != os.Getuid() {
		return fmt.Errorf("user %d is at the other end of the socket, not user %d", user, os.Getuid())
	}
	return nil
}

// ErrTaken says that another process has the lock.
var ErrTaken = errors.New("an engine of this configuration is running already")

// Lock takes a lock, which ends with the process or with release.
func Lock(path string, wait bool) (release func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	how := syscall.LOCK_EX
	if !wait {
		how |= syscall.LOCK_NB
	}
	for {
		err = syscall.Flock(int(f.Fd()), how)
		if err != syscall.EINTR {
			break
		}
	}
	if err != nil {
		f.Close()
		if err == syscall.EWOULDBLOCK {
			return nil, ErrTaken
		}
		return nil, err
	}
	return func() { f.Close() }, nil
}

// Listen makes the engine's socket. There is one listener at a time; what a killed one left is replaced.
func (p Place) Listen() (net.Listener, error) {
	release, err := Lock(p.Alive, false)
	if err != nil {
		return nil, err
	}
	if err := os.Remove(p.Socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		release()
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: p.Socket, Net: "unix"})
	if err == nil {
		err = os.Chmod(p.Socket, 0o600)
	}
	if err != nil {
		release()
		return nil, err
	}
	return &listener{l, release}, nil
}

// listener accepts connections of the same user alone.
type listener struct {
	*net.UnixListener
	release func()
}

func (l *listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		if sameUser(conn) == nil {
			if ours, err := inSystem(conn); err == nil {
				return ours, nil
			}
		}
		conn.Close()
	}
}

func (l *listener) Close() error {
	err := l.UnixListener.Close()
	l.release()
	return err
}
