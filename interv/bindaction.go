package interv

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
)

// action is what one representation does in one call.
type action struct {
	active bool
	read   int             // the run read, −1 for none
	write  int             // the run edited
	given  *tensors.Tensor // activations in place of a source; nil for none
	shape  []int           // of the located units in an example
	each   [][2]int        // heads and positions of each example's rectangle in that shape

	whole    bool            // every unit of the run edited is located, in order, and so is what goes there: no index tensors
	hit      *tensors.Tensor // [batch, (heads,) positions] int32, of the run edited: what goes to each unit, −1 for none. See below
	at       *tensors.Tensor // [batch, units] int32: the located units of the run edited; nil if the action is not gathered
	from     *tensors.Tensor // [batch, units] int32: the source row of each located unit; nil if it is not gathered or reads nothing
	selected *tensors.Tensor // [batch, features]: 1 for features in the subspace; nil for all
	features *tensors.Tensor // [batch, features] int32: the features to collect, in order; nil for all
}

// The entries of hit are rows of the source or, for a gathered action, of the located units. An action that is whole has a program of its
// own, as a model has whose sites have one position: nothing there is picked out and put back, which takes longer than a small
// intervention itself.

// upload moves all tensors of a call to the device.

func (b *bound) bindAction(iv *Intervenable, i int, p planned, runOf []int) (action, error) {
	location := b.call.Locations[i]
	a := action{active: location != nil, read: -1, write: len(b.runs) - 1}
	if !a.active {
		return a, nil
	}
	if iv.plan.serial && p.group+1 < iv.plan.groups {
		if a.write = runOf[p.group+1]; a.write < 0 {
			return a, &Error{Axis: "source", Got: fmt.Sprintf("none for group %d", p.group+1), Wanted: "one: it is the run that this representation edits"}
		}
	}
	repeatable := p.repeatable(b.call, i)
	var now again
	if repeatable {
		now = b.noted(i, runOf[p.group], a.write)
		if last := iv.lastAction(i); last != nil && last.same(&now) {
			return last.action, nil
		}
	}
	extent := b.runs[a.write].extent
	written, err := p.resolve("base locations", location.Base, location.BaseHeads, location.Everywhere, false, extent)
	if err != nil {
		return a, err
	}
	if err := p.checkTogether(written); err != nil {
		return a, err
	}
	if p.together > 1 {
		written = written.sideBySide(p.together)
	}
	a.shape, a.each = written.shape, written.each
	from, err := b.bindSource(iv, &a, i, p, runOf[p.group], location, written)
	if err != nil {
		return a, err
	}
	if a.whole = p.gathered && a.isWhole(written, from, extent.Positions*max(1, p.sites.Heads), b); !a.whole {
		b.bindIndices(&a, p, written, from, extent)
	}
	err = b.bindSubspace(&a, p, entry(b.call.Subspaces, i), iv.model.Weights().ResultDType())
	if err == nil && repeatable {
		iv.keep(i, now.kept(a))
	}
	return a, err
}

// checkTogether wants as many units in each example as the intervention takes together.
func (p planned) checkTogether(u units) error {
	for i, each := range u.each {
		if count := each[0] * each[1]; p.together > 1 && count != p.together && count != 0 {
			return &Error{Axis: fmt.Sprintf("base locations of example %d", i), Got: fmt.Sprintf("%d units", count),
				Wanted: fmt.Sprintf("%d, the max units that are one vector to %s, or none", p.together, p.Intervention.Name())}
		}
	}
	return nil
}

// bindSource validates what representation i reads and returns the source row of each written unit; nil if it reads nothing.
func (b *bound) bindSource(iv *Intervenable, a *action, i int, p planned, run int, location *Location, written units) (rows []int, err error) {
	activations, unread := entry(b.call.Activations, i), p.unread(b.call, i)
	switch sourceUnits := location.Source != nil || location.SourceHeads != nil; {
	case unread != "" && sourceUnits:
		return nil, &Error{Axis: "source locations", Got: "units", Wanted: "none: " + unread}
	case activations != nil && !p.reads:
		return nil, &Error{Axis: "activations", Got: "some", Wanted: "none: " + unread}
	case activations != nil:
		return b.bindGiven(iv, a, p, activations, written)
	case !p.reads:
		return nil, nil
	case unread != "":
		a.given, err = p.draw(written.perExample(), iv.model.Weights().ResultDType())
		return written.numbered(), err
	case run < 0:
		return nil, &Error{Axis: "source", Got: "none", Wanted: "one: " + p.Intervention.Name() + " reads a source"}
	}
	a.read = run
	read, err := p.resolve("source locations", location.Source, location.SourceHeads, location.Everywhere, true, b.runs[run].extent)
	if err != nil {
		return nil, err
	}
	if p.together > 1 && p.checkTogether(read) == nil {
		read = read.sideBySide(p.together)
	}
	for i, each := range read.each {
		if each != written.each[i] && (p.together == 1 || each[0]*each[1] != written.each[i][0]*written.each[i][1]) {
			return nil, &Error{Axis: fmt.Sprintf("source locations of example %d", i), Got: describeUnits(each), Wanted: describeUnits(written.each[i]) + ", as many as base locations"}
		}
	}
	return read.rows, nil
}

// draw has the intervention make its own source.
func (p planned) draw(units int, dtype dtypes.DType) (*tensors.Tensor, error) {
	drawn := p.Intervention.(Drawer).Draw(units, p.sites.Width)
	if err := checkNumbers("what "+p.Intervention.Name()+" draws", drawn); err != nil {
		return nil, err
	}
	if wanted := []int{units, p.sites.Width}; !slices.Equal(drawn.Shape().Dimensions, wanted) {
		return nil, &Error{Axis: "what " + p.Intervention.Name() + " draws", Got: drawn.Shape().String(), Wanted: fmt.Sprint(wanted)}
	}
	return ofDType(drawn, dtype), nil
}

// describeUnits names the size of a rectangle of heads × positions.
func describeUnits(each [2]int) string {
	if each[0] == 1 {
		return fmt.Sprintf("%d units", each[1])
	}
	return fmt.Sprintf("%d × %d units", each[0], each[1])
}

// bindGiven checks activations against the located units, [batch, units…, width] or some of these axes from the right, and returns
// the row of each unit.
func (b *bound) bindGiven(iv *Intervenable, a *action, p planned, t *tensors.Tensor, written units) ([]int, error) {
	wanted := append(append([]int{len(written.each)}, written.shape...), p.sites.Width)
	dimensions := t.Shape().Dimensions
	if p.sites.Width == 0 && len(dimensions) > 0 { // varies with the run: the program checks it
		wanted[len(wanted)-1] = dimensions[len(dimensions)-1]
	}
	if dtype := iv.model.Weights().ResultDType(); t.DType() != dtype {
		return nil, &Error{Axis: "activations", Got: t.DType().String(), Wanted: dtype.String()}
	}
	if t.Size() == 0 || len(dimensions) == 0 || len(dimensions) > len(wanted) || !slices.Equal(dimensions, wanted[len(wanted)-len(dimensions):]) {
		return nil, &Error{Axis: "activations", Got: fmt.Sprintf("shape %v", dimensions), Wanted: fmt.Sprintf("%v, or less of it from the left", wanted)}
	}
	a.given = t
	given := t.Size() / wanted[len(wanted)-1]
	rows := make([]int, len(written.rows))
	for i := range rows {
		rows[i] = i % given
	}
	return rows, CheckFinite("activations", t)
}

// isWhole tells whether each unit of the run, so many in an example, gets the same unit of what is read.
func (a *action) isWhole(written units, from []int, count int, b *bound) bool {
	isRange := func(rows []int) bool {
		for i, row := range rows {
			if row != i {
				return false
			}
		}
		return true
	}
	same := from == nil || isRange(from) && (a.read < 0 || b.runs[a.read].extent.Positions == b.runs[a.write].extent.Positions)
	return same && len(written.rows) == len(written.each)*count && isRange(written.rows)
}

// bindIndices makes the index tensors of an action; from holds the source row of each written unit.
func (b *bound) bindIndices(a *action, p planned, written units, from []int, extent Extent) {
	if p.collects || p.gathered {
		a.at = int32Tensor(written.rows, extent.Batch, written.perExample())
	}
	if p.collects {
		return
	}
	grid := []int{extent.Batch, extent.Positions}
	if p.sites.Heads > 0 {
		grid = []int{extent.Batch, p.sites.Heads, extent.Positions}
	}
	hit := slices.Repeat([]int{-1}, extent.Batch*max(1, p.sites.Heads)*extent.Positions)
	for k, row := range written.rows {
		switch {
		case row < 0:
		case p.gathered:
			hit[row] = k
		case from != nil:
			hit[row] = from[k]
		default:
			hit[row] = 0
		}
	}
	a.hit = int32Tensor(hit, grid...)
	if p.gathered && from != nil {
		a.from = int32Tensor(from, extent.Batch, written.perExample())
	}
}

// bindSubspace makes the mask of selected features, or the list of those to collect.
func (b *bound) bindSubspace(a *action, p planned, ids [][]int, dtype dtypes.DType) error {
	if ids == nil {
		return nil
	}
	batch := b.base().extent.Batch
	lists, err := p.featureLists(ids, batch)
	if err != nil {
		return err
	}
	if p.collects {
		a.features = int32Tensor(slices.Concat(lists...), batch, len(lists[0]))
		return nil
	}
	mask := make([]float32, batch*p.features)
	for example, list := range lists {
		for _, feature := range list {
			mask[example*p.features+feature] = 1
		}
	}
	a.selected = ofDType(tensors.FromFlatDataAndDimensions(mask, batch, p.features), dtype)
	return nil
}
