//go:build !linux && !darwin

package place

import (
	"errors"
	"net"
	"os"
	"runtime"
)

var errSystem = errors.New("there are no resident engines on " + runtime.GOOS)

// ErrTaken says that another process has the lock.
var ErrTaken = errors.New("an engine of this configuration is running already")

func own(string, os.FileInfo) error { return errSystem }

// Dial is an error.
func (p Place) Dial() (net.Conn, error) { return nil, errSystem }

// Listen is an error.
func (p Place) Listen() (net.Listener, error) { return nil, errSystem }

// Lock is an error.
func Lock(string, bool) (func(), error) { return nil, errSystem }
