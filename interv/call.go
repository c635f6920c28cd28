package interv

import (
	"fmt"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"
)

// Call says what one run of an [Intervenable] does. All of it may change from call to call without compiling again, as long as
// shapes stay. The entries of Locations, Subspaces and Activations belong to the config's representations in their order, those of
// Sources to its groups; a slice left nil stands for no entry at all.
type Call struct {
	Base Inputs

	// Sources holds one run for each group of representations, which without groups means one for each representation; nil for one
	// that is not read (and not edited, in serial mode).
	Sources []Inputs

	// Locations holds, for each representation, where it reads and writes. A nil entry leaves the representation out of this call,
	// whatever else is given for it.
	Locations []*Location

	// Subspaces holds, for each representation and example, the ids of the features (or, with a SubspacePartition, the parts)
	// that it acts on: [representation][example][id]. A nil entry means all features.
	Subspaces [][][]int

	// Activations are used in place of a source: for each representation nil, or a tensor [batch, units, width] ([batch, heads,
	// positions, width] at a site with heads, unless these are so many units together and the examples' differ: then they are units), of
	// which axes on the left may be left out: what is missing is the same for all.
	Activations []*tensors.Tensor

	// Labels are what a [Loss] finds in its Outcome's Labels.
	Labels Inputs

	// Metrics measure the counterfactual output where it is computed. The outputs themselves then stay there: Result.Output and BaseOutput
	// are nil unless WithOutput asks for them.
	Metrics    []Measure
	WithOutput bool

	// WithBase asks for the model's clean output on Base too or, with Metrics, for what they say of it.
	WithBase bool
}

// Interchange is the call of a config of one representation that reads a source, at a location; nil for [Everywhere].
func Interchange(base, source Inputs, at *Location, metrics ...Metric) Call {
	return Call{Base: base, Sources: []Inputs{source}, Locations: orEverywhere(at), Metrics: measures(metrics)}
}

// Giving is the call of a config of one representation that reads an activation, such as a steering vector, in place of a source (see
// [Call.Activations]), at a location; nil for [Everywhere].
func Giving(base Inputs, activation *tensors.Tensor, at *Location, metrics ...Metric) Call {
	return Call{Base: base, Activations: []*tensors.Tensor{activation}, Locations: orEverywhere(at), Metrics: measures(metrics)}
}

func orEverywhere(at *Location) []*Location {
	if at == nil {
		at = Everywhere()
	}
	return []*Location{at}
}

// measures reads metrics at the last position.
func measures(metrics []Metric) (list []Measure) {
	for _, m := range metrics {
		list = append(list, Measure{Metric: m})
	}
	return list
}

// featureLists turns the ids of a call into feature numbers for each example, in the listed order.
func (p planned) featureLists(ids [][]int, batch int) ([][]int, error) {
	if p.features == 0 {
		return nil, &Error{Axis: "subspaces", Got: "ids", Wanted: fmt.Sprintf("nil: %s takes no subspace here", p.Intervention.Name())}
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
		refuse := func(got, wanted string) ([][]int, error) {
			return nil, &Error{Axis: fmt.Sprintf("subspaces of example %d", i), Got: got, Wanted: wanted}
		}
		if len(row) == 0 {
			return refuse("no ids", "at least one (nil subspaces mean all features, a nil location leaves the representation out)")
		}
		for k, id := range row {
			if id < 0 || id >= count {
				return refuse(fmt.Sprintf("%s %d", noun, id), fmt.Sprintf("0 to %d", count-1))
			}
			if slices.Contains(row[:k], id) {
				return refuse(fmt.Sprintf("%s %d twice", noun, id), "each at most once")
			}
			switch {
			case len(p.SubspacePartition) == 0:
			case k == 0:
				lists[i] = slices.Clip(p.SubspacePartition[id])
			default:
				lists[i] = append(lists[i], p.SubspacePartition[id]...)
			}
		}
		if len(p.SubspacePartition) == 0 {
			lists[i] = row
		}
		if p.collects && len(lists[i]) != len(lists[0]) {
			return refuse(fmt.Sprintf("%d features", len(lists[i])), fmt.Sprintf("%d, as for example 0: they are returned as one tensor", len(lists[0])))
		}
	}
	return lists, nil
}
