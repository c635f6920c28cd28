package metric

import (
	"fmt"
	"sync/atomic"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/govene/govene/interv"
)

// Func is a metric of one's own: a graph function of rows. It is to be kept for many calls, as each has programs of its own, and no
// file can hold it: for that declare a type and give it to [interv.RegisterMetric].
type Func struct {
	name  string
	of    func(r interv.Rows) *Node
	id    int64
	clean bool
	data  interv.Inputs
}

var functions atomic.Int64 // numbers functions, which Go cannot compare

// NewFunc makes a metric of a name of a function, which returns [rows], or [rows, …] for several numbers.
func NewFunc(name string, of func(r interv.Rows) *Node) Func {
	return Func{name: name, of: of, id: functions.Add(1)}
}

// WithClean is the metric whose function reads the clean run too.
func (m Func) WithClean() Func {
	m.clean = true
	return m
}

// WithData is the metric with data for its function, each with the example as its first axis.
func (m Func) WithData(data interv.Inputs) Func {
	m.data = data
	return m
}

// Name is the function's.
func (m Func) Name() string { return m.name }

// Key tells functions apart.
func (m Func) Key() string { return fmt.Sprint(m.id, m.clean) }

// ReadsClean tells whether the function does.
func (m Func) ReadsClean() bool { return m.clean }

// Data are those given.
func (m Func) Data(int, int) (interv.Inputs, error) {
	if m.of == nil {
		return nil, &interv.Error{Axis: "function", Got: "none", Wanted: "one, given to NewFunc"}
	}
	return m.data, nil
}

// Measure is the function.
func (m Func) Measure(r interv.Rows) *Node { return m.of(r) }
