package transformer

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/govene/govene/interv"
)

// sequence is what a run knows of its positions. Queries stand in some columns of the keys'. What has a batch axis of size 1 is the same
// for all examples.
type sequence struct {
	like      *Node // has the element type of the activations
	columns   *Node // of the queries, [1, queries]
	keys      *Node // columns of the keys, [1, keys]
	real      *Node // which columns are not padding, [batch, keys] bool; nil if all are
	positions *Node // of the queries, [batch or 1, queries]

	own     *own  // of a run on columns; nil in others
	allowed *Node // which keys belong to what a query can see, if it stands after them, [rows, queries, keys] bool; nil for all

	masks     map[int]*Node       // by window
	rotations map[string]rotation // by Rotary
}

// newRun prepares a run over a whole sequence.
func (m *Model) newRun(weights, inputs interv.Nodes, tap *interv.Tap) *run {
	x := inputs[interv.InputIDs]
	if x == nil {
		x = inputs[interv.InputsEmbeds]
	}
	length := x.Shape().Dim(1)
	s := newSequence(m.anyWeight(weights), length, length, nil, inputs)
	return &run{Model: m, weights: weights, tap: tap, sequence: s}
}

// anyWeight is a weight of the model, for its graph and element type.
func (m *Model) anyWeight(weights interv.Nodes) *Node {
	return weights[m.naming.of(0, tokenEmbedding)+".weight"]
}

// newSequence lays out queries that begin at column offset, 0 if nil, of the keys.
func newSequence(like *Node, queries, keys int, offset *Node, inputs interv.Nodes) *sequence {
	g := like.Graph()
	s := &sequence{like: like, masks: map[int]*Node{}, rotations: map[string]rotation{}, positions: inputs[interv.PositionIDs]}
	s.columns = Iota(g, shapes.Make(dtypes.Int32, 1, queries), 1)
	s.keys = Iota(g, shapes.Make(dtypes.Int32, 1, keys), 1)
	if offset != nil {
		s.columns = Add(s.columns, offset)
	}
	if mask := inputs[interv.AttentionMask]; mask != nil {
		s.real = GreaterThan(mask, ScalarZero(g, mask.DType()))
	}
	if s.positions == nil {
		s.positions = s.fromStart(s.columns)
	}
	return s
}

// fromStart counts columns from the first that is not padding: [1, n] → [batch or 1, n].
func (s *sequence) fromStart(columns *Node) *Node {
	if s.real == nil {
		return columns
	}
	keys := BroadcastToDims(s.keys, s.real.Shape().Dimensions...)
	first := ReduceAndKeep(Where(s.real, keys, AddScalar(ZerosLike(keys), s.keys.Shape().Dim(1))), ReduceMin, 1)
	return MaxScalar(Sub(columns, first), 0)
}

// sees tells which keys a query sees, [batch or 1, 1, queries, keys]: those at or before it, fewer than window columns away (0 for any
// number), that are not padding.
func (s *sequence) sees(window int) *Node {
	if s.masks[window] == nil {
		query, key := ExpandDims(s.columns, -1), ExpandDims(s.keys, 1)
		dimensions := []int{max(query.Shape().Dim(0), key.Shape().Dim(0)), query.Shape().Dim(1), key.Shape().Dim(2)}
		query, key = BroadcastToDims(query, dimensions...), BroadcastToDims(key, dimensions...)
		sees := LessOrEqual(key, query)
		if window > 0 {
			sees = LogicalAnd(sees, LessThan(Sub(query, key), Scalar(query.Graph(), query.DType(), window)))
		}
		if s.real != nil {
			dimensions[0] = s.real.Shape().Dim(0)
			sees = LogicalAnd(BroadcastToDims(sees, dimensions...), BroadcastToDims(ExpandDims(s.real, 1), dimensions...))
		}
		if s.allowed != nil {
			sees = s.own.Read(LogicalAnd(sees, s.allowed))
		}
		s.masks[window] = ExpandDims(sees, 1)
	}
	return s.masks[window]
}

// rotation is a Rotary at the queries' positions.
func (s *sequence) rotation(r Rotary) rotation {
	key := fmt.Sprint(r)
	if _, ok := s.rotations[key]; !ok {
		turned := r.at(s.positions, s.length(), wide(s.like))
		turned.cos, turned.sin = narrow(turned.cos, s.like), narrow(turned.sin, s.like)
		s.rotations[key] = turned
	}
	return s.rotations[key]
}

// length is how long each example is up to its last query, [batch or 1, 1]: the largest position of a query that is not padding, plus 1.
func (s *sequence) length() *Node {
	if s.own != nil {
		return s.own.Length
	}
	positions := s.positions
	if s.real != nil {
		columns := BroadcastToDims(s.keys, s.real.Shape().Dimensions...)
		first := ReduceAndKeep(Where(s.real, columns, Scalar(columns.Graph(), columns.DType(), columns.Shape().Dim(1))), ReduceMin, 1)
		last := ReduceAndKeep(Where(s.real, columns, ZerosLike(columns)), ReduceMax, 1)
		dimensions := []int{s.real.Shape().Dim(0), positions.Shape().Dim(1)}
		column := BroadcastToDims(s.columns, dimensions...)
		within := LogicalAnd(LessOrEqual(BroadcastToDims(first, dimensions...), column), LessOrEqual(column, BroadcastToDims(last, dimensions...)))
		positions = BroadcastToDims(positions, dimensions...)
		positions = Where(within, positions, ZerosLike(positions))
	}
	return AddScalar(ReduceAndKeep(positions, ReduceMax, 1), 1)
}

// lastReal picks, for each example, the last position that is not padding: [batch, positions, d] → [batch, d].
func (r *run) lastReal(x *Node) *Node {
	s := r.sequence
	if s.real == nil {
		return Squeeze(SliceAxis(x, 1, AxisElem(x.Shape().Dim(1)-1)), 1)
	}
	columns := BroadcastToDims(s.keys, s.real.Shape().Dimensions...)
	last := ReduceAndKeep(Where(s.real, columns, ZerosLike(columns)), ReduceMax, 1)
	is := ExpandDims(r.rows(Equal(columns, BroadcastToDims(last, columns.Shape().Dimensions...))), -1)
	return ReduceSum(Where(BroadcastToDims(is, x.Shape().Dimensions...), x, ZerosLike(x)), 1)
}
