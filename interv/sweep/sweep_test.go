package sweep

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/metric"
	"github.com/govene/govene/interv/transformer"
)

// What is refused is refused before anything runs, in words that say what there is.
func TestRefusals(t *testing.T) {
	model, _ := scene(t, "gpt2")
	for name, c := range map[string]struct {
		change func(s *Sweep)
		words  []string
	}{
		"component":    {func(s *Sweep) { s.Components = []interv.Component{"block_outputs"} }, []string{"block_output"}},
		"no component": {func(s *Sweep) { s.Components = nil }, []string{"components", "none"}},
		"layer":        {func(s *Sweep) { s.Layers = []int{99} }, []string{"layer", "99"}},
		"position":     {func(s *Sweep) { s.Positions = At(9) }, []string{"positions", "9", "0 to 5"}},
		"padding":      {func(s *Sweep) { s.Positions = At(0) }, []string{"pair 1", "padding"}},
		"head":         {func(s *Sweep) { s.Components, s.Heads = []interv.Component{transformer.HeadKeyOutput}, []int{99} }, []string{"heads", "99"}},
		"no heads":     {func(s *Sweep) { s.Heads = []int{0} }, []string{"heads", "no heads"}},
		"feature":      {func(s *Sweep) { s.Features = [][]int{{-1}} }, []string{"features", "-1"}},
		"metric":       {func(s *Sweep) { s.Metric = nil }, []string{"metric", "none"}},
		"token":        {func(s *Sweep) { s.Metric = metric.Logit{Tokens: []int{1 << 20}} }, []string{"1048576"}},
		"source":       {func(s *Sweep) { s.Source = nil }, []string{"source", "vanilla"}},
		"from":         {func(s *Sweep) { s.From = "means" }, []string{"from", "mean"}},
		"lengths": {func(s *Sweep) {
			s.Source = interv.Inputs{interv.InputIDs: s.Source[interv.InputIDs], interv.AttentionMask: tensors.FromFlatDataAndDimensions(slices.Repeat([]int32{1}, 18), 3, 6)}
		}, []string{"pair 1", "equally long"}},
		"direction":  {func(s *Sweep) { s.Directions = [][]float64{{1, 2}} }, []string{"direction 0", "2 numbers"}},
		"both":       {func(s *Sweep) { s.Cells = []Cell{{Component: transformer.BlockOutput}} }, []string{"cells", "axes"}},
		"corruption": {func(s *Sweep) { s.Corrupt = &Corruption{Component: "embeddings", Intervention: interv.Zero{}} }, []string{"corruption", "embedding"}},
		"many":       {func(s *Sweep) { s.Metric = metric.TopTokens{K: 2} }, []string{"number"}},
		"empty head": {func(s *Sweep) {
			s.Components, s.Cells = nil, []Cell{{Component: transformer.HeadKeyOutput, Heads: []int{}}}
		}, []string{"heads", "empty"}},
		"same head": {func(s *Sweep) {
			s.Components, s.Cells = nil, []Cell{{Component: transformer.HeadKeyOutput, Heads: []int{1, 1}}}
		},
			[]string{"heads", "at most once"}},
		"empty place":     {func(s *Sweep) { s.Positions = []Place{{At: [][]int{{1}, {}, {1}}}} }, []string{"pair 1", "empty"}},
		"window":          {func(s *Sweep) { s.Window = -1 }, []string{"window", "-1"}},
		"from directions": {func(s *Sweep) { s.From, s.Directions = FromMean, [][]float64{make([]float64, 24)} }, []string{"from", "mean", "directions"}},
		"numbers":         {func(s *Sweep) { s.Metric = metric.TopTokens{K: 2} }, []string{`metric "top_tokens"`, "one number for each run"}},
		"no folder":       {func(s *Sweep) { s.File = "nowhere/results.json" }, []string{"nowhere/results.json", "folder: got none"}},
		"scale of a cell": {func(s *Sweep) {
			s.Components, s.Directions, s.Cells, s.Source = nil, [][]float64{make([]float64, 24)}, []Cell{{Component: transformer.BlockOutput}}, nil
		}, []string{"cell 0", "scale: got 0", "such as 1"}},
		"scales of cells": {func(s *Sweep) {
			s.Components, s.Directions, s.Scales, s.Source = nil, [][]float64{make([]float64, 24)}, []float64{0, 1}, nil
			s.Cells = []Cell{{Component: transformer.BlockOutput, Layer: 1}, {Component: transformer.BlockOutput, Scale: 2}}
		}, []string{"cell 1", "scale: got 2, and scales [0 1]", "one of the two"}},
		"scales of nothing": {func(s *Sweep) { s.Scales = []float64{0} }, []string{"scales: got [0]", "no directions"}},
		"no scale":          {func(s *Sweep) { s.Directions, s.Scales, s.Source = [][]float64{make([]float64, 24)}, []float64{}, nil }, []string{"cells: got none"}},
		"no scale of cells": {func(s *Sweep) {
			s.Components, s.Directions, s.Scales, s.Source = nil, [][]float64{make([]float64, 24)}, []float64{}, nil
			s.Cells = []Cell{{Component: transformer.BlockOutput}}
		}, []string{"cells: got none"}},
		"mean of weights": {func(s *Sweep) { s.Components, s.From = []interv.Component{transformer.AttentionWeight}, FromMean }, []string{"attention_weight", "width"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, s := scene(t, "gpt2")
			s.Components = []interv.Component{transformer.BlockOutput}
			c.change(&s)
			_, err := Run(context.Background(), machine, model, s)
			wanted.Refusal(t, err, c.words...)
		})
	}
}

// Cells that are listed are tried with each of Scales, 0 among them, at which nothing changes; the numbers are those of the product of axes, also
// in the file, which says what was tried.
func TestScalesOfListedCells(t *testing.T) {
	if few() {
		t.Skip("two sweeps, whose programs XLA compiles in seconds")
	}
	model, s := scene(t, "gpt2")
	direction := make([]float64, 24)
	for i := range direction {
		direction[i] = math.Sin(float64(i))
	}
	s.Directions, s.Scales, s.Source = [][]float64{direction}, []float64{0, 2}, nil
	listed := s
	s.Components, s.Positions = []interv.Component{transformer.BlockOutput}, At(1, -1)
	want := MustRun(machine, model, s)
	for _, cell := range want.Cells[:len(want.Cells)/2] {
		if cell.Scale == 0 {
			listed.Cells = append(listed.Cells, cell)
		}
	}
	text, err := json.Marshal(listed)
	if err != nil {
		t.Fatal(err)
	}
	read := listed
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	listed.Cells, listed.Scales = read.Cells, read.Scales
	got := MustRun(machine, model, listed)
	if len(got.Cells) != 2*len(listed.Cells) || len(got.Cells) == 0 {
		t.Fatalf("%d cells of %d at two scales", len(got.Cells), len(listed.Cells))
	}
	for i, cell := range got.Cells {
		if cell.String() != want.Cells[i].String() {
			t.Errorf("cell %d: got %v, wanted %v", i, cell, want.Cells[i])
		}
		for pair, value := range got.Values[i] {
			if math.Abs(value-want.Values[i][pair]) > 1e-5 {
				t.Errorf("%v, pair %d: got %g, wanted %g", cell, pair, value, want.Values[i][pair])
			}
			if changed := math.Abs(value-got.Base[pair]) > 1e-4; changed != (cell.Scale != 0) {
				t.Errorf("%v, pair %d: %g, and %g before", cell, pair, value, got.Base[pair])
			}
		}
	}
}

// A sweep that is cancelled keeps what it has, and one with the same file goes on there: the numbers are those of a whole sweep, to the bit.
func TestCancelledAndResumed(t *testing.T) {
	model, s := scene(t, "gpt2")
	s.Components, s.Positions = []interv.Component{transformer.BlockOutput, transformer.MLPOutput}, At(1, 2, 3, -1)
	whole := MustRun(machine, model, s)
	s.File = filepath.Join(t.TempDir(), "results.json")
	ctx, cancel := context.WithCancelCause(context.Background())
	stopped := errors.New("enough")
	s.Progress = func(int, int, time.Duration) { cancel(stopped) }
	part, err := Run(ctx, machine, model, s)
	if !errors.Is(err, stopped) || part == nil {
		t.Fatalf("got %v, wanted it cancelled", err)
	}
	s.Progress = nil
	for range 2 { // the second time, nothing is left to do
		resumed := MustRun(machine, model, s)
		for i := range whole.Values {
			if !slices.Equal(resumed.Values[i], whole.Values[i]) {
				t.Errorf("%s: got %v, wanted %v", whole.Cells[i].where(i), resumed.Values[i], whole.Values[i])
			}
		}
		if !slices.Equal(resumed.Base, whole.Base) || !slices.Equal(resumed.Source, whole.Source) {
			t.Error("clean runs differ")
		}
	}
}

// A file of another sweep, of another format or cut short is refused, and stays as it is.
func TestFilesThatDoNotFit(t *testing.T) {
	model, s := scene(t, "gpt2")
	s.Components = []interv.Component{transformer.BlockOutput}
	s.File = filepath.Join(t.TempDir(), "results.json")
	MustRun(machine, model, s)
	good, err := os.ReadFile(s.File)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(text []byte, s Sweep, words ...string) {
		t.Helper()
		if err := os.WriteFile(s.File, text, 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := Run(context.Background(), machine, model, s)
		wanted.Refusal(t, err, words...)
		if after, _ := os.ReadFile(s.File); !bytes.Equal(after, text) {
			t.Error("the file was changed")
		}
	}
	refused(good[:len(good)/2], s, "whole file")
	refused(bytes.Replace(good, []byte("sweep 1"), []byte("sweep 0"), 1), s, "format", "sweep 0")
	s.Layers = []int{0}
	refused(good, s, "digest")
}

// A sweep is the same after its JSON.
func TestSweepsAsJSON(t *testing.T) {
	_, s := scene(t, "gpt2")
	s.Components, s.Positions, s.Heads, s.Scales = []interv.Component{transformer.BlockOutput}, []Place{{Name: "subject", At: [][]int{{1}, {2}, {3}}}}, []int{1}, []float64{2}
	s.Intervention, s.Corrupt, s.From = interv.Addition{}, &Corruption{Component: transformer.Embedding, Intervention: interv.Noise{Level: 2}}, FromBase
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var read Sweep
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(read)
	if err != nil || !bytes.Equal(again, text) {
		t.Errorf("got %s, wanted %s (%v)", again, text, err)
	}
	s.Layers = []int{} // which is refused, where nil means all of them
	if text, err = json.Marshal(s); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &read); err != nil || read.Layers == nil {
		t.Errorf("no layers became all of them (%v)", err)
	}
	wanted.Refusal(t, json.Unmarshal([]byte(`{"component": []}`), &read), "component")
	s.Metric = metric.Func{}
	if _, err := json.Marshal(s); err == nil {
		t.Error("a function was saved")
	}
}

// The plan says what is done; the map has a row for each cell, under the places' names.
func TestPlanAndMap(t *testing.T) {
	model, s := scene(t, "gpt2")
	s.Components, s.Positions = []interv.Component{transformer.BlockOutput}, Labelled(At(1, 2), []string{"a", " b", " c"})
	p, err := s.Plan(machine, model)
	if err != nil {
		t.Fatal(err)
	}
	for _, words := range []string{"3 programs", "vanilla of block_output", "logit_difference", "MiB"} {
		if !strings.Contains(p.Explain(), words) {
			t.Errorf("%q is not in\n%s", words, p.Explain())
		}
	}
	r, err := p.Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if got, wanted := r.Means().Len(), len(r.Cells); got != wanted {
		t.Errorf("%d rows, wanted %d", got, wanted)
	}
	if got, wanted := r.Frame().Len(), 3*len(r.Cells); got != wanted {
		t.Errorf("%d rows, wanted %d", got, wanted)
	}
	svg, err := r.Plot().Bytes()
	if err != nil || !bytes.Contains(svg, []byte(" b")) {
		t.Errorf("no map with the tokens: %v", err)
	}
}

// A plan can be run again, whichever way it is run.
func TestAPlanRunsAgain(t *testing.T) {
	model, s := scene(t, "gpt2")
	s.Components = []interv.Component{transformer.BlockOutput}
	for _, component := range []interv.Component{transformer.BlockOutput, transformer.FinalNorm} { // packed and in batches
		s.Components = []interv.Component{component}
		p, err := s.Plan(machine, model)
		if err != nil {
			t.Fatal(err)
		}
		var results [2]*Result
		for i := range results {
			if results[i], err = p.Run(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
		for i, row := range results[0].Values {
			if !slices.Equal(row, results[1].Values[i]) {
				t.Errorf("%s: %v, then %v", results[0].Cells[i].where(i), row, results[1].Values[i])
			}
		}
		if results[1].Stats.Running <= 0 {
			t.Errorf("ran for %v", results[1].Stats.Running)
		}
	}
}

// Every cell has a tile of its own: axes that are not across are panels. A cell without a finite mean has none.
func TestMapsOfSeveralAxes(t *testing.T) {
	nan := math.NaN()
	r := &Result{Base: []float64{0}, Source: []float64{1}, Metric: "logit"}
	for _, head := range []int{0, 1} {
		for position := range 3 {
			r.Cells = append(r.Cells, Cell{Component: "head_output", Place: At(position)[0], Heads: []int{head}})
			r.Values = append(r.Values, []float64{float64(head + position)})
		}
	}
	r.Values[5][0] = nan
	svg, err := r.Plot().Bytes()
	if err != nil {
		t.Fatal(err)
	}
	for _, words := range []string{"heads 0", "heads 1", "recovered"} {
		if !bytes.Contains(svg, []byte(words)) {
			t.Errorf("%q is not in the map", words)
		}
	}
	// Where the clean runs do not differ there is no share, but the metric.
	r.Source = []float64{0}
	if svg, err = r.Plot().Bytes(); err != nil || bytes.Contains(svg, []byte("recovered")) {
		t.Errorf("a map of shares of nothing: %v", err)
	}
}

// The bar shows how far a sweep is and what is left.
func TestBar(t *testing.T) {
	var b bytes.Buffer
	at := time.Unix(0, 0)
	progress := bar(&b, func() time.Time { return at })
	progress(1, 4, time.Minute)
	if b.Len() > 0 {
		t.Errorf("a bar at once: %q", b.String())
	}
	at = at.Add(time.Second)
	progress(2, 4, 3*time.Second)
	progress(4, 4, 0)
	if !strings.Contains(b.String(), "2 of 4, 3s left") || !strings.HasSuffix(b.String(), "\n") {
		t.Errorf("got %q", b.String())
	}
}

// FuzzSweepJSON: any text is read or refused without a panic, and what is read can be written and read again.
func FuzzSweepJSON(f *testing.F) {
	f.Add(`{"components": ["block_output"], "positions": [{"at": [[1]]}], "metric": {"metric": "logit", "settings": {"tokens": [1]}}}`)
	f.Add(`{"cells": [{"component": "mlp_output", "layer": 1, "scale": 2}], "intervention": {"intervention_type": "zero"}, "corrupt": {"component": "embedding"}}`)
	f.Fuzz(func(t *testing.T, text string) {
		var s Sweep
		if json.Unmarshal([]byte(text), &s) != nil {
			return
		}
		written, err := json.Marshal(s)
		if err != nil {
			return // no metric
		}
		if err := json.Unmarshal(written, &s); err != nil {
			t.Errorf("%s: %v", written, err)
		}
	})
}
