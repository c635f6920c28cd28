package transformer

import (
	"slices"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/govene/govene/interv"
)

var _ interv.Blocks = (*Model)(nil)

// Blocks is the number of layers; see [interv.Blocks].
func (m *Model) Blocks() int { return m.config.Layers }

// Kind is the first layer with the same weights, but for their values, and the same settings.
func (m *Model) Kind(block int) int {
	shapes := m.blockShapes()
	same := func(a, b interv.WeightShape) bool { return slices.Equal(a.Dimensions, b.Dimensions) }
	for earlier := range block {
		if m.config.setting(earlier) == m.config.setting(block) && slices.EqualFunc(shapes[earlier], shapes[block], same) {
			return earlier
		}
	}
	return block
}

// setting is all, besides weights, that layers of a model differ in.
type setting struct {
	window    int
	unrotated bool
	scale     int // what scores are divided by
}

func (c Config) setting(layer int) setting {
	s := setting{window: c.Attention.Windows[layer], unrotated: !c.rotates(layer), scale: 1}
	if c.Attention.ScaleByLayer {
		s.scale = layer + 1
	}
	return s
}

// Stream is the residual stream below and above a layer.
func (m *Model) Stream() (input, output interv.Component) { return BlockInput, BlockOutput }

// KeyShapes are the shapes of a layer's keys and values.
func (m *Model) KeyShapes(_, rows, columns int) (keys, values shapes.Shape) {
	state := m.State(rows, columns)
	return state[keysOf(0)], state[valuesOf(0)]
}

// BlockWeights lists the weights of a layer.
func (m *Model) BlockWeights(block int) []string { return names(m.blockShapes()[block]) }

// OuterWeights lists the weights that are in no layer.
func (m *Model) OuterWeights() []string { return names(m.blockShapes()[m.config.Layers]) }

func names(weights []interv.WeightShape) []string {
	names := make([]string, len(weights))
	for i, w := range weights {
		names[i] = w.Name
	}
	return names
}

// blockShapes lists the weights of each layer and, last, those of none.
func (m *Model) blockShapes() [][]interv.WeightShape {
	lists := make([][]interv.WeightShape, m.config.Layers+1)
	for _, w := range m.config.weights(m.naming) {
		layer := 0
		for layer < m.config.Layers && !strings.HasPrefix(w.Name, m.naming.of(layer, "")) {
			layer++
		}
		lists[layer] = append(lists[layer], w.WeightShape)
	}
	return lists
}

// Embed is the input of the first layer; see [interv.Blocks].
func (m *Model) Embed(weights, inputs interv.Nodes, c interv.Columns, tap *interv.Tap) *Node {
	return m.packed(weights, m.anyWeight(weights), c, tap).embed(inputs)
}

// Block is a layer; see [interv.Blocks].
func (m *Model) Block(weights interv.Nodes, block int, x *Node, c interv.Columns, tap *interv.Tap) (above, keys, values *Node) {
	r := m.packed(weights, x, c, tap)
	above = r.layer(block).block(x)
	return above, r.sequence.own.keys, r.sequence.own.values
}

// Head is the final norm and the head, of a language model or of a classifier; see [interv.Blocks].
func (m *Model) Head(weights interv.Nodes, x, tokens *Node, tap *interv.Tap) *Node {
	r := &run{Model: m, weights: weights, tap: tap, tokens: tokens}
	return r.head(r.normalized(x))
}

// onOutputs is W x + b for all outputs or, of a run that wants those of some tokens alone, for these; b may be nil.
func (r *run) onOutputs(x, weight, bias *Node) *Node {
	if r.tokens == nil {
		y := product(wideDot, x, weight, false)
		if bias != nil {
			y = Add(y, ExpandLeftToRank(wide(bias), y.Rank()))
		}
		return y
	}
	at := ExpandDims(r.tokens, -1)
	weight = wide(Gather(weight, at)) // [rows, reads, tokens, d]
	y := ReduceSum(Mul(BroadcastToDims(ExpandDims(wide(x), 2), weight.Shape().Dimensions...), weight), -1)
	if bias != nil {
		y = Add(y, wide(Gather(bias, at)))
	}
	return y
}

// own is what a run on columns makes of keys and values before it joins them to those of the base.
type own struct {
	interv.Columns
	keys, values *Node
}

// packed prepares a run on columns.
func (m *Model) packed(weights interv.Nodes, like *Node, c interv.Columns, tap *interv.Tap) *run {
	s := &sequence{like: like, columns: c.Column, positions: c.Position, own: &own{Columns: c}, masks: map[int]*Node{}, rotations: map[string]rotation{}}
	s.layOut(c)
	return &run{Model: m, weights: weights, tap: tap, sequence: s}
}

// layOut says which keys there are: the columns' own, then the base's, if there is one.
func (s *sequence) layOut(c interv.Columns) {
	rows, columns := c.Column.Shape().Dim(0), c.Column.Shape().Dim(1)
	between := func(x *Node, axis, keys int) *Node { return BroadcastToDims(ExpandDims(x, axis), rows, columns, keys) }
	same := Equal(between(c.Segment, -1, columns), between(c.Segment, 1, columns))
	if s.keys, s.allowed = c.Column, same; c.Keys == nil {
		return
	}
	base := c.Real.Shape().Dim(1)
	s.keys = Concatenate([]*Node{c.Column, Iota(c.Column.Graph(), shapes.Make(dtypes.Int32, rows, base), 1)}, 1)
	before := LessThan(Iota(c.Column.Graph(), shapes.Make(dtypes.Int32, rows, columns, base), 2), between(c.Start, -1, base))
	s.allowed = Concatenate([]*Node{same, LogicalAnd(before, between(c.Real, 1, base))}, 2)
}

// join puts the base's keys and values, if there is one, behind those of the columns.
func (s *sequence) join(keys, values *Node) (*Node, *Node) {
	s.own.keys, s.own.values = keys, values
	if s.own.Keys == nil {
		return keys, values
	}
	return Concatenate([]*Node{keys, s.own.Keys}, 2), Concatenate([]*Node{values, s.own.Values}, 2)
}
