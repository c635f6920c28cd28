package foreign

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/govene/govene/interv"
)

// The dimensions that differ from run to run.
const (
	Batch     = -2 // the number of examples
	Positions = -3 // the number of positions
)

// Description says what the graph of a model does not: its inputs, and which of its activations are sites.
type Description struct {
	Name   string // what messages call the model: "zoo transformer"
	Inputs []Input
	Sites  []Sites // in the order in which a layer computes them

	// Positions is how many positions every run has, if no input has them as a dimension; 0 for 1.
	Positions int
}

// Input is one input of the model.
type Input struct {
	Name  string
	DType dtypes.DType
	Dims  []int // sizes, [Batch] or [Positions]
	Below int   // if not 0, the input holds integers from 0 to Below-1
}

// Sites are the sites of one component, and how to find them in the graph of a run.
type Sites struct {
	interv.Sites // of which Units may be left out: positions, or at sites with heads, heads

	// Find finds the node of one layer. At stepwise sites it finds a node for each position.
	Find Selector

	// Dims is the node's shape, in sizes, [Batch] and [Positions], where it is not the one the catalogue means: [batch, positions,
	// width], with heads [batch, heads, positions, width], and [batch, width] at stepwise sites. The node's elements must follow each
	// other as those of [batch, positions, heads, width] do: heads side by side, positions in rows and columns, or no position axis at
	// all are fine. The site is announced in the catalogue's shape all the same.
	Dims []int
}

// extent is the size of one run.
type extent struct{ batch, positions int }

// of is a shape of this extent.
func (e extent) of(dims []int) []int {
	sizes := slices.Clone(dims)
	for i, d := range sizes {
		switch d {
		case Batch:
			sizes[i] = e.batch
		case Positions:
			sizes[i] = e.positions
		}
	}
	return sizes
}

// announced is the shape in which a site is announced.
func (s *Sites) announced() []int {
	switch {
	case s.Width == 0:
		return s.Dims
	case s.Stepwise:
		return []int{Batch, s.Width}
	case s.Heads > 0:
		return []int{Batch, s.Heads, Positions, s.Width}
	}
	return []int{Batch, Positions, s.Width}
}

// dims is the shape of a site's node.
func (s *Sites) dims() []int {
	if s.Dims != nil {
		return s.Dims
	}
	return s.announced()
}

// headsLast says whether the node has its heads after its positions.
func (s *Sites) headsLast() bool { return s.Heads > 0 && !slices.Equal(s.dims(), s.announced()) }

// view is a site's node in the announced shape.
func (s *Sites) view(e extent, x *Node) *Node {
	if slices.Equal(s.dims(), s.announced()) {
		return x
	}
	if s.headsLast() {
		return TransposeAllAxes(Reshape(x, e.batch, e.positions, s.Heads, s.Width), 0, 2, 1, 3)
	}
	return Reshape(x, e.of(s.announced())...)
}

// unview undoes view.
func (s *Sites) unview(e extent, x *Node) *Node {
	if slices.Equal(s.dims(), s.announced()) {
		return x
	}
	if s.headsLast() {
		x = TransposeAllAxes(x, 0, 2, 1, 3)
	}
	return Reshape(x, e.of(s.dims())...)
}

// check fills in what may be left out, and refuses what cannot be.
func (d *Description) check() error {
	if d.Name == "" {
		d.Name = "foreign model"
	}
	if d.Positions == 0 {
		d.Positions = 1
	}
	if !d.has(Batch) {
		return &interv.Error{Where: d.Name, Axis: "inputs", Got: "none with a dimension Batch", Wanted: "at least one"}
	}
	d.Sites = slices.Clone(d.Sites)
	seen := map[interv.Component]bool{}
	for i := range d.Sites {
		s := &d.Sites[i]
		if err := s.check(d); err != nil {
			return interv.Within(fmt.Sprintf("%s, site %d (%s)", d.Name, i, s.Component), err)
		}
		if seen[s.Component] {
			return &interv.Error{Where: d.Name, Axis: "component", Got: fmt.Sprintf("%s twice", s.Component), Wanted: "each once"}
		}
		seen[s.Component] = true
	}
	return nil
}

// has says whether an input has a dimension.
func (d *Description) has(dim int) bool {
	return slices.ContainsFunc(d.Inputs, func(input Input) bool { return slices.Contains(input.Dims, dim) })
}

func (s *Sites) check(d *Description) error {
	if len(s.Units) == 0 && s.Heads > 0 {
		s.Units = []interv.Unit{interv.Head, interv.HeadPosition}
	} else if len(s.Units) == 0 {
		s.Units = []interv.Unit{interv.Position}
	}
	switch {
	case s.Component == "":
		return &interv.Error{Axis: "component", Got: "none", Wanted: "a name"}
	case s.Find == nil:
		return &interv.Error{Axis: "Find", Got: "nil", Wanted: "a selector, such as foreign.Alias"}
	case s.Layers < 1:
		return &interv.Error{Axis: "Layers", Got: fmt.Sprint(s.Layers), Wanted: "at least 1"}
	case s.Only != nil && !s.ascending():
		return &interv.Error{Axis: "Only", Got: fmt.Sprint(s.Only), Wanted: fmt.Sprintf("some of the layers 0 to %d, ascending", s.Layers-1)}
	case s.Width < 0 || s.Heads < 0 || s.Stepwise && s.Heads > 0:
		return &interv.Error{Axis: "Width, Heads, Stepwise", Got: fmt.Sprintf("%d, %d, %t", s.Width, s.Heads, s.Stepwise),
			Wanted: "sizes, and no heads at a stepwise site"}
	case s.Width == 0 && s.Dims == nil:
		return &interv.Error{Axis: "Dims", Got: "none", Wanted: "the node's shape, as a width of 0 does not tell it"}
	}
	return s.checkDims(d)
}

// ascending tells whether Only lists some of the layers in order.
func (s *Sites) ascending() bool {
	before := -1
	for _, layer := range s.Only {
		if layer <= before {
			return false
		}
		before = layer
	}
	return 0 <= before && before < s.Layers
}

// checkDims refuses a shape that cannot be seen as the announced one. Sizes are compared at two extents, which products of dimensions
// that are right at one by chance do not pass.
func (s *Sites) checkDims(d *Description) error {
	dims, announced := s.dims(), s.announced()
	rank := 3
	if s.Heads > 0 {
		rank = 4
	} else if s.Stepwise {
		rank = 2
	}
	wrong := len(announced) != rank || announced[0] != Batch || dims[0] != Batch
	for _, e := range []extent{{7, 11}, {13, 5}} {
		if !d.has(Positions) {
			e.positions = d.Positions
		}
		wrong = wrong || product(e.of(dims)) != product(e.of(announced))
	}
	if wrong {
		return &interv.Error{Axis: "Dims", Got: describe(dims), Wanted: "a shape of the elements of " + describe(announced)}
	}
	return nil
}

func product(sizes []int) int {
	p := 1
	for _, d := range sizes {
		p *= d
	}
	return p
}

// describe is a shape in words: "[batch positions 8]".
func describe(dims []int) string {
	words := make([]string, len(dims))
	for i, d := range dims {
		switch d {
		case Batch:
			words[i] = "batch"
		case Positions:
			words[i] = "positions"
		default:
			words[i] = fmt.Sprint(d)
		}
	}
	return fmt.Sprint(words)
}

// catalogue is the description without the means to find the sites.
func (d *Description) catalogue() interv.Catalogue {
	c := interv.Catalogue{Model: d.Name}
	for _, s := range d.Sites {
		c.Sites = append(c.Sites, s.Sites)
	}
	return c
}

// trial is a small extent of sizes that no declared dimension has, so that a shape found in a trial run is no coincidence.
func (d *Description) trial() extent {
	taken := map[int]bool{1: true}
	for _, s := range d.Sites {
		taken[s.Width], taken[s.Heads], taken[s.Layers] = true, true, true
		for _, size := range s.Dims {
			taken[size] = true
		}
	}
	for _, input := range d.Inputs {
		for _, size := range input.Dims {
			taken[size] = true
		}
	}
	next := func() int {
		size := 2
		for taken[size] {
			size++
		}
		taken[size] = true
		return size
	}
	e := extent{positions: d.Positions}
	if d.has(Positions) {
		e.positions = next()
	}
	e.batch = next()
	return e
}
