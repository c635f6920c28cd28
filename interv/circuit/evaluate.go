package circuit

import (
	"context"
	"fmt"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/host"
	"github.com/govene/govene/internal/must"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/sweep"
	"github.com/govene/govene/interv/transformer"
)

// Evaluation asks how much of what a model does some circuits do on their own: everything outside a circuit is ablated.
//
// Of a circuit of nodes, what every other node writes is replaced, whatever it reads. Of a circuit of edges, a reader sees, from each writer whose
// edge to it is not in the circuit, what that writes when it is ablated, and from the others what they write in this run; nothing is linearized.
// A circuit of nodes is that of all edges from them.
//
// With m the mean of the metric over pairs, and ∅ the circuit that has nothing,
//
//	faithfulness = (m(circuit) − m(∅)) / (m(model) − m(∅)):
//
// 1 for the whole model, 0 for nothing, less than 0 or more than 1 where what was ablated hinders or helps. With Resample, m(∅) is the metric of
// the source: Hanna et al., "Have Faith in Faithfulness" (2024). Wang et al., "Interpretability in the Wild" (2022), ablate by the mean, over a
// reference distribution of prompts, and report the difference |m(model) − m(circuit)|. TransformerLens counts from the metric of the source
// whatever the ablation, so that its share of a mean ablation is another.
type Evaluation struct {
	// Base holds the runs in which circuits do the task, Source those that what is outside comes from: example i of both is a pair, of the same
	// positions.
	Base, Source interv.Inputs

	Circuits []Circuit
	Outside  Ablation

	// Metric is what is read of each run, one number. It is read at the positions ReadAt, [pair][1] or [1][1] for all pairs; nil for the last that
	// is not padding.
	Metric interv.Metric
	ReadAt [][]int

	// Memory is about what a batch of pairs with edges may take besides the weights, 0 for 2 GiB; one pair at a time it is at least. Circuits of
	// nodes take all pairs at once.
	Memory sweep.Bytes
}

// Ablation is what nodes outside a circuit write.
type Ablation string

// What takes the place of what a node writes.
const (
	Resample Ablation = ""     // what it writes in the source of the pair
	Mean     Ablation = "mean" // its mean over all sources, at each position
	Zero     Ablation = "zero" // 0
)

// Result is what the circuits do.
type Result struct {
	Metric   string
	Circuits []Circuit
	Model    []float64   // the metric of the model, of each pair
	Empty    []float64   // of the circuit that has nothing
	Values   [][]float64 // [circuit][pair]
}

// Faithfulness is that of a circuit, counted from 0: (m(circuit) − m(∅)) / (m(model) − m(∅)), see [Evaluation].
func (r *Result) Faithfulness(circuit int) float64 {
	empty := mean(r.Empty)
	return (mean(r.Values[circuit]) - empty) / (mean(r.Model) - empty)
}

// Evaluate runs all circuits, each on all pairs at once, and compiles a program for those of nodes and one for those of edges. A metric by which
// the model does no more than nothing does, and edges in families in which they cannot be told apart (see [transformer.Model.Edges]), are errors. It
// ends early when the context does.
func Evaluate(ctx context.Context, backend compute.Backend, model interv.Model, e Evaluation) (*Result, error) {
	r, err := e.run(ctx, backend, model)
	return r, interv.Within("circuit", err)
}

// MustEvaluate is Evaluate, never cancelled, that panics on an error.
func MustEvaluate(backend compute.Backend, model interv.Model, e Evaluation) *Result {
	return must.Of(Evaluate(context.Background(), backend, model, e))
}

// job is pairs of a model that have been checked.
type job struct {
	*parts
	extent    interv.Extent
	dtype     dtypes.DType
	collector *collector
}

func newJob(backend compute.Backend, model interv.Model, base, source interv.Inputs) (*job, error) {
	if backend == nil || model == nil {
		return nil, &interv.Error{Axis: "backend and model", Got: fmt.Sprintf("%T and %T", backend, model), Wanted: "both"}
	}
	p, err := partsOf(model)
	if err != nil {
		return nil, err
	}
	j := &job{parts: p, dtype: model.Weights().ResultDType()}
	if j.extent, err = model.Check(base); err != nil {
		return nil, interv.Within("base", err)
	}
	extent, err := model.Check(source)
	if err != nil {
		return nil, interv.Within("source", err)
	}
	if err := j.extent.CheckSource(extent); err != nil {
		return nil, err
	}
	j.collector, err = newCollector(backend, model, p.sites())
	return j, err
}

func (e Evaluation) run(ctx context.Context, backend compute.Backend, model interv.Model) (*Result, error) {
	if err := e.check(); err != nil {
		return nil, err
	}
	j, err := newJob(backend, model, e.Base, e.Source)
	if err != nil {
		return nil, err
	}
	for i, c := range e.Circuits {
		if err := j.check(c); err != nil {
			return nil, interv.Within(fmt.Sprintf("circuit %d", i), err)
		}
	}
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	outside, err := e.ablated(j)
	if err != nil {
		return nil, err
	}
	r := &Result{Metric: e.Metric.Name(), Circuits: e.Circuits}
	run := runner{Evaluation: e, job: j, backend: backend, model: model.(*transformer.Model), outside: outside}
	for i, c := range append(slices.Clip(e.Circuits), Circuit{Nodes: j.writers}, Circuit{}) {
		if err := context.Cause(ctx); err != nil {
			return nil, err
		}
		values, err := run.circuit(c)
		if err != nil {
			return nil, err
		}
		switch i {
		case len(e.Circuits):
			r.Model = values
		case len(e.Circuits) + 1:
			r.Empty = values
		default:
			r.Values = append(r.Values, values)
		}
	}
	if mean(r.Model) == mean(r.Empty) {
		return nil, &interv.Error{Axis: "metric " + r.Metric, Got: fmt.Sprintf("%g of the model and of nothing", mean(r.Empty)), Wanted: "two numbers, to measure circuits between"}
	}
	return r, nil
}

// check refuses what needs no model to be seen.
func (e Evaluation) check() error {
	switch {
	case e.Metric == nil:
		return &interv.Error{Axis: "metric", Got: "none", Wanted: "one"}
	case interv.ReadsClean(e.Metric):
		return &interv.Error{Axis: "metric", Got: e.Metric.Name() + ", which compares with the clean run", Wanted: "one of the run alone: faithfulness compares"}
	case len(e.Circuits) == 0:
		return &interv.Error{Axis: "circuits", Got: "none", Wanted: "at least one"}
	case !slices.Contains([]Ablation{Resample, Mean, Zero}, e.Outside):
		return interv.UnknownName("", "ablation", e.Outside, []Ablation{Mean, Zero})
	}
	return nil
}

// ablated are what nodes outside write. Means want pairs that begin and end at the same positions.
func (e Evaluation) ablated(j *job) (activations, error) {
	if e.Outside == Mean {
		start, end := j.extent.Real(0)
		for pair := range j.extent.Batch {
			if from, to := j.extent.Real(pair); from != start || to != end {
				return nil, &interv.Error{Axis: fmt.Sprintf("mean over positions of pair %d", pair), Got: fmt.Sprintf("%d to %d", from, to-1),
					Wanted: fmt.Sprintf("%d to %d, as of pair 0", start, end-1)}
			}
		}
	}
	written, err := j.collector.run(e.Source)
	switch {
	case err != nil:
		return nil, err
	case e.Outside == Mean:
		return written.each(meanOverPairs), nil
	case e.Outside == Zero:
		return written.each(func(values []float64, _ int) { clear(values) }), nil
	}
	return written, nil
}

// runner runs circuits, each kind in a program that is made when it is needed.
type runner struct {
	Evaluation
	*job
	backend      compute.Backend
	model        *transformer.Model
	outside      activations
	nodes, edges *interv.Intervenable
	edged        *transformer.Edges
}

// circuit is the metric of a circuit, of each pair.
func (r *runner) circuit(c Circuit) ([]float64, error) {
	var err error
	measure := interv.Measure{Metric: r.Metric, At: r.ReadAt}
	if c.Edges == nil {
		if r.nodes == nil {
			if r.nodes, err = interv.New(r.backend, ablated{r.model, r.parts}, interv.Config{}); err != nil {
				return nil, err
			}
		}
		return r.measure(r.nodes, ablated{r.model, r.parts}.with(r.Base, r.inside(c), r.outside), measure)
	}
	if r.edges == nil {
		if r.edged, err = r.model.Edges(); err != nil {
			return nil, err
		}
		if r.edges, err = interv.New(r.backend, r.edged, interv.Config{}); err != nil {
			return nil, err
		}
	}
	var values []float64
	chunks := r.chunks(r.Memory, false)
	for _, pairs := range chunks {
		rows := filled(chunks, pairs)
		of, err := r.measure(r.edges, r.edged.With(host.Examples(r.Base, rows), r.cut(c, len(rows)), r.outside.of(rows), nil), measure.ForRows(r.extent.Batch, rows))
		if err != nil {
			return nil, err
		}
		values = append(values, of[:len(pairs)]...)
	}
	return values, nil
}

// measure is the metric of a run, of each row.
func (r *runner) measure(program *interv.Intervenable, inputs interv.Inputs, measure interv.Measure) ([]float64, error) {
	result, err := program.Run(interv.Call{Base: inputs, Metrics: []interv.Measure{measure}})
	if err != nil {
		return nil, err
	}
	value := result.Metrics[0].Value
	if value.Rank() != 1 {
		return nil, &interv.Error{Where: "metric " + r.Metric.Name(), Axis: "value", Got: value.Shape().String(), Wanted: "one number for each run"}
	}
	return host.Floats(value), nil
}

// inside marks the nodes of a circuit, [pair, writer].
func (r *runner) inside(c Circuit) *tensors.Tensor {
	row := make([]float64, len(r.writers))
	for i, n := range r.writers {
		if slices.Contains(c.Nodes, n) {
			row[i] = 1
		}
	}
	return host.Tensor(slices.Repeat(row, r.extent.Batch), r.dtype, r.extent.Batch, len(row))
}

// cut marks the edges outside a circuit, [row, reader, writer].
func (r *runner) cut(c Circuit, count int) *tensors.Tensor {
	inside := map[Edge]bool{}
	for _, e := range c.Edges {
		inside[e] = true
	}
	var rows []float64
	for _, to := range r.readers {
		for _, from := range r.writers {
			cut := 1.0
			if inside[Edge{from, to}] {
				cut = 0
			}
			rows = append(rows, cut)
		}
	}
	return host.Tensor(slices.Repeat(rows, count), r.dtype, count, len(r.readers), len(r.writers))
}

func mean(values []float64) (mean float64) {
	for _, value := range values {
		mean += value / float64(len(values))
	}
	return mean
}
