package wire

import (
	"os"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
)

// About is what a client must know of the engine's backend.
type About struct {
	Name, Text, Description string
	Devices                 []string
	Capabilities            compute.Capabilities
}

// State is what an engine holds at a moment.
type State struct {
	Backend   string
	Since     time.Time
	Clients   int
	Executing int
	Waiting   int
	Compiling int
	Programs  int
	Limit     int64 // bytes; 0 is no limit
	Used      int64
	Weights   []Weights
}

// Weights are those of a file.
type Weights struct {
	File    string
	Tensors int
	Held    int // tensors that a client holds
	Bytes   int64
}

// FileIdentity tells a file from others and from itself after a change.
type FileIdentity struct {
	Path     string
	Size     int64
	Modified int64 // nanoseconds
	Inode    uint64
}

// IdentityOf is the identity of a file.
func IdentityOf(path string, info os.FileInfo) FileIdentity {
	return FileIdentity{path, info.Size(), info.ModTime().UnixNano(), inode(info)}
}

// FileTensor is a tensor in a file.
type FileTensor struct {
	Identity FileIdentity
	Offset   int64
	Device   compute.DeviceNum
	Shape    shapes.Shape
}
