package das

import (
	"context"
	"fmt"
	"html"
	"math/rand/v2"
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
}

// Check searches, and measures the alignments and the controls. The untrained model has the shape of the other. Controls cost two more
// searches. That subspaces of an untrained network can be aligned as well is what Sutter et al., "The Non-Linear Representation Dilemma: Is
// Causal Abstraction Enough for Mechanistic Interpretability?" (2025), warn of; linear maps make it harder, not impossible.
func Check(ctx context.Context, backend compute.Backend, model, untrained interv.Model, s Search, data Samples) (*Report, error) {
	if untrained == nil {
		return nil, &interv.Error{Where: "report", Axis: "untrained network", Got: "none", Wanted: "one of the shape of the other"}
	}
	test := data.Test
	if _, err := test.check("test examples", model); err != nil {
		return nil, err
	}
	if len(test.Sources) != len(data.Train.Sources) || len(test.BaseLabels) == 0 || len(test.SourceLabels) != len(test.Sources) {
		return nil, &interv.Error{Where: "report", Axis: "test examples", Got: fmt.Sprintf("%d sources, %d base labels and labels of %d sources", len(test.Sources), len(test.BaseLabels), len(test.SourceLabels)),
			Wanted: "as many sources as the training examples have, and labels of the base and of each"}
	}
	s.Checkpoint = "" // of one search alone
	search := func(model interv.Model, kind Kind, train Data) (*Result, error) {
		s.Kind = kind
		return Run(ctx, backend, model, s, train, data.Held)
	}
	r := &Report{Examples: len(test.Labels), Warnings: []string{}}
	for i, label := range test.Labels {
		if label == test.BaseLabels[i] {
			r.Unchanged += 1 / float64(r.Examples)
		}
	}
	for _, c := range []struct {
		name  string
		model interv.Model
		kind  Kind
		train Data
	}{{Found, model, Trained, data.Train}, {Untrained, untrained, Trained, data.Train}, {Drawn, model, Random, data.Train}, {Shuffled, model, Trained, data.Train.shuffled(s.Seed)}} {
		result, err := search(c.model, c.kind, c.train)
		if err != nil {
			return nil, interv.Within(c.name, err)
		}
		if err := r.add(backend, c.model, c.name, result, test); err != nil {
			return nil, err
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
		r.Rows = append(r.Rows, row(c.place.String(), c.rank, name, correct[best], seeds))
	}
	return nil
}

// measure tells which examples an alignment is right on.
func (a Alignment) measure(backend compute.Backend, model interv.Model, d Data) ([]bool, error) {
	rotation := tensors.FromFlatDataAndDimensions(tensors.MustCopyFlatData[float32](a.Rotation), 1, a.Rotation.Shape().Dim(0), a.Rotation.Shape().Dim(1))
	selected := make([]float32, a.Variables*a.Variables*a.Rank)
	for v := range a.Variables {
		for k := range a.Rank {
			selected[(v*a.Variables+v)*a.Rank+k] = 1
		}
	}
	return measure(backend, model, a.Place, d, rotation, tensors.FromFlatDataAndDimensions(selected, a.Variables, 1, a.Variables*a.Rank))
}

func measure(backend compute.Backend, model interv.Model, place Place, d Data, rotation, selected *tensors.Tensor) ([]bool, error) {
	s := &Search{Batch: min(1024, len(d.Labels)), Patience: 1}
	p, err := newPlaced(backend, model, s, place, d, d)
	if err != nil {
		return nil, err
	}
	t := &stack{starts: make([]start, 1), rotations: rotation, selected: selected, accuracy: []float64{-1}, correct: make([][]bool, 1), best: []int{0}, waits: []int{0},
		stopped: []bool{false}, kept: make([]float32, rotation.Size())}
	err = p.evaluate(t)
	return t.correct[0], err
}

// addEnds adds the ceiling and the floor of each place, and what the model itself knows.
func (r *Report) addEnds(backend compute.Backend, model interv.Model, s *Search, test Data) error {
	none := func(place Place, d Data) ([]bool, error) {
		sites, err := model.Catalogue().Find(place.Site)
		if err != nil {
			return nil, err
		}
		return measure(backend, model, place, d, tensors.FromFlatDataAndDimensions(make([]float32, sites.Width), 1, sites.Width, 1),
			tensors.FromFlatDataAndDimensions(make([]float32, len(d.Sources)), len(d.Sources), 1, 1))
	}
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
		if correct, err = none(place, test); err != nil {
			return err
		}
		r.Rows = append(r.Rows, row(place.String(), 0, None, correct, nil))
	}
	own := func(inputs interv.Inputs, labels []int) (float64, error) {
		correct, err := none(s.Places[0], Data{Base: inputs, Sources: []interv.Inputs{inputs}, Labels: labels})
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
		for _, control := range r.Rows {
			same := control.Place == found.Place && (control.Rank == found.Rank || control.Rank == 0)
			switch {
			case !same || control.Name == Found || control.Name == All:
			case control.Accuracy >= found.Accuracy:
				add("%s, rank %d: the control %q, %.3f, is as good as the alignment, %.3f.", found.Place, found.Rank, control.Name, control.Accuracy, found.Accuracy)
			case control.High >= found.Low:
				add("%s, rank %d: the interval of the control %q, up to %.3f, overlaps with that of the alignment, from %.3f.", found.Place, found.Rank, control.Name, control.High, found.Low)
			}
		}
	}
}

// lines are the cells of the table.
func (r *Report) lines() [][]string {
	lines := [][]string{{"place", "rank", "what", "IIA", "95%", "seeds"}}
	for _, row := range r.Rows {
		rank, seeds := "", make([]string, len(row.Seeds))
		if row.Rank > 0 {
			rank = fmt.Sprint(row.Rank)
		}
		for i, seed := range row.Seeds {
			seeds[i] = fmt.Sprintf("%.3f", seed)
		}
		lines = append(lines, []string{row.Place, rank, row.Name, fmt.Sprintf("%.3f", row.Accuracy), fmt.Sprintf("%.3f–%.3f", row.Low, row.High), strings.Join(seeds, " ")})
	}
	return lines
}

// summary is the line above the table.
func (r *Report) summary() string {
	return fmt.Sprintf("%d test examples; the model is right on %.3f of bases and %.3f of sources; the label stays the base's in %.3f", r.Examples, r.Base, r.Sources, r.Unchanged)
}

// String is the report as text.
func (r *Report) String() string {
	var text strings.Builder
	fmt.Fprintln(&text, r.summary())
	for _, line := range r.lines() {
		fmt.Fprintf(&text, "%-36s %4s  %-18s %6s  %-13s  %s\n", line[0], line[1], line[2], line[3], line[4], line[5])
	}
	for _, warning := range r.Warnings {
		fmt.Fprintln(&text, "Warning:", warning)
	}
	return text.String()
}

// HTML is the report as a table with its warnings, for notebooks.
func (r *Report) HTML() string {
	var text strings.Builder
	fmt.Fprintf(&text, "<p>%s</p>\n<table>\n", html.EscapeString(r.summary()))
	for i, line := range r.lines() {
		tag := "td"
		if i == 0 {
			tag = "th"
		}
		text.WriteString("<tr>")
		for _, cell := range line {
			fmt.Fprintf(&text, "<%s>%s</%s>", tag, html.EscapeString(cell), tag)
		}
		text.WriteString("</tr>\n")
	}
	text.WriteString("</table>\n")
	for _, warning := range r.Warnings {
		fmt.Fprintf(&text, "<p><b>Warning:</b> %s</p>\n", html.EscapeString(warning))
	}
	return text.String()
}
