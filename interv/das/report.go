package das

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/must"
	"github.com/govene/govene/interv"
)

// Samples are what a report is made from. Rotations are trained on Train, the best of the seeds is chosen on Held, and all accuracies are
// those on Test: of other examples, and best of other values.
type Samples struct{ Train, Held, Test Data }

// The rows of a report, for each place and rank.
const (
	Found     = "alignment"         // the best seed on the held-out examples
	Centred   = "means"             // a baseline without training: differences of means, where the training examples have values
	Spread    = "principal"         // another: the directions of most variance
	Untrained = "untrained network" // found in the same way in a network of the same shape that has learned nothing
	Drawn     = "random subspace"   // of the same rank, the first seed
	Shuffled  = "shuffled sources"  // trained with the sources of other examples
	All       = "all dimensions"    // the ceiling: b + Σ_v (s_v − b)
	None      = "no dimensions"     // the floor: what doing nothing scores
)

// Row is one accuracy of a report.
type Row struct {
	Place    string    `json:"place"`
	Rank     int       `json:"rank"` // 0 for all or no dimensions
	Name     string    `json:"name"`
	Ranks    []int     `json:"ranks,omitempty"` // the dimensions of each variable
	Held     float64   `json:"held"`            // accuracy on the held-out examples, on which the seed was chosen; 0 for all or no dimensions
	Accuracy float64   `json:"accuracy"`        // on the test examples
	Low      float64   `json:"low"`             // from here
	High     float64   `json:"high"`            // to here: 95% of 1,000 resamplings of the test examples
	Seeds    []float64 `json:"seeds,omitempty"` // of all seeds
}

// Report says how far to believe alignments: the accuracy of each beside what controls have that are no finding.
type Report struct {
	Examples  int      `json:"examples"` // in the test
	Base      float64  `json:"base_accuracy"`
	Sources   float64  `json:"source_accuracy"`
	Unchanged float64  `json:"unchanged"` // the share of test examples whose counterfactual label is the base's
	Rows      []Row    `json:"rows"`
	Warnings  []string `json:"warnings"`

	Result *Result `json:"-"` // what the search found
}

// Check searches, and measures the alignments and the controls. The untrained model has the shape of the other. Controls cost two more
// searches. That subspaces of an untrained network can be aligned as well is what Sutter et al., "The Non-Linear Representation Dilemma: Is
// Causal Abstraction Enough for Mechanistic Interpretability?" (2025), warn of; linear maps make it harder, not impossible.
//
// With a checkpoint, each search has a file of its own, named after it.
func Check(ctx context.Context, backend compute.Backend, model, untrained interv.Model, s Search, data Samples) (*Report, error) {
	if untrained == nil {
		return nil, &interv.Error{Where: "report", Axis: "untrained network", Got: "none", Wanted: "one of the shape of the other"}
	}
	if !s.Kind.learns() {
		return nil, &interv.Error{Where: "report", Axis: "kind", Got: s.Kind.String(), Wanted: "one that is trained: the others are its controls"}
	}
	test := data.Test
	if _, err := test.check("test examples", model); err != nil {
		return nil, err
	}
	if len(test.Sources) != len(data.Train.Sources) || len(test.BaseLabels) == 0 || len(test.SourceLabels) != len(test.Sources) {
		return nil, &interv.Error{Where: "report", Axis: "test examples", Got: fmt.Sprintf("%d sources, %d base labels and labels of %d sources", len(test.Sources), len(test.BaseLabels), len(test.SourceLabels)),
			Wanted: "as many sources as the training examples have, and labels of the base and of each"}
	}
	r := &Report{Examples: len(test.Labels), Warnings: []string{}}
	for i, label := range test.Labels {
		if label == test.BaseLabels[i] {
			r.Unchanged += 1 / float64(r.Examples)
		}
	}
	type control struct {
		name  string
		model interv.Model
		kind  Kind
		train Data
	}
	controls := []control{{Found, model, s.Kind, data.Train}, {Untrained, untrained, s.Kind, data.Train}, {Shuffled, model, s.Kind, data.Train.shuffled(s.Seed)}}
	if !s.Kind.masks() {
		controls = append(controls, control{Drawn, model, Random, data.Train}, control{Spread, model, Principal, data.Train})
		if data.Train.Values != nil {
			controls = append(controls, control{Centred, model, Means, data.Train})
		}
	}
	for _, c := range controls {
		search := s
		search.Kind = c.kind
		if c.kind == s.Kind && s.Checkpoint != "" {
			extension := filepath.Ext(s.Checkpoint)
			search.Checkpoint = strings.TrimSuffix(s.Checkpoint, extension) + "." + strings.ReplaceAll(c.name, " ", "-") + extension
		} else {
			search.Checkpoint = ""
		}
		result, err := Run(ctx, backend, c.model, search, c.train, data.Held)
		if err != nil {
			return nil, interv.Within(c.name, err)
		}
		if err := r.add(backend, c.model, c.name, result, test); err != nil {
			return nil, err
		}
		if c.name != Found {
			continue
		}
		if r.Result = result; s.Kind.masks() {
			if err := r.add(backend, model, Drawn, result.drawn(), test); err != nil {
				return nil, err
			}
		}
	}
	if err := s.fill(model, data.Train, data.Held); err != nil {
		return nil, err
	}
	if err := r.addEnds(backend, model, &s, test); err != nil {
		return nil, err
	}
	r.warn()
	return r, nil
}

// drawn has random subspaces of as many dimensions as alignments have found.
func (r *Result) drawn() *Result {
	other := &Result{}
	for _, a := range r.Alignments {
		if a.Rotation != nil {
			dimensions := a.Rotation.Shape().Dimensions
			a.Rotation = interv.RandomOrthonormal(dimensions[0], dimensions[1], rand.New(rand.NewPCG(uint64(a.Seed), 1<<33)))
		}
		a.Accuracy = 0 // of others
		other.Alignments = append(other.Alignments, a)
	}
	return other
}

// MustCheck is Check that panics on an error.
func MustCheck(ctx context.Context, backend compute.Backend, model, untrained interv.Model, s Search, data Samples) *Report {
	return must.Of(Check(ctx, backend, model, untrained, s, data))
}

// shuffled gives the examples the sources of others, and keeps the labels.
func (d Data) shuffled(seed uint64) Data {
	order := rand.New(rand.NewPCG(seed, 1<<32)).Perm(len(d.Labels))
	sources := make([]interv.Inputs, len(d.Sources))
	for v, source := range d.Sources {
		sources[v] = interv.Inputs{}
		for name, t := range source {
			sources[v][name] = reordered(t, order)
		}
	}
	d.Sources = sources
	return d
}

// reordered is t with its rows in another order.
func reordered(t *tensors.Tensor, order []int) *tensors.Tensor {
	size, dimensions := t.Size()/len(order), t.Shape().Dimensions
	var result *tensors.Tensor
	t.MustConstFlatData(func(flat any) {
		switch flat := flat.(type) {
		case []float32:
			result = tensors.FromFlatDataAndDimensions(rowsOf(flat, order, size), dimensions...)
		case []int32:
			result = tensors.FromFlatDataAndDimensions(rowsOf(flat, order, size), dimensions...)
		default:
			panic(&interv.Error{Where: "sources", Axis: "elements", Got: t.DType().String(), Wanted: "float32 or int32"})
		}
	})
	return result
}

func rowsOf[T any](flat []T, order []int, size int) []T {
	rows := make([]T, 0, len(flat))
	for _, i := range order {
		rows = append(rows, flat[i*size:(i+1)*size]...)
	}
	return rows
}

// add measures what a search has found.
func (r *Report) add(backend compute.Backend, model interv.Model, name string, result *Result, test Data) error {
	for _, c := range result.cells() {
		correct := make([][]bool, len(c.seeds))
		best, seeds := 0, make([]float64, len(c.seeds))
		for i, a := range c.seeds {
			var err error
			if correct[i], err = a.measure(backend, model, test); err != nil {
				return interv.Within(name, err)
			}
			seeds[i] = share(correct[i])
			if a.Accuracy > c.seeds[best].Accuracy && name != Drawn { // nothing was chosen of what is drawn
				best = i
			}
		}
		found := row(c.place.String(), c.rank, name, correct[best], seeds)
		found.Held, found.Ranks = c.seeds[best].Accuracy, c.seeds[best].Ranks
		r.Rows = append(r.Rows, found)
	}
	return nil
}

// measure tells which examples an alignment is right on.
func (a Alignment) measure(backend compute.Backend, model interv.Model, d Data) ([]bool, error) {
	if a.Rotation == nil {
		return unpatched(backend, model, a.Place, d)
	}
	width, columns := a.Rotation.Shape().Dim(0), a.Rotation.Shape().Dim(1)
	rotation := tensors.FromFlatDataAndDimensions(tensors.MustCopyFlatData[float32](a.Rotation), 1, width, columns)
	selected, first := make([]float32, len(a.Ranks)*columns), 0
	for v, rank := range a.Ranks {
		for k := range rank {
			selected[v*columns+first+k] = 1
		}
		first += rank
	}
	return measure(backend, model, a.Place, d, rotation, tensors.FromFlatDataAndDimensions(selected, len(a.Ranks), 1, columns))
}

// measure tells which examples are right with columns of a rotation [1, width, columns] from the sources: selected is [variables, 1, columns].
func measure(backend compute.Backend, model interv.Model, place Place, d Data, rotation, selected *tensors.Tensor) ([]bool, error) {
	s := &Search{Batch: min(1024, len(d.Labels)), Patience: 1}
	p, err := newPlaced(backend, model, s, place, d, d)
	if err != nil {
		return nil, err
	}
	t := &stack{starts: make([]start, 1), rotations: &learned{value: rotation}, selected: selected, there: tensors.FromShape(shapes.Make(dtypes.Float32, 1, selected.Shape().Dim(2))),
		kept: make([]float32, rotation.Size()), keptSelected: make([]float32, selected.Size()),
		accuracy: []float64{-1}, loss: []float64{0}, correct: make([][]bool, 1), best: []int{0}, waits: []int{0}, stopped: []bool{false}}
	err = p.evaluate(t)
	return t.correct[0], err
}

// unpatched tells which examples are right with nothing from the sources.
func unpatched(backend compute.Backend, model interv.Model, place Place, d Data) ([]bool, error) {
	sites, err := model.Catalogue().Find(place.Site)
	if err != nil {
		return nil, err
	}
	return measure(backend, model, place, d, tensors.FromFlatDataAndDimensions(make([]float32, sites.Width), 1, sites.Width, 1),
		tensors.FromFlatDataAndDimensions(make([]float32, len(d.Sources)), len(d.Sources), 1, 1))
}

// addEnds adds the ceiling and the floor of each place, and what the model itself knows.
func (r *Report) addEnds(backend compute.Backend, model interv.Model, s *Search, test Data) error {
	for _, place := range s.Places {
		sites, err := model.Catalogue().Find(place.Site)
		if err != nil {
			return err
		}
		identity, ones := make([]float32, sites.Width*sites.Width), make([]float32, len(test.Sources)*sites.Width)
		for i := range sites.Width {
			identity[i*sites.Width+i] = 1
		}
		for i := range ones {
			ones[i] = 1
		}
		correct, err := measure(backend, model, place, test, tensors.FromFlatDataAndDimensions(identity, 1, sites.Width, sites.Width),
			tensors.FromFlatDataAndDimensions(ones, len(test.Sources), 1, sites.Width))
		if err != nil {
			return err
		}
		r.Rows = append(r.Rows, row(place.String(), 0, All, correct, nil))
		if correct, err = unpatched(backend, model, place, test); err != nil {
			return err
		}
		r.Rows = append(r.Rows, row(place.String(), 0, None, correct, nil))
	}
	own := func(inputs interv.Inputs, labels []int) (float64, error) {
		correct, err := unpatched(backend, model, s.Places[0], Data{Base: inputs, Sources: []interv.Inputs{inputs}, Labels: labels})
		if err != nil {
			return 0, err
		}
		return share(correct), nil
	}
	var err error
	if r.Base, err = own(test.Base, test.BaseLabels); err != nil {
		return err
	}
	for v, source := range test.Sources {
		accuracy, err := own(source, test.SourceLabels[v])
		if err != nil {
			return err
		}
		r.Sources += accuracy / float64(len(test.Sources))
	}
	return nil
}

// row is an accuracy with its interval: the 2.5% and 97.5% quantiles of the accuracies of 1,000 resamplings with replacement.
func row(place string, rank int, name string, correct []bool, seeds []float64) Row {
	random := rand.New(rand.NewPCG(uint64(len(correct)), 0))
	resampled := make([]float64, 1000)
	for i := range resampled {
		right := 0
		for range correct {
			if correct[random.IntN(len(correct))] {
				right++
			}
		}
		resampled[i] = float64(right) / float64(len(correct))
	}
	slices.Sort(resampled)
	return Row{Place: place, Rank: rank, Name: name, Accuracy: share(correct), Low: resampled[25], High: resampled[974], Seeds: seeds}
}

// warn says in words what speaks against the alignments.
func (r *Report) warn() {
	add := func(format string, values ...any) { r.Warnings = append(r.Warnings, fmt.Sprintf(format, values...)) }
	if least := min(r.Base, r.Sources); least < 0.99 {
		add("The model itself is right on %.1f%% of the inputs only: it does not compute what the causal model does.", 100*least)
	}
	if r.Unchanged > 0.75 {
		add("The counterfactual label is the base's in %.1f%% of the examples: doing nothing scores high.", 100*r.Unchanged)
	}
	for _, found := range r.Rows {
		if found.Name != Found {
			continue
		}
		where := found.Place
		if found.Rank > 0 {
			where += fmt.Sprintf(", rank %d", found.Rank)
		}
		if found.Held-found.High > 0.02 {
			add("%s: the alignment has %.3f on the held-out examples, and %.3f on the test's: it does not carry over.", where, found.Held, found.Accuracy)
		}
		if least, most := slices.Min(found.Seeds), slices.Max(found.Seeds); most-least > 0.1 {
			add("%s: seeds come to between %.3f and %.3f: the search is hard there, and more seeds or steps may find more.", where, least, most)
		}
		for _, control := range r.Rows {
			same := control.Place == found.Place && (control.Rank == found.Rank || control.Rank == 0)
			what := "control"
			if control.Name == Spread || control.Name == Centred {
				what = "baseline"
			}
			switch {
			case !same || control.Name == Found || control.Name == All:
			case control.Accuracy >= found.Accuracy:
				add("%s: the %s %q, %.3f, is as good as the alignment, %.3f.", where, what, control.Name, control.Accuracy, found.Accuracy)
			case control.High >= found.Low:
				add("%s: the interval of the %s %q, up to %.3f, overlaps with that of the alignment, from %.3f.", where, what, control.Name, control.High, found.Low)
			}
		}
	}
}
