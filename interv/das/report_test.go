package das_test

import (
	"encoding/json"
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/das"
	"github.com/govene/govene/interv/mlp"
)

func samples(p planted) das.Samples {
	return das.Samples{Train: p.examples(10, 1024, 1), Held: p.examples(11, 256, 1), Test: p.examples(12, 500, 1)}
}

func find(t *testing.T, r *das.Report, name string) das.Row {
	t.Helper()
	i := slices.IndexFunc(r.Rows, func(row das.Row) bool { return row.Name == name })
	if i < 0 {
		t.Fatalf("no row %q in\n%v", name, r)
	}
	return r.Rows[i]
}

// A planted alignment stands out from its controls; one that is not there has their value.
func TestReports(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	p := plant(t, 1)
	untrained := mlp.MustNewClassifier(p.model.Config(), 3)
	s := das.Search{Places: []das.Place{in(mlp.BlockInput)}, Ranks: []int{1}, Seeds: 2, Steps: 300, Rate: 0.03}
	data := samples(p)
	data.Train = withValues(data.Train)
	s.Checkpoint = filepath.Join(t.TempDir(), "state.safetensors")
	last := das.Place{Site: interv.Site{Component: mlp.BlockInput}, Position: -1}
	s.Places = []das.Place{last}
	other := das.Given{Name: "by hand", Alignment: das.MustAlong(last, p.turn[width:2*width])} // of the other variable
	r, err := das.Check(t.Context(), engine, p.model, untrained, s, data, other)
	must(t, err)
	found, given := find(t, r, das.Found), find(t, r, "by hand")
	if alone := other.MustMeasure(engine, p.model, data.Test); given.Accuracy != alone || given.Rank != 1 || alone > 0.6 || !strings.Contains(r.Frame().String(), "by hand") {
		t.Errorf("got %+v of another variable's direction in the report, and %g alone, wanted the same, about a quarter, and its name in the frame", given, alone)
	}
	if right := das.MustAlong(last, p.turn[:width]).MustMeasure(engine, p.model, data.Test); right != 1 {
		t.Errorf("got %g along the true direction, wanted 1", right)
	}
	for _, name := range []string{das.Untrained, das.Drawn, das.Shuffled, das.None} {
		if control := find(t, r, name); control.Accuracy > found.Accuracy-0.2 || control.High >= found.Low {
			t.Errorf("%s: got %.3f beside %.3f of the alignment, wanted far less", name, control.Accuracy, found.Accuracy)
		}
	}
	if found.Accuracy < 0.95 || len(found.Seeds) != 2 || found.Low > found.Accuracy || found.High < found.Accuracy || r.Base != 1 || r.Sources != 1 || r.Examples != 500 {
		t.Errorf("got %+v, wanted an accuracy of about 1 with two seeds, and a model that is always right\n%v", found, r)
	}
	// The floor is the share of labels that stay, as the model is always right; all dimensions are the source.
	if floor := find(t, r, das.None).Accuracy; floor < r.Unchanged-1e-9 || floor > r.Unchanged+1e-9 {
		t.Errorf("got a floor of %g, wanted %g", floor, r.Unchanged)
	}
	agree := 0
	for i, label := range samples(p).Test.Labels {
		if samples(p).Test.SourceLabels[0][i] == label {
			agree++
		}
	}
	if all := find(t, r, das.All).Accuracy; all != float64(agree)/500 {
		t.Errorf("all dimensions: got %g, wanted %g, that of the source's label", all, float64(agree)/500)
	}
	if len(r.Warnings) != 0 {
		t.Errorf("got warnings %q, wanted none", r.Warnings)
	}
	if means := find(t, r, das.Centred).Accuracy; means < 0.9 {
		t.Errorf("difference of means: got %.3f, wanted about 1, as classes lie along the planted direction", means)
	}
	if found.Held < 0.95 || !slices.Equal(found.Ranks, []int{1}) || len(r.Result.Alignments) != 2 {
		t.Errorf("got %+v, wanted the accuracy on the held-out examples, one dimension, and what was found", found)
	}
	_, err = r.Plot().Bytes()
	must(t, err)
	again, err := das.Check(t.Context(), engine, p.model, untrained, s, data, other) // from its three files
	must(t, err)
	text, err := json.Marshal(r)
	must(t, err)
	if other, _ := json.Marshal(again); string(other) != string(text) {
		t.Errorf("got another report from the checkpoints:\n%s\nwanted\n%s", other, text)
	}
	s.Checkpoint = ""
	for _, form := range []string{r.String(), r.HTML(), string(text)} {
		if !strings.Contains(form, das.Shuffled) || !strings.Contains(form, fmt.Sprint(found.Accuracy)) {
			t.Errorf("got %s, wanted all rows", form)
		}
	}

	// Nothing is there in a network whose output is always the same: all is what doing nothing is, and the report says so.
	zero := tensors.FromFlatDataAndDimensions(make([]float32, 4*width), 4, width)
	weights := p.model.Weights().All()
	weights["score.weight"] = zero
	absent, err := mlp.WithWeights(p.model.Config(), weights)
	must(t, err)
	r, err = das.Check(t.Context(), engine, absent, untrained, s, samples(p))
	must(t, err)
	if found, floor := find(t, r, das.Found), find(t, r, das.None); found.Accuracy != floor.Accuracy {
		t.Errorf("got %.3f where nothing is, wanted the floor, %.3f", found.Accuracy, floor.Accuracy)
	}
	warnings := strings.Join(r.Warnings, "\n")
	for _, words := range []string{"does not compute", "random subspace", "as good as the alignment"} {
		if !strings.Contains(warnings, words) {
			t.Errorf("got warnings %q, wanted one with %q", warnings, words)
		}
	}
}

func TestReportsThatCannotBe(t *testing.T) {
	p := plant(t, 1)
	s := das.Search{Places: []das.Place{in(mlp.BlockInput)}, Ranks: []int{1}}
	data := samples(p)
	_, err := das.Check(t.Context(), engine, p.model, nil, s, data)
	wanted.Refusal(t, err, "untrained network", "none")
	data.Test.SourceLabels = nil
	_, err = das.Check(t.Context(), engine, p.model, interv.Model(p.model), s, data)
	wanted.Refusal(t, err, "test examples", "labels")
	data = samples(p)
	data.Train.Labels = append(slices.Clone(data.Train.Labels), 0)
	_, err = das.Check(t.Context(), engine, p.model, interv.Model(p.model), s, data)
	wanted.Refusal(t, err, "training examples", "labels")
	data = samples(p)
	direction := das.MustAlong(in(mlp.BlockInput), p.turn[:width])
	for _, c := range []struct {
		name   string
		change func(a *das.Alignment)
		words  []string
	}{
		{das.Found, func(*das.Alignment) {}, []string{"name", "alignment", "one of its own"}},
		{"probe", func(a *das.Alignment) { a.Place.Component = mlp.BlockOutput }, []string{`given "probe"`, "place", "a place of the search"}},
		{"probe", func(a *das.Alignment) { *a = das.MustAlong(a.Place, p.turn[:width], p.turn[width:2*width]) }, []string{"ranks", "2 variables", "of 1"}},
		{"probe", func(a *das.Alignment) {
			a.Rotation = tensors.FromFlatDataAndDimensions(make([]float32, width), width, 1)
		}, []string{`given "probe"`, "rotation"}},
	} {
		given := das.Given{Name: c.name, Alignment: direction}
		c.change(&given.Alignment)
		_, err := das.Check(t.Context(), engine, p.model, interv.Model(p.model), s, data, given)
		wanted.Refusal(t, err, c.words...)
	}
}

// Directions become orthonormal columns, the first as it was.
func TestDirectionsAreMadeOrthonormal(t *testing.T) {
	a := das.MustAlong(in(mlp.BlockInput), []float32{3, 0, 4}, []float32{1, 1, 0})
	got := tensors.MustCopyFlatData[float32](a.Rotation) // [3, 2]
	first, second := [3]float64{}, [3]float64{}
	for d := range 3 {
		first[d], second[d] = float64(got[2*d]), float64(got[2*d+1])
	}
	along, length := 0.0, 0.0
	for d := range 3 {
		along, length = along+first[d]*second[d], length+second[d]*second[d]
	}
	if first != [3]float64{float64(float32(0.6)), 0, float64(float32(0.8))} || math.Abs(along) > 1e-6 || math.Abs(length-1) > 1e-6 || !slices.Equal(a.Ranks, []int{1, 1}) {
		t.Errorf("got %v, ranks %v", got, a.Ranks)
	}
	for _, c := range []struct {
		directions [][]float32
		words      []string
	}{
		{nil, []string{"directions", "none"}},
		{[][]float32{{1, 2}, {1}}, []string{"direction 1", "got 1", "2, as the first has"}},
		{[][]float32{{1, 2}, {2, 4}}, []string{"direction 1", "length"}},
		{[][]float32{{0, 0}}, []string{"direction 0", "length"}},
		{[][]float32{{float32(math.NaN()), 0}}, []string{"direction 0", "NaN"}},
		{[][]float32{{float32(math.Inf(1)), 0}}, []string{"direction 0", "finite"}},
	} {
		_, err := das.Along(in(mlp.BlockInput), c.directions...)
		wanted.Refusal(t, err, c.words...)
	}
}
