package interv

import (
	"cmp"

	. "github.com/gomlx/gomlx/core/graph"
)

// Func is a Go function as an intervention: it reads a source and builds what replaces the base, out = Build(b, s). Both are
// [batch, …, width] at all units of the site, and what it returns must have their shape; where no unit is located the result is not
// used. A subspace selects dimensions: others keep the base's value. A function cannot be saved.
type Func struct {
	Title string // what messages call it
	Build func(base, source *Node) *Node
}

// Name is the title, or "function".
func (f Func) Name() string { return cmp.Or(f.Title, "function") }

// Features is the width: a subspace selects dimensions.
func (f Func) Features(width int) int { return width }

// Apply calls the function, for the selected dimensions.
func (f Func) Apply(v Values) *Node { return blend(v.Selected, v.Base, f.Build(v.Base, v.Source)) }

func (f Func) check() error { return checkBuild(f.Build != nil) }

// BaseFunc is a [Func] that reads no source: out = Build(b).
type BaseFunc struct {
	Title string // what messages call it
	Build func(base *Node) *Node
}

// Name is the title, or "function".
func (f BaseFunc) Name() string { return cmp.Or(f.Title, "function") }

// Sourceless says that the function reads no source.
func (f BaseFunc) Sourceless() {}

// Features is the width: a subspace selects dimensions.
func (f BaseFunc) Features(width int) int { return width }

// Apply calls the function, for the selected dimensions.
func (f BaseFunc) Apply(v Values) *Node { return blend(v.Selected, v.Base, f.Build(v.Base)) }

func (f BaseFunc) check() error { return checkBuild(f.Build != nil) }

func checkBuild(there bool) error {
	if there {
		return nil
	}
	return &Error{Axis: "intervention", Got: "a function without Build", Wanted: "one that says what to build"}
}
