package interv

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/must"
	"github.com/govene/govene/internal/plural"
)

// Intervenable is a model with interventions: the compiled form of a [Config]. It may be used by many goroutines at once; a call
// changes nothing in the caller's inputs, in the model or in another call.
type Intervenable struct {
	backend  compute.Backend
	model    Model
	config   Config
	plan     *plan
	declared [][]Owned // of each representation that owns its parameters, nil for others

	// What changes is kept under a lock and not in an atomic.Pointer or a sync.Map: each cell of a notebook compiles all methods of the
	// generic types that it can reach, which for these took longer than the cell.
	mu         sync.Mutex
	parameters parameterValues  // replaced whole, never changed
	frozen     frozenParameters // replaced whole, never changed
	programs   map[string]*compilation
	last       []*again                // of each representation; nil before its first action
	outputs    map[string]shapes.Shape // of OutputShape, by the shapes of inputs
	chunked    *Intervenable           // for generation; nil before the first

	calls, compiled, compiling atomic.Int64
}

// compilation is a program that is compiled at most once, however many calls wait for it.
type compilation struct {
	once    sync.Once
	program *program
	err     error
}

// parameterKey names a parameter: the representation that owns it, and its name there.
type parameterKey struct {
	owner int
	name  string
}

// ofModel is the owner of the model's weights.
const ofModel = -1

// String is "0.rotation"; that of a weight is its name.
func (k parameterKey) String() string {
	if k.owner == ofModel {
		return k.name
	}
	return fmt.Sprintf("%d.%s", k.owner, k.name)
}

type parameterValues map[parameterKey]*tensors.Tensor

// New prepares interventions on a model for a backend. It validates the config against the model's catalogue and draws the
// initial values of trainable parameters from the config's seed; nothing is compiled before the first call.
func New(backend compute.Backend, model Model, config Config) (*Intervenable, error) {
	if err := checkBoth(backend, model); err != nil {
		return nil, err
	}
	if err := checkComputes(backend, model.Weights().DType()); err != nil {
		return nil, err
	}
	config = config.clone()
	plan, err := config.check(model.Catalogue())
	if err != nil {
		return nil, err
	}
	iv := newIntervenable(backend, model, config, plan, make([][]Owned, len(plan.representations)))
	values := parameterValues{}
	for i, p := range plan.representations {
		parameterized, ok := p.Intervention.(Parameterized)
		if !ok || p.owner != i {
			continue
		}
		random := rand.New(rand.NewPCG(config.Seed, uint64(i)))
		if iv.declared[i], err = parameterized.Parameters(p.width, random); err != nil {
			return nil, Within(where(i, p.Representation), err)
		}
		if err := checkOwned(iv.declared[i]); err != nil {
			return nil, Within(where(i, p.Representation), err)
		}
		for j := range iv.declared[i] {
			parameter := &iv.declared[i][j]
			parameter.Value = ofDType(parameter.Value, model.Weights().ResultDType())
			key := parameterKey{i, parameter.Name}
			if err := checkParameter(key, parameter.Kind, parameter.Value); err != nil {
				return nil, Within(where(i, p.Representation), err)
			}
			values[key] = parameter.Value
		}
	}
	iv.parameters = values
	return iv, nil
}

func newIntervenable(backend compute.Backend, model Model, config Config, plan *plan, declared [][]Owned) *Intervenable {
	return &Intervenable{backend: backend, model: model, config: config, plan: plan, declared: declared, frozen: frozenParameters{},
		programs: map[string]*compilation{}, last: make([]*again, len(plan.representations)), outputs: map[string]shapes.Shape{}}
}

// MustNew is New that panics on an error.
func MustNew(backend compute.Backend, model Model, config Config) *Intervenable {
	return must.Of(New(backend, model, config))
}

// checkBoth refuses to do without a backend or a model, such as a Load that failed returns.
func checkBoth(backend compute.Backend, model Model) error {
	loaded := reflect.ValueOf(model)
	if backend == nil || model == nil || loaded.Kind() == reflect.Pointer && loaded.IsNil() {
		return &Error{Axis: "backend and model", Got: fmt.Sprintf("%T and %T", backend, model), Wanted: "both"}
	}
	return nil
}

// Result is what a call returns. Its tensors are the caller's.
type Result struct {
	Output     *tensors.Tensor // the counterfactual output, [batch, …]; nil if the call has metrics, and no WithOutput
	BaseOutput *tensors.Tensor // the clean output on the base, if the call asked for it
	Metrics    []Measured      // what the call's metrics returned, in their order
	Collected  []Collected     // what each Collect that took part returned, in config order
}

// Collected is what one [Collect] returned.
type Collected struct {
	Name  string          // the representation's name, or its site's: "layer 0 cell_output", with "#2" for the second of a site
	Value *tensors.Tensor // [batch, units…, width], with zeros where an example has fewer units than others

	each [][2]int // heads and positions of each example's units
}

// Vectors are the rows of Value that are units, [vectors, width], without the zeros that fill in: what [FitPCA] is fitted to.
func (c Collected) Vectors() *tensors.Tensor {
	dimensions := c.Value.Shape().Dimensions
	heads, positions, width := 1, dimensions[len(dimensions)-2], dimensions[len(dimensions)-1]
	if len(dimensions) == 4 {
		heads = dimensions[1]
	}
	var rows []int
	for i, each := range c.each {
		for head := range each[0] {
			for position := range each[1] {
				rows = append(rows, (i*heads+head)*positions+position)
			}
		}
	}
	return rowsAt(c.Value, rows, width)
}

// Activation returns what the Collect of that name returned.
func (r *Result) Activation(name string) (*tensors.Tensor, error) {
	names := make([]string, len(r.Collected))
	for i, c := range r.Collected {
		if names[i] = c.Name; c.Name == name {
			return c.Value, nil
		}
	}
	return nil, UnknownName("collected", "name", name, names)
}

// MustActivation is Activation that panics on an error.
func (r *Result) MustActivation(name string) *tensors.Tensor { return must.Of(r.Activation(name)) }

// Run makes one call: it runs the sources and the base in one program, which is compiled if no earlier call had the same shapes.
func (iv *Intervenable) Run(call Call) (*Result, error) {
	result, _, err := iv.run(call, nil, nil)
	return result, err
}

// MustRun is Run that panics on an error.
func (iv *Intervenable) MustRun(call Call) *Result { return must.Of(iv.Run(call)) }

// Forward runs the model on inputs without any intervention and returns its output.
func (iv *Intervenable) Forward(inputs Inputs) (*tensors.Tensor, error) {
	result, err := iv.Run(Call{Base: inputs, Locations: make([]*Location, len(iv.plan.representations))})
	if err != nil {
		return nil, err
	}
	return result.Output, nil
}

// MustForward is Forward that panics on an error.
func (iv *Intervenable) MustForward(inputs Inputs) *tensors.Tensor {
	return must.Of(iv.Forward(inputs))
}

// Measure runs the model on inputs without any intervention and measures its output.
func (iv *Intervenable) Measure(inputs Inputs, metrics ...Measure) (*Result, error) {
	if len(metrics) == 0 {
		return nil, &Error{Where: "measuring", Axis: "metrics", Got: "none", Wanted: "at least one"}
	}
	return iv.Run(Call{Base: inputs, Locations: make([]*Location, len(iv.plan.representations)), Metrics: metrics})
}

// MustMeasure is Measure that panics on an error.
func (iv *Intervenable) MustMeasure(inputs Inputs, metrics ...Measure) *Result {
	return must.Of(iv.Measure(inputs, metrics...))
}

// run binds the call, finds or compiles its program and executes that. It returns what the task added, too; the task may be nil, and
// is fed extra tensors.
func (iv *Intervenable) run(call Call, t task, extra []*tensors.Tensor) (*Result, []*tensors.Tensor, error) {
	b, err := iv.bind(call)
	if err != nil {
		return nil, nil, err
	}
	return iv.runBound(b, t, extra)
}

// runBound is run of a call that is bound already.
func (iv *Intervenable) runBound(b *bound, t task, extra []*tensors.Tensor) (*Result, []*tensors.Tensor, error) {
	key := b.signature()
	if t != nil {
		key = t.key() + key
	}
	c := iv.compilation(key)
	c.once.Do(func() { c.program, c.err = iv.compile(b, t) })
	if c.err != nil {
		return nil, nil, c.err
	}
	iv.calls.Add(1)
	e := &execution{bound: b, parameters: iv.values(), extra: extra}
	if t, ok := t.(weighted); ok {
		e.weights = t.ofWeights()
	}
	results, err := c.program.run(iv.backend, e)
	if err != nil {
		return nil, nil, err
	}
	split := len(results) - c.program.outputs.task
	return iv.result(b, &c.program.outputs, results[:split]), results[split:], nil
}

func (iv *Intervenable) compilation(key string) *compilation {
	iv.mu.Lock()
	defer iv.mu.Unlock()
	if iv.programs[key] == nil {
		iv.programs[key] = &compilation{}
	}
	return iv.programs[key]
}

// result hands out what a program returns of the call itself.
func (iv *Intervenable) result(b *bound, o *outputs, results []*tensors.Tensor) *Result {
	r := &Result{}
	if o.output {
		r.Output, results = results[0], results[1:]
	}
	if o.base {
		r.BaseOutput, results = results[0], results[1:]
	}
	r.Metrics, results = b.measured(results)
	for k, i := range o.collected {
		r.Collected = append(r.Collected, Collected{iv.plan.title(i), results[k], b.actions[i].each})
	}
	return r
}

// Stats tells what an Intervenable has done so far.
type Stats struct {
	Programs  int           // programs compiled: one for each combination of shapes and of representations that take part
	Compiling time.Duration // time spent building and compiling them
	Calls     int           // calls run
}

// String is "2 programs compiled in 1.2s, 30 calls".
func (s Stats) String() string {
	return fmt.Sprintf("%s compiled in %v, %s", plural.Of(s.Programs, "program"), s.Compiling.Round(time.Millisecond), plural.Of(s.Calls, "call"))
}

// Stats counts programs and calls, those of generations included.
func (iv *Intervenable) Stats() Stats {
	stats := Stats{Programs: int(iv.compiled.Load()), Compiling: time.Duration(iv.compiling.Load()), Calls: int(iv.calls.Load())}
	iv.mu.Lock()
	defer iv.mu.Unlock()
	if iv.chunked != nil {
		chunks := iv.chunked.Stats()
		stats.Programs += chunks.Programs
		stats.Compiling += chunks.Compiling
		stats.Calls += chunks.Calls
	}
	return stats
}
