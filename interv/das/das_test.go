package das_test

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/das"
	"github.com/govene/govene/interv/mlp"
)

var engine = backend.MustNew()

// planted is a network whose alignment is known: its first layer turns the input by a random rotation and keeps it (its bias holds all above
// 0), its output is the sign of the first turned coordinate and that of the second, as one of four classes. So in the input of the first layer
// variable v is the direction turn[v], and at the output of the block coordinate v.
type planted struct {
	model *mlp.Model
	turn  []float32 // [width, width], by rows
}

const width = 6

func plant(t testing.TB, seed uint64) planted {
	t.Helper()
	turn := interv.RandomOrthonormal(width, width, rand.New(rand.NewPCG(seed, 8)))
	bias := make([]float32, width)
	for i := range bias {
		bias[i] = 20
	}
	const sharp = 3
	score, offset := make([]float32, 4*width), make([]float32, 4)
	for class := range 4 {
		for v := range 2 {
			sign := float32(2*(class>>v&1) - 1)
			score[class*width+v], offset[class] = sharp*sign, offset[class]-20*sharp*sign
		}
	}
	model, err := mlp.WithWeights(mlp.Config{Layers: 1, Width: width, Classes: 4, Activation: mlp.Relu}, map[string]*tensors.Tensor{
		"mlp.h.0.ff1.weight": turn, "mlp.h.0.ff1.bias": tensors.FromFlatDataAndDimensions(bias, width),
		"score.weight": tensors.FromFlatDataAndDimensions(score, 4, width), "score.bias": tensors.FromFlatDataAndDimensions(offset, 4)})
	if err != nil {
		t.Fatal(err)
	}
	return planted{model, tensors.MustCopyFlatData[float32](turn)}
}

// examples are counterfactual ones of the first variables, with normal inputs.
func (p planted) examples(seed uint64, count, variables int) das.Data {
	r := rand.New(rand.NewPCG(seed, 1))
	draw := func() []float32 {
		flat := make([]float32, count*width)
		for i := range flat {
			flat[i] = float32(r.NormFloat64())
		}
		return flat
	}
	above := func(x []float32, i, v int) int {
		sum := float32(0)
		for d := range width {
			sum += p.turn[v*width+d] * x[i*width+d]
		}
		if sum > 0 {
			return 1
		}
		return 0
	}
	base := draw()
	d := das.Data{Base: embeds(base, count), Labels: make([]int, count), BaseLabels: make([]int, count), SourceLabels: make([][]int, variables)}
	for i := range count {
		d.BaseLabels[i] = above(base, i, 0) + 2*above(base, i, 1)
		for v := variables; v < 2; v++ {
			d.Labels[i] += above(base, i, v) << v
		}
	}
	for v := range variables {
		source := draw()
		d.Sources = append(d.Sources, embeds(source, count))
		for i := range count {
			d.Labels[i] += above(source, i, v) << v
			d.SourceLabels[v] = append(d.SourceLabels[v], above(source, i, 0)+2*above(source, i, 1))
		}
	}
	return d
}

func embeds(flat []float32, count int) interv.Inputs {
	return interv.Inputs{interv.InputsEmbeds: tensors.FromFlatDataAndDimensions(flat, count, 1, width)}
}

func in(component interv.Component) das.Place {
	return das.Place{Site: interv.Site{Component: component}}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// The alignment of a network made by hand is found: the angle between what is learned and what is there is small.
func TestThePlantedAlignmentIsFound(t *testing.T) {
	networks := uint64(3)
	if testing.Short() {
		networks = 1
	}
	for seed := range networks {
		p := plant(t, seed)
		train, held := p.examples(10, 2048, 1), p.examples(11, 512, 1)
		result, err := das.Run(t.Context(), engine, p.model, das.Search{Places: []das.Place{in(mlp.BlockInput)}, Ranks: []int{1}, Seeds: 2,
			Steps: 800, Rate: 0.03, Schedule: interv.Linear(1, 0.01, 800)}, train, held)
		must(t, err)
		best := result.Best()
		cosine := 0.0
		for d, value := range tensors.MustCopyFlatData[float32](best.Rotation) {
			cosine += float64(value) * float64(p.turn[d])
		}
		if angle := math.Acos(min(1, math.Abs(cosine))); angle > 0.05 || best.Accuracy < 0.97 {
			t.Errorf("network %d: got an angle of %.3f and an accuracy of %.3f, wanted at most 0.05 and about 1\n%v", seed, angle, best.Accuracy, result)
		}
	}
}

func TestSeveralVariablesShareARotation(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	p := plant(t, 5)
	train, held := p.examples(10, 2048, 2), p.examples(11, 512, 2)
	result, err := das.Run(t.Context(), engine, p.model, das.Search{Places: []das.Place{in(mlp.BlockInput), in(mlp.BlockOutput)}, Ranks: []int{1, 3}, Seeds: 2,
		Steps: 600, Rate: 0.03, Schedule: interv.Linear(1, 0.01, 600)}, train, held)
	must(t, err)
	if len(result.Alignments) != 8 {
		t.Fatalf("got %d alignments, wanted 2 places × 2 ranks × 2 seeds", len(result.Alignments))
	}
	for _, place := range []interv.Component{mlp.BlockInput, mlp.BlockOutput} {
		best := 0.0
		for _, a := range result.Alignments {
			if a.Place.Component == place {
				best = max(best, a.Accuracy)
			}
		}
		if best < 0.95 {
			t.Errorf("%s: got an accuracy of %.3f, wanted about 1\n%v", place, best, result)
		}
	}
}

// Alignments of one stack are what each of them is alone, but for the last digits: a matrix may be retracted further because another needs it.
func TestAStackEqualsSingleSearches(t *testing.T) {
	p := plant(t, 2)
	train, held := p.examples(10, 512, 2), p.examples(11, 128, 2)
	s := das.Search{Places: []das.Place{in(mlp.BlockInput)}, Ranks: []int{1, 2, 3}, Seeds: 2, Steps: 30, Batch: 64, Every: 30}
	stacked := das.MustRun(t.Context(), engine, p.model, s, train, held)
	s.MaxRows = 1 // an alignment a program
	single := das.MustRun(t.Context(), engine, p.model, s, train, held)
	for i, a := range stacked.Alignments {
		b := single.Alignments[i]
		if a.Rank != b.Rank || a.Seed != b.Seed || math.Abs(a.Accuracy-b.Accuracy) > 0.01 {
			t.Errorf("alignment %d: got %v %v %v, wanted %v %v %v", i, a.Rank, a.Seed, a.Accuracy, b.Rank, b.Seed, b.Accuracy)
		}
		wantClose(t, fmt.Sprintf("rotation %d", i), tensors.MustCopyFlatData[float32](a.Rotation), tensors.MustCopyFlatData[float32](b.Rotation), 1e-4)
	}
}

func wantClose(t testing.TB, what string, got, want []float32, tolerance float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: got %d numbers, wanted %d", what, len(got), len(want))
	}
	for i := range got {
		if d := got[i] - want[i]; !(d <= tolerance && -d <= tolerance) {
			t.Fatalf("%s, element %d: got %g, wanted %g", what, i, got[i], want[i])
		}
	}
}

// A search takes the steps that a Trainer takes on the same alignment, batch by batch.
func TestASearchTakesTheStepsOfATrainer(t *testing.T) {
	p := plant(t, 3)
	train, held := p.examples(10, 64, 2), p.examples(11, 64, 2)
	s := das.Search{Places: []das.Place{in(mlp.BlockInput)}, Ranks: []int{2}, Steps: 12, Batch: 64, Every: 12}
	start := s
	start.Kind = das.Random
	first := das.MustRun(t.Context(), engine, p.model, start, train, held).Best()
	iv, err := first.Intervenable(engine, p.model)
	must(t, err)
	trainer := iv.MustTrainer(crossEntropy, interv.Adam{Rate: 0.01})
	call := first.Call(train)
	call.Labels = interv.Inputs{"label": int32s(train.Labels)}
	for range s.Steps {
		trainer.MustStep(call)
	}
	found := das.MustRun(t.Context(), engine, p.model, s, train, held).Best()
	if found.Accuracy < first.Accuracy {
		t.Fatalf("got %.3f, worse than the %.3f of the start", found.Accuracy, first.Accuracy)
	}
	wantClose(t, "the rotation", tensors.MustCopyFlatData[float32](found.Rotation), tensors.MustCopyFlatData[float32](iv.Parameters()["0.rotation"]), 1e-3)

	// The best alignment as an Intervenable has the accuracy that the search says, also after it was saved and loaded.
	iv, err = found.Intervenable(engine, p.model)
	must(t, err)
	folder := t.TempDir()
	must(t, iv.Save(folder))
	for _, one := range []*interv.Intervenable{iv, interv.MustLoad(engine, p.model, folder)} {
		logits := tensors.MustCopyFlatData[float32](one.MustRun(found.Call(held)).Output)
		right := 0
		for i, label := range held.Labels {
			if row := logits[4*i : 4*i+4]; row[label] == slices.Max(row) {
				right++
			}
		}
		if got := float64(right) / float64(len(held.Labels)); math.Abs(got-found.Accuracy) > 0.02 {
			t.Errorf("got an accuracy of %.3f, wanted %.3f", got, found.Accuracy)
		}
	}
}

// killed is the search of the test that kills, of the kind that the environment names.
func killed(t testing.TB, kind das.Kind, checkpoint string) *das.Result {
	p := plant(t, 4)
	s := das.Search{Places: []das.Place{in(mlp.BlockInput), in(mlp.BlockOutput)}, Kind: kind, Ranks: []int{1, 2}, Seeds: 2, Steps: 200, Batch: 128, Every: 10, Patience: 12,
		Schedule: interv.WarmUp(20, interv.Linear(1, 0.1, 180)), Checkpoint: checkpoint}
	if kind == das.Boundless || kind == das.Masks {
		s.Ranks, s.Penalty = nil, 0.5
	}
	return das.MustRun(t.Context(), engine, p.model, s, withValues(p.examples(10, 512, 2)), p.examples(11, 128, 2))
}

// A search of any kind whose process is killed at any moment goes on from its file, and comes to the same bits.
func TestASearchGoesOnAfterKill(t *testing.T) {
	if path := os.Getenv("GOVENE_DAS_CHECKPOINT"); path != "" {
		var kind das.Kind
		must(t, kind.UnmarshalText([]byte(os.Getenv("GOVENE_DAS_KIND"))))
		killed(t, kind, path)
		return
	}
	if testing.Short() {
		t.Skip("takes seconds")
	}
	kinds := []das.Kind{das.Trained, das.Boundless, das.Masks, das.Random, das.Principal, das.Means}
	rounds := 3 // of what learns
	if slow {
		rounds = 1
	}
	if os.Getenv("GOVENE_LONG") != "" {
		rounds = 7 * len(kinds)
	}
	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	for round := range rounds {
		kind := kinds[round%len(kinds)]
		started := time.Now()
		want := killed(t, kind, "")
		whole := time.Since(started)
		path := filepath.Join(t.TempDir(), "search.safetensors")
		for kills := range 3 {
			child := exec.Command(os.Args[0], "-test.run=^TestASearchGoesOnAfterKill$")
			child.Env = append(os.Environ(), "GOVENE_DAS_CHECKPOINT="+path, "GOVENE_DAS_KIND="+kind.String())
			must(t, child.Start())
			time.Sleep(time.Duration(random.Int64N(int64(whole)))) // at a random step; at times before the first or after the last
			_ = child.Process.Kill()
			_ = child.Wait()
			_, err := os.Stat(path)
			t.Logf("%s, kill %d: a checkpoint: %t", kind, kills, err == nil)
		}
		got := killed(t, kind, path)
		for i, a := range got.Alignments {
			b := want.Alignments[i]
			same := slices.Equal(a.Ranks, b.Ranks) && bytes.Equal(bits(a), bits(b)) && a.Accuracy == b.Accuracy && a.Steps == b.Steps && slices.Equal(a.Correct, b.Correct)
			if !same {
				t.Errorf("%s, alignment %d: got other bits than those of a search that was not killed", kind, i)
			}
		}
	}
}

func bits(a das.Alignment) (raw []byte) {
	if a.Rotation == nil {
		return nil
	}
	for _, value := range tensors.MustCopyFlatData[float32](a.Rotation) {
		raw = fmt.Appendf(raw, "%08x", math.Float32bits(value))
	}
	return raw
}

func TestPrincipalDirections(t *testing.T) {
	p := plant(t, 1)
	train, held := p.examples(10, 512, 1), p.examples(11, 128, 1)
	flat := tensors.MustCopyFlatData[float32](train.Base[interv.InputsEmbeds])
	for i := range train.Labels { // of most variance: the planted direction
		along := float32(0)
		for k := range width {
			along += flat[i*width+k] * p.turn[k]
		}
		for k := range width {
			flat[i*width+k] += 3 * along * p.turn[k]
		}
	}
	train.Base = embeds(flat, len(train.Labels))
	found := das.MustRun(t.Context(), engine, p.model, das.Search{Places: []das.Place{in(mlp.BlockInput)}, Ranks: []int{1}, Kind: das.Principal}, train, held).Best()
	cosine := 0.0
	for d, value := range tensors.MustCopyFlatData[float32](found.Rotation) {
		cosine += float64(value) * float64(p.turn[d])
	}
	if math.Abs(cosine) < 0.995 || found.Accuracy < 0.9 {
		t.Errorf("got a cosine of %.4f and an accuracy of %.3f, wanted about 1", cosine, found.Accuracy)
	}
}

func TestSearchesThatCannotBe(t *testing.T) {
	p := plant(t, 1)
	train, held := p.examples(10, 64, 2), p.examples(11, 32, 2)
	sound := das.Search{Places: []das.Place{in(mlp.BlockInput)}, Ranks: []int{1}}
	for name, c := range map[string]struct {
		change func(s *das.Search, d *das.Data)
		words  []string
	}{
		"component": {func(s *das.Search, _ *das.Data) { s.Places[0].Component = "block_inptu" }, []string{"block_inptu", "block_input"}},
		"layer":     {func(s *das.Search, _ *das.Data) { s.Places[0].Layer = 3 }, []string{"layer"}},
		"position":  {func(s *das.Search, _ *das.Data) { s.Places[0].Position = 1 }, []string{"position 1", "0 to 0"}},
		"rank":      {func(s *das.Search, _ *das.Data) { s.Ranks = []int{4} }, []string{"rank", "4 for each of 2 variables", "6 dimensions"}},
		"rank 0":    {func(s *das.Search, _ *das.Data) { s.Ranks = []int{0} }, []string{"rank", "at least 1"}},
		"no places": {func(s *das.Search, _ *das.Data) { s.Places = nil }, []string{"places", "at least one"}},
		"rate":      {func(s *das.Search, _ *das.Data) { s.Rate = math.NaN() }, []string{"rate", "NaN"}},
		"steps":     {func(s *das.Search, _ *das.Data) { s.Steps = -1 }, []string{"steps", "-1"}},
		"schedule":  {func(s *das.Search, _ *das.Data) { s.Schedule = func(int) float64 { return -1 } }, []string{"schedule at step 0"}},
		"kind":      {func(s *das.Search, _ *das.Data) { s.Kind = 7 }, []string{"kind", "7"}},
		"ranks":     {func(s *das.Search, _ *das.Data) { s.Kind = das.Boundless }, []string{"ranks", "[1]", "boundless"}},
		"penalty":   {func(s *das.Search, _ *das.Data) { s.Penalty = 1 }, []string{"penalty", "trained"}},
		"mask rate": {func(s *das.Search, _ *das.Data) { s.MaskRate = -1 }, []string{"mask rate", "-1"}},
		"temperature": {func(s *das.Search, _ *das.Data) {
			s.Kind, s.Ranks, s.Temperature = das.Masks, nil, interv.Linear(0, 0, 1)
		}, []string{"temperature at step 0"}},
		"no values": {func(s *das.Search, _ *das.Data) { s.Kind = das.Means }, []string{"values", "0 variables", "2"}},
		"values": {func(s *das.Search, d *das.Data) {
			s.Kind, d.Values = das.Means, [][]int{make([]int, 64), make([]int, 64)}
		},
			[]string{"values", "1 different of variable 0", "at least 2"}},
		"one label":   {func(_ *das.Search, d *das.Data) { d.Labels = make([]int, 64) }, []string{"training examples", "labels that change"}},
		"label":       {func(_ *das.Search, d *das.Data) { d.Labels = slices.Concat(d.Labels[:63], []int{-1}) }, []string{"label of example 63", "-1"}},
		"class":       {func(_ *das.Search, d *das.Data) { d.Labels = slices.Concat(d.Labels[:63], []int{99}) }, []string{"training examples", "label of example 63", "99", "0 to"}},
		"no masks":    {func(s *das.Search, _ *das.Data) { s.MaskRate = 0.1 }, []string{"mask rate", "kind trained"}},
		"labels":      {func(_ *das.Search, d *das.Data) { d.Labels = d.Labels[1:] }, []string{"labels", "63", "64"}},
		"no sources":  {func(_ *das.Search, d *das.Data) { d.Sources = nil }, []string{"sources", "none"}},
		"one source":  {func(_ *das.Search, d *das.Data) { d.Sources = d.Sources[:1] }, []string{"held-out", "2 sources"}},
		"source size": {func(_ *das.Search, d *das.Data) { d.Sources = slices.Concat(d.Sources[:1], held.Sources[1:]) }, []string{"source 1", "32 examples"}},
		"NaN": {func(_ *das.Search, d *das.Data) {
			flat := make([]float32, 64*width)
			flat[7] = float32(math.NaN())
			d.Base = embeds(flat, 64)
		}, []string{"base", "NaN"}},
	} {
		t.Run(name, func(t *testing.T) {
			s, d := sound, train
			s.Places = slices.Clone(s.Places)
			c.change(&s, &d)
			_, err := das.Run(t.Context(), engine, p.model, s, d, held)
			wanted.Refusal(t, err, c.words...)
		})
	}
	path := filepath.Join(t.TempDir(), "state.safetensors")
	sound.Checkpoint, sound.Steps = path, 5
	das.MustRun(t.Context(), engine, p.model, sound, train, held)
	sound.Rate = 0.5
	_, err := das.Run(t.Context(), engine, p.model, sound, train, held)
	wanted.Refusal(t, err, path, "another search")
}
