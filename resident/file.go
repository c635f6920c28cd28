package resident

import (
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
	"github.com/pkg/errors"

	"github.com/govene/govene/resident/internal/program"
	"github.com/govene/govene/resident/internal/wire"
)

// FileBuffer is a tensor whose elements lie in a file from an offset on, little endian and in row-major order, as in a safetensors file. The
// engine reads it, once for all clients that ask as long as the file is not changed, and keeps it until memory is needed; the bytes do not
// pass through this process. A program to which the buffer is donated leaves it as it is.
func (b *Backend) FileBuffer(device compute.DeviceNum, path string, offset int64, shape shapes.Shape) (compute.Buffer, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	identity, err := json.Marshal(wire.IdentityOf(path, info))
	if err != nil {
		return nil, err
	}
	made := b.newBuffer(device, shape)
	var w wire.Writer
	w.Uint(made.number)
	w.Raw(identity)
	w.Int(offset)
	w.Int(int64(device))
	program.AppendShape(&w, shape)
	if _, err := b.calls.ask(wire.File, w.Bytes, nil); err != nil {
		made.freed.Store(true)
		return nil, errors.WithMessagef(err, "%s", path)
	}
	return made, nil
}
