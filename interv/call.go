package interv

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
)

// Inputs are the tensors of one run of a model, by name: "inputs_embeds", "input_ids", "attention_mask".
type Inputs map[string]*tensors.Tensor

// Extent is the size of one run: how many examples, and how many positions each has.
type Extent struct{ Batch, Positions int }

// Call says what one run of an [Intervenable] does. All of it may change from call to call without compiling again, as long as
// shapes stay. The entries of Sources, Locations, Subspaces and Activations belong to the config's representations in their
// order; a slice left nil stands for no entry at all.
type Call struct {
	Base Inputs

	// Sources holds one run for each representation; nil for one that reads no source, or whose Activations are given.
	Sources []Inputs

	// Locations holds, for each representation, where it reads and writes. A nil entry leaves the representation out of this call.
	Locations []*Location

	// Subspaces holds, for each representation and example, the ids of the features (or, with a SubspacePartition, the parts)
	// that it acts on: [representation][example][id]. A nil entry means all features.
	Subspaces [][][]int

	// Activations are used in place of a source: for each representation nil, or a tensor [width], [units, width] or
	// [batch, units, width].
	Activations []*tensors.Tensor

	// Labels are further inputs for the loss function of a [Gradients]; see there.
	Labels Inputs

	// WithBase asks for the model's clean output on Base too.
	WithBase bool
}

// Location says for each example which units a representation reads from in the source and writes to in the base. Unit k of the
// source list goes to unit k of the base list.
type Location struct {
	Source [][]int `json:"source,omitempty"` // [example][unit]; nil if nothing is read from a source
	Base   [][]int `json:"base"`             // [example][unit]
}

// FromTo is the location that reads the units of source and writes to those of base, both [example][unit].
func FromTo(source, base [][]int) *Location { return &Location{Source: source, Base: base} }

// At is the location of a representation that reads no source, [example][unit].
func At(base [][]int) *Location { return &Location{Base: base} }

// Repeat lists the same units for each of a number of examples: Repeat(10, 0, 2, 4) is Python's [[0, 2, 4]] * 10.
func Repeat(examples int, units ...int) [][]int {
	rows := make([][]int, examples)
	for i := range rows {
		rows[i] = append([]int(nil), units...)
	}
	return rows
}

// checkUnits validates one side of a location and returns its number of units, which is the same for every example.
func checkUnits(axis string, rows [][]int, unit Unit, extent Extent) (int, error) {
	if len(rows) != extent.Batch {
		return 0, &Error{Axis: axis, Got: fmt.Sprintf("%d examples", len(rows)), Wanted: fmt.Sprintf("%d, the batch", extent.Batch)}
	}
	for i, row := range rows {
		axis := fmt.Sprintf("%s of example %d", axis, i)
		if len(row) != len(rows[0]) {
			return 0, &Error{Axis: axis, Got: fmt.Sprintf("%d units", len(row)),
				Wanted: fmt.Sprintf("%d, as for example 0", len(rows[0]))}
		}
		seen := map[int]bool{}
		for _, p := range row {
			if p < 0 || p >= extent.Positions {
				return 0, &Error{Axis: axis, Got: fmt.Sprintf("%s %d", unitNoun(unit), p),
					Wanted: fmt.Sprintf("0 to %d", extent.Positions-1)}
			}
			if seen[p] {
				return 0, &Error{Axis: axis, Got: fmt.Sprintf("%s %d twice", unitNoun(unit), p), Wanted: "each at most once"}
			}
			seen[p] = true
		}
	}
	if len(rows[0]) == 0 {
		return 0, &Error{Axis: axis, Got: "no units", Wanted: "at least one (a nil location leaves the representation out)"}
	}
	return len(rows[0]), nil
}

func unitNoun(unit Unit) string {
	if unit == Step {
		return "step"
	}
	return "position"
}

// featureLists turns the ids of a call into feature numbers for each example, in the listed order.
func (p planned) featureLists(ids [][]int, batch int) ([][]int, error) {
	if p.features == 0 {
		return nil, &Error{Axis: "subspaces", Got: "ids", Wanted: fmt.Sprintf("nil: %s takes no subspace", p.Intervention.Name())}
	}
	if len(ids) != batch {
		return nil, &Error{Axis: "subspaces", Got: fmt.Sprintf("%d examples", len(ids)), Wanted: fmt.Sprintf("%d, the batch", batch)}
	}
	count, noun := p.features, "feature"
	if len(p.SubspacePartition) > 0 {
		count, noun = len(p.SubspacePartition), "part"
	}
	lists := make([][]int, batch)
	for i, row := range ids {
		if len(row) == 0 {
			return nil, &Error{Axis: fmt.Sprintf("subspaces of example %d", i), Got: "no ids",
				Wanted: "at least one (nil subspaces mean all features, a nil location leaves the representation out)"}
		}
		seen := map[int]bool{}
		for _, id := range row {
			axis := fmt.Sprintf("subspaces of example %d", i)
			if id < 0 || id >= count {
				return nil, &Error{Axis: axis, Got: fmt.Sprintf("%s %d", noun, id), Wanted: fmt.Sprintf("0 to %d", count-1)}
			}
			if seen[id] {
				return nil, &Error{Axis: axis, Got: fmt.Sprintf("%s %d twice", noun, id), Wanted: "each at most once"}
			}
			seen[id] = true
			if noun == "part" {
				lists[i] = append(lists[i], p.SubspacePartition[id]...)
			} else {
				lists[i] = append(lists[i], id)
			}
		}
		if p.collects && len(lists[i]) != len(lists[0]) {
			return nil, &Error{Axis: fmt.Sprintf("subspaces of example %d", i), Got: fmt.Sprintf("%d features", len(lists[i])),
				Wanted: fmt.Sprintf("%d, as for example 0: they are returned as one tensor", len(lists[0]))}
		}
	}
	return lists, nil
}

// CheckFinite refuses a tensor that holds NaN or infinity.
func CheckFinite(where string, t *tensors.Tensor) error {
	var bad float64
	at := -1
	note := func(i int, value float64) {
		if at < 0 && (math.IsNaN(value) || math.IsInf(value, 0)) {
			at, bad = i, value
		}
	}
	switch t.DType() {
	case dtypes.Float32:
		tensors.MustConstFlatData(t, func(flat []float32) {
			for i, value := range flat {
				if value-value != 0 {
					note(i, float64(value))
				}
			}
		})
	case dtypes.Float64:
		tensors.MustConstFlatData(t, func(flat []float64) {
			for i, value := range flat {
				if value-value != 0 {
					note(i, value)
				}
			}
		})
	}
	if at >= 0 {
		return &Error{Where: where, Axis: fmt.Sprintf("element %d of %s", at, t.Shape()), Got: fmt.Sprint(bad), Wanted: "a finite number"}
	}
	return nil
}
