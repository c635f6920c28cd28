//go:build !unix

package resident

import "os/exec"

func ofItsOwn(*exec.Cmd) {}

func refusedConnection(error) bool { return false }
