package interv

import (
	"fmt"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/host"
	"github.com/govene/govene/internal/must"
)

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
	for _, name := range model.Weights().Names() {
		weights[name] = Parameter(g, "weight "+name, model.Weights().Shape(name))
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
	iv.mu.Lock()
	shape, known := iv.outputs[key]
	iv.mu.Unlock()
	if known {
		return shape, nil
	}
	shape, err := OutputShape(iv.backend, iv.model, inputs)
	if err != nil {
		return shape, err
	}
	iv.mu.Lock()
	defer iv.mu.Unlock()
	iv.outputs[key] = shape
	return shape, nil
}
