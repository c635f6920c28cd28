package interv

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// Blocks is a model that is a stack of blocks, each reading the stream that the block below returned, and in which a position is computed
// from itself and from those before it alone. Where one of its activations is changed, only the blocks above and the positions from there
// on have to be computed again: Blocks lets these pieces be built on their own, for many such changes side by side (package sweep).
//
// Pieces work on [Columns], and what they announce is [rows, columns, width], or [rows, heads, columns, width] at sites with heads.
type Blocks interface {
	Model

	// Blocks is how many blocks there are; layers of sites are blocks.
	Blocks() int

	// Kind is the first block that differs from the given one in the values of its weights alone.
	Kind(block int) int

	// Stream names the components that are what a block reads and what it returns; the latter is what the next block reads.
	Stream() (input, output Component)

	// KeyShapes are the shapes of a block's keys and values, [rows, key and value heads, columns, width].
	KeyShapes(block, rows, columns int) (keys, values shapes.Shape)

	// BlockWeights lists the weights that a block reads, in an order in which those of blocks of one kind correspond; OuterWeights those
	// that Embed and Head read.
	BlockWeights(block int) []string
	OuterWeights() []string

	// Embed adds what the first block reads, [rows, columns, d], to a graph. Its inputs are those of the model, packed.
	Embed(weights, inputs Nodes, c Columns, tap *Tap) *Node

	// Block adds a block: it takes the stream below to the stream above, and returns its columns' keys and values as attention used them,
	// [rows, key and value heads, columns, width]. Where the columns have Reads, the stream above is [rows, reads, d].
	Block(weights Nodes, block int, x *Node, c Columns, tap *Tap) (above, keys, values *Node)

	// Head adds the model's output for some columns of the topmost stream: [rows, reads, d] to [rows, reads, outputs], or, where tokens,
	// [rows, reads, tokens] int32, are not nil, of these outputs alone, in their shape.
	Head(weights Nodes, x, tokens *Node, tap *Tap) *Node
}

// Columns lays out parts of sequences side by side: each row holds segments, consecutive columns of one sequence. A column sees those of its
// own segment that are not after it and, of a further run of that sequence, the *base*, whose keys and values are given, the columns before
// the segment: so a segment goes on where the base leaves off. All rows' bases have the same number of columns.
type Columns struct {
	Column   *Node // [rows, columns] int32: which column of its sequence it is
	Position *Node // [rows, columns] int32: its position, which is the column's number if the sequence has no padding
	Segment  *Node // [rows, columns] int32: equal in the columns of one segment
	Start    *Node // [rows, columns] int32: the first column of its segment
	Length   *Node // [rows, 1] int32: the largest position of the row's sequence that is not padding, plus 1

	Keys, Values *Node // of the row's base in this block, [rows, key and value heads, base columns, width]; nil if there is no base, as Real then is
	Real         *Node // [rows, base columns] bool: which columns of the base are not padding

	Reads *Node // [rows, reads] int32: the columns whose streams are wanted above the block; nil for all
}

// Read picks the columns that are wanted out of x, [rows, columns, width] or [rows, heads, columns, width].
func (c Columns) Read(x *Node) *Node {
	if c.Reads == nil {
		return x
	}
	dimensions := x.Shape().Dimensions
	groups := 1 // of columns: rows, or rows × heads
	for _, d := range dimensions[:x.Rank()-2] {
		groups *= d
	}
	columns, width := dimensions[x.Rank()-2], dimensions[x.Rank()-1]
	reads := c.Reads
	if x.Rank() == 4 {
		reads = BroadcastToDims(ExpandDims(reads, 1), dimensions[0], dimensions[1], reads.Shape().Dim(1))
	}
	first := MulScalar(Iota(x.Graph(), shapes.Make(dtypes.Int32, groups, 1), 0), columns)
	index := Add(Reshape(reads, groups, -1), BroadcastToDims(first, groups, c.Reads.Shape().Dim(1)))
	picked := Gather(Reshape(x, groups*columns, width), ExpandDims(index, -1))
	out := append(append([]int{}, dimensions[:x.Rank()-2]...), c.Reads.Shape().Dim(1), width)
	return Reshape(picked, out...)
}
