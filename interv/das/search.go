// Package das searches for alignments: the subspaces of a network's activations that stand for the variables of a causal model, found by
// distributed alignment search (Geiger et al., "Finding Alignments Between Interpretable Causal Variables and Distributed Neural
// Representations", 2023), at many places, ranks and seeds at once, and says how far to believe them.
//
//	result, err := das.Run(ctx, engine, model, das.Search{Places: places, Ranks: []int{1, 2, 4, 8}, Seeds: 5}, train, held)
//	fmt.Println(result)
//
// All alignments of a place are trained in one program, each with rows and a rotation of its own: the model's weights are shared, and what the
// base and the sources have at the place is computed once for all steps. In a model made of blocks ([interv.Blocks]), keys and values of the
// positions before a place on the stream are, too, and a step computes the positions from there on alone.
package das

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/interv"
)

// Place is where alignments are searched: a site, at one position of base and sources.
type Place struct {
	interv.Site
	Position int // below 0 from the end: −1 is the last
}

// String is "layer 0 block_output, position 0".
func (p Place) String() string { return fmt.Sprintf("%s, position %d", p.Site, p.Position) }

// Search says which alignments are searched for, and how. With R [d, columns] of orthonormal columns, and m_v which of them belong to variable
// v, an alignment puts into the base, in the place of its activation b, what source s_v has in the columns of v:
//
//	b + Σ_v (m_v ⊙ (s_v − b) R) Rᵀ
//
// The [Kind] says what of it is learned. That minimizes the mean cross-entropy of the counterfactual labels, and the penalty, by Adam; R moves
// along the manifold of orthonormal matrices, as with [interv.Trainer].
type Search struct {
	Places []Place
	Ranks  []int // dimensions for each variable; none where the kind finds out how many
	Seeds  int   // rotations to start from, for each place and rank; 0 means 1, and what is not drawn has one
	Kind   Kind

	Steps    int                                               // 0 means DefaultSteps
	Batch    int                                               // examples of a step; 0 means 256, or all where there are fewer
	Rate     float64                                           // Adam's, of rotations; 0 means 0.01
	MaskRate float64                                           // Adam's, of boundaries and masks; 0 means 0.01 and 0.1
	Schedule func(step int) float64                            // what the rates are multiplied with; nil for 1, see [interv.Linear] and [interv.WarmUp]
	Every    int                                               // steps from one look at the held-out examples to the next; 0 means 100
	Patience int                                               // looks without a better accuracy (with masks: loss) after which an alignment is trained no further; 0 for no end
	Progress func(place Place, step int, accuracies []float64) // at each look; may be nil

	// Temperature is how soft boundaries and masks are at each step; nil goes from a quarter of the width, or from 1 for masks, down to 0.1 at
	// the last step, by the same factor at each. See [interv.Linear].
	Temperature func(step int) float64

	// Penalty is the weight in the loss of the share of dimensions that are exchanged, Σ_v β_v or Σ_v mean_k m_vk. Without it nothing speaks
	// for few dimensions.
	Penalty float64

	// MaxRows is how many rows of activations a program has at most: alignments × Batch. More alignments are searched in several chunks.
	// 0 means 65,536.
	MaxRows int

	// Seed is what the order of examples is drawn from.
	Seed uint64

	// Checkpoint is a file that the state of the search is written to at each look, whole or not at all. A search that finds it there goes on
	// from it, and comes to the same bits as one that never stopped. Empty for none.
	Checkpoint string
}

// Data are counterfactual examples.
type Data struct {
	Base    interv.Inputs   // [examples, …]
	Sources []interv.Inputs // of each variable; the base's rows where a variable is not intervened on
	Labels  []int           // what the causal model says after the interchange

	// For reports; may be nil: what the causal model says of the base alone, and of each source.
	BaseLabels   []int
	SourceLabels [][]int

	// Values are those that each variable has in its source, from 0: for alignments of the kind [Means]. Nil elsewhere.
	Values [][]int
}

// Alignment is one found subspace.
type Alignment struct {
	Place    Place
	Rank     int             // dimensions for each variable that were asked for; 0 where the kind finds out how many
	Ranks    []int           // dimensions that each variable has
	Seed     int             // what its rotation was drawn from
	Rotation *tensors.Tensor // [d, ΣRanks]: the columns of the first variable, then those of the next; nil without any
	Accuracy float64         // interchange intervention accuracy on the held-out examples
	Loss     float64         // the mean cross-entropy of their labels, and the penalty
	Correct  []bool          // of each held-out example
	Steps    int             // after which it was best
}

// first is the first error of some, nil if none is one.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// DefaultSteps is how many steps a search takes that names no number.
const DefaultSteps = 1000

// fill puts in what 0 stands for, and refuses what cannot be searched.
func (s *Search) fill(model interv.Model, train, held Data) (err error) {
	refuse := func(axis, got, wanted string) error {
		return &interv.Error{Where: "search", Axis: axis, Got: got, Wanted: wanted}
	}
	for _, d := range []struct {
		value *int
		or    int
		name  string
	}{{&s.Seeds, 1, "seeds"}, {&s.Steps, DefaultSteps, "steps"}, {&s.Batch, 256, "batch"}, {&s.Every, 100, "every"}, {&s.MaxRows, 1 << 16, "max rows"}, {&s.Patience, math.MaxInt, "patience"}} {
		if *d.value < 0 {
			return refuse(d.name, fmt.Sprint(*d.value), "0 or more")
		}
		if *d.value == 0 {
			*d.value = d.or
		}
	}
	if s.Rate == 0 {
		s.Rate = 0.01
	}
	if s.MaskRate == 0 {
		s.MaskRate = map[Kind]float64{Masks: 0.1}[s.Kind] + map[Kind]float64{Boundless: 0.01}[s.Kind]
	}
	switch {
	case !(s.Rate > 0) || math.IsInf(s.Rate, 0):
		return refuse("rate", fmt.Sprint(s.Rate), "a finite number above 0")
	case !(s.MaskRate >= 0) || math.IsInf(s.MaskRate, 0):
		return refuse("mask rate", fmt.Sprint(s.MaskRate), "a finite number above 0")
	case !(s.Penalty >= 0) || math.IsInf(s.Penalty, 0):
		return refuse("penalty", fmt.Sprint(s.Penalty), "a finite number, 0 or more")
	case s.Kind < 0 || int(s.Kind) >= len(kinds):
		return refuse("kind", fmt.Sprint(int(s.Kind)), "one of "+strings.Join(kinds[:], ", "))
	case !s.Kind.masks() && (s.Penalty != 0 || s.MaskRate != 0 || s.Temperature != nil):
		return refuse("penalty, mask rate and temperature", "one of them, with alignments of the kind "+s.Kind.String(), "none: they belong to boundless and masks")
	case s.Kind.masks() && len(s.Ranks) > 0:
		return refuse("ranks", fmt.Sprint(s.Ranks), "none: alignments of the kind "+s.Kind.String()+" find out how many dimensions")
	case s.Kind.masks():
		s.Ranks = []int{0}
	}
	if len(s.Places) == 0 || len(s.Ranks) == 0 {
		return refuse("places and ranks", fmt.Sprintf("%d and %d", len(s.Places), len(s.Ranks)), "at least one of each")
	}
	if !s.Kind.drawn() {
		s.Seeds = 1
	}
	if dtype := model.Weights().DType(); dtype != dtypes.Float32 {
		return refuse("weights", dtype.String(), "float32")
	}
	extent, err := train.check("training examples", model)
	if err != nil {
		return err
	}
	if held, err := held.check("held-out examples", model); err != nil {
		return err
	} else if held.Positions != extent.Positions {
		return refuse("held-out examples", fmt.Sprintf("%d positions", held.Positions), fmt.Sprintf("%d, as the training examples have", extent.Positions))
	}
	if len(held.Sources) != len(train.Sources) {
		return refuse("held-out examples", fmt.Sprintf("%d sources", len(held.Sources)), fmt.Sprintf("%d, as the training examples have", len(train.Sources)))
	}
	s.Batch = min(s.Batch, extent.Batch)
	s.Places = slices.Clone(s.Places)
	for i, place := range s.Places {
		sites, err := model.Catalogue().Find(place.Site)
		if err != nil {
			return interv.Within("search", err)
		}
		if sites.Heads > 0 || sites.Width == 0 {
			return refuse(place.String(), "a site with heads, or of no fixed width", "[batch, positions, width]")
		}
		if place.Position < 0 {
			s.Places[i].Position += extent.Positions
		}
		if p := s.Places[i].Position; p < 0 || p >= extent.Positions {
			return refuse(place.String(), fmt.Sprintf("position %d", place.Position), fmt.Sprintf("0 to %d, or -1 to %d", extent.Positions-1, -extent.Positions))
		}
		for _, rank := range s.Ranks {
			if s.Kind.masks() {
				continue
			}
			if rank < 1 || rank*len(train.Sources) > sites.Width {
				return refuse("rank", fmt.Sprintf("%d for each of %d variables", rank, len(train.Sources)), fmt.Sprintf("at least 1, and no more than the %d dimensions of %s in all", sites.Width, place))
			}
		}
	}
	if s.Kind == Means {
		return train.checkValues()
	}
	return nil
}

// check refuses examples that nothing can be learned from.
func (d Data) check(where string, model interv.Model) (extent interv.Extent, err error) {
	refuse := func(axis, got, wanted string) (interv.Extent, error) {
		return extent, &interv.Error{Where: where, Axis: axis, Got: got, Wanted: wanted}
	}
	if extent, err = model.Check(d.Base); err != nil {
		return extent, interv.Within(where+", base", err)
	}
	if extent.Starts != nil || extent.Ends != nil {
		if slices.ContainsFunc(extent.Starts, func(start int) bool { return start > 0 }) || slices.ContainsFunc(extent.Ends, func(end int) bool { return end < extent.Positions }) {
			return refuse("attention_mask", "padding", "none: examples of one length")
		}
	}
	if len(d.Sources) == 0 {
		return refuse("sources", "none", "one for each variable")
	}
	for v, source := range d.Sources {
		other, err := model.Check(source)
		if err != nil {
			return extent, interv.Within(fmt.Sprintf("%s, source %d", where, v), err)
		}
		if other.Batch != extent.Batch || other.Positions != extent.Positions {
			return refuse(fmt.Sprintf("source %d", v), fmt.Sprintf("%d examples of %d positions", other.Batch, other.Positions), fmt.Sprintf("%d of %d, as the base has", extent.Batch, extent.Positions))
		}
	}
	if len(d.Labels) != extent.Batch || d.BaseLabels != nil && len(d.BaseLabels) != extent.Batch {
		return refuse("labels", fmt.Sprintf("%d, and %d of the base", len(d.Labels), len(d.BaseLabels)), fmt.Sprintf("%d, one for each example", extent.Batch))
	}
	for i, label := range d.Labels {
		if label < 0 {
			return refuse(fmt.Sprintf("label of example %d", i), fmt.Sprint(label), "0 or more")
		}
	}
	if slices.Min(d.Labels) == slices.Max(d.Labels) {
		return refuse("labels", fmt.Sprintf("%d throughout", d.Labels[0]), "labels that change: of one label any alignment is right")
	}
	return extent, nil
}

// checkLabels refuses labels that the model has no output for, or not one of each example.
func checkLabels(backend compute.Backend, model interv.Model, where string, d Data, labels ...[]int) error {
	output, err := interv.OutputShape(backend, model, d.Base)
	if err != nil {
		return interv.Within(where, err)
	}
	for _, list := range labels {
		if len(list) != len(d.Labels) {
			return &interv.Error{Where: where, Axis: "labels of the base and of sources", Got: fmt.Sprint(len(list)), Wanted: fmt.Sprintf("%d, one for each example", len(d.Labels))}
		}
		for i, label := range list {
			if label < 0 || label >= output.Dim(-1) {
				return &interv.Error{Where: where, Axis: fmt.Sprintf("label of example %d", i), Got: fmt.Sprint(label), Wanted: fmt.Sprintf("0 to %d", output.Dim(-1)-1)}
			}
		}
	}
	return nil
}
