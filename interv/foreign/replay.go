package foreign

import (
	"fmt"
	"reflect"
	"slices"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/govene/govene/interv"
)

// replay computes a run anew below edited nodes. What no edit reaches stays the node that it is.
type replay struct {
	run    *Run
	edited map[*Node]*Node // by the clean node, for all its readers
	into   map[edge]*Node  // the same for one reader
	values map[*Node]*Node // of clean nodes, what now stands for them
}

// edge is one reading of a node.
type edge struct{ node, reader *Node }

func newReplay(run *Run) *replay {
	return &replay{run: run, edited: map[*Node]*Node{}, into: map[edge]*Node{}, values: map[*Node]*Node{}}
}

// at is the value of a place, with everything edited so far.
func (r *replay) at(p Place) *Node {
	if p.Readers == nil {
		return r.of(p.Node)
	}
	return r.read(edge{p.Node, p.Readers[0]}) // the same for all of them, see checkReaders
}

// edit replaces the value at a place. Edits come in the graph's order, so that nothing below the place has been computed yet.
func (r *replay) edit(p Place, value *Node) {
	if p.Readers == nil {
		r.edited[p.Node], r.values[p.Node] = value, value
		return
	}
	for _, reader := range p.Readers {
		r.into[edge{p.Node, reader}] = value
	}
}

// read is what a reader now reads in the node's place.
func (r *replay) read(e edge) *Node {
	if value := r.into[e]; value != nil {
		return value
	}
	return r.of(e.node)
}

// of is what now stands for a node: the edited value, a clone that reads edited values, or the node itself.
func (r *replay) of(n *Node) *Node {
	if value := r.values[n]; value != nil {
		return value
	}
	if len(r.edited)+len(r.into) == 0 {
		return n
	}
	inputs, changed := make([]*Node, len(n.Inputs())), false
	for i, input := range n.Inputs() {
		inputs[i] = r.read(edge{input, n})
		changed = changed || inputs[i] != input
	}
	value, unfused := n, r.run.unfused(n)
	switch {
	case unfused != nil && r.edits(unfused, n.Inputs()):
		value = r.of(unfused)
	case unfused != nil && changed:
		value, _ = InternalFusedOpCaller(func() *Node { return n.CloneWithInputs(inputs...) }, func() *Node { return r.of(unfused) }, true)
	case changed:
		value = n.CloneWithInputs(inputs...)
	}
	r.values[n] = value
	return value
}

// edits says whether n depends on an edit other than through the given nodes. A fused attention keeps its mask and bias to itself: the
// clone would read those of the clean run.
func (r *replay) edits(n *Node, through []*Node) bool {
	seen := map[*Node]bool{}
	for _, node := range through {
		seen[node] = true
	}
	var visit func(n *Node) bool
	visit = func(n *Node) bool {
		if seen[n] {
			return false
		}
		seen[n] = true
		return r.edited[n] != nil || slices.ContainsFunc(n.Inputs(), func(input *Node) bool {
			return !seen[input] && r.into[edge{input, n}] != nil || visit(input)
		})
	}
	return visit(n)
}

// checkClosures refuses a loop or branch that reads an edited value past its inputs: it would go on with the clean one.
func (r *replay) checkClosures() {
	for _, n := range r.run.all {
		if n.Function().IsMain() {
			continue
		}
		for _, input := range n.Inputs() {
			if input.Function().IsMain() && r.of(input) != input {
				panic(&interv.Error{Axis: "loop or branch", Got: fmt.Sprintf("one that captures %s, which an edit reaches", input),
					Wanted: "one that takes it as its state"})
			}
		}
	}
}

// unfusedField is where GoMLX keeps, of a fused operation, the same in plain operations, through which alone it can be differentiated.
// It is private, and a clone goes without: so it is looked up here, and given to the clone by InternalFusedOpCaller.
var unfusedField = func() reflect.StructField {
	field, ok := reflect.TypeFor[Node]().FieldByName("vjpAlternateOutputs")
	if !ok {
		panic("foreign: this version of GoMLX keeps the gradients of fused operations elsewhere")
	}
	return field
}()

// unfused is a node of plain operations that equals the fused operation n; nil if n is none.
func (r *Run) unfused(n *Node) *Node {
	nodes := reflect.ValueOf(n).Elem().FieldByIndex(unfusedField.Index)
	if nodes.Len() == 0 {
		return nil
	}
	for _, candidate := range slices.Backward(r.all) {
		if nodes.Len() == 1 && reflect.ValueOf(candidate).Pointer() == nodes.Index(0).Pointer() {
			return candidate
		}
	}
	panic(&interv.Error{Axis: "fused operation", Got: n.String(), Wanted: "one with one output that this run added"})
}
