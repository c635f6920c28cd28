package das

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/govene/govene/interv"
)

// above is what has to be computed again of a model made of blocks when the stream is changed at one position: the blocks above, from that
// position on, and of the last one the position that is read. The positions before are clean: their keys and values are computed once for each
// example, and kept.
type above struct {
	blocks              interv.Blocks
	from                int // the first block that is computed again
	position, positions int
}

// keptBytes is the most memory that keys and values of all examples take; where they would take more, the model runs at all positions.
const keptBytes = 1 << 30

// aboveOf is nil where the model is not made of blocks, or the place is not on the stream between two of them.
func aboveOf(model interv.Model, place Place, inputs interv.Inputs, positions, examples int) *above {
	blocks, ok := model.(interv.Blocks)
	if !ok || inputs[interv.PositionIDs] != nil {
		return nil
	}
	a := &above{blocks: blocks, from: place.Layer, position: place.Position, positions: positions}
	switch input, output := blocks.Stream(); place.Component {
	case input:
	case output:
		a.from++
	default:
		return nil
	}
	if a.from >= blocks.Blocks() {
		return nil
	}
	bytes := int64(0)
	for block := a.from; block < blocks.Blocks(); block++ {
		keys, values := blocks.KeyShapes(block, examples, a.position)
		bytes += keys.ByteSize() + values.ByteSize()
	}
	if bytes > keptBytes {
		return nil
	}
	return a
}

// columns are so many rows of the columns from one on.
func (a *above) columns(g *Graph, rows, from int) interv.Columns {
	shape := shapes.Make(dtypes.Int32, rows, a.positions-from)
	column := AddScalar(Iota(g, shape, 1), from)
	all := func(value, columns int) *Node {
		return BroadcastToDims(Scalar(g, dtypes.Int32, value), rows, columns)
	}
	return interv.Columns{Column: column, Position: column, Segment: Zeros(g, shape), Start: all(from, a.positions-from), Length: all(a.positions, 1)}
}

// kept adds a clean run, and returns the keys and values, block after block, of the positions before the place; none where there are none.
func (a *above) kept(weights, inputs interv.Nodes) (list []*Node) {
	packed := interv.Nodes{}
	var rows int
	var g *Graph
	for name, node := range inputs {
		if name != interv.AttentionMask {
			packed[name], rows, g = node, node.Shape().Dim(0), node.Graph()
		}
	}
	c := a.columns(g, rows, 0)
	x := a.blocks.Embed(weights, packed, c, nil)
	for block := range a.blocks.Blocks() {
		var keys, values *Node
		x, keys, values = a.blocks.Block(weights, block, x, c, nil)
		if block >= a.from && a.position > 0 {
			list = append(list, SliceAxis(keys, 2, AxisRange(0, a.position)), SliceAxis(values, 2, AxisRange(0, a.position)))
		}
	}
	return list
}

// logits are those of the last position [batch · alignments, classes], with a change [batch, alignments, d] of the base's stream [batch, positions,
// d] at the place, and what was kept of the base.
func (a *above) logits(weights interv.Nodes, base, change *Node, kept []*Node) *Node {
	batch, count, width := change.Shape().Dim(0), change.Shape().Dim(1), change.Shape().Dim(2)
	rows, columns, g := batch*count, a.positions-a.position, base.Graph()
	x := repeated(SliceAxis(base, 1, AxisRange(a.position)), count)
	changed := Add(SliceAxis(x, 1, AxisRange(0, 1)), Reshape(change, rows, 1, width))
	if x = changed; columns > 1 {
		x = Concatenate([]*Node{changed, repeated(SliceAxis(base, 1, AxisRange(a.position+1)), count)}, 1)
	}
	c := a.columns(g, rows, a.position)
	if a.position > 0 {
		column := Iota(g, shapes.Make(dtypes.Int32, rows, a.position), 1)
		c.Real = GreaterOrEqual(column, ZerosLike(column))
	}
	for block := a.from; block < a.blocks.Blocks(); block++ {
		if a.position > 0 {
			c.Keys, c.Values = repeated(kept[0], count), repeated(kept[1], count)
			kept = kept[2:]
		}
		if block == a.blocks.Blocks()-1 {
			c.Reads = BroadcastToDims(Scalar(g, dtypes.Int32, columns-1), rows, 1)
		}
		x, _, _ = a.blocks.Block(weights, block, x, c, nil)
	}
	return Reshape(a.blocks.Head(weights, x, nil, nil), rows, -1)
}
