package das

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gomlx/compute"

	"github.com/govene/govene/internal/host"
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
	extent, err := test.check("test examples", model)
	if err != nil {
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
	same, places := s, s.Places
	if err := s.fill(model, data.Train, data.Held); err != nil {
		return nil, err
	}
	if train, err := model.Check(data.Train.Base); err != nil || train.Positions != extent.Positions {
		return nil, first(err, &interv.Error{Where: "test examples", Axis: "positions", Got: fmt.Sprint(extent.Positions), Wanted: fmt.Sprintf("%d, as the training examples have", train.Positions)})
	}
	shuffled := data.Train.shuffled(s.Seed)
	given = slices.Clone(given)
	for i := range given {
		if at := slices.Index(places, given[i].Place); at >= 0 {
			given[i].Place = s.Places[at] // whose position counts from the start
		}
		if err := given[i].check(backend, model, &s, len(test.Sources)); err != nil {
			return nil, err
		}
	}
	err = first(checkLabels(backend, model, "training examples", data.Train, data.Train.Labels), checkLabels(backend, model, "held-out examples", data.Held, data.Held.Labels),
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
		sources[v] = host.Examples(source, order)
	}
	d.Sources = sources
	return d
}
