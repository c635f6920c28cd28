package resident

import (
	"github.com/gomlx/compute"
	"github.com/pkg/errors"

	"github.com/govene/govene/internal/stored"
	"github.com/govene/govene/resident/internal/program"
	"github.com/govene/govene/resident/internal/wire"
)

// FileBuffers are tensors that lie in files. The engine reads each once for all clients that ask, as long as its files are not changed, and
// keeps it until memory is needed; the bytes do not pass through this process. Those that the engine cannot read, as it may be on another
// machine, or that are not as they should be, are nil. A program to which such a buffer is donated leaves it as it is.
func (b *Backend) FileBuffers(device compute.DeviceNum, list []*stored.Tensor) ([]compute.Buffer, error) {
	last := b.last.Add(uint64(len(list)))
	first := last - uint64(len(list)) + 1
	var w wire.Writer
	w.Int(int64(device))
	w.Uint(first)
	program.AppendStored(&w, list)
	answer, err := b.calls.ask(wire.File, w.Bytes, nil)
	if err != nil {
		return nil, err
	}
	r := &wire.Reader{Bytes: answer.message}
	made := make([]compute.Buffer, len(list))
	for i, t := range list {
		if r.Bool() {
			made[i] = b.handle(first+uint64(i), device, t.As)
		}
	}
	return made, errors.WithStack(r.End())
}
