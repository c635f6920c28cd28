package interv

import (
	"fmt"
	"reflect"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/host"
)

// Metric measures a run by its logits, where the run is: a graph function, of which only the numbers come to the host. It works row by
// row, and a row is what the model says of one example at one place. Package interv/metric has the metrics.
type Metric interface {
	// Name is what results, configs and files call it.
	Name() string

	// Key tells its graph from those of other metrics of the same name whose data have the same shapes: the settings that the graph has as
	// constants; often empty.
	Key() string

	// Data are the metric's own tensors for a batch, such as token ids, each with the example as its first axis. They are runtime inputs:
	// their values decide nothing of a program. It refuses what does not fit the batch or the number of logits.
	Data(batch, logits int) (Inputs, error)

	// Measure adds the metric to the graph: [rows], or [rows, …] for one of several numbers.
	Measure(r Rows) *Node
}

// Rows is what a [Metric] is computed from, inside a graph.
type Rows struct {
	Logits *Node // [rows, logits], float32, or float64 of a model that is
	Clean  *Node // of the same shape: what the clean run says in the same places; nil unless the metric is a [CleanReader]
	Data   Nodes // the metric's Data, with the rows as first axis
}

// CleanReader is a metric that may compare with the clean run.
type CleanReader interface {
	Metric
	ReadsClean() bool
}

// TokenReader is a metric that may need the logits of a few tokens alone: those of its data called TokenData, [batch, tokens] int32;
// empty if it needs all. MeasureTokens is then Measure, from these logits, [rows, tokens].
type TokenReader interface {
	Metric
	TokenData() string
	MeasureTokens(logits *Node, data Nodes) *Node
}

// Counter is a metric that may count, as an accuracy does: it moves in steps, and so has no gradient.
type Counter interface {
	Metric
	Counts() bool
}

// ReadsClean tells whether a metric reads the clean run.
func ReadsClean(m Metric) bool {
	reader, ok := m.(CleanReader)
	return ok && reader.ReadsClean()
}

// TokenData is the name of the data that lists the tokens whose logits are all that a metric needs; empty for every logit.
func TokenData(m Metric) string {
	if reader, ok := m.(TokenReader); ok {
		return reader.TokenData()
	}
	return ""
}

// TokenLogits picks the logits of tokens, [rows, tokens] int32, from [rows, logits]: [rows, tokens].
func TokenLogits(logits, tokens *Node) *Node {
	rows := Iota(tokens.Graph(), shapes.Make(dtypes.Int32, append(tokens.Shape().Clone().Dimensions, 1)...), 0)
	return Gather(logits, Concatenate([]*Node{rows, ExpandDims(tokens, -1)}, -1))
}

// Measure is a metric and where it is read.
type Measure struct {
	// Name is what the result's value is found by; empty for the metric's.
	Name string

	Metric Metric

	// At is the position that is read in each example, [example][1], or one for all of them, [1][1]. Below 0 it counts from the end of the
	// example, before any padding on the right; nil means −1, the last. A model whose output has no positions, such as a classifier, takes
	// nil alone.
	At [][]int
}

// ForRows is the measure for a batch whose example i is example rows[i] of the batch, of so many, that m is for: its data and places are those of
// these examples.
func (m Measure) ForRows(batch int, rows []int) Measure {
	m.Metric = ofRows{m.Metric, batch, rows}
	if len(m.At) > 1 {
		at := make([][]int, len(rows))
		for i, row := range rows {
			at[i] = m.At[row]
		}
		m.At = at
	}
	return m
}

// ofRows is a metric whose data, of so many examples, are picked for the rows of another batch.
type ofRows struct {
	Metric
	batch int
	rows  []int
}

// Data are those of the rows.
func (m ofRows) Data(_, logits int) (Inputs, error) {
	data, err := m.Metric.Data(m.batch, logits)
	if err != nil {
		return nil, err
	}
	return host.Examples(data, m.rows), nil
}

// ReadsClean is the metric's.
func (m ofRows) ReadsClean() bool { return ReadsClean(m.Metric) }

// Counts is the metric's.
func (m ofRows) Counts() bool {
	counter, ok := m.Metric.(Counter)
	return ok && counter.Counts()
}

// title is what the measure's value is found by.
func (m Measure) title() string {
	if m.Name == "" && m.there() {
		return m.Metric.Name()
	}
	return m.Name
}

// there tells whether there is a metric, and not a pointer to none.
func (m Measure) there() bool {
	value := reflect.ValueOf(m.Metric)
	return m.Metric != nil && !(value.Kind() == reflect.Pointer && value.IsNil())
}

// Reading is a [Measure] checked for a batch of runs.
type Reading struct {
	Measure
	Positions []int  // the position that is read in each example; nil where the output has none
	Data      Inputs // the metric's, each with the example as first axis
}

// Read checks a measure against the extent and the shape of the output of a run, [batch, logits] or [batch, positions, logits]. Where At
// is padding or not there, and what the metric's data refuse, is an error.
func (m Measure) Read(extent Extent, output shapes.Shape) (Reading, error) {
	r := Reading{Measure: m}
	where := fmt.Sprintf("metric %q", m.title())
	if !m.there() {
		return r, &Error{Where: where, Got: "none", Wanted: "a Metric"}
	}
	rank := output.Rank()
	if rank != 2 && rank != 3 || output.Dim(0) != extent.Batch || rank == 3 && output.Dim(1) != extent.Positions || !output.DType.IsFloat() {
		return r, &Error{Where: where, Axis: "the model's output", Got: output.String(), Wanted: "logits [batch, logits] or [batch, positions, logits]"}
	}
	var err error
	if rank == 2 && m.At != nil {
		return r, &Error{Where: where, Axis: "position", Got: fmt.Sprint(m.At), Wanted: fmt.Sprintf("none: the model's output, %s, has no positions", output)}
	} else if rank == 3 {
		if r.Positions, err = m.positions(extent); err != nil {
			return r, Within(where, err)
		}
	}
	if r.Data, err = m.Metric.Data(extent.Batch, output.Dim(-1)); err != nil {
		return r, Within(where, err)
	}
	for _, name := range sortedKeys(r.Data) {
		if t := r.Data[name]; t == nil || t.Rank() == 0 || t.Shape().Dim(0) != extent.Batch {
			return r, &Error{Where: where, Axis: name, Got: describeShape(t), Wanted: fmt.Sprintf("a tensor whose first axis is the batch, %d", extent.Batch)}
		}
	}
	return r, nil
}

// One refuses a metric of several numbers for each row, on logits of a run's output; it builds the metric's graph, which is never compiled.
func (r Reading) One(backend compute.Backend, output shapes.Shape) error {
	g := NewGraph(backend, "metric")
	defer g.Finalize()
	rows := output.Dim(0)
	in := Rows{Logits: Parameter(g, "logits", shapes.Make(output.DType, rows, output.Dim(-1))), Data: Nodes{}}
	if ReadsClean(r.Metric) {
		in.Clean = Parameter(g, "clean", in.Logits.Shape())
	}
	for _, name := range sortedKeys(r.Data) {
		in.Data[name] = Parameter(g, "data "+name, r.Data[name].Shape())
	}
	return guard(func() {
		if value := r.Of(in); value.Rank() != 1 {
			panic(&Error{Where: fmt.Sprintf("metric %q", r.title()), Axis: "value", Got: value.Shape().String(), Wanted: "one number for each run"})
		}
	})
}

// positions resolves At.
func (m Measure) positions(extent Extent) ([]int, error) {
	rows := m.At
	switch {
	case rows == nil:
		rows = Repeat(extent.Batch, -1)
	case len(rows) == 1 && len(rows[0]) == 1:
		rows = Repeat(extent.Batch, rows[0][0])
	}
	side := side{axis: "position", unit: Position, extent: extent}
	rows, err := side.check(rows, "position", extent.Positions, extent.Real)
	if err != nil {
		return nil, err
	}
	positions := make([]int, len(rows))
	for i, row := range rows {
		if len(row) != 1 {
			return nil, &Error{Axis: fmt.Sprintf("position of example %d", i), Got: fmt.Sprintf("%d positions", len(row)), Wanted: "one"}
		}
		positions[i] = row[0]
	}
	return positions, nil
}

// index is the rows of [batch · positions, logits] that are read, [batch] int32; nil where the output has no positions.
func (r Reading) index(extent Extent) *tensors.Tensor {
	if r.Positions == nil {
		return nil
	}
	rows := make([]int, len(r.Positions))
	for i, position := range r.Positions {
		rows[i] = i*extent.Positions + position
	}
	return int32Tensor(rows, len(rows))
}

// Of adds the metric to a graph and checks what it makes: [rows], or [rows, …]. Logits and clean are [rows, logits], clean nil unless the
// metric reads it; data are the metric's with the rows as first axis.
func (m Measure) Of(rows Rows) *Node { return m.guarded(rows, rows.Logits, m.Metric.Measure) }

// OfTokens is Of for a metric with TokenData, from the logits of these tokens, [rows, tokens].
func (m Measure) OfTokens(logits *Node, data Nodes) *Node {
	return m.guarded(Rows{Logits: logits, Data: data}, logits, func(r Rows) *Node { return m.Metric.(TokenReader).MeasureTokens(r.Logits, r.Data) })
}

func (m Measure) guarded(rows Rows, logits *Node, build func(Rows) *Node) (value *Node) {
	where, count := fmt.Sprintf("metric %q", m.title()), logits.Shape().Dim(0)
	rows.Logits = wide(rows.Logits)
	if rows.Clean != nil {
		rows.Clean = wide(rows.Clean)
	}
	if err := guard(func() { value = build(rows) }); err != nil {
		panic(Within(where, err))
	}
	if value == nil || value.Rank() == 0 || value.Shape().Dim(0) != count || !value.DType().IsFloat() {
		got := "nothing"
		if value != nil {
			got = value.Shape().String()
		}
		panic(&Error{Where: where, Axis: "value", Got: got, Wanted: fmt.Sprintf("numbers for each of the %d rows", count)})
	}
	return value
}

// wide is x in float32 at least.
func wide(x *Node) *Node {
	if x.DType() == dtypes.Float32 || x.DType() == dtypes.Float64 {
		return x
	}
	return ConvertDType(x, dtypes.Float32)
}
