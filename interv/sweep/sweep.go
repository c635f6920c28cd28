package sweep

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/interv"
)

// Sweep says which patches are tried and what is read of each. Its cells are the product of its axes, or a list; every cell is tried on
// every pair of inputs. An axis left nil is not swept: what a cell then takes is said at each.
//
// All but the inputs has a JSON form.
type Sweep struct {
	// Base holds the runs that are patched, Source those that are read: pair i is example i of both, which must begin and end at the same
	// positions. Source is nil where nothing is read from it.
	Base   interv.Inputs `json:"-"`
	Source interv.Inputs `json:"-"`

	Components []interv.Component `json:"components,omitzero"` // kinds of activations; at least one, unless Cells are listed
	Layers     []int              `json:"layers,omitzero"`     // nil for every layer that a component is in
	Positions  []Place            `json:"positions,omitzero"`  // positions or time steps; nil for all of them at once
	Heads      []int              `json:"heads,omitzero"`      // nil for all heads at once
	Features   [][]int            `json:"features,omitzero"`   // features of the intervention, as in a call's subspaces; nil for all of them at once
	Scales     []float64          `json:"scales,omitzero"`     // factors on each of Directions, in each of Cells where these are listed; nil for 1

	// Directions are vectors of the components' width that the intervention reads in place of a source, such as steering vectors for
	// [interv.Addition].
	Directions [][]float64 `json:"directions,omitzero"`

	// Cells are the cells in place of the product of axes. In a sweep with Directions each has its Scale, or Scales has those of all.
	Cells []Cell `json:"cells,omitzero"`

	// Window is how many layers around a cell's are patched together, layer − ⌊Window/2⌋ to layer + ⌈Window/2⌉ − 1 where these exist,
	// as in causal tracing; 0 and 1 for the layer alone.
	Window int `json:"window,omitempty"`

	// Corrupt, if not nil, acts in every cell: in causal tracing, noise on the subject. What cells read from then is the base's clean run,
	// unless there is a Source.
	Corrupt *Corruption `json:"corrupt,omitempty"`

	// Intervention is what is done in each cell; nil for [interv.Vanilla], and for [interv.Addition] of Directions.
	Intervention interv.Intervention `json:"-"`

	// Parameters are the intervention's, by name; those left out have their initial values, drawn from Seed.
	Parameters map[string]*tensors.Tensor `json:"-"`

	// From says what the intervention reads, where it reads anything; empty for the pair's source.
	From From   `json:"from,omitempty"`
	Seed uint64 `json:"seed,omitempty"`

	// Metric is what is read of each run, one number. It is read at the positions ReadAt, [pair][1] or [1][1] for all pairs; nil for the
	// last that is not padding.
	Metric interv.Metric `json:"-"`
	ReadAt [][]int       `json:"read_at,omitzero"`

	// File, if not empty, is where results are kept while the sweep runs. If it is there already, the sweep goes on where it ended; one of
	// another sweep, model or inputs, or cut short, is an error, and is left as it is.
	File string `json:"-"`

	// Part, if not zero, leaves all but a share of the work undone: what several machines do side by side, each with a File of its own, is
	// put together by [Merge], with the bits of a sweep that does it all.
	Part Part `json:"-"`

	// Memory, if not 0, is about how much a sweep may take besides the weights and what the compiler takes for a while: work is cut into chunks
	// that fit, as many as there have to be. Where the chunks of a sweep without a limit fit, it is cut as that is, and every bit of the result
	// is the same; in smaller ones matrix products add in another order, and numbers differ by rounding. A limit that is too small for one cell
	// is an error that says how much it takes.
	Memory Bytes `json:"memory,omitzero"`

	// Progress, if not nil, is told how far the sweep is; see [Bar].
	Progress Progress `json:"-"`
}

// Part is a share of a sweep's work: part Index of Count, counted from 1. The zero value is all of it.
type Part struct {
	Index int `json:"index"`
	Count int `json:"count"`
}

// String is such as "2 of 8".
func (p Part) String() string { return fmt.Sprintf("%d of %d", p.Index, p.Count) }

// check wants a part that there is.
func (p Part) check() error {
	if p != (Part{}) && (p.Count < 1 || p.Index < 1 || p.Index > p.Count) {
		return &interv.Error{Axis: "part", Got: p.String(), Wanted: "1 to the number of parts"}
	}
	return nil
}

// has tells whether a unit of work, such as a chunk, is in the part; they are dealt out in turn.
func (p Part) has(unit int) bool { return p.Count < 1 || unit%p.Count == p.Index-1 }

// Place is an entry of the axis of positions: some positions in each pair, patched together, under a name.
type Place struct {
	Name string `json:"name,omitempty"` // on axes of plots; empty for the position's number

	// At are the base's positions, [pair][position], or [1][position] for those of all pairs; below 0 they count from the end, before any
	// padding on the right. Nil stands for all positions that are not padding. Source are those of the source that go there; nil for the
	// same ones.
	At     [][]int `json:"at,omitzero"`
	Source [][]int `json:"source,omitzero"`
}

// Cell is one patch: what is tried on every pair.
type Cell struct {
	Component interv.Component `json:"component"`
	Layer     int              `json:"layer"`
	Place     Place            `json:"place,omitzero"`    // the zero value for all positions
	Heads     []int            `json:"heads,omitzero"`    // nil for all
	Features  []int            `json:"features,omitzero"` // nil for all
	Direction int              `json:"direction,omitempty"`
	Scale     float64          `json:"scale,omitempty"` // on the direction, in a sweep that has some; 1 in every other, where it may be left out
}

// Corruption is an intervention that acts in every cell of a sweep, before the cell's own.
type Corruption struct {
	Component    interv.Component    `json:"component"`
	Layer        int                 `json:"layer"`
	Place        Place               `json:"place,omitzero"`
	Intervention interv.Intervention `json:"-"`
}

// From says what is read by interventions that read something.
type From string

// What interventions read.
const (
	FromSource From = "source" // the pair's source; the default, unless there is a Corruption and no source
	FromBase   From = "base"   // the pair's own base, run clean: what a corrupted run is restored to
	FromMean   From = "mean"   // the mean over positions that are not padding of all sources, or of all bases where there is no source
	FromOther  From = "other"  // the base of another pair, drawn from Seed: resample ablation; it stands for the source in results
)

// At lists places of one position each, the same in all pairs; below 0 they count from the end.
func At(positions ...int) []Place {
	places := make([]Place, len(positions))
	for i, position := range positions {
		places[i] = Place{At: [][]int{{position}}}
	}
	return places
}

// UpTo lists the places 0 to count−1.
func UpTo(count int) []Place { return At(interv.Range(0, count)...) }

// Words lists a place for each token of a text, by its label; see [Labelled].
func Words(labels []string) []Place { return Labelled(UpTo(len(labels)), labels) }

// Named lists places by name, the same positions in source and base; see [interv.Places].
func Named(places interv.Places, names ...string) ([]Place, error) {
	list := make([]Place, len(names))
	for i, name := range names {
		at, err := places.At(name)
		if err != nil {
			return nil, err
		}
		list[i] = Place{Name: name, At: at}
	}
	return list, nil
}

// Labelled names each place by the text of a token: the one at its position, counted from 0, with the position where texts repeat.
func Labelled(places []Place, labels []string) []Place { return labelled(places, labels) }
