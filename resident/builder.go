package resident

import (
	"runtime"
	"slices"
	"sync"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/pkg/errors"

	"github.com/govene/govene/resident/internal/program"
	"github.com/govene/govene/resident/internal/wire"
)

// builder records what it is told. The Go backend's builder is told the same, for the shapes of results and for what is refused; its graph
// is never run.
type builder struct {
	backend  *Backend
	name     string
	code     wire.Writer
	oracle   *program.Replay
	main     *function
	values   uint64 // number of the last
	last     uint64 // number of the last function
	outputs  []shapes.Shape
	compiled bool
}

// function is a function of a graph under construction; its recording methods are generated.
type function struct {
	b      *builder
	number uint64
	name   string
	parent *function
}

// value is a value of a graph under construction.
type value struct {
	b      *builder
	number uint64
	shape  shapes.Shape
}

var (
	_ compute.Builder  = (*builder)(nil)
	_ compute.Function = (*function)(nil)
)

func newBuilder(backend *Backend, name string) *builder {
	b := &builder{backend: backend, name: name, last: 1, oracle: program.NewReplay(backend.oracle.Builder(name))}
	b.main = &function{b: b, number: 1, name: compute.MainName}
	return b
}

func (b *builder) Name() string { return b.name }

func (b *builder) Main() compute.Function { return b.main }

func (b *builder) NewFunction(name string) (compute.Function, error) {
	if err := b.step(numberNewFunction, 0, []any{name}, nil); err != nil {
		return nil, err
	}
	b.last++
	return &function{b: b, number: b.last, name: name}, nil
}

func (b *builder) OpShape(v compute.Value) (shapes.Shape, error) {
	known, ok := v.(*value)
	if !ok || known.b != b {
		return shapes.Invalid(), errors.Errorf("a %T is no value of the graph %q", v, b.name)
	}
	return known.shape, nil
}

func (f *function) Name() string { return f.name }

func (f *function) Builder() compute.Builder { return f.b }

func (f *function) Parent() compute.Function {
	if f.parent == nil {
		return nil
	}
	return f.parent
}

func (f *function) Shape(v compute.Value) (shapes.Shape, error) { return f.b.OpShape(v) }

func (f *function) Closure() (compute.Function, error) {
	if err := f.b.step(numberClosure, f.number, nil, nil); err != nil {
		return nil, err
	}
	f.b.last++
	return &function{b: f.b, number: f.b.last, parent: f}, nil
}

func (f *function) record(number int, arguments, results []any) error {
	if err := f.b.step(number, f.number, arguments, results); err != nil {
		return err
	}
	if f == f.b.main && program.Name(number) == "Return" {
		for _, output := range arguments[0].([]compute.Value) {
			f.b.outputs = append(f.b.outputs, output.(*value).shape)
		}
	}
	return nil
}

// record records what is told to the builder itself. It is how devices share the work, of which the Go backend knows nothing.
func (b *builder) record(number int, arguments, results []any) error {
	return b.step(number, 0, arguments, results)
}

// step records a step and sets the results to the values that it makes.
func (b *builder) step(number int, receiver uint64, arguments, results []any) error {
	if b.compiled {
		return errors.Errorf("%s: the graph %q has been compiled", program.Name(number), b.name)
	}
	start := len(b.code.Bytes)
	if err := program.AppendStep(&b.code, number, receiver, arguments, b.numberOf); err != nil {
		b.code.Bytes = b.code.Bytes[:start]
		return errors.WithStack(err)
	}
	made, err := b.shapes(number, receiver, arguments, b.code.Bytes[start:])
	if err != nil {
		b.code.Bytes = b.code.Bytes[:start]
		return err
	}
	before := b.values
	for i, result := range results {
		values := make([]compute.Value, len(made[i].Shapes))
		for j, shape := range made[i].Shapes {
			b.values++
			values[j] = &value{b, b.values, shape}
		}
		switch to := result.(type) {
		case *compute.Value:
			if len(values) != 1 {
				return errors.Errorf("%s made %d values where it should make one", program.Name(number), len(values))
			}
			*to = values[0]
		case *[]compute.Value:
			*to = values
		}
	}
	b.code.Uint(b.values - before)
	return nil
}

// numberOf is the number of a value or function of this graph.
func (b *builder) numberOf(of any) (uint64, error) {
	switch known := of.(type) {
	case *value:
		if known.b == b {
			return known.number, nil
		}
		return 0, errors.Errorf("a value of another graph, %q, in %q", known.b.name, b.name)
	case *function:
		if known.b == b {
			return known.number, nil
		}
		return 0, errors.Errorf("a function of another graph, %q, in %q", known.b.name, b.name)
	}
	return 0, errors.Errorf("a %T is of another backend", of)
}

// Compile has the engine compile what was recorded, unless it has done so before.
func (b *builder) Compile() (compute.Executable, error) {
	if b.compiled {
		return nil, errors.Errorf("the graph %q has been compiled", b.name)
	}
	b.compiled = true
	var w wire.Writer
	w.Text(b.name)
	answer, err := b.backend.calls.ask(wire.Compile, w.Bytes, b.code.Bytes)
	b.code.Bytes, b.oracle = nil, nil
	if err != nil {
		return nil, errors.WithMessagef(err, "graph %q", b.name)
	}
	e := &executable{backend: b.backend, name: b.name, dropping: new(sync.Once)}
	r := &wire.Reader{Bytes: answer.message}
	e.number = r.Uint()
	for range r.Count() {
		e.names = append(e.names, r.Text())
		e.inputs = append(e.inputs, program.ReadShape(r))
	}
	for range r.Count() {
		e.outputs = append(e.outputs, program.ReadShape(r))
	}
	if err := r.End(); err != nil {
		return nil, err
	}
	number, dropping := e.number, e.dropping
	runtime.AddCleanup(e, func(backend *Backend) { backend.drop(number, dropping) }, b.backend)
	if !slices.EqualFunc(e.outputs, b.outputs, shapes.Shape.Equal) {
		return nil, errors.Errorf("graph %q: the engine makes %v of what was built as %v", b.name, e.outputs, b.outputs)
	}
	return e, nil
}

// probed is what the engine said of an operation that the Go backend does not know.
type probed struct {
	results []program.Result
	err     error
}

// shapes are those of the results of a step: as the Go backend's builder tells, or as the engine tells of an operation that the Go backend
// refuses or that the engine's backend may lack.
func (b *builder) shapes(number int, receiver uint64, arguments []any, code []byte) ([]program.Result, error) {
	if b.backend.isGo() {
		return b.oracle.Step(&wire.Reader{Bytes: code})
	}
	var refused error
	if receiver == 0 || !b.backend.lacks(number) {
		results, err := b.oracle.Step(&wire.Reader{Bytes: code})
		if err == nil {
			return results, nil
		}
		if receiver == 0 && number != numberNewFunction { // how devices share the work, of which the Go backend knows nothing
			return nil, nil
		}
		refused = err
	}
	probe, ok, err := program.Probe(number, arguments, b.OpShape)
	switch {
	case err != nil:
		return nil, err
	case !ok && refused != nil:
		return nil, refused
	case !ok:
		return b.oracle.Step(&wire.Reader{Bytes: code})
	}
	answer := b.backend.probe(probe)
	if answer.err != nil {
		return nil, answer.err
	}
	return answer.results, b.standIn(receiver, answer.results)
}

// isGo tells whether the engine's backend is the Go backend, whose builder then says the same as the one here.
func (b *Backend) isGo() bool { return b.about.Text == b.oracle.String() }

// lacks tells whether the engine's backend may lack an operation that the Go backend has.
func (b *Backend) lacks(number int) bool {
	operation, err := compute.OpTypeString(program.Name(number))
	return err == nil && !b.about.Capabilities.Operations[operation]
}

// probe asks the engine what it makes of an operation, once.
func (b *Backend) probe(code []byte) probed {
	b.mu.Lock()
	known, ok := b.probes[string(code)]
	b.mu.Unlock()
	if ok {
		return known
	}
	answer, err := b.calls.ask(wire.Probe, nil, code)
	known.err = err
	r := &wire.Reader{Bytes: answer.message}
	if err == nil {
		for range r.Count() {
			result := program.Result{List: r.Bool()}
			for range r.Count() {
				result.Shapes = append(result.Shapes, program.ReadShape(r))
			}
			known.results = append(known.results, result)
		}
		known.err = r.End()
	}
	b.mu.Lock()
	b.probes[string(code)] = known
	b.mu.Unlock()
	return known
}

// standIn gives the Go backend's builder values of the right shapes in place of results that it can't compute.
func (b *builder) standIn(receiver uint64, results []program.Result) error {
	in := b.oracle.Function(receiver)
	for _, result := range results {
		for _, shape := range result.Shapes {
			scalar, err := in.Constant(dtypes.MakeAnySlice(shape.DType, 1))
			if err != nil {
				return err
			}
			all, err := in.BroadcastInDim(scalar, shape, nil)
			if err != nil {
				return err
			}
			b.oracle.Add(all)
		}
	}
	return nil
}
