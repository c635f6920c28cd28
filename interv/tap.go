package interv

import (
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/support/exceptions"
)

// Activation is one announcement: the value that a model has just computed at a site.
//
// Value is [batch, positions, width] ([batch, heads, positions, width] at sites with heads) and covers the absolute positions
// Offset, Offset+1, …; a recurrent cell announces one step at a time, as [batch, width] at position Offset.
type Activation struct {
	Site   Site
	Offset int
	Value  *Node
}

// Positions is how many positions the announced value covers.
func (a Activation) Positions() int {
	if a.Value.Rank() == 2 {
		return 1
	}
	return a.Value.Shape().Dim(-2)
}

// Tap is what a model's graph function announces its activations to, one line a site:
//
//	h = tap.AtStep(interv.Site{Layer: l, Component: CellOutput}, t, h)
//
// The announcement returns what the model goes on with: the same node, or another in its place. A nil *Tap is a clean run: it
// returns every activation unchanged. A tap belongs to the building of one graph, by one goroutine.
//
// An edit may return more rows than it was given (see [Tap.Join]). A model that is to allow it takes its batch size from the
// node at hand and passes whatever else depends on the example through [Tap.Rows].
type Tap struct {
	edit    func(tap *Tap, a Activation) *Node
	batch   int   // rows of the batch before any joined; 0 until the first announcement
	origins []int // of each joined row, the row of the original batch that it continues
	reads   *Node // [reads, 1] int32: of batch · positions, those whose outputs are wanted; nil for all
	picked  bool  // whether the model has picked them
}

// NewTap returns a tap that calls edit at every announcement, in network order, and hands its result to the model.
func NewTap(edit func(tap *Tap, a Activation) *Node) *Tap { return &Tap{edit: edit} }

// At announces the activation x of a whole sequence at a site.
func (t *Tap) At(site Site, x *Node) *Node { return t.AtOffset(site, 0, x) }

// AtOffset announces a chunk of a sequence, [batch, positions, width], that starts at the absolute position offset.
func (t *Tap) AtOffset(site Site, offset int, x *Node) *Node {
	if t == nil {
		return x
	}
	return t.announce(Activation{Site: site, Offset: offset, Value: x})
}

// AtStep announces one time step, [batch, width], of a recurrent cell.
func (t *Tap) AtStep(site Site, step int, x *Node) *Node {
	if t == nil {
		return x
	}
	return t.announce(Activation{Site: site, Offset: step, Value: x})
}

func (t *Tap) announce(a Activation) *Node {
	if t.batch == 0 {
		t.batch = a.Value.Shape().Dim(0)
	}
	a.Value = t.Rows(a.Value)
	return t.edit(t, a)
}

// Join lets copies of rows of the original batch join the batch here: it returns x with one row more for each entry of origins,
// equal to that row of x. Rows below this site are thus computed once for all copies. To be called from within an edit.
func (t *Tap) Join(x *Node, origins ...int) *Node {
	for _, origin := range origins {
		if origin < 0 || origin >= t.batch {
			exceptions.Panicf("Tap.Join: row %d of a batch of %d", origin, t.batch)
		}
	}
	t.origins = append(t.origins, origins...)
	return t.Rows(x)
}

// Rows brings x, whose first axis is the batch, to the rows the batch has by now: rows that joined since x was computed are
// copies of the rows that they continue. A nil tap returns x.
func (t *Tap) Rows(x *Node) *Node {
	if t == nil || len(t.origins) == 0 {
		return x
	}
	joined := x.Shape().Dim(0) - t.batch
	if joined == len(t.origins) {
		return x
	}
	if joined < 0 || joined > len(t.origins) {
		exceptions.Panicf("Tap.Rows: got %d rows, wanted %d to %d", x.Shape().Dim(0), t.batch, t.batch+len(t.origins))
	}
	missing := make([]int32, len(t.origins)-joined)
	for i, origin := range t.origins[joined:] {
		missing[i] = int32(origin)
	}
	indices := ExpandDims(Const(x.Graph(), missing), -1)
	return Concatenate([]*Node{x, Gather(x, indices)}, 0)
}

// Wants says that of a run's outputs those of some rows alone are read, [reads] int32 of batch · positions: where the model can, and
// no rows have joined, it computes no others, as [reads, 1, outputs]. See [Tap.Read].
func (t *Tap) Wants(rows *Node) { t.reads = ExpandDims(rows, -1) }

// Read picks, of what a model's head reads, [batch, positions, d], the positions whose outputs are wanted, [reads, 1, d]: where a program
// reads the outputs of a few positions alone, the head computes no others. A model of which that is so passes what its head reads through it,
// once; what it returns is then [reads, 1, outputs]. A nil tap returns x, as does one of a program that wants all outputs, or in which rows
// have joined.
func (t *Tap) Read(x *Node) *Node {
	if t == nil || t.reads == nil || len(t.origins) > 0 {
		return x
	}
	t.picked = true
	return ExpandDims(Gather(rowsOf(x), t.reads), 1)
}
