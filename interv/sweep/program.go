package sweep

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
)

// program is a compiled graph whose inputs are found by name.
type program struct {
	backend  compute.Backend
	graph    *Graph
	inputs   []string
	compiled chan struct{} // closed when it is
	err      error         // of compiling
	waited   time.Duration // for that
}

// builder adds the inputs of a program to its graph.
type builder struct {
	graph *Graph
	names []string
}

// input adds an input of the shape of an example.
func (b *builder) input(name string, shape shapes.Shape) *Node {
	b.names = append(b.names, name)
	return Parameter(b.graph, name, shape)
}

// index adds an input of int32.
func (b *builder) index(name string, dimensions ...int) *Node {
	return b.input(name, shapes.Make(dtypes.Int32, dimensions...))
}

// scratch builds a graph that is never compiled, to see what is in it.
func scratch(backend compute.Backend, add func(b *builder)) error {
	b := &builder{graph: NewGraph(backend, "scratch")}
	defer b.graph.Finalize()
	return exceptions.TryCatch[error](func() { add(b) })
}

// compile builds a program that returns what add returns, and starts to compile it: wait tells when that is done.
func compile(backend compute.Backend, name string, add func(b *builder) []*Node) (p *program, err error) {
	b := &builder{graph: NewGraph(backend, name)}
	var results []*Node
	if err = exceptions.TryCatch[error](func() { results = add(b) }); err != nil {
		return nil, err
	}
	p = &program{backend: backend, graph: b.graph, inputs: b.names, compiled: make(chan struct{})}
	go func() {
		defer close(p.compiled)
		var err error
		if panicked := exceptions.TryCatch[error](func() { err = b.graph.Compile(results...) }); panicked != nil {
			err = panicked // where nobody above would catch it
		}
		if err != nil {
			p.err = fmt.Errorf("compiling %s: %w", name, err)
		}
	}()
	return p, nil
}

// wait waits until the program is compiled.
func (p *program) wait() error {
	begun := time.Now()
	<-p.compiled
	p.waited += time.Since(begun)
	return p.err
}

// feed is what the inputs of a program are, by name.
type feed map[string]*tensors.Tensor

// with is the feed and more.
func (f feed) with(more feed) feed {
	all := maps.Clone(f)
	maps.Copy(all, more)
	return all
}

// run executes the program, once it is compiled.
func (p *program) run(in feed) (results []*tensors.Tensor, err error) {
	if err := p.wait(); err != nil {
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

// int32s is a tensor of whole numbers.
func int32s(values []int, dimensions ...int) *tensors.Tensor {
	flat := make([]int32, len(values))
	for i, value := range values {
		flat[i] = int32(value)
	}
	return tensors.FromFlatDataAndDimensions(flat, dimensions...)
}

// free gives back the memory of tensors at once: Go's collector does not see how large they are.
func free(list ...*tensors.Tensor) {
	for _, t := range list {
		if t != nil {
			t.MustFinalizeAll()
		}
	}
}
