package interv

import (
	"fmt"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// program is one compiled graph for all calls of one signature. Source runs and the base run are in the same graph, so that the
// compiler shares what they share and drops what nothing reads.
type program struct {
	graph   *Graph
	feeds   []feed
	outputs outputs
}

// feed finds the tensor that an execution passes to one parameter of the graph.
type feed func(e *execution) *tensors.Tensor

// execution is what one execution of a program is fed from.
type execution struct {
	*bound
	parameters parameterValues
	weights    parameterValues   // in place of the model's; nil for these
	extra      []*tensors.Tensor // of the task
}

// weight is what the program takes for a weight of the model.
func (e *execution) weight(name string, own *tensors.Tensor) *tensors.Tensor {
	if e.weights == nil {
		return own
	}
	return e.weights[parameterKey{ofModel, name}]
}

// outputs counts what a program returns, in this order.
type outputs struct {
	output    bool  // the counterfactual output is the first
	base      bool  // the clean output follows
	collected []int // the representations that collect
	task      int   // how many the task added
}

// task is what a program computes beyond the call: a loss with gradients, a step of training. Its key tells programs of different
// tasks apart; build adds its nodes.
type task interface {
	key() string
	build(b *builder, o Outcome) []*Node
}

// weighted is a task that may run with weights other than the model's.
type weighted interface{ ofWeights() parameterValues }

// resultKeeper is a task that may have no use for what the call returns.
type resultKeeper interface{ keepsResult() bool }

// metricTask is a task that may read no more of the outcome than its metrics.
type metricTask interface{ readsMetricsAlone() bool }

// siteReader is a task that reads activations of the base run.
type siteReader interface{ reads() []Site }

// signature is what of the bound call decides the program: shapes, what takes part, and which runs are shared.
func (b *bound) signature() string {
	text := strconv.AppendBool(strconv.AppendBool(nil, b.call.WithBase), b.call.WithOutput)
	text = b.appendMetrics(text)
	for _, run := range b.runs {
		text = appendShapes(append(text, " run"...), run.inputs)
	}
	for _, a := range b.actions {
		if !a.active {
			text = append(text, " -"...)
			continue
		}
		text = append(strconv.AppendInt(append(text, ' '), int64(a.read), 10), '>')
		text = strconv.AppendInt(text, int64(a.write), 10)
		text = strconv.AppendBool(text, a.whole)
		if a.at != nil {
			text = appendDimensions(text, a.shape)
		}
		for _, t := range []*tensors.Tensor{a.given, a.at, a.selected, a.features} {
			text = append(text, ',')
			if t != nil {
				text = appendDimensions(text, t.Shape().Dimensions)
			}
		}
	}
	return string(appendShapes(append(text, " labels"...), b.call.Labels))
}

func appendShapes(text []byte, in Inputs) []byte {
	for _, name := range sortedKeys(in) {
		shape := in[name].Shape()
		text = append(append(append(text, ' '), name...), shape.DType.String()...)
		text = appendDimensions(text, shape.Dimensions)
	}
	return text
}

func appendDimensions(text []byte, dimensions []int) []byte {
	text = append(text, '[')
	for _, d := range dimensions {
		text = append(strconv.AppendInt(text, int64(d), 10), ' ')
	}
	return append(text, ']')
}

// builder adds nodes to the graph of one program. It exists only while the program is built.
type builder struct {
	iv      *Intervenable
	program *program
	call    *bound // for shapes alone
	weights Nodes
	owned   map[parameterKey]*Node
	state   Nodes       // after the base run of a stateful model
	read    []*recorder // what a task reads of the base run
}

// stateful is a model whose run hands something to the next.
type stateful interface {
	forwardState(weights, inputs Nodes, tap *Tap) (output *Node, next Nodes)
}

// forward adds a run of the model to the graph.
func (build *builder) forward(inputs Nodes, tap *Tap) *Node {
	output, state := forward(build.iv.model, build.weights, inputs, tap)
	build.state = state
	return output
}

// forward adds a run of a model to the graph of weights; state is nil of one that has none.
func forward(model Model, weights, inputs Nodes, tap *Tap) (output *Node, state Nodes) {
	if model, ok := model.(stateful); ok {
		output, state = model.forwardState(weights, inputs, tap)
		return widened(output), state
	}
	return widened(model.Forward(weights, inputs, tap)), nil
}

// compile builds and compiles the program for calls like b and a task, which may be nil.
func (iv *Intervenable) compile(b *bound, t task) (p *program, err error) {
	start := time.Now()
	if err = iv.model.Weights().Upload(iv.backend); err != nil {
		return nil, err
	}
	p = &program{graph: NewGraph(iv.backend, "govene")}
	build := &builder{iv: iv, program: p, call: b, weights: Nodes{}, owned: map[parameterKey]*Node{}}
	var results []*Node
	if err = guard(func() { results = build.everything(t) }); err != nil {
		return nil, err
	}
	if err = p.graph.Compile(results...); err != nil {
		return nil, fmt.Errorf("compiling: %w", err)
	}
	iv.compiled.Add(1)
	iv.compiling.Add(int64(time.Since(start)))
	return p, nil
}

// everything adds the whole call to the graph and returns the program's outputs.
func (build *builder) everything(t task) []*Node {
	iv, b, out := build.iv, build.call, &build.program.outputs
	weights := iv.model.Weights()
	for _, name := range weights.names {
		build.weights[name] = build.parameter("weight "+name, weights.Shape(name),
			func(e *execution) *tensors.Tensor { return e.weight(name, weights.Tensor(name)) })
	}
	runs := build.runs()
	base := len(runs) - 1
	if reader, ok := t.(siteReader); ok {
		for _, site := range reader.reads() {
			r := runs[base].read(site)
			r.apart = true
			build.read = append(build.read, r)
		}
	}
	wanted := len(b.readings) == 0 || b.call.WithOutput
	measured, ok := t.(metricTask)
	rows := build.readRows(wanted || t != nil && !(ok && measured.readsMetricsAlone()))
	var run, clean output
	for i, r := range runs {
		run = r.add(i == base, rows)
	}
	if b.readsClean() {
		tap := rows.tap(nil)
		clean.node, _ = forward(iv.model, build.weights, runs[base].inputs, tap)
		clean.picked = tap != nil && tap.picked
	}
	outcome := Outcome{Parameters: Nodes{}, Metrics: Nodes{}}
	if rows.all == nil {
		outcome.Output = run.node
		if b.call.WithBase {
			outcome.BaseOutput = clean.node
		}
	}
	var results []*Node
	keeper, ok := t.(resultKeeper)
	kept := !ok || keeper.keepsResult()
	if out.output = kept && wanted; out.output {
		results = append(results, run.node)
	}
	if out.base = b.call.WithBase && out.output; out.base {
		results = append(results, clean.node)
	}
	results = append(results, build.metrics(outcome, rows, run, clean)...)
	for _, r := range runs {
		r.checkFired()
	}
	for i, a := range b.actions {
		if a.at != nil && iv.plan.representations[i].collects {
			results = append(results, runs[a.write].edit(i).collected())
			out.collected = append(out.collected, i)
		}
	}
	if t != nil {
		outcome.Labels = build.inputs("label", b.call.Labels, func(e *execution) Inputs { return e.call.Labels })
		for key, node := range build.owned {
			outcome.Parameters[key.String()] = node
		}
		added := t.build(build, outcome)
		out.task = len(added)
		results = append(results, added...)
	}
	return results
}

// parameter adds a parameter to the graph and remembers where executions find its value.
func (build *builder) parameter(name string, shape shapes.Shape, feed feed) *Node {
	build.program.feeds = append(build.program.feeds, feed)
	return Parameter(build.program.graph, name, shape)
}

// inputs adds the inputs of one run, of the shapes that example has.
func (build *builder) inputs(prefix string, example Inputs, of func(e *execution) Inputs) Nodes {
	nodes := Nodes{}
	for _, name := range sortedKeys(example) {
		nodes[name] = build.parameter(prefix+" "+name, example[name].Shape(),
			func(e *execution) *tensors.Tensor { return of(e)[name] })
	}
	return nodes
}

// index adds one of the tensors of action i; nil if the action has none.
func (build *builder) index(i int, name string, of func(a *action) *tensors.Tensor) *Node {
	t := of(&build.call.actions[i])
	if t == nil {
		return nil
	}
	return build.parameter(fmt.Sprintf("%s %d", name, i), t.Shape(),
		func(e *execution) *tensors.Tensor { return of(&e.actions[i]) })
}

// owns adds the parameters of the intervention of representation i, or finds those that a linked one has added.
func (build *builder) owns(i int) Nodes {
	nodes := Nodes{}
	owner := build.iv.plan.representations[i].owner
	for _, declared := range build.iv.declared[owner] {
		key := parameterKey{owner, declared.Name}
		if build.owned[key] == nil {
			build.owned[key] = build.parameter("parameter "+key.String(), declared.Value.Shape(),
				func(e *execution) *tensors.Tensor { return e.parameters[key] })
		}
		nodes[declared.Name] = build.owned[key]
	}
	return nodes
}

// run executes the program.
func (p *program) run(backend compute.Backend, e *execution) (results []*tensors.Tensor, err error) {
	buffers := make([]compute.Buffer, len(p.feeds))
	for i, feed := range p.feeds {
		if buffers[i], err = bufferOf(feed(e), backend); err != nil {
			return nil, err
		}
	}
	err = guard(func() { results = p.graph.RunWithBuffers(buffers, make([]bool, len(buffers)), 0) })
	collectGarbage(results)
	return results, err
}

// bufferOf is a tensor on the device. A small one is copied there: memory that Go and the device share takes longer to set up.
func bufferOf(t *tensors.Tensor, backend compute.Backend) (compute.Buffer, error) {
	const small = 64 << 10
	if t.ByteSize() <= small {
		if err := t.MaterializeOnDevice(backend, false, 0); err != nil {
			return nil, err
		}
	}
	return t.Buffer(backend, 0)
}

// handedOut counts the bytes of results since garbage was last collected.
var handedOut atomic.Uintptr

// collectAfter is how many bytes of results may wait for Go's garbage collector.
const collectAfter = 64 << 20

// collectGarbage frees results that nobody holds any more. They lie outside of Go's heap, whose collector does not see how large they are:
// left to itself it would come so late that a loop over calls fills the memory.
func collectGarbage(results []*tensors.Tensor) {
	var size uintptr
	for _, t := range results {
		size += uintptr(t.ByteSize())
	}
	if handedOut.Add(size) > collectAfter {
		handedOut.Store(0)
		runtime.GC()
	}
}
