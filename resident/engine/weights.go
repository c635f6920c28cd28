package engine

import (
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/gomlx/compute"

	"github.com/govene/govene/internal/stored"
	"github.com/govene/govene/resident/internal/program"
	"github.com/govene/govene/resident/internal/wire"
)

// weightKey names a tensor from files by all that decides its bits, and the device that it is on.
type weightKey struct {
	content [sha256.Size]byte
	device  compute.DeviceNum
}

// errUnread is of what cannot be read from its files.
type errUnread struct{ error }

func (e errUnread) Unwrap() error { return e.error }

// file makes buffers of what lies in files, and says which it could make. Why it could not, the client finds out by reading, too.
func (s *session) file(f wire.Frame, r *wire.Reader) error {
	device, first := compute.DeviceNum(r.Int()), r.Uint()
	list := program.ReadStored(r)
	if err := r.End(); err != nil {
		return err
	}
	s.later(f, func() error {
		var w wire.Writer
		for i, t := range list {
			err := s.fromFile(first+uint64(i), device, t)
			var unread errUnread
			if errors.As(err, &unread) {
				s.Log("cannot read a tensor for a client: %v", err)
			} else if err != nil {
				for made := range i {
					s.free(first + uint64(made))
				}
				return err
			}
			w.Bool(err == nil)
		}
		s.answer(f.Request, w.Bytes, nil)
		return nil
	})
	return nil
}

func (s *session) fromFile(id uint64, device compute.DeviceNum, t *stored.Tensor) error {
	if err := t.Check(); err != nil {
		return err
	}
	w, err := s.memory.weight(weightKey{t.Key(), device}, t, func() (compute.Buffer, error) {
		buf, err := fill(s.backend, device, t.As, func(into []byte) error { return t.Read(into, nil) })
		if err != nil {
			err = errUnread{err}
		}
		return buf, err
	})
	if err != nil {
		return err
	}
	if !s.keep(id, &buffer{buf: w.buf, shape: t.As, size: w.size, weight: w, uses: 1}) {
		return fmt.Errorf("there is a buffer %d already", id)
	}
	return nil
}
