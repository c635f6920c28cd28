package foreign

import (
	"maps"
	"slices"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/govene/govene/interv"
)

// Run is the graph of one clean run of a model, as a [Selector] sees it.
type Run struct {
	Output          *Node
	Weights, Inputs interv.Nodes

	extent
	all, live []*Node // the inputs and the nodes that the run added; of these, those that the output depends on
	aliases   string  // the run's alias scope
	lives     nodeSet
	fed       nodeSet // what depends on an input
}

// nodeSet says of each node, by its id, whether it is a member.
type nodeSet []bool

func (s nodeSet) has(n *Node) bool { return int(n.Id()) < len(s) && s[n.Id()] }

// newRun looks at the nodes from the id first on.
func newRun(first int, output *Node, weights, inputs interv.Nodes, e extent) *Run {
	nodes := output.Graph().Nodes()
	r := &Run{Output: output, Weights: weights, Inputs: inputs, extent: e, all: sorted(inputs), lives: make(nodeSet, len(nodes))}
	r.all = append(r.all, nodes[first:]...)
	r.lives[output.Id()] = true
	for _, n := range slices.Backward(nodes) {
		if r.lives.has(n) {
			for _, input := range n.Inputs() {
				r.lives[input.Id()] = true
			}
		}
	}
	for _, n := range r.all {
		if r.lives.has(n) {
			r.live = append(r.live, n)
		}
	}
	r.fed = r.downstream(sorted(inputs)...)
	return r
}

// sorted are nodes in the graph's order.
func sorted(nodes interv.Nodes) []*Node {
	return slices.SortedFunc(maps.Values(nodes), func(a, b *Node) int { return int(a.Id() - b.Id()) })
}

// downstream are the given nodes and those of the run that depend on any of them.
func (r *Run) downstream(of ...*Node) nodeSet {
	set := make(nodeSet, len(r.lives))
	for _, n := range of {
		set[n.Id()] = true
	}
	for _, n := range r.all {
		for _, input := range n.Inputs() {
			if set.has(input) {
				set[n.Id()] = true
				break
			}
		}
	}
	return set
}

// Nodes are the run's inputs and the nodes that it added to the graph, as far as its output depends on them, in the graph's order: what is
// read before what reads it. Other runs lie in the same graph; they are not shown, and neither are weights. The slice must not be changed.
func (r *Run) Nodes() []*Node { return r.live }

// Has says whether a node is one of Nodes.
func (r *Run) Has(n *Node) bool { return n != nil && r.lives.has(n) && slices.Contains(r.live, n) }

// Readers are the nodes that read n, of those in Nodes.
func (r *Run) Readers(n *Node) (readers []*Node) {
	for _, reader := range r.live {
		if slices.Contains(reader.Inputs(), n) {
			readers = append(readers, reader)
		}
	}
	return readers
}

// Alias is the node to which this run gave an alias, nil if there is none. The alias is relative to the alias scope in which the model
// was built: "mlp", or "layer_3/mlp" where the model pushed a scope.
func (r *Run) Alias(alias string) *Node {
	g := r.Output.Graph()
	g.PushAliasScope(r.aliases)
	defer g.PopAliasScope()
	return g.GetNodeByAlias(alias)
}
