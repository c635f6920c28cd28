package interv

import (
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/host"
	"github.com/govene/govene/internal/must"
	"github.com/govene/govene/internal/strict"
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

// Measured is what one [Measure] returned.
type Measured struct {
	Name  string          // the measure's, or its metric's: with "#2" for the second of that name
	Value *tensors.Tensor // of the counterfactual output, [batch], or [batch, …] for a metric of several numbers
	Base  *tensors.Tensor // of the clean output on the base, if the call asked for it (Call.WithBase)
}

// Metric returns the values of the metric of that name, one for each example, or several one example after the other.
func (r *Result) Metric(name string) ([]float64, error) {
	names := make([]string, len(r.Metrics))
	for i, m := range r.Metrics {
		if names[i] = m.Name; m.Name == name {
			return host.Floats(m.Value), nil
		}
	}
	return nil, UnknownName("metrics", "name", name, names)
}

// MustMetric is Metric that panics on an error.
func (r *Result) MustMetric(name string) []float64 { return must.Of(r.Metric(name)) }

// bindMetrics checks the call's metrics against the base run.
func (b *bound) bindMetrics(iv *Intervenable) error {
	if len(b.call.Metrics) == 0 {
		return nil
	}
	base := b.base()
	output, err := iv.outputShape(base.inputs)
	if err != nil {
		return err
	}
	for _, m := range b.call.Metrics {
		r, err := m.Read(base.extent, output)
		if err != nil {
			return err
		}
		b.readings = append(b.readings, boundReading{r, r.index(base.extent)})
	}
	return nil
}

// boundReading is a reading with the index of its rows.
type boundReading struct {
	Reading
	rows *tensors.Tensor // nil where the output has no positions
}

// readers are, of readings, the first ones of those that read the same rows whatever a call says: all that read the last positions do.
func (b *bound) readers() (first []int) {
	last := -1
	for i, r := range b.readings {
		if r.At == nil && last < 0 {
			last = i
		}
		if first = append(first, i); r.At == nil {
			first[i] = last
		}
	}
	return first
}

// appendMetrics adds what of the metrics decides the program.
func (b *bound) appendMetrics(text []byte) []byte {
	for _, r := range b.readings {
		text = append(text, fmt.Sprintf(" metric %q %T %q %q %t", r.title(), r.Metric, r.Metric.Name(), r.Metric.Key(), r.At == nil)...)
		text = appendShapes(text, r.Data)
	}
	return text
}

// readsClean tells whether the program has the clean run on the base.
func (b *bound) readsClean() bool {
	clean := b.call.WithBase
	for _, r := range b.readings {
		clean = clean || ReadsClean(r.Metric)
	}
	return clean
}

// metrics adds the metrics of a run to the graph and to its outcome: for each its value and, where the call asks for the base, that of the
// clean run.
func (build *builder) metrics(o Outcome, rows *outputRows, run, clean output) (results []*Node) {
	names := build.call.metricNames()
	for i, r := range build.call.readings {
		data := build.inputs(fmt.Sprintf("metric %d", i), r.Data, func(e *execution) Inputs { return e.readings[i].Data })
		in := Rows{Logits: rows.read(i, run), Data: data}
		var base *Node
		if build.call.call.WithBase || ReadsClean(r.Metric) {
			base = rows.read(i, clean)
		}
		if ReadsClean(r.Metric) {
			in.Clean = base
		}
		o.Metrics[names[i]] = r.Of(in)
		results = append(results, o.Metrics[names[i]])
		if build.call.call.WithBase {
			in.Logits = base
			results = append(results, r.Of(in))
		}
	}
	return results
}

// outputRows are the rows of the model's output, [batch · positions, …], that metrics read.
type outputRows struct {
	of    []*Node // for each metric, [batch] int32; nil where the output has no positions
	first []int   // for each metric, where its rows begin among all that are read
	all   *Node   // [reads, 1]: all that are read; nil if the program has the whole output
}

// readRows adds the rows that metrics read to the graph, whole telling whether the program needs the output at all positions, too.
func (build *builder) readRows(whole bool) *outputRows {
	b, out := build.call, &outputRows{}
	var distinct []*Node
	begins, extent := 0, b.base().extent
	for i, k := range b.readers() {
		switch {
		case b.readings[i].rows == nil:
			out.of, out.first, whole = append(out.of, nil), append(out.first, 0), true
		case k < i:
			out.of, out.first = append(out.of, out.of[k]), append(out.first, out.first[k])
		default:
			rows := build.parameter(fmt.Sprintf("metric %d rows", i), b.readings[i].rows.Shape(), func(e *execution) *tensors.Tensor { return e.readings[i].rows })
			distinct = append(distinct, rows)
			out.of, out.first = append(out.of, rows), append(out.first, begins)
			begins += extent.Batch
		}
	}
	if !whole && begins > 0 && begins < extent.Batch*extent.Positions {
		out.all = ExpandDims(Concatenate(distinct, 0), -1)
	}
	return out
}

// tap is a tap for a run of which these rows are read.
func (out *outputRows) tap(tap *Tap) *Tap {
	if out.all != nil {
		if tap == nil {
			tap = NewTap(func(_ *Tap, a Activation) *Node { return a.Value })
		}
		tap.reads = out.all
	}
	return tap
}

// read are the rows of a run's output that a metric reads, [batch, logits].
func (out *outputRows) read(metric int, r output) *Node {
	index := out.of[metric]
	switch {
	case index == nil:
		return r.node
	case r.picked:
		first := out.first[metric]
		return SliceAxis(rowsOf(r.node), 0, AxisRange(first, first+index.Shape().Dim(0)))
	}
	return gatherRows(rowsOf(r.node), index)
}

// output is the output of a run: at all positions, or at those alone that metrics read.
type output struct {
	node   *Node
	picked bool
}

// metricNames are what the values of metrics are found by.
func (b *bound) metricNames() []string {
	seen, names := map[string]int{}, make([]string, len(b.readings))
	for i, r := range b.readings {
		names[i] = r.title()
		if seen[names[i]]++; seen[names[i]] > 1 {
			names[i] = fmt.Sprintf("%s #%d", names[i], seen[names[i]])
		}
	}
	return names
}

// measured hands out what the metrics returned, and what follows.
func (b *bound) measured(results []*tensors.Tensor) (list []Measured, rest []*tensors.Tensor) {
	for _, name := range b.metricNames() {
		m := Measured{Name: name}
		m.Value, results = results[0], results[1:]
		if b.call.WithBase {
			m.Base, results = results[0], results[1:]
		}
		list = append(list, m)
	}
	return list, results
}

// OutputShape is the shape of a model's output on inputs, found by building the graph of a run that is never compiled.
func OutputShape(backend compute.Backend, model Model, inputs Inputs) (shape shapes.Shape, err error) {
	if err := checkBoth(backend, model); err != nil {
		return shape, err
	}
	g := NewGraph(backend, "output shape")
	defer g.Finalize()
	weights, nodes := Nodes{}, Nodes{}
	for name, t := range model.Weights().All() {
		weights[name] = Parameter(g, "weight "+name, t.Shape())
	}
	for _, name := range sortedKeys(inputs) {
		nodes[name] = Parameter(g, "input "+name, inputs[name].Shape())
	}
	err = guard(func() {
		output, _ := forward(model, weights, nodes, nil)
		shape = output.Shape().Clone()
	})
	return shape, err
}

// outputShape is OutputShape, once for inputs of the same shapes.
func (iv *Intervenable) outputShape(inputs Inputs) (shapes.Shape, error) {
	key := string(appendShapes(nil, inputs))
	if shape, ok := iv.outputs.Load(key); ok {
		return shape.(shapes.Shape), nil
	}
	shape, err := OutputShape(iv.backend, iv.model, inputs)
	if err == nil {
		iv.outputs.Store(key, shape)
	}
	return shape, err
}

// metricRegistry holds the metrics that JSON can name.
var metricRegistry = map[string]reflect.Type{}

// RegisterMetric makes a type of metric known to JSON, by a name: a struct whose exported fields are its settings. To be called from an
// init function of the package that declares the type; a name that is taken panics.
func RegisterMetric(name string, prototype Metric) {
	if _, taken := metricRegistry[name]; taken {
		panic("interv.RegisterMetric: metric " + name + " is already registered")
	}
	metricRegistry[name] = reflect.TypeOf(prototype)
}

// metricJSON is the form of a metric in files: the name it is registered by, and its settings.
type metricJSON struct {
	Type     string          `json:"metric"`
	Settings json.RawMessage `json:"settings,omitempty"`
}

// measureJSON is the form of a measure in files.
type measureJSON struct {
	Name string `json:"name,omitempty"`
	metricJSON
	At [][]int `json:"at,omitempty"`
}

// MarshalMetric writes a metric as JSON, or says that it cannot be saved.
func MarshalMetric(m Metric) ([]byte, error) {
	file, err := metricToJSON(m)
	if err != nil {
		return nil, err
	}
	return json.Marshal(file)
}

// UnmarshalMetric reads what MarshalMetric wrote; an unknown field or metric is an error.
func UnmarshalMetric(text []byte) (Metric, error) {
	var file metricJSON
	if err := strict.Unmarshal(text, &file); err != nil {
		return nil, err
	}
	return file.read()
}

func metricToJSON(m Metric) (metricJSON, error) {
	if m == nil {
		return metricJSON{}, &Error{Axis: "metric", Got: "none", Wanted: "one"}
	}
	for _, name := range sortedKeys(metricRegistry) {
		if metricRegistry[name] != reflect.TypeOf(m) {
			continue
		}
		settings, err := json.Marshal(m)
		if string(settings) == "{}" {
			settings = nil
		}
		return metricJSON{name, settings}, err
	}
	return metricJSON{}, &Error{Axis: "saving metric " + m.Name(), Got: fmt.Sprintf("%T, which no file can hold", m),
		Wanted: "a type given to interv.RegisterMetric (a Go function cannot be saved: declare a type)"}
}

func (file metricJSON) read() (Metric, error) {
	kind, ok := metricRegistry[file.Type]
	if !ok {
		return nil, UnknownName("", "metric", file.Type, sortedKeys(metricRegistry))
	}
	settings := file.Settings
	if len(settings) == 0 {
		settings = json.RawMessage("{}")
	}
	value := reflect.New(kind)
	if err := strict.Unmarshal(settings, value.Interface()); err != nil {
		return nil, Within(file.Type, err)
	}
	return value.Elem().Interface().(Metric), nil
}

// MarshalJSON writes the measure, or says that its metric cannot be saved.
func (m Measure) MarshalJSON() ([]byte, error) {
	metric, err := metricToJSON(m.Metric)
	if err != nil {
		return nil, err
	}
	return json.Marshal(measureJSON{m.Name, metric, m.At})
}

// UnmarshalJSON reads what MarshalJSON wrote; an unknown field or metric is an error.
func (m *Measure) UnmarshalJSON(text []byte) error {
	var file measureJSON
	if err := strict.Unmarshal(text, &file); err != nil {
		return err
	}
	metric, err := file.read()
	if err != nil {
		return err
	}
	*m = Measure{file.Name, metric, file.At}
	return nil
}
