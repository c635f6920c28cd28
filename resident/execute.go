package resident

import (
	"runtime"

	"github.com/gomlx/compute"
	"github.com/pkg/errors"

	"github.com/govene/govene/resident/internal/program"
	"github.com/govene/govene/resident/internal/wire"
)

// Execute runs the program in the engine. Small results come with the answer; others stay there until they are read.
func (e *executable) Execute(inputs []compute.Buffer, donate []bool, device compute.DeviceNum) ([]compute.Buffer, error) {
	if len(donate) > 0 && len(donate) != len(inputs) {
		return nil, errors.Errorf("%q: %d inputs, and %d times whether to donate them", e.name, len(inputs), len(donate))
	}
	if len(e.inputs) > 0 && len(inputs)%len(e.inputs) != 0 || len(e.inputs) == 0 && len(inputs) > 0 || len(inputs) < len(e.inputs) {
		return nil, errors.Errorf("%q: %d inputs for %d parameters", e.name, len(inputs), len(e.inputs))
	}
	var w wire.Writer
	w.Uint(e.number)
	w.Uint(uint64(len(inputs)))
	for i, input := range inputs {
		b, ok := input.(*buffer)
		if !ok || b.backend != e.backend {
			return nil, errors.Errorf("%q: input %d is a %T, no buffer of this backend", e.name, i, input)
		}
		if b.freed.Load() {
			return nil, errors.WithMessagef(errFreed, "%q: input %d", e.name, i)
		}
		w.Uint(b.number)
	}
	for i := range inputs {
		w.Bool(len(donate) > 0 && donate[i])
	}
	first := e.backend.last.Add(uint64(max(len(e.outputs), 1)))
	first -= uint64(max(len(e.outputs), 1)) - 1
	w.Int(int64(device))
	w.Uint(first)
	for i, input := range inputs {
		if len(donate) > 0 && donate[i] {
			input.(*buffer).freed.Store(true)
		}
	}
	answer, err := e.backend.calls.ask(wire.Execute, w.Bytes, nil)
	runtime.KeepAlive(inputs)
	runtime.KeepAlive(e)
	if err != nil {
		return nil, errors.WithMessagef(err, "%q", e.name)
	}
	return e.results(answer, first, device)
}

func (e *executable) results(a answer, first uint64, device compute.DeviceNum) ([]compute.Buffer, error) {
	r := &wire.Reader{Bytes: a.message}
	results := make([]compute.Buffer, r.Count())
	for i := range results {
		b := e.backend.handle(first+uint64(i), device, program.ReadShape(r))
		if r.Bool() && r.Err == nil {
			n := int(b.shape.ByteSize())
			if n > len(a.data) {
				return nil, errors.Errorf("%q: %d bytes for a result of shape %s", e.name, len(a.data), b.shape)
			}
			b.content, a.data = a.data[:n:n], a.data[n:]
		}
		results[i] = b
	}
	return results, r.End()
}
