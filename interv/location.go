package interv

import (
	"fmt"
	"slices"

	"github.com/govene/govene/internal/must"
)

// Location says for each example which units a representation reads in the source and writes in the base. Unit k of the source list
// goes to unit k of the base list. Lists of different examples may differ in length; an example with an empty list is not touched.
//
// What a list counts depends on the representation's unit: positions or steps (pos, t), heads at all positions (h), or, for h.pos,
// positions, with the heads listed apart: every listed head at every listed position. A position below 0 counts from the end of the
// example, before any padding on the right: −1 is the last. Padding is no unit of a list, so that a place which a shorter example does
// not have is an error; [Everywhere] takes the padding too.
type Location struct {
	Source      [][]int `json:"source,omitempty"` // [example][unit]; nil if nothing is read from a source
	Base        [][]int `json:"base,omitempty"`   // [example][unit]
	SourceHeads [][]int `json:"source_heads,omitempty"`
	BaseHeads   [][]int `json:"base_heads,omitempty"`
	Everywhere  bool    `json:"everywhere,omitempty"` // every unit, each from the same one of the source; the lists are nil
}

// FromTo is the location that reads the units of source and writes to those of base, both [example][unit].
func FromTo(source, base [][]int) *Location { return &Location{Source: source, Base: base} }

// At is the location of a representation that reads no source, [example][unit].
func At(base [][]int) *Location { return &Location{Base: base} }

// Everywhere is the location of all units: the whole activation.
func Everywhere() *Location { return &Location{Everywhere: true} }

// Heads adds the heads of an h.pos location: [example][head], source nil if nothing is read from a source.
func (l *Location) Heads(source, base [][]int) *Location {
	with := *l
	with.SourceHeads, with.BaseHeads = source, base
	return &with
}

// Repeat lists the same units for each of a number of examples: Repeat(10, 0, 2, 4) is Python's [[0, 2, 4]] * 10.
func Repeat(examples int, units ...int) [][]int {
	rows := make([][]int, examples)
	all := make([]int, examples*len(units))
	for i := range rows {
		rows[i] = all[i*len(units) : (i+1)*len(units) : (i+1)*len(units)]
		copy(rows[i], units)
	}
	return rows
}

// Places names positions: for each name, those of every example, [example][position]. With it a location reads
//
//	FromTo(source.MustAt("subject", "last"), base.MustAt("subject", "last"))
type Places map[string][][]int

// At lists the positions of some names for each example, one name after the other.
func (p Places) At(names ...string) ([][]int, error) {
	var rows [][]int
	for _, name := range names {
		named, ok := p[name]
		if !ok {
			return nil, UnknownName("places", "name", name, sortedKeys(p))
		}
		if rows == nil {
			rows = make([][]int, len(named))
		}
		if len(named) != len(rows) {
			return nil, &Error{Where: "places", Axis: name, Got: fmt.Sprintf("%d examples", len(named)), Wanted: fmt.Sprintf("%d, as for %s", len(rows), names[0])}
		}
		for i := range rows {
			rows[i] = append(rows[i], named[i]...)
		}
	}
	return rows, nil
}

// MustAt is At that panics on an error.
func (p Places) MustAt(names ...string) [][]int { return must.Of(p.At(names...)) }

// units are the units of one side of a location in a run, resolved. In each example they are a rectangle of heads × positions.
type units struct {
	// rows holds for each unit its number in the run, (example · heads + head) · positions + position, as [example × heads ×
	// positions] of the largest rectangle, with −1 where an example's own is smaller.
	rows  []int
	shape []int    // of the largest rectangle: [units], or [heads, positions] at a site with heads
	each  [][2]int // heads and positions of each example's rectangle
}

// perExample is how many units the largest rectangle has.
func (u units) perExample() int {
	count := 1
	for _, n := range u.shape {
		count *= n
	}
	return count
}

// sideBySide is the units of each example in one row of count, for an intervention that takes so many together; an example has count
// units, or none.
func (u units) sideBySide(count int) units {
	largest := u.perExample()
	if largest == count {
		return u // they are already
	}
	together := units{shape: []int{count}, each: make([][2]int, len(u.each))}
	for i := range u.each {
		row := slices.DeleteFunc(slices.Clone(u.rows[i*largest:(i+1)*largest]), func(row int) bool { return row < 0 })
		together.each[i] = [2]int{1, len(row)}
		together.rows = append(together.rows, append(row, slices.Repeat([]int{-1}, count-len(row))...)...)
	}
	return together
}

// numbered counts the units of each example from 0, for every entry of rows.
func (u units) numbered() []int {
	numbers := make([]int, 0, len(u.rows))
	columns := u.shape[len(u.shape)-1]
	for _, each := range u.each {
		for k := range u.perExample() {
			numbers = append(numbers, k/columns*each[1]+k%columns)
		}
	}
	return numbers
}

// resolve turns one side of a location, called axis, into units of a run. A unit may be named once, unless repeats are allowed.
func (p planned) resolve(axis string, list, heads [][]int, everywhere, repeats bool, extent Extent) (units, error) {
	side := side{axis: axis, unit: p.Unit, heads: p.sites.Heads, extent: extent, repeats: repeats}
	if everywhere {
		if list != nil || heads != nil {
			return units{}, &Error{Axis: axis, Got: "lists", Wanted: "none, as the location is everywhere"}
		}
		return side.rectangles(nil, nil)
	}
	if list == nil {
		return units{}, &Error{Axis: axis, Got: "none", Wanted: "a list for each example (Everywhere is the location of all units)"}
	}
	if (p.Unit == HeadPosition) != (heads != nil) {
		if heads != nil {
			return units{}, &Error{Axis: axis, Got: "heads apart", Wanted: fmt.Sprintf("none: the unit is %s", p.Unit)}
		}
		return units{}, &Error{Axis: axis, Got: "no heads", Wanted: "heads as well as positions: the unit is h.pos (Location.Heads adds them)"}
	}
	if p.Unit == Head {
		return side.rectangles(list, nil)
	}
	return side.rectangles(heads, list)
}

// side is what resolving one side of a location needs to know.
type side struct {
	axis    string
	unit    Unit
	heads   int // of the site; 0 for none
	extent  Extent
	repeats bool
}

// rectangles lists the units of each example: heads × positions, each either as listed or all of them.
func (s side) rectangles(heads, positions [][]int) (units, error) {
	u := units{each: make([][2]int, s.extent.Batch)}
	var err error
	if heads == nil {
		heads = slices.Repeat([][]int{Range(0, max(1, s.heads))}, s.extent.Batch)
	} else if heads, err = s.check(heads, "head", s.heads, nil); err != nil {
		return u, err
	}
	if positions == nil {
		positions = slices.Repeat([][]int{Range(0, s.extent.Positions)}, s.extent.Batch)
	} else {
		noun := "position"
		if s.unit == Step {
			noun = "step"
		}
		if positions, err = s.check(positions, noun, s.extent.Positions, s.extent.Real); err != nil {
			return u, err
		}
	}
	mostHeads, mostPositions := 0, 0
	for i := range u.each {
		u.each[i] = [2]int{len(heads[i]), len(positions[i])}
		mostHeads, mostPositions = max(mostHeads, len(heads[i])), max(mostPositions, len(positions[i]))
	}
	if !slices.ContainsFunc(u.each, func(n [2]int) bool { return n[0]*n[1] > 0 }) {
		return u, &Error{Axis: s.axis, Got: "no units", Wanted: "at least one (a nil location leaves the representation out)"}
	}
	u.shape = []int{mostPositions}
	if s.heads > 0 {
		u.shape = []int{mostHeads, mostPositions}
	}
	u.rows = make([]int, 0, len(u.each)*mostHeads*mostPositions)
	for i := range u.each {
		for h := range mostHeads {
			for k := range mostPositions {
				row := -1
				if h < len(heads[i]) && k < len(positions[i]) {
					row = (i*max(1, s.heads)+heads[i][h])*s.extent.Positions + positions[i][k]
				}
				u.rows = append(u.rows, row)
			}
		}
	}
	return u, nil
}

// check validates lists of one kind of unit. Where real tells which positions of an example are not padding, it wants no others, and
// numbers below 0 are replaced by those that they stand for, in a copy of their row.
func (s side) check(rows [][]int, noun string, count int, real func(example int) (start, end int)) ([][]int, error) {
	if len(rows) != s.extent.Batch {
		return nil, &Error{Axis: s.axis, Got: fmt.Sprintf("%d examples", len(rows)), Wanted: fmt.Sprintf("%d, the batch", s.extent.Batch)}
	}
	rows = slices.Clone(rows)
	for i, row := range rows {
		start, end := 0, count
		if real != nil {
			start, end = real(i)
		}
		copied := false
		for k, n := range row {
			if n < 0 && real != nil {
				n += end
			}
			if n < start || n >= end {
				return nil, s.outside(i, noun, row[k], n >= 0 && n < count, start, end, real != nil)
			}
			if n != row[k] {
				if !copied {
					row, copied = slices.Clone(row), true
				}
				row[k] = n
			}
			if !s.repeats && slices.Contains(row[:k], n) {
				return nil, &Error{Axis: fmt.Sprintf("%s of example %d", s.axis, i), Got: fmt.Sprintf("%s %d twice", noun, n), Wanted: "each at most once"}
			}
		}
		rows[i] = row
	}
	return rows, nil
}

// outside is the error for a unit that an example does not have.
func (s side) outside(example int, noun string, n int, padding bool, start, end int, fromTheEnd bool) error {
	got, wanted := fmt.Sprintf("%s %d", noun, n), fmt.Sprintf("%d to %d", start, end-1)
	if padding {
		got += ", which is padding"
	}
	if fromTheEnd {
		wanted += fmt.Sprintf(", or -1 to %d from the end", start-end)
	}
	return &Error{Axis: fmt.Sprintf("%s of example %d", s.axis, example), Got: got, Wanted: wanted}
}

func cloneRows(rows [][]int) [][]int {
	clone, all := make([][]int, len(rows)), slices.Concat(rows...)
	for i, row := range rows {
		clone[i], all = all[:len(row):len(row)], all[len(row):]
	}
	return clone
}
