package interv

import (
	"fmt"
	"maps"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
)

// A call is bound to a config before it runs: everything is validated, and locations and subspaces become small index tensors, the
// runtime inputs of a program. Where an intervention has no parameters, or its site is computed step by step, a location becomes a
// map over all units of the run that is edited: for each, the row of the source that goes there, or −1 for a unit that is left as it
// is. Its shape depends on the run's extent alone, so any number of units, at any places, runs the same program. Other interventions
// work on the located units alone, so that their matrix products are no larger than they need be; the count of units is then part of
// the program.
type bound struct {
	call    Call
	runs    []boundRun // in the order in which they are built; the last is the base's
	actions []action   // one a representation

	readings []boundReading // one a metric
}

// boundRun is one run of the model. In parallel mode groups that are given the same tensors share one.
type boundRun struct {
	inputs Inputs
	extent Extent
}

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
func (b *bound) upload(backend compute.Backend) error {
	list := slices.Collect(maps.Values(b.call.Labels))
	for _, run := range b.runs {
		list = slices.AppendSeq(list, maps.Values(run.inputs))
	}
	for _, a := range b.actions {
		list = append(list, a.given, a.hit, a.at, a.from, a.selected, a.features)
	}
	for _, t := range list {
		if t != nil {
			if _, err := bufferOf(t, backend); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *bound) base() boundRun { return b.runs[len(b.runs)-1] }

func (iv *Intervenable) bind(call Call) (*bound, error) {
	b := &bound{call: call, actions: make([]action, len(iv.plan.representations))}
	if err := b.checkCounts(iv.plan); err != nil {
		return nil, err
	}
	if err := call.Labels.checkThere("labels"); err != nil {
		return nil, err
	}
	for _, name := range sortedKeys(call.Labels) {
		if err := CheckFinite("labels, "+name, call.Labels[name]); err != nil {
			return nil, err
		}
	}
	runOf, err := b.bindRuns(iv)
	if err != nil {
		return nil, err
	}
	for i, p := range iv.plan.representations {
		if b.actions[i], err = b.bindAction(iv, i, p, runOf); err != nil {
			return nil, Within(where(i, p.Representation), err)
		}
	}
	if err := b.checkChain(iv.plan); err != nil {
		return nil, err
	}
	return b, b.bindMetrics(iv)
}

// checkChain refuses an edit, in serial mode, of a run that no later link of the chain reads.
func (b *bound) checkChain(p *plan) error {
	for i, a := range b.actions {
		read := func(later action) bool { return later.active && later.read == a.write }
		if a.active && a.write < len(b.runs)-1 && !p.representations[i].collects && !slices.ContainsFunc(b.actions, read) {
			group := p.representations[i].group + 1
			return &Error{Where: where(i, p.representations[i].Representation), Axis: "serial mode", Got: fmt.Sprintf("an edit of source %d's run, which nothing reads", group),
				Wanted: fmt.Sprintf("a location for a representation of group %d", group)}
		}
	}
	return nil
}

// checkCounts refuses slices with other than one entry a representation, or a group.
func (b *bound) checkCounts(p *plan) error {
	for _, slice := range []struct {
		name, of      string
		count, wanted int
	}{
		{"sources", "group", len(b.call.Sources), p.groups},
		{"locations", "representation", len(b.call.Locations), len(p.representations)},
		{"subspaces", "representation", len(b.call.Subspaces), len(p.representations)},
		{"activations", "representation", len(b.call.Activations), len(p.representations)},
	} {
		if slice.count == slice.wanted || slice.count == 0 && slice.name != "locations" {
			continue
		}
		if p.groups == len(p.representations) {
			slice.of = "representation"
		}
		return &Error{Where: "call", Axis: slice.name, Got: fmt.Sprintf("%d entries", slice.count),
			Wanted: fmt.Sprintf("%d, one for each %s", slice.wanted, slice.of)}
	}
	return nil
}

// entry is slice[i], or the zero value of a slice left nil.
func entry[T any](slice []T, i int) (value T) {
	if i < len(slice) {
		value = slice[i]
	}
	return value
}

// bindRuns lists the runs of the call and returns, for each group, the run that its source is; −1 for none.
func (b *bound) bindRuns(iv *Intervenable) (runOf []int, err error) {
	base, err := iv.extent("base", b.call.Base)
	if err != nil {
		return nil, err
	}
	for group := range iv.plan.groups {
		source := entry(b.call.Sources, group)
		runOf = append(runOf, -1)
		if source == nil {
			continue
		}
		where := fmt.Sprintf("source %d", group)
		extent, err := iv.extent(where, source)
		if err != nil {
			return nil, err
		}
		if extent.Batch != base.Batch {
			return nil, &Error{Where: where, Axis: "batch", Got: fmt.Sprintf("a batch of %d", extent.Batch), Wanted: fmt.Sprintf("%d, the base's", base.Batch)}
		}
		if !iv.plan.serial {
			runOf[group] = slices.IndexFunc(b.runs, func(run boundRun) bool { return sameTensors(run.inputs, source) })
		}
		if runOf[group] < 0 {
			runOf[group] = len(b.runs)
			b.runs = append(b.runs, boundRun{source, extent})
		}
	}
	b.runs = append(b.runs, boundRun{b.call.Base, base})
	return runOf, b.checkUse(iv.plan, runOf)
}

// extent is the size of a run, whose inputs it checks.
func (iv *Intervenable) extent(where string, inputs Inputs) (Extent, error) {
	if err := inputs.checkThere(where); err != nil {
		return Extent{}, err
	}
	extent, err := iv.model.Check(inputs)
	return extent, Within(where, err)
}

// checkUse refuses a source that nothing reads, or that is nothing's to edit.
func (b *bound) checkUse(p *plan, runOf []int) error {
	used := make([]bool, p.groups+1)
	for i, r := range p.representations {
		if b.call.Locations[i] == nil {
			used[r.group] = true // left out of this call: its source may be there or not
			continue
		}
		used[r.group] = used[r.group] || r.unread(b.call, i) == ""
		if p.serial {
			used[r.group+1] = true
		}
	}
	for group, run := range runOf {
		if run < 0 || used[group] {
			continue
		}
		for i, r := range p.representations {
			if r.group == group {
				return &Error{Where: where(i, r.Representation), Axis: "source", Got: "a source", Wanted: "none: " + r.unread(b.call, i)}
			}
		}
	}
	return nil
}

// unread says why representation i reads no source in a call; it is empty if it reads one.
func (p planned) unread(call Call, i int) string {
	_, draws := p.Intervention.(Drawer)
	switch {
	case !p.reads:
		return p.Intervention.Name() + " reads no source"
	case entry(call.Activations, i) != nil:
		return "activations are given"
	case draws:
		return p.Intervention.Name() + " draws its own source"
	}
	return ""
}

func sameTensors(a, b Inputs) bool {
	if len(a) != len(b) {
		return false
	}
	for name, t := range a {
		if b[name] != t {
			return false
		}
	}
	return true
}

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
		if last := iv.last[i].Load(); last != nil && last.same(&now) {
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
		iv.last[i].Store(now.kept(a))
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
