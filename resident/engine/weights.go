package engine

import (
	"fmt"
	"io"
	"os"

	"github.com/gomlx/compute"

	"github.com/govene/govene/resident/internal/wire"
)

// weightKey names the content of a tensor: a place in a file that has not been changed since, what lies there, and the device it goes to.
type weightKey struct {
	wire.FileIdentity
	offset int64
	shape  string
	device compute.DeviceNum
	size   int64
}

func (k weightKey) bytes() int64 { return k.size }

func (k weightKey) String() string { return fmt.Sprintf("%s[%d:] %s", k.Path, k.offset, k.shape) }

// readWeight reads the tensor that a key names from its file.
func readWeight(backend compute.Backend, key weightKey, a wire.FileTensor) (compute.Buffer, error) {
	f, err := os.Open(a.Identity.Path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if now := wire.IdentityOf(a.Identity.Path, info); now != a.Identity {
		return nil, fmt.Errorf("%s is not the file that it was when the client opened it", a.Identity.Path)
	}
	if a.Offset < 0 || a.Offset+key.size > info.Size() {
		return nil, fmt.Errorf("%s has %d bytes, too few for %s at %d", a.Identity.Path, info.Size(), a.Shape, a.Offset)
	}
	return fill(backend, a.Device, a.Shape, io.NewSectionReader(f, a.Offset, key.size))
}
