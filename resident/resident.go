// Package resident is a GoMLX backend whose programs, buffers and weights live in another process of the same machine, the engine, so
// that a short-lived program such as a notebook's cell finds them where the last one left them.
//
//	engine, err := compute.NewWithConfig("resident:xla:cpu") // or GOMLX_BACKEND=resident:xla:cpu
//
// What follows "resident:" is the configuration of the backend behind it, which the engine alone links; "resident" leaves the choice to
// the engine. The engine is started when it is first asked for, one for each user and configuration, and ends after a time without clients.
// There are engines on Linux and macOS.
//
// A graph is built in the client, which records what the builder is told, and is replayed, compiled and kept in the engine under the hash of
// the recording. Shapes that a builder must know at once come from GoMLX's Go backend, told the same; what that does not know is asked of the
// engine. Tensors cross a Unix socket that no other user can open. Buffers are freed when their client is gone, however it went.
package resident

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/gobackend"
	"github.com/gomlx/compute/shapes"
	"github.com/pkg/errors"

	"github.com/govene/govene/resident/internal/program"
	"github.com/govene/govene/resident/internal/wire"
)

// Name is the name by which the backend is registered.
const Name = "resident"

func init() {
	compute.Register(Name, func(config string) (compute.Backend, error) { return New(config) })
}

// Backend is the client of an engine.
type Backend struct {
	config string
	about  wire.About
	oracle compute.Backend
	calls  *calls
	last   atomic.Uint64 // number of the last buffer
	ended  atomic.Bool   // Finalize was called

	mu     sync.Mutex
	probes map[string]probed
}

var _ compute.Backend = (*Backend)(nil)

// New connects to the engine whose backend has the given configuration, such as "xla:cpu", and starts it if there is none.
func New(config string) (*Backend, error) {
	conn, err := connect(config)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", strings.TrimSuffix(Name+":"+config, ":"), err)
	}
	return newBackend(config, conn)
}

func newBackend(config string, conn connection) (*Backend, error) {
	b := &Backend{config: config, calls: newCalls(conn), probes: map[string]probed{}}
	answer, err := b.calls.first()
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(answer.data, &b.about); err != nil {
		return nil, err
	}
	b.oracle, err = gobackend.New("ops_sequential")
	return b, err
}

// Name is that of the backend behind.
func (b *Backend) Name() string { return b.about.Name }

// String is that of the backend behind.
func (b *Backend) String() string { return b.about.Text }

// Description says what is behind.
func (b *Backend) Description() string { return "resident: " + b.about.Description }

// NumDevices is the number of the engine's devices.
func (b *Backend) NumDevices() int { return len(b.about.Devices) }

// DeviceDescription describes a device of the engine.
func (b *Backend) DeviceDescription(device compute.DeviceNum) string {
	if device < 0 || int(device) >= len(b.about.Devices) {
		return fmt.Sprintf("there is no device %d", device)
	}
	return b.about.Devices[device]
}

// Capabilities are those of the backend behind.
func (b *Backend) Capabilities() compute.Capabilities { return b.about.Capabilities }

// Finalize ends the connection; the engine frees what this client had.
func (b *Backend) Finalize() {
	b.ended.Store(true)
	b.calls.close(errFinalized)
}

// IsFinalized tells whether Finalize was called. That the engine is gone is an error of what is asked of it next.
func (b *Backend) IsFinalized() bool { return b.ended.Load() }

// Gone asks the engine whether it is gone, and with it all that was made on this backend.
func (b *Backend) Gone() bool {
	_, err := b.State()
	return err != nil && b.calls.closed() != nil
}

var errFinalized = errors.New("the backend was finalized")

// HasSharedBuffers is false: the engine's memory is its own.
func (b *Backend) HasSharedBuffers() bool { return false }

// NewSharedBuffer panics.
func (b *Backend) NewSharedBuffer(compute.DeviceNum, shapes.Shape) (compute.Buffer, any, error) {
	panic(errors.New("the memory of a resident backend is the engine's"))
}

// BufferFromFlatData sends a tensor to the engine. It waits for no answer: an error is told when the buffer is used.
func (b *Backend) BufferFromFlatData(device compute.DeviceNum, flat any, shape shapes.Shape) (compute.Buffer, error) {
	content := dtypes.UnsafeByteSliceFromAny(flat)
	if uintptr(len(content)) != uintptr(shape.ByteSize()) {
		return nil, errors.Errorf("%d bytes for a tensor of shape %s", len(content), shape)
	}
	if device < 0 || int(device) >= len(b.about.Devices) {
		return nil, errors.Errorf("there is no device %d", device)
	}
	buffer := b.newBuffer(device, shape)
	var w wire.Writer
	w.Uint(buffer.number)
	w.Int(int64(device))
	program.AppendShape(&w, shape)
	if err := b.calls.tell(wire.Create, w.Bytes, content); err != nil {
		return nil, err
	}
	return buffer, nil
}

// Builder starts a graph.
func (b *Backend) Builder(name string) compute.Builder { return newBuilder(b, name) }

// State is what an engine holds at a moment.
type State = wire.State

// State asks the engine what it holds.
func (b *Backend) State() (State, error) {
	var state State
	answer, err := b.calls.ask(wire.Status, nil, nil)
	if err == nil {
		err = json.Unmarshal(answer.data, &state)
	}
	return state, err
}

// Stop ends the engine, and with it the work of all its clients.
func (b *Backend) Stop() error {
	_, err := b.calls.ask(wire.Stop, nil, nil)
	return err
}
