package wire

import (
	"time"

	"github.com/gomlx/compute"
)

// About is what a client must know of the engine's backend.
type About struct {
	Name, Text, Description string
	Devices                 []string
	Capabilities            compute.Capabilities
}

// State is what an engine holds at a moment.
type State struct {
	Backend    string
	Since      time.Time
	Clients    int
	Executing  int
	Waiting    int
	Orphans    int // execute, though their clients are gone
	Compiling  int
	Programs   int
	Goroutines int
	Limit      int64 // bytes; 0 is no limit
	Used       int64
	Weights    []Weights
}

// Weights are those of a file.
type Weights struct {
	File    string
	Tensors int
	Held    int // tensors that a client holds
	Bytes   int64
}
