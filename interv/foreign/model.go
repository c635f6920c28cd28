package foreign

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/govene/govene/internal/must"
	"github.com/govene/govene/interv"
)

// Build adds one run of a model to a graph and returns its output, [batch, …]. It reads nothing but its arguments.
type Build func(weights, inputs interv.Nodes) *Node

// Model is a model whose graph function knows nothing of Govene. It is made by [New] or [FromStore], and is not changed by use.
type Model struct {
	description Description
	weights     *interv.Weights

	building *sync.Mutex // so that build need not allow for two goroutines
	build    Build
}

var _ interv.Model = (*Model)(nil)

// New makes a model from a function that builds its graph and from the weights, float32 or all float64, which are kept, not copied. It
// builds a small graph on the backend as a trial, without compiling or running it, and refuses a description that does not fit it.
func New(backend compute.Backend, description Description, weights map[string]*tensors.Tensor, build Build) (*Model, error) {
	if err := description.check(); err != nil {
		return nil, err
	}
	kept, err := interv.NewWeights(shapesOf(weights), weights)
	if err != nil {
		return nil, interv.Within(description.Name, err)
	}
	m := &Model{description: description, weights: kept, building: &sync.Mutex{}, build: build}
	if err := m.try(backend); err != nil {
		return nil, err
	}
	return m, nil
}

// MustNew is New that panics on an error.
func MustNew(backend compute.Backend, description Description, weights map[string]*tensors.Tensor, build Build) *Model {
	return must.Of(New(backend, description, weights, build))
}

// WithWeights is the model with other weights of the same names and shapes.
func (m *Model) WithWeights(weights map[string]*tensors.Tensor) (*Model, error) {
	kept, err := interv.NewWeights(shapesOf(m.weights.All()), weights)
	if err != nil {
		return nil, interv.Within(m.description.Name, err)
	}
	return &Model{description: m.description, weights: kept, building: m.building, build: m.build}, nil
}

// shapesOf are the names and shapes of weights, in order of the names.
func shapesOf(weights map[string]*tensors.Tensor) (list []interv.WeightShape) {
	for _, name := range slices.Sorted(maps.Keys(weights)) {
		list = append(list, interv.WeightShape{Name: name, Dimensions: weights[name].Shape().Dimensions})
	}
	return list
}

// try announces every site of a small run to a tap.
func (m *Model) try(backend compute.Backend) error {
	g := NewGraph(backend, "trial of "+m.description.Name)
	defer g.Finalize()
	return exceptions.TryCatch[error](func() {
		weights := interv.Nodes{}
		for _, name := range m.weights.Names() {
			weights[name] = Parameter(g, "weight "+name, m.weights.Shape(name))
		}
		m.Forward(weights, m.description.parameters(g), interv.NewTap(func(_ *interv.Tap, a interv.Activation) *Node { return a.Value }))
	})
}

// parameters adds the inputs of a trial to a graph.
func (d *Description) parameters(g *Graph) interv.Nodes {
	inputs, e := interv.Nodes{}, d.trial()
	for _, input := range d.Inputs {
		inputs[input.Name] = Parameter(g, "input "+input.Name, shapes.Make(input.DType, e.of(input.Dims)...))
	}
	return inputs
}

// Catalogue lists the sites that the description declares.
func (m *Model) Catalogue() interv.Catalogue { return m.description.catalogue() }

// Weights are the model's tensors.
func (m *Model) Weights() *interv.Weights { return m.weights }

// Forward adds a run of the model to a graph; see [interv.Model]. The clean run is built first. Then each site is announced, in the
// graph's order, and what depends on a changed one is built once more.
func (m *Model) Forward(weights, inputs interv.Nodes, tap *interv.Tap) *Node {
	run := m.run(weights, inputs)
	if tap == nil {
		return run.Output
	}
	replay := newReplay(run)
	for _, l := range m.locate(run) {
		l.announce(replay, tap)
	}
	output := replay.of(run.Output)
	replay.checkClosures()
	return output
}

// run adds a clean run to the graph, in an alias scope of its own.
func (m *Model) run(weights, inputs interv.Nodes) *Run {
	m.building.Lock()
	defer m.building.Unlock()
	e := m.description.extentOf(inputs)
	var g *Graph
	for _, input := range inputs {
		g = input.Graph()
	}
	first, aliases := len(g.Nodes()), g.UniqueName("run")
	g.PushAliasScope(aliases)
	defer g.PopAliasScope()
	output := m.build(weights, inputs)
	if output == nil || output.Rank() == 0 || output.Shape().Dim(0) != e.batch {
		panic(&interv.Error{Where: m.description.Name, Axis: "output", Got: fmt.Sprint(output), Wanted: "a node whose first axis is the batch"})
	}
	run := newRun(first, output, weights, inputs, e)
	run.aliases = aliases
	for _, n := range g.Nodes()[first:] {
		if n.Type() == NodeTypeParameter && n.Function().IsMain() {
			panic(&interv.Error{Where: m.description.Name, Axis: "graph", Got: fmt.Sprintf("parameter %q, which nothing feeds", n.GetParameterName()),
				Wanted: "a function that reads its arguments alone (variables: of the scope it is given)"})
		}
	}
	return run
}

// extentOf is the size of a run with these inputs.
func (d *Description) extentOf(inputs interv.Nodes) extent {
	e := extent{positions: d.Positions}
	for _, input := range d.Inputs {
		for axis, size := range input.Dims {
			switch size {
			case Batch:
				e.batch = inputs[input.Name].Shape().Dim(axis)
			case Positions:
				e.positions = inputs[input.Name].Shape().Dim(axis)
			}
		}
	}
	return e
}
