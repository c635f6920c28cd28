//go:build unix

package resident

import (
	"errors"
	"os/exec"
	"syscall"
)

// ofItsOwn makes a process that an interrupt meant for this one does not reach.
func ofItsOwn(command *exec.Cmd) { command.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

// refusedConnection tells whether a socket is there that a process has left.
func refusedConnection(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }
