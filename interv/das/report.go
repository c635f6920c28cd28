package das

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gomlx/compute"
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
	Shuffled  = "shuffled sources"  // trained with the sources of other examples, labels as they are: see Check
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

// Given is an alignment that no search has found, such as a probe's direction, which a report measures as a baseline at its place.
type Given struct {
	Name string // of its row: none of those above
	Alignment
}

// check refuses what is not at a place of the search, or has the name of another row.
func (g Given) check(backend compute.Backend, model interv.Model, s *Search, variables int) error {
	names := []string{Found, Centred, Spread, Untrained, Drawn, Shuffled, All, None}
	refuse := func(axis, got, wanted string) error {
		return &interv.Error{Where: fmt.Sprintf("report, given %q", g.Name), Axis: axis, Got: got, Wanted: wanted}
	}
	switch {
	case g.Name == "" || slices.Contains(names, g.Name):
		return refuse("name", fmt.Sprintf("%q", g.Name), "one of its own, none of "+strings.Join(names, ", "))
	case !slices.Contains(s.Places, g.Place):
		return refuse("place", g.Place.String(), "a place of the search")
	case len(g.Ranks) != variables:
		return refuse("ranks", fmt.Sprintf("of %d variables", len(g.Ranks)), fmt.Sprintf("of %d", variables))
	}
	_, err := g.Intervenable(backend, model)
	return interv.Within(fmt.Sprintf("report, given %q", g.Name), err)
}

// Check searches, and measures the alignments, those that are given, and the controls. The untrained model has the shape of the other. Controls
// cost two more searches. That subspaces of an untrained network can be aligned as well is what Sutter et al., "The Non-Linear Representation Dilemma: Is
// Causal Abstraction Enough for Mechanistic Interpretability?" (2025), warn of; linear maps make it harder, not impossible.
//
// Shuffled sources say nothing about the label; the base, whose label it often is, still does. So that search is told which subspace it is best
// to be rid of, as the loss is least where the network is unsure of the variables, but not what belongs there. The control is a strict one: what
// an alignment has above it comes from the sources. (Where labels are shuffled as well nothing is left to learn, and what is found is about as
// good as the random subspace, which is there already.)
//
// With a checkpoint, each search has a file of its own, named after it.
func Check(ctx context.Context, backend compute.Backend, model, untrained interv.Model, s Search, data Samples, given ...Given) (*Report, error) {
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
	r := &Report{Examples: len(test.Labels), Warnings: []string{}, Result: &Result{}}
	for i, label := range test.Labels {
		if label == test.BaseLabels[i] {
			r.Unchanged += 1 / float64(r.Examples)
		}
	}
	same, shuffled, places := s, data.Train.shuffled(s.Seed), s.Places
	if err := s.fill(model, data.Train, data.Held); err != nil {
		return nil, err
	}
	given = slices.Clone(given)
	for i := range given {
		if at := slices.Index(places, given[i].Place); at >= 0 {
			given[i].Place = s.Places[at] // whose position counts from the start
		}
		if err := given[i].check(backend, model, &s, len(test.Sources)); err != nil {
			return nil, err
		}
	}
	err := first(checkLabels(backend, model, "training examples", data.Train, data.Train.Labels), checkLabels(backend, model, "held-out examples", data.Held, data.Held.Labels),
		checkLabels(backend, model, "test examples", test, append([][]int{test.Labels, test.BaseLabels}, test.SourceLabels...)...))
	if err != nil {
		return nil, err
	}
	if err := same.fill(untrained, data.Train, data.Held); err != nil {
		return nil, interv.Within(Untrained, err)
	}
	saved := map[string]*checkpoint{}
	for _, c := range []struct {
		name  string
		model interv.Model
		train Data
	}{{Found, model, data.Train}, {Untrained, untrained, data.Train}, {Shuffled, model, shuffled}} {
		named := s
		if s.Checkpoint != "" {
			extension := filepath.Ext(s.Checkpoint)
			named.Checkpoint = strings.TrimSuffix(s.Checkpoint, extension) + "." + strings.ReplaceAll(c.name, " ", "-") + extension
		}
		var err error
		if saved[c.name], err = named.open(c.model, c.train, data.Held); err != nil {
			return nil, err
		}
	}
	for i, place := range s.Places {
		at, err := newPlaced(backend, model, &s, place, data.Train, data.Held)
		if err == nil {
			err = r.at(ctx, at, data, shuffled, saved, given)
		}
		if err == nil && i == 0 {
			err = r.own(at, test)
		}
		if err != nil {
			return nil, interv.Within(place.String(), err)
		}
		other, err := newPlaced(backend, untrained, &same, place, data.Train, data.Held)
		if err == nil {
			err = r.searched(ctx, other, Untrained, test, saved[Untrained])
		}
		if err != nil {
			return nil, interv.Within(Untrained+", "+place.String(), err)
		}
	}
	r.warn()
	return r, nil
}

// at adds what is found at a place of the model, and its controls there.
func (r *Report) at(ctx context.Context, p *placed, data Samples, shuffled Data, saved map[string]*checkpoint, given []Given) error {
	measured, err := p.read(data.Test)
	if err != nil {
		return err
	}
	kind := p.settings.Kind
	found, err := p.all(ctx, saved[Found])
	if err != nil {
		return err
	}
	r.Result.Alignments = append(r.Result.Alignments, found...)
	if err := r.add(p, Found, found, measured); err != nil {
		return err
	}
	for _, g := range given {
		if g.Place != p.place {
			continue
		}
		if err := r.add(p, g.Name, []Alignment{g.Alignment}, measured); err != nil {
			return err
		}
	}
	controls := map[string]Kind{}
	if kind.masks() {
		if err := r.add(p, Drawn, drawn(found), measured); err != nil {
			return err
		}
	} else {
		controls[Drawn], controls[Spread] = Random, Principal
		if data.Train.Values != nil {
			controls[Centred] = Means
		}
	}
	for _, name := range []string{Centred, Spread, Drawn} {
		kind, there := controls[name]
		if !there {
			continue
		}
		s := *p.settings
		if s.Kind = kind; !kind.drawn() {
			s.Seeds = 1
		}
		control := *p
		control.settings = &s
		list, err := control.all(ctx, &checkpoint{})
		if err == nil {
			err = r.add(p, name, list, measured)
		}
		if err != nil {
			return interv.Within(name, err)
		}
	}
	control := *p
	if control.train, err = p.read(shuffled); err != nil {
		return err
	}
	if err := r.searched(ctx, &control, Shuffled, data.Test, saved[Shuffled]); err != nil {
		return interv.Within(Shuffled, err)
	}
	return r.addEnds(p, measured)
}

// searched searches, and adds what is found.
func (r *Report) searched(ctx context.Context, p *placed, name string, test Data, saved *checkpoint) error {
	list, err := p.all(ctx, saved)
	if err != nil {
		return err
	}
	measured, err := p.read(test)
	if err != nil {
		return err
	}
	return r.add(p, name, list, measured)
}

// drawn are random subspaces of as many dimensions as alignments have found.
func drawn(found []Alignment) (list []Alignment) {
	for _, a := range found {
		if a.Rotation != nil {
			dimensions := a.Rotation.Shape().Dimensions
			a.Rotation = interv.RandomOrthonormal(dimensions[0], dimensions[1], rand.New(rand.NewPCG(uint64(a.Seed), 1<<33)))
		}
		a.Accuracy = 0 // of others
		list = append(list, a)
	}
	return list
}

// MustCheck is Check that panics on an error.
func MustCheck(ctx context.Context, backend compute.Backend, model, untrained interv.Model, s Search, data Samples, given ...Given) *Report {
	return must.Of(Check(ctx, backend, model, untrained, s, data, given...))
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

// add measures what a search has found at a place.
func (r *Report) add(p *placed, name string, found []Alignment, test examples) error {
	var correct [][]bool
	for chunk := range slices.Chunk(found, p.settings.chunk()) {
		rotations, selected := stacked(chunk, p.width, p.variables)
		some, _, err := p.measure(rotations, selected, test)
		if err != nil {
			return err
		}
		correct = append(correct, some...)
	}
	first := 0
	for _, c := range (&Result{found}).cells() {
		best, seeds := 0, make([]float64, len(c.seeds))
		for i, a := range c.seeds {
			seeds[i] = share(correct[first+i])
			if name != Drawn && c.seeds[best].worse(a) { // nothing was chosen of what is drawn
				best = i
			}
		}
		found := row(c.place.String(), c.rank, name, correct[first+best], seeds)
		found.Held, found.Ranks = c.seeds[best].Accuracy, c.seeds[best].Ranks
		r.Rows = append(r.Rows, found)
		first += len(c.seeds)
	}
	return nil
}

// stacked are alignments as a stack, [alignments, width, columns], and which columns belong to which variable.
func stacked(list []Alignment, width, variables int) (rotations, selected *tensors.Tensor) {
	widest := 1
	for _, a := range list {
		for _, rank := range a.Ranks {
			widest = max(widest, rank)
		}
	}
	columns := widest * variables
	flat, of := make([]float32, len(list)*width*columns), make([]float32, variables*len(list)*columns)
	for i, a := range list {
		if a.Rotation == nil {
			continue
		}
		r, size, from := tensors.MustCopyFlatData[float32](a.Rotation), a.Rotation.Shape().Dim(1), 0
		for v, rank := range a.Ranks {
			for k := range rank {
				of[(v*len(list)+i)*columns+v*widest+k] = 1
				for d := range width {
					flat[(i*width+d)*columns+v*widest+k] = r[d*size+from+k]
				}
			}
			from += rank
		}
	}
	return tensors.FromFlatDataAndDimensions(flat, len(list), width, columns), tensors.FromFlatDataAndDimensions(of, variables, len(list), columns)
}

// ends are all dimensions, or none, as a stack of one.
func (p *placed) ends(exchanged float32) (rotations, selected *tensors.Tensor) {
	identity := make([]float32, p.width*p.width)
	for d := range p.width {
		identity[d*p.width+d] = 1
	}
	return tensors.FromFlatDataAndDimensions(identity, 1, p.width, p.width),
		tensors.FromFlatDataAndDimensions(slices.Repeat([]float32{exchanged}, p.variables*p.width), p.variables, 1, p.width)
}

// addEnds adds the ceiling and the floor of a place.
func (r *Report) addEnds(p *placed, test examples) error {
	for i, name := range []string{None, All} {
		rotations, selected := p.ends(float32(i))
		correct, _, err := p.measure(rotations, selected, test)
		if err != nil {
			return err
		}
		r.Rows = append(r.Rows, row(p.place.String(), 0, name, correct[0], nil))
	}
	return nil
}

// own adds what the model itself knows: with nothing exchanged it is right on its own labels.
func (r *Report) own(p *placed, test Data) error {
	rotations, selected := p.ends(0)
	accuracy := func(inputs interv.Inputs, labels []int) (float64, error) {
		all, err := p.read(Data{Base: inputs, Sources: test.Sources, Labels: labels})
		if err != nil {
			return 0, err
		}
		correct, _, err := p.measure(rotations, selected, all)
		return share(correct[0]), err
	}
	var err error
	if r.Base, err = accuracy(test.Base, test.BaseLabels); err != nil {
		return err
	}
	for v, source := range test.Sources {
		accuracy, err := accuracy(source, test.SourceLabels[v])
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
			what := "baseline"
			if slices.Contains([]string{Untrained, Drawn, Shuffled, None}, control.Name) {
				what = "control"
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
