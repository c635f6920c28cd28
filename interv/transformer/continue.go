package transformer

import (
	"fmt"

	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/govene/govene/interv"
)

var (
	_ interv.Decoder = (*Model)(nil)
	_ interv.Lengths = (*Model)(nil)
)

// offset is the input of a chunk that says in which column it begins.
const offset = "offset"

// cache is the keys and values of the columns so far, each [batch, key and value heads, capacity, head width], before a chunk and after.
type cache struct {
	before, after interv.Nodes
	written       *Node // which columns the chunk fills, [1, 1, capacity, 1] bool
	row           *Node // which of the chunk's rows goes to each column, [capacity, 1]; 0 where none does
}

func keysOf(layer int) string   { return fmt.Sprintf("keys %d", layer) }
func valuesOf(layer int) string { return fmt.Sprintf("values %d", layer) }

// State lists the keys and values of every layer; see [interv.Decoder].
func (m *Model) State(batch, capacity int) map[string]shapes.Shape {
	a, state := m.config.Attention, map[string]shapes.Shape{}
	for layer := range m.config.Layers {
		shape := shapes.Make(m.weights.DType(), batch, a.KeyValueHeads, capacity, a.HeadWidth)
		state[keysOf(layer)], state[valuesOf(layer)] = shape, shape
	}
	return state
}

// Continue adds a chunk of a run to a graph; see [interv.Decoder]. Attention weights are then [batch, heads, chunk, capacity].
func (m *Model) Continue(weights, inputs, state interv.Nodes, tap *interv.Tap) (logits *Node, next interv.Nodes) {
	if m.config.classifier() {
		panic(&interv.Error{Where: m.config.name(), Axis: "head", Got: "a classifier", Wanted: "a language-model head, to generate"})
	}
	queries, capacity := inputs[interv.InputIDs].Shape().Dim(1), inputs[interv.AttentionMask].Shape().Dim(1)
	r := &run{Model: m, weights: weights, tap: tap, sequence: newSequence(m.anyWeight(weights), queries, capacity, inputs[offset], inputs)}
	r.cache = newCache(r.sequence, queries, state)
	x := r.stream(inputs)
	for name, value := range r.cache.after {
		r.cache.after[name] = tap.Rows(value)
	}
	return Squeeze(r.logits(SliceAxis(x, 1, AxisRange(queries-1))), 1), r.cache.after
}

// CheckLengths refuses to cross the length at which longrope's frequencies change: the keys and values of all tokens would be others then,
// and with them what interventions on the prompt were to change. (transformers processes the whole sequence anew in Phi-3, and goes on
// with the keys of before in other families.)
func (m *Model) CheckLengths(prompt, end int) error {
	a := m.config.Attention
	for _, r := range []Rotary{a.Rotary, a.WindowRotary} {
		if border := r.OriginalPositions; !m.config.LearnedPositions && r.Scaling == "longrope" && prompt <= border && end > border {
			return &interv.Error{Where: m.config.name(), Axis: "length", Got: fmt.Sprintf("%d to %d tokens", prompt, end),
				Wanted: fmt.Sprintf("at most %d, or more from the start: beyond, longrope rotates all positions otherwise, and keys in the cache would be wrong", border)}
		}
	}
	return nil
}

func newCache(s *sequence, queries int, state interv.Nodes) *cache {
	first := SliceAxis(s.columns, 1, AxisElem(0)) // [1, 1]
	row := Sub(s.keys, BroadcastToDims(first, s.keys.Shape().Dimensions...))
	zero, last := ScalarZero(row.Graph(), row.DType()), Scalar(row.Graph(), row.DType(), queries-1)
	written := LogicalAnd(GreaterOrEqual(row, zero), LessOrEqual(row, last))
	return &cache{before: state, after: interv.Nodes{}, written: Reshape(written, 1, 1, -1, 1), row: Reshape(Min(Max(row, zero), last), -1, 1)}
}

// cached is keys or values of all columns: those of the chunk, [batch, heads, chunk, width], written over those before.
func (l layer) cached(name string, x *Node) *Node {
	before := l.tap.Rows(l.cache.before[name])
	dimensions := before.Shape().Dimensions
	if x.Shape().Dim(2) == 1 {
		x = BroadcastToDims(x, dimensions...)
	} else {
		x = TransposeAllAxes(Gather(TransposeAllAxes(x, 2, 0, 1, 3), l.cache.row), 1, 2, 0, 3)
	}
	x = Where(BroadcastToDims(l.cache.written, dimensions...), x, before)
	l.cache.after[name] = x
	return x
}
