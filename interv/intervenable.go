package interv

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"
)

// Intervenable is a model with interventions: the compiled form of a [Config]. It may be used by many goroutines at once; a call
// changes nothing in the caller's inputs, in the model or in another call.
type Intervenable struct {
	backend  compute.Backend
	model    Model
	config   Config
	plan     plan
	declared [][]Owned // of each representation that owns its parameters, nil for others

	parameters atomic.Pointer[parameterValues] // replaced whole, never changed

	mu       sync.Mutex
	programs map[string]*compilation

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

// String is "0.rotation".
func (k parameterKey) String() string { return fmt.Sprintf("%d.%s", k.owner, k.name) }

type parameterValues map[parameterKey]*tensors.Tensor

// New prepares interventions on a model for a backend. It validates the config against the model's catalogue and draws the
// initial values of trainable parameters from the config's seed; nothing is compiled before the first call.
func New(backend compute.Backend, model Model, config Config) (*Intervenable, error) {
	plan, err := config.check(model.Catalogue())
	if err != nil {
		return nil, err
	}
	iv := &Intervenable{backend: backend, model: model, config: config, plan: plan,
		declared: make([][]Owned, len(plan)), programs: map[string]*compilation{}}
	values := parameterValues{}
	for i, p := range plan {
		parameterized, ok := p.Intervention.(Parameterized)
		if !ok || p.owner != i {
			continue
		}
		random := rand.New(rand.NewPCG(config.Seed, uint64(i)))
		if iv.declared[i], err = parameterized.Parameters(p.sites.Width, random); err != nil {
			return nil, Within(where(i, p.Site()), err)
		}
		for j := range iv.declared[i] {
			parameter := &iv.declared[i][j]
			parameter.Value = ofDType(parameter.Value, model.Weights().DType())
			values[parameterKey{i, parameter.Name}] = parameter.Value
		}
	}
	iv.parameters.Store(&values)
	return iv, nil
}

// MustNew is New that panics on an error.
func MustNew(backend compute.Backend, model Model, config Config) *Intervenable {
	return must(New(backend, model, config))
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// Result is what a call returns. Its tensors are the caller's.
type Result struct {
	Output     *tensors.Tensor   // the counterfactual output, [batch, …]
	BaseOutput *tensors.Tensor   // the clean output on the base, if the call asked for it
	Collected  []*tensors.Tensor // what each Collect that took part returned, in config order
}

// Run makes one call: it runs the sources and the base in one program, which is compiled if no earlier call had the same shapes.
func (iv *Intervenable) Run(call Call) (*Result, error) {
	results, layout, err := iv.run(call, nil, "")
	if err != nil {
		return nil, err
	}
	return layout.result(results), nil
}

// MustRun is Run that panics on an error.
func (iv *Intervenable) MustRun(call Call) *Result { return must(iv.Run(call)) }

// Forward runs the model on inputs without any intervention and returns its output.
func (iv *Intervenable) Forward(inputs Inputs) (*tensors.Tensor, error) {
	result, err := iv.Run(Call{Base: inputs, Locations: make([]*Location, len(iv.plan))})
	if err != nil {
		return nil, err
	}
	return result.Output, nil
}

// MustForward is Forward that panics on an error.
func (iv *Intervenable) MustForward(inputs Inputs) *tensors.Tensor { return must(iv.Forward(inputs)) }

// run binds the call, finds or compiles its program and executes that. kind separates programs with a loss from those without.
func (iv *Intervenable) run(call Call, loss Loss, kind string) ([]*tensors.Tensor, *outputs, error) {
	b, err := iv.bind(call)
	if err != nil {
		return nil, nil, err
	}
	c := iv.compilation(kind + b.signature())
	c.once.Do(func() { c.program, c.err = iv.compile(b, loss) })
	if c.err != nil {
		return nil, nil, c.err
	}
	iv.calls.Add(1)
	results, err := c.program.run(iv.backend, b, *iv.parameters.Load())
	return results, &c.program.outputs, err
}

func (iv *Intervenable) compilation(key string) *compilation {
	iv.mu.Lock()
	defer iv.mu.Unlock()
	if iv.programs[key] == nil {
		iv.programs[key] = &compilation{}
	}
	return iv.programs[key]
}

// result hands out the results of a program without a loss.
func (o *outputs) result(results []*tensors.Tensor) *Result {
	r := &Result{Output: results[0]}
	results = results[1:]
	if o.base {
		r.BaseOutput, results = results[0], results[1:]
	}
	r.Collected = results[:len(o.collected)]
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
	return fmt.Sprintf("%d programs compiled in %v, %d calls", s.Programs, s.Compiling.Round(time.Millisecond), s.Calls)
}

// Stats counts programs and calls.
func (iv *Intervenable) Stats() Stats {
	return Stats{Programs: int(iv.compiled.Load()), Compiling: time.Duration(iv.compiling.Load()), Calls: int(iv.calls.Load())}
}
