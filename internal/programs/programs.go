// Package programs has compiled graphs whose inputs go by name: pieces of a model that are run one after the other, again and again, with what
// they read and return on the device.
package programs

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/govene/govene/internal/host"
)

// Program is a compiled graph whose inputs are found by name.
type Program struct {
	// Waited is how long runs have waited until it was compiled.
	Waited time.Duration

	backend  compute.Backend
	graph    *Graph
	inputs   []string
	compiled chan struct{} // closed when it is
	err      error         // of compiling
}

// Builder adds the inputs of a program to its graph.
type Builder struct {
	Graph *Graph
	names []string
}

// Input adds an input of the shape of an example.
func (b *Builder) Input(name string, shape shapes.Shape) *Node {
	b.names = append(b.names, name)
	return Parameter(b.Graph, name, shape)
}

// Index adds an input of int32.
func (b *Builder) Index(name string, dimensions ...int) *Node {
	return b.Input(name, shapes.Make(dtypes.Int32, dimensions...))
}

// Inputs adds an input for each name, of the shape that goes with it; [Feed.Take] feeds them.
func (b *Builder) Inputs(prefix string, names []string, of func(name string) shapes.Shape) map[string]*Node {
	nodes := map[string]*Node{}
	for i, name := range names {
		nodes[name] = b.Input(fmt.Sprintf("%s %d", prefix, i), of(name))
	}
	return nodes
}

// Scratch builds a graph that is never compiled, to see what is in it.
func Scratch(backend compute.Backend, add func(b *Builder)) error {
	b := &Builder{Graph: NewGraph(backend, "scratch")}
	defer b.Graph.Finalize()
	return exceptions.TryCatch[error](func() { add(b) })
}

// Compile builds a program that returns what add returns, and starts to compile it: runs wait until that is done.
func Compile(backend compute.Backend, name string, add func(b *Builder) []*Node) (p *Program, err error) {
	b := &Builder{Graph: NewGraph(backend, name)}
	var results []*Node
	err = exceptions.TryCatch[error](func() {
		results = add(b)
		last := len(results) - 1
		results[last] = Identity(results[last]) // in pure Go all parameters have to come before the last result
	})
	if err != nil {
		return nil, err
	}
	p = &Program{backend: backend, graph: b.Graph, inputs: b.names, compiled: make(chan struct{})}
	go func() {
		defer close(p.compiled)
		var err error
		if panicked := exceptions.TryCatch[error](func() { err = b.Graph.Compile(results...) }); panicked != nil {
			err = panicked // where nobody above would catch it
		}
		if err != nil {
			p.err = fmt.Errorf("compiling %s: %w", name, err)
		}
	}()
	return p, nil
}

// Wait waits until the program is compiled.
func (p *Program) Wait() error {
	begun := time.Now()
	<-p.compiled
	p.Waited += time.Since(begun)
	return p.err
}

// Finalize gives the program back, once it is compiled.
func (p *Program) Finalize() {
	<-p.compiled
	p.graph.Finalize()
}

// Feed is what the inputs of a program are, by name.
type Feed map[string]*tensors.Tensor

// Take feeds the inputs that [Builder.Inputs] has added: those of one program may be other tensors of the same shapes each time.
func (f Feed) Take(prefix string, names []string, of func(name string) *tensors.Tensor) {
	for i, name := range names {
		f[fmt.Sprintf("%s %d", prefix, i)] = of(name)
	}
}

// With is the feed and more.
func (f Feed) With(more Feed) Feed {
	all := maps.Clone(f)
	maps.Copy(all, more)
	return all
}

// Run executes the program, once it is compiled.
func (p *Program) Run(in Feed) (results []*tensors.Tensor, err error) {
	if err := p.Wait(); err != nil {
		return nil, err
	}
	buffers := make([]compute.Buffer, len(p.inputs))
	for i, name := range p.inputs {
		t := in[name]
		if t == nil {
			return nil, fmt.Errorf("%s: no input %s among %v", p.graph.Name(), name, slices.Sorted(maps.Keys(in)))
		}
		if buffers[i], err = t.Buffer(p.backend, 0); err != nil {
			return nil, err
		}
	}
	err = exceptions.TryCatch[error](func() { results = p.graph.RunWithBuffers(buffers, make([]bool, len(buffers)), 0) })
	return results, err
}

// RunNumbers executes a program whose first result is numbers for the host; the second, if there is one, stays on the device.
func (p *Program) RunNumbers(in Feed) (numbers []float64, second *tensors.Tensor, err error) {
	results, err := p.Run(in)
	if err != nil {
		return nil, nil, err
	}
	if len(results) > 1 {
		second = results[1]
	}
	numbers = host.Floats(results[0])
	Free(results[0])
	return numbers, second, nil
}

// Int32s is a tensor of whole numbers.
func Int32s(values []int, dimensions ...int) *tensors.Tensor {
	flat := make([]int32, len(values))
	for i, value := range values {
		flat[i] = int32(value)
	}
	return tensors.FromFlatDataAndDimensions(flat, dimensions...)
}

// Free gives back the memory of tensors at once: Go's collector does not see how large they are.
func Free(list ...*tensors.Tensor) {
	for _, t := range list {
		if t != nil {
			t.MustFinalizeAll()
		}
	}
}
