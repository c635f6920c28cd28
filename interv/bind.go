package interv

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
)

// A call is bound to a config before it runs: everything is validated, and locations and subspaces become small index tensors,
// the runtime inputs of a program. A location becomes a map over all units of the base: for each, the row of the source that
// goes there, or −1 for a unit that is left as it is. Its shape depends on the run's extent alone, so any number of units, at
// any places, runs the same program.
type bound struct {
	call    Call
	extent  Extent
	runs    []sourceRun
	actions []action // one a representation
}

// sourceRun is a source that is run in the program; representations given the same tensors share one.
type sourceRun struct {
	inputs Inputs
	extent Extent
}

// action is what one representation does in one call.
type action struct {
	active   bool
	run      int             // the source run read, −1 for none
	given    *tensors.Tensor // activations in place of a source, as rows [rows, width]; nil for none
	from     *tensors.Tensor // [batch, positions] int32: the source row for each base unit, −1 for none; nil if it collects
	at       *tensors.Tensor // [batch, units] int32: the base rows to collect; nil if it does not collect
	selected *tensors.Tensor // [batch, features]: 1 for features in the subspace; nil for all
	features *tensors.Tensor // [batch, features] int32: the features to collect, in order; nil for all
}

func (iv *Intervenable) bind(call Call) (*bound, error) {
	b := &bound{call: call, actions: make([]action, len(iv.plan))}
	var err error
	if b.extent, err = iv.model.Check(call.Base); err != nil {
		return nil, Within("base", err)
	}
	if err := b.checkCounts(len(iv.plan)); err != nil {
		return nil, err
	}
	for name, label := range call.Labels {
		if err := CheckFinite("labels, "+name, label); err != nil {
			return nil, err
		}
	}
	for i, p := range iv.plan {
		if b.actions[i], err = b.bindAction(iv, i, p); err != nil {
			return nil, Within(where(i, p.Site()), err)
		}
	}
	return b, nil
}

// checkCounts refuses slices with other than one entry a representation.
func (b *bound) checkCounts(representations int) error {
	for _, slice := range []struct {
		name  string
		count int
	}{
		{"sources", len(b.call.Sources)}, {"locations", len(b.call.Locations)},
		{"subspaces", len(b.call.Subspaces)}, {"activations", len(b.call.Activations)},
	} {
		if slice.count != representations && (slice.count != 0 || slice.name == "locations") {
			return &Error{Where: "call", Axis: slice.name, Got: fmt.Sprintf("%d entries", slice.count),
				Wanted: fmt.Sprintf("%d, one for each representation", representations)}
		}
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

func (b *bound) bindAction(iv *Intervenable, i int, p planned) (action, error) {
	location := b.call.Locations[i]
	source, activations, ids := entry(b.call.Sources, i), entry(b.call.Activations, i), entry(b.call.Subspaces, i)
	a := action{active: location != nil, run: -1}
	if !a.active {
		if ids != nil || activations != nil {
			return a, &Error{Axis: "location", Got: "none", Wanted: "one, as subspaces or activations are given"}
		}
		return a, nil
	}
	units, err := checkUnits("base locations", location.Base, p.Unit, b.extent)
	if err != nil {
		return a, err
	}
	if err := b.bindSource(iv, &a, p, source, activations, location, units); err != nil {
		return a, err
	}
	b.bindLocation(&a, p, location, units)
	return a, b.bindSubspace(&a, p, ids, iv.model.Weights().DType())
}

// bindSource validates what the representation reads: a source run, given activations, or nothing.
func (b *bound) bindSource(iv *Intervenable, a *action, p planned, source Inputs, activations *tensors.Tensor, location *Location, units int) error {
	name := p.Intervention.Name()
	switch {
	case !reads(p.Intervention) && (source != nil || activations != nil || location.Source != nil):
		return &Error{Axis: "source", Got: "a source, activations or source locations", Wanted: "none: " + name + " reads no source"}
	case !reads(p.Intervention):
		return nil
	case source != nil && activations != nil:
		return &Error{Axis: "source", Got: "a source and activations", Wanted: "one of the two"}
	case activations != nil:
		if location.Source != nil {
			return &Error{Axis: "source locations", Got: "units", Wanted: "none, as activations are given"}
		}
		return b.bindGiven(iv, a, p, activations, units)
	case source == nil:
		return &Error{Axis: "source", Got: "none", Wanted: "one: " + name + " reads a source"}
	}
	extent, err := iv.model.Check(source)
	if err != nil {
		return Within("source", err)
	}
	if extent.Batch != b.extent.Batch {
		return &Error{Axis: "source", Got: fmt.Sprintf("a batch of %d", extent.Batch), Wanted: fmt.Sprintf("%d, the base's", b.extent.Batch)}
	}
	sourceUnits, err := checkUnits("source locations", location.Source, p.Unit, extent)
	if err != nil {
		return err
	}
	if sourceUnits != units {
		return &Error{Axis: "source locations", Got: fmt.Sprintf("%d units", sourceUnits),
			Wanted: fmt.Sprintf("%d, as many as base locations", units)}
	}
	a.run = slices.IndexFunc(b.runs, func(run sourceRun) bool { return sameTensors(run.inputs, source) })
	if a.run < 0 {
		a.run = len(b.runs)
		b.runs = append(b.runs, sourceRun{source, extent})
	}
	return nil
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

// bindGiven turns activations [width], [units, width] or [batch, units, width] into rows.
func (b *bound) bindGiven(iv *Intervenable, a *action, p planned, t *tensors.Tensor, units int) error {
	wanted := []int{b.extent.Batch, units, p.sites.Width}
	dimensions := t.Shape().Dimensions
	if dtype := iv.model.Weights().DType(); t.DType() != dtype {
		return &Error{Axis: "activations", Got: t.DType().String(), Wanted: dtype.String()}
	}
	if len(dimensions) == 0 || len(dimensions) > 3 || !slices.Equal(dimensions, wanted[3-len(dimensions):]) {
		return &Error{Axis: "activations", Got: fmt.Sprintf("shape %v", dimensions),
			Wanted: fmt.Sprintf("%v, %v or %v", wanted[2:], wanted[1:], wanted)}
	}
	a.given = t
	return CheckFinite("activations", t)
}

// bindLocation makes the index tensors of a location.
func (b *bound) bindLocation(a *action, p planned, location *Location, units int) {
	if p.collects {
		at := make([]int32, 0, b.extent.Batch*units)
		for example, row := range location.Base {
			for _, position := range row {
				at = append(at, int32(example*b.extent.Positions+position))
			}
		}
		a.at = tensors.FromFlatDataAndDimensions(at, b.extent.Batch, units)
		return
	}
	from := make([]int32, b.extent.Batch*b.extent.Positions)
	for i := range from {
		from[i] = -1
	}
	for example, row := range location.Base {
		for unit, position := range row {
			from[example*b.extent.Positions+position] = int32(b.sourceRow(a, location, example, unit, units))
		}
	}
	a.from = tensors.FromFlatDataAndDimensions(from, b.extent.Batch, b.extent.Positions)
}

// sourceRow is the row, among all that the action can read, that goes to a unit of an example.
func (b *bound) sourceRow(a *action, location *Location, example, unit, units int) int {
	switch {
	case a.run >= 0:
		return example*b.runs[a.run].extent.Positions + location.Source[example][unit]
	case a.given == nil || a.given.Rank() == 1:
		return 0
	case a.given.Rank() == 2:
		return unit
	default:
		return example*units + unit
	}
}

// bindSubspace makes the mask of selected features, or the list of those to collect.
func (b *bound) bindSubspace(a *action, p planned, ids [][]int, dtype dtypes.DType) error {
	if ids == nil {
		return nil
	}
	lists, err := p.featureLists(ids, b.extent.Batch)
	if err != nil {
		return err
	}
	if p.collects {
		flat := make([]int32, 0, len(lists)*len(lists[0]))
		for _, list := range lists {
			for _, feature := range list {
				flat = append(flat, int32(feature))
			}
		}
		a.features = tensors.FromFlatDataAndDimensions(flat, len(lists), len(lists[0]))
		return nil
	}
	mask := make([]float64, b.extent.Batch*p.features)
	for example, list := range lists {
		for _, feature := range list {
			mask[example*p.features+feature] = 1
		}
	}
	a.selected = ofDType(float32Tensor(mask, b.extent.Batch, p.features), dtype)
	return nil
}

// ofDType returns t with elements of the type of a model's weights, float32 or float64.
func ofDType(t *tensors.Tensor, dtype dtypes.DType) *tensors.Tensor {
	if t.DType() == dtype {
		return t
	}
	values := floats(t)
	if dtype == dtypes.Float64 {
		return tensors.FromFlatDataAndDimensions(values, t.Shape().Dimensions...)
	}
	return float32Tensor(values, t.Shape().Dimensions...)
}

// signature is what of the bound call decides the program: shapes, what takes part, and which runs are shared.
func (b *bound) signature() string {
	text := fmt.Sprintf("base%v%s", b.call.WithBase, shapesOf(b.call.Base))
	for _, run := range b.runs {
		text += " source" + shapesOf(run.inputs)
	}
	for _, a := range b.actions {
		text += fmt.Sprintf(" [%v %d", a.active, a.run)
		for _, t := range []*tensors.Tensor{a.given, a.at, a.selected, a.features} {
			if t != nil {
				text += fmt.Sprint(t.Shape().Dimensions)
			}
			text += ","
		}
		text += "]"
	}
	return text + " labels" + shapesOf(b.call.Labels)
}

func shapesOf(in Inputs) string {
	text := ""
	for _, name := range sortedKeys(in) {
		text += " " + name + in[name].Shape().String()
	}
	return text
}
