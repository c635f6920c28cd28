package interv_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/gru"
)

// The invariants that hold for every model and config (ARCHITECTURE.md, Semantics), on random shapes, sites and locations. The
// seeds are fixed; each case compiles programs of its own, so fewer are drawn under -short.

// scene is a random model with a base, a source and locations.
type scene struct {
	random       *rand.Rand
	model        *gru.Model
	batch, steps int
	base, source interv.Inputs
	site         interv.Site
}

func scenes(t *testing.T, check func(t *testing.T, s scene)) {
	count := 6
	if testing.Short() {
		count = 2
	}
	for seed := range uint64(count) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 99))
			config := gru.Config{Layers: 1 + r.IntN(3), Width: 1 + r.IntN(6), NoBias: r.IntN(2) == 0}
			s := scene{random: r, model: gru.MustNewClassifier(config, seed), batch: 1 + r.IntN(5), steps: 2 + r.IntN(5)}
			s.base = interv.Inputs{"inputs_embeds": random(seed+100, s.batch, s.steps, config.Width)}
			s.source = interv.Inputs{"inputs_embeds": random(seed+200, s.batch, s.steps, config.Width)}
			sites := s.model.Catalogue().All()
			s.site = sites[r.IntN(len(sites))]
			t.Logf("%s, %+v, batch %d, %d steps", s.site, config, s.batch, s.steps)
			check(t, s)
		})
	}
}

func (s scene) with(intervention interv.Intervention) *interv.Intervenable {
	return interv.MustNew(engine, s.model, interv.Config{Representations: []interv.Representation{
		{Layer: s.site.Layer, Component: s.site.Component, Intervention: intervention}}})
}

// units draws some distinct steps for each example.
func (s scene) units(count int) [][]int {
	rows := make([][]int, s.batch)
	for i := range rows {
		rows[i] = s.random.Perm(s.steps)[:count]
	}
	return rows
}

func (s scene) call(source interv.Inputs, from, to [][]int) interv.Call {
	return interv.Call{Base: s.base, Sources: []interv.Inputs{source}, Locations: []*interv.Location{interv.FromTo(from, to)}}
}

func wantSame(t *testing.T, what string, got, want []float32) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("%s: got %v, wanted the same bits as %v", what, got, want)
	}
}

// Invariants 1 and 7: patching a site with its own clean activation changes nothing, bit for bit; so nothing else is touched.
func TestPatchingWithItselfChangesNothing(t *testing.T) {
	scenes(t, func(t *testing.T, s scene) {
		units := s.units(1 + s.random.IntN(s.steps))
		r := s.with(interv.Vanilla{})
		call := s.call(s.base, units, units)
		call.WithBase = true
		result := r.MustRun(call)
		wantSame(t, "counterfactual", flat(result.Output), flat(result.BaseOutput))
	})
}

// Invariant 2: patching the whole output of the top cell gives the source's output.
func TestPatchingEverythingGivesTheSource(t *testing.T) {
	scenes(t, func(t *testing.T, s scene) {
		s.site = interv.Site{Layer: s.model.Config().Layers - 1, Component: gru.CellOutput}
		all := make([]int, s.steps)
		for i := range all {
			all[i] = i
		}
		iv := s.with(interv.Vanilla{})
		got := iv.MustRun(s.call(s.source, interv.Repeat(s.batch, all...), interv.Repeat(s.batch, all...))).Output
		wantClose(t, "counterfactual", flat(got), flat(iv.MustForward(s.source)), 1e-6)
	})
}

// Invariant 3: rotated space of full rank equals vanilla, low rank of full rank too; rotations stay orthonormal in training.
func TestFullRankEqualsVanilla(t *testing.T) {
	scenes(t, func(t *testing.T, s scene) {
		sites, err := s.model.Catalogue().Find(s.site)
		if err != nil {
			t.Fatal(err)
		}
		count := 1 + s.random.IntN(s.steps)
		call := s.call(s.source, s.units(count), s.units(count))
		want := flat(s.with(interv.Vanilla{}).MustRun(call).Output)
		for _, intervention := range []interv.Intervention{interv.RotatedSpace{}, interv.LowRankRotatedSpace{Rank: sites.Width}} {
			iv := s.with(intervention)
			wantClose(t, intervention.Name(), flat(iv.MustRun(call).Output), want, 1e-5)
			trainer := iv.MustTrainer(func(o interv.Outcome) *Node { return ReduceAllSum(Square(o.Output)) }, interv.Adam{Rate: 0.1})
			for range 20 {
				trainer.MustStep(call)
			}
			wantOrthonormal(t, iv.Parameters()["0.rotation"])
			wantClose(t, intervention.Name()+" after training", flat(iv.MustRun(call).Output), want, 1e-5)
		}
	})
}

func wantOrthonormal(t *testing.T, r *tensors.Tensor) {
	t.Helper()
	rows, columns := r.Shape().Dim(0), r.Shape().Dim(1)
	values := flat(r)
	for a := range columns {
		for b := range columns {
			sum, want := 0.0, 0.0
			for i := range rows {
				sum += float64(values[i*columns+a]) * float64(values[i*columns+b])
			}
			if a == b {
				want = 1
			}
			if d := sum - want; d > 1e-5 || d < -1e-5 {
				t.Fatalf("RᵀR[%d,%d]: got %g, wanted %g", a, b, sum, want)
			}
		}
	}
}

// Invariant 4: example i is affected only by row i of everything: shuffle the batch, and outputs shuffle along.
func TestShufflingTheBatchShufflesOutputs(t *testing.T) {
	scenes(t, func(t *testing.T, s scene) {
		count := 1 + s.random.IntN(s.steps)
		from, to := s.units(count), s.units(count)
		iv := s.with(interv.Vanilla{})
		want := flat(iv.MustRun(s.call(s.source, from, to)).Output)
		order := s.random.Perm(s.batch)
		shuffled := s
		shuffled.base = interv.Inputs{"inputs_embeds": reorder(s.base["inputs_embeds"], order)}
		source := interv.Inputs{"inputs_embeds": reorder(s.source["inputs_embeds"], order)}
		got := flat(iv.MustRun(shuffled.call(source, rowsOf(from, order), rowsOf(to, order))).Output)
		outputs := len(want) / s.batch
		for i, original := range order {
			wantClose(t, fmt.Sprint("example ", original), got[i*outputs:(i+1)*outputs], want[original*outputs:(original+1)*outputs], 1e-6)
		}
	})
}

func reorder(t *tensors.Tensor, order []int) *tensors.Tensor {
	size := t.Size() / t.Shape().Dim(0)
	var values []float32
	for _, i := range order {
		values = append(values, flat(t)[i*size:(i+1)*size]...)
	}
	dimensions := slices.Clone(t.Shape().Dimensions)
	dimensions[0] = len(order)
	return tensors.FromFlatDataAndDimensions(values, dimensions...)
}

func rowsOf(rows [][]int, order []int) [][]int {
	var shuffled [][]int
	for _, i := range order {
		shuffled = append(shuffled, rows[i])
	}
	return shuffled
}

// Invariant 5: at one site edits compound in config order, and a collect sees those listed before it.
func TestEditsCompoundInConfigOrder(t *testing.T) {
	scenes(t, func(t *testing.T, s scene) {
		at := func(i interv.Intervention) interv.Representation {
			return interv.Representation{Layer: s.site.Layer, Component: s.site.Component, Intervention: i}
		}
		iv := interv.MustNew(engine, s.model, interv.Config{Representations: []interv.Representation{
			at(interv.Collect{}), at(interv.Zero{}), at(interv.Addition{}), at(interv.Collect{}), at(interv.Subtraction{}), at(interv.Collect{})}})
		units := s.units(1)
		both, base := interv.FromTo(units, units), interv.At(units)
		result := iv.MustRun(interv.Call{Base: s.base, Sources: []interv.Inputs{nil, nil, s.source, nil, s.source, nil},
			Locations: []*interv.Location{base, base, both, base, both, base}})
		source := s.with(interv.Collect{}).MustRun(interv.Call{Base: s.source, Locations: []*interv.Location{base}}).Collected[0].Value
		wantSame(t, "after zero and addition", flat(result.Collected[1].Value), flat(source))
		wantSame(t, "after subtraction", flat(result.Collected[2].Value), make([]float32, source.Size()))
		wantDifferent(t, flat(result.Collected[0].Value), flat(result.Collected[1].Value))
	})
}

// Invariant 6: linked interventions share parameters; unlinked ones do not.
func TestLinksShareParameters(t *testing.T) {
	scenes(t, func(t *testing.T, s scene) {
		r := interv.Representation{Layer: s.site.Layer, Component: s.site.Component, Intervention: interv.LowRankRotatedSpace{Rank: 1}}
		two := func(r interv.Representation) *interv.Intervenable {
			return interv.MustNew(engine, s.model, interv.Config{Representations: []interv.Representation{r, r}})
		}
		linked := r
		linked.Link = "shared"
		if got := len(two(linked).Parameters()); got != 1 {
			t.Errorf("linked: got %d parameters, wanted 1", got)
		}
		if got := len(two(r).Parameters()); got != 2 {
			t.Errorf("unlinked: got %d parameters, wanted 2", got)
		}
	})
}

// Invariants 8 and 10: a call leaves its inputs as they were, and the same call gives the same bits again.
func TestCallsChangeNothing(t *testing.T) {
	scenes(t, func(t *testing.T, s scene) {
		iv := s.with(interv.RotatedSpace{})
		before := slices.Concat(flat(s.base["inputs_embeds"]), flat(s.source["inputs_embeds"]), flat(s.model.Weights().Tensor("score.weight")))
		units := s.units(1)
		first := flat(iv.MustRun(s.call(s.source, units, units)).Output)
		wantSame(t, "second call", flat(iv.MustRun(s.call(s.source, units, units)).Output), first)
		wantSame(t, "another Intervenable of the same seed", flat(s.with(interv.RotatedSpace{}).MustRun(s.call(s.source, units, units)).Output), first)
		after := slices.Concat(flat(s.base["inputs_embeds"]), flat(s.source["inputs_embeds"]), flat(s.model.Weights().Tensor("score.weight")))
		wantSame(t, "inputs and weights", after, before)
	})
}

// Every site is announced exactly once a position, so that every declared write fires (invariant 9): patching any one of them with
// the source's value is accepted, and the collected activation is then the source's.
func TestEverySiteCanBeWritten(t *testing.T) {
	model := gru.MustNewClassifier(gru.Config{Layers: 2, Width: 3}, 5)
	sites := model.Catalogue().All()
	if testing.Short() {
		sites = sites[:4]
	}
	base := interv.Inputs{"inputs_embeds": random(1, 2, 3, 3)}
	source := interv.Inputs{"inputs_embeds": random(2, 2, 3, 3)}
	for _, site := range sites {
		at := func(i interv.Intervention) interv.Representation {
			return interv.Representation{Layer: site.Layer, Component: site.Component, Intervention: i}
		}
		iv := interv.MustNew(engine, model, interv.Config{Representations: []interv.Representation{at(interv.Vanilla{}), at(interv.Collect{})}})
		got := iv.MustRun(interv.Call{Base: base, Sources: []interv.Inputs{source, nil},
			Locations: []*interv.Location{interv.FromTo(interv.Repeat(2, 2), interv.Repeat(2, 1)), interv.At(interv.Repeat(2, 1))}}).Collected[0].Value
		clean := interv.MustNew(engine, model, interv.Config{Representations: []interv.Representation{at(interv.Collect{})}}).
			MustRun(interv.Call{Base: source, Locations: []*interv.Location{interv.At(interv.Repeat(2, 2))}}).Collected[0].Value
		wantClose(t, site.String(), flat(got), flat(clean), 1e-6)
	}
}

// Cells 5 and 6 of the tutorial: with the last step patched the earlier ones make no difference, bit for bit, and three counts of
// units run one program.
func TestTheLastPatchedStepIsABottleneck(t *testing.T) {
	model := gru.MustNewClassifier(gru.Config{Layers: 1, Width: 2}, 42)
	s := scene{model: model, batch: 10, steps: 10, site: interv.Site{Component: gru.CellOutput},
		base: interv.Inputs{"inputs_embeds": random(1, 10, 10, 2)}}
	source := interv.Inputs{"inputs_embeds": random(2, 10, 10, 2)}
	iv := s.with(interv.Vanilla{})
	run := func(from, to []int) []float32 {
		return flat(iv.MustRun(s.call(source, interv.Repeat(10, from...), interv.Repeat(10, to...))).Output)
	}
	wantSame(t, "three steps and the last", run([]int{0, 2, 4}, []int{0, 5, 7}), run([]int{4}, []int{7}))
	wantSame(t, "two steps and the last", run([]int{0, 2}, []int{0, 5}), run([]int{2}, []int{5}))
	wantDifferent(t, run([]int{4}, []int{7}), run([]int{2}, []int{5}))
	if stats := iv.Stats(); stats.Programs != 1 {
		t.Errorf("got %v, wanted 1 program", stats)
	}
}
