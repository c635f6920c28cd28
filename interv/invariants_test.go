package interv_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/gru"
)

// The invariants that hold for every model and config (ARCHITECTURE.md, Semantics), on random shapes, sites and locations of a recurrent
// model and of one with attention, in turn. The seeds are fixed. Each case compiles programs of its own, which costs XLA seconds and the Go
// backend milliseconds.

// Invariant 1: patching a site with its own clean activation changes nothing, bit for bit.
func TestPatchingWithItselfChangesNothing(t *testing.T) {
	scenes(t, func(t *testing.T, s scene) {
		iv := s.with(interv.Vanilla{})
		for _, l := range []*interv.Location{onto(s.location()), interv.Everywhere()} {
			call := s.call(s.base, l)
			call.WithBase = true
			result := iv.MustRun(call)
			wantSame(t, "counterfactual", flat(result.Output), flat(result.BaseOutput))
		}
	})
}

// Invariant 2: patching the whole output of the top layer gives the source's output.
func TestPatchingEverythingGivesTheSource(t *testing.T) {
	scenes(t, func(t *testing.T, s scene) {
		top := interv.Site{Component: blockOutput}
		if _, recurrent := s.model.(*gru.Model); recurrent {
			top.Component = gru.CellOutput
		}
		for _, site := range s.model.Catalogue().All() {
			if site.Component == top.Component {
				top = site
			}
		}
		iv := s.at(top).with(interv.Vanilla{})
		wantClose(t, "counterfactual", flat(iv.MustRun(s.call(s.source, interv.Everywhere())).Output), flat(iv.MustForward(s.source)), 1e-6)
	})
}

// Invariant 3: rotated space of full rank equals vanilla, low rank of full rank too; rotations stay orthonormal in training.
func TestFullRankEqualsVanilla(t *testing.T) {
	scenes(t, func(t *testing.T, s scene) {
		s = s.rotatable()
		call := s.call(s.source, s.location())
		want := flat(s.with(interv.Vanilla{}).MustRun(call).Output)
		for _, intervention := range []interv.Intervention{interv.RotatedSpace{}, interv.LowRankRotatedSpace{Rank: s.sites.Width}} {
			iv := s.with(intervention)
			wantClose(t, intervention.Name(), flat(iv.MustRun(call).Output), want, 1e-5)
			trainer := iv.MustTrainer(sumOfSquares, interv.Adam{Rate: 0.1})
			for range 20 {
				trainer.MustStep(call)
			}
			wantOrthonormal(t, iv.Parameters()["0.rotation"])
			wantClose(t, intervention.Name()+" after training", flat(iv.MustRun(call).Output), want, 1e-5)
		}
	})
}

// Invariant 4: example i is affected only by row i of everything: shuffle the batch, and outputs shuffle along; run it alone, and it is
// the same.
func TestExamplesDoNotMeet(t *testing.T) {
	scenes(t, func(t *testing.T, s scene) {
		l := s.location()
		iv := s.with(interv.Vanilla{})
		want := flat(iv.MustRun(s.call(s.source, l)).Output)
		part := len(want) / s.batch
		of := func(order []int) []float32 {
			return flat(iv.MustRun(interv.Call{Base: embeds(reorder(s.base["inputs_embeds"], order)),
				Sources: []interv.Inputs{embeds(reorder(s.source["inputs_embeds"], order))},
				Locations: []*interv.Location{{Source: rowsOf(l.Source, order), Base: rowsOf(l.Base, order),
					SourceHeads: rowsOf(l.SourceHeads, order), BaseHeads: rowsOf(l.BaseHeads, order)}}}).Output)
		}
		order := s.random.Perm(s.batch)
		shuffled := of(order)
		for i, original := range order {
			wantClose(t, fmt.Sprint("shuffled, example ", original), shuffled[i*part:(i+1)*part], want[original*part:(original+1)*part], 1e-6)
			wantClose(t, fmt.Sprint("alone, example ", i), of([]int{i}), want[i*part:(i+1)*part], 1e-6)
		}
	})
}

// Invariant 5: at one site edits compound in config order, and a collect sees those listed before it.
func TestEditsCompoundInConfigOrder(t *testing.T) {
	scenes(t, func(t *testing.T, s scene) {
		iv := s.with(interv.Collect{}, interv.Zero{}, interv.Addition{}, interv.Collect{}, interv.Subtraction{}, interv.Collect{})
		both := onto(s.location())
		base := write(both)
		result := iv.MustRun(interv.Call{Base: s.base, Sources: []interv.Inputs{nil, nil, s.source, nil, s.source, nil},
			Locations: []*interv.Location{base, base, both, base, both, base}})
		source := s.with(interv.Collect{}).MustRun(interv.Call{Base: s.source, Locations: []*interv.Location{base}}).Collected[0].Value
		wantSame(t, "after zero and addition", flat(result.Collected[1].Value), flat(source))
		wantSame(t, "after subtraction", flat(result.Collected[2].Value), make([]float32, source.Size()))
		wantDifferent(t, flat(result.Collected[0].Value), flat(result.Collected[2].Value))
	})
}

// Invariant 6: linked interventions share parameters; unlinked ones do not.
func TestLinksShareParameters(t *testing.T) {
	scenes(t, func(t *testing.T, s scene) {
		r := s.rotatable().representation(interv.LowRankRotatedSpace{Rank: 1})
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

// Invariant 7: a unit that is not located keeps its value, bit for bit.
func TestUnitsThatAreNotLocatedKeepTheirValue(t *testing.T) {
	scenes(t, func(t *testing.T, s scene) {
		s = s.rotatable()
		if s.sites.Heads == 0 {
			s.unit = s.sites.Units[0]
		}
		for _, intervention := range []interv.Intervention{interv.Vanilla{}, interv.LowRankRotatedSpace{Rank: 1}} {
			from, to := s.lists(s.positions)
			if s.sites.Heads > 0 {
				s.unit = interv.Position
			}
			iv := s.with(interv.Collect{}, intervention, interv.Collect{})
			all := interv.Everywhere()
			got := iv.MustRun(interv.Call{Base: s.base, Sources: []interv.Inputs{nil, s.source, nil},
				Locations: []*interv.Location{all, interv.FromTo(from, to), all}}).Collected
			before, after := flat(got[0].Value), flat(got[1].Value)
			for k := range before {
				position := k / s.sites.Width % s.positions
				example := k / (len(before) / s.batch)
				if !slices.Contains(to[example], position) && before[k] != after[k] {
					t.Fatalf("%s: example %d, position %d is not located and went from %g to %g", intervention.Name(), example, position, before[k], after[k])
				}
			}
			wantDifferent(t, before, after)
		}
	})
}

// Invariants 8 and 10: a call leaves its inputs as they were, and the same call gives the same bits again.
func TestCallsChangeNothing(t *testing.T) {
	scenes(t, func(t *testing.T, s scene) {
		s = s.rotatable()
		iv := s.with(interv.RotatedSpace{})
		weight := s.model.Weights().Names()[0]
		state := func() []float32 {
			return slices.Concat(flat(s.base["inputs_embeds"]), flat(s.source["inputs_embeds"]), flat(s.model.Weights().Tensor(weight)))
		}
		before := state()
		call := s.call(s.source, s.location())
		first := flat(iv.MustRun(call).Output)
		wantSame(t, "second call", flat(iv.MustRun(call).Output), first)
		wantSame(t, "another Intervenable of the same seed", flat(s.with(interv.RotatedSpace{}).MustRun(call).Output), first)
		wantSame(t, "inputs and weights", state(), before)
	})
}

// Invariant 9: every declared write fires: with every site of a model patched with the source's value, each is the source's.
func TestEverySiteCanBeWritten(t *testing.T) {
	layers := 2
	if slow {
		layers = 1
	}
	for _, model := range []interv.Model{
		gru.MustNewClassifier(gru.Config{Layers: layers, Width: 3}, 5), newAttention(layers, 3, 2, 2, dtypes.Float32, 5),
	} {
		t.Run(model.Catalogue().Model, func(t *testing.T) {
			base, source := embeds(random(1, 2, 3, 3)), embeds(random(2, 2, 3, 3))
			var patched, clean interv.Config
			call := interv.Call{Base: base}
			sites := model.Catalogue().All()
			for _, site := range sites {
				at := func(i interv.Intervention) interv.Representation {
					return interv.Representation{Layer: site.Layer, Component: site.Component, Intervention: i}
				}
				patched.Representations = append(patched.Representations, at(interv.Vanilla{}), at(interv.Collect{}))
				clean.Representations = append(clean.Representations, at(interv.Collect{}))
				call.Sources = append(call.Sources, source, nil)
				call.Locations = append(call.Locations, interv.Everywhere(), interv.Everywhere())
			}
			got := interv.MustNew(engine, model, patched).MustRun(call).Collected
			want := interv.MustNew(engine, model, clean).MustRun(interv.Call{Base: source, Locations: call.Locations[:len(sites)]}).Collected
			for i, site := range sites {
				wantClose(t, site.String(), flat(got[i].Value), flat(want[i].Value), 1e-6)
			}
		})
	}
}

// Places counted from the end, lists of all units and the word everywhere mean the same places, and run the same program.
func TestWaysToNameThePlaces(t *testing.T) {
	scenes(t, func(t *testing.T, s scene) {
		iv := s.with(interv.Vanilla{})
		run := func(l *interv.Location) []float32 { return flat(iv.MustRun(s.call(s.source, l)).Output) }
		all := interv.FromTo(interv.Repeat(s.batch, upTo(s.positions)...), interv.Repeat(s.batch, upTo(s.positions)...))
		heads := interv.Repeat(s.batch, upTo(s.sites.Heads)...)
		switch s.unit {
		case interv.Head:
			all = interv.FromTo(heads, heads)
		case interv.HeadPosition:
			all = all.Heads(heads, heads)
		}
		wantSame(t, "everywhere", run(interv.Everywhere()), run(all))
		some := s.location()
		if s.unit != interv.Head {
			fromTheEnd := *some
			for _, side := range []*[][]int{&fromTheEnd.Source, &fromTheEnd.Base} {
				var rows [][]int
				for _, row := range *side {
					var negative []int
					for _, p := range row {
						negative = append(negative, p-s.positions)
					}
					rows = append(rows, negative)
				}
				*side = rows
			}
			wantSame(t, "from the end", run(&fromTheEnd), run(some))
		}
		if stats := iv.Stats(); stats.Programs != 1 {
			t.Errorf("got %v, wanted 1 program", stats)
		}
	})
}

// A chain in serial mode is a row of calls: what one makes of a run is read by the next.
func TestSerialModeIsARowOfCalls(t *testing.T) {
	scenes(t, func(t *testing.T, s scene) {
		chain := interv.Config{Mode: interv.Serial, Representations: []interv.Representation{s.representation(interv.Vanilla{}), s.representation(interv.Addition{})}}
		first, second := s.location(), s.location()
		middle := embeds(random(300, s.base["inputs_embeds"].Shape().Dimensions...))
		got := interv.MustNew(engine, s.model, chain).MustRun(interv.Call{Base: s.base, Sources: []interv.Inputs{s.source, middle},
			Locations: []*interv.Location{first, second}})
		read := &interv.Location{Base: second.Source, BaseHeads: second.SourceHeads}
		edited := s.with(interv.Vanilla{}, interv.Collect{}).MustRun(interv.Call{Base: middle, Sources: []interv.Inputs{s.source, nil},
			Locations: []*interv.Location{first, read}})
		want := s.with(interv.Addition{}).MustRun(interv.Call{Base: s.base, Locations: []*interv.Location{write(second)},
			Activations: []*tensors.Tensor{edited.Collected[0].Value}})
		wantClose(t, "chain", flat(got.Output), flat(want.Output), 1e-6)
	})
}

// A group reads one source; without groups the same source is given once for each, and run once.
func TestGroupsShareASource(t *testing.T) {
	scenes(t, func(t *testing.T, s scene) {
		other := s.at(pick(s.random, s.model.Catalogue().All()))
		one, two := s.representation(interv.Vanilla{}), other.representation(interv.Addition{})
		locations := []*interv.Location{s.location(), other.location()}
		apart := interv.MustNew(engine, s.model, interv.Config{Representations: []interv.Representation{one, two}})
		want := apart.MustRun(interv.Call{Base: s.base, Sources: []interv.Inputs{s.source, s.source}, Locations: locations})
		one.Group, two.Group = "both", "both"
		grouped := interv.MustNew(engine, s.model, interv.Config{Representations: []interv.Representation{one, two}})
		got := grouped.MustRun(interv.Call{Base: s.base, Sources: []interv.Inputs{s.source}, Locations: locations})
		wantSame(t, "grouped", flat(got.Output), flat(want.Output))
	})
}

// Cells 5 and 6 of the tutorial: with the last step patched the earlier ones make no difference, bit for bit, and three counts of
// units run one program.
func TestTheLastPatchedStepIsABottleneck(t *testing.T) {
	model := gru.MustNewClassifier(gru.Config{Layers: 1, Width: 2}, 42)
	iv := patch(model, gru.CellOutput, interv.Vanilla{})
	base, source := random(1, 10, 10, 2), random(2, 10, 10, 2)
	run := func(from, to []int) []float32 {
		return flat(iv.MustRun(exchange(base, source, interv.Repeat(10, from...), interv.Repeat(10, to...))).Output)
	}
	wantSame(t, "three steps and the last", run([]int{0, 2, 4}, []int{0, 5, 7}), run([]int{4}, []int{7}))
	wantSame(t, "two steps and the last", run([]int{0, 2}, []int{0, 5}), run([]int{2}, []int{5}))
	wantDifferent(t, run([]int{4}, []int{7}), run([]int{2}, []int{5}))
	if stats := iv.Stats(); stats.Programs != 1 {
		t.Errorf("got %v, wanted 1 program", stats)
	}
}

// The noise of an example's units is numbered within the example: how many units others have makes no difference.
func TestNoiseBelongsToTheExample(t *testing.T) {
	model := newAttention(1, 3, 2, 3, dtypes.Float32, 1)
	iv := interv.MustNew(engine, model, interv.Config{Representations: []interv.Representation{
		{Component: headMixed, Unit: interv.HeadPosition, Intervention: interv.Noise{Level: 1, Seed: 3}}}})
	base := random(1, 2, 4, 3)
	run := func(base *tensors.Tensor, positions ...[]int) []float32 {
		both := interv.Repeat(len(positions), 0, 1)
		return flat(iv.MustRun(interv.Call{Base: embeds(base), Locations: []*interv.Location{interv.At(positions).Heads(nil, both)}}).Output)
	}
	together := run(base, []int{2}, []int{0, 1, 3})
	alone := slices.Concat(run(reorder(base, []int{0}), []int{2}), run(reorder(base, []int{1}), []int{0, 1, 3}))
	wantClose(t, "outputs", together, alone, 1e-6)
	wantDifferent(t, together, flat(iv.MustForward(embeds(base))))
}

// Units that are taken together may lie differently in each example, and an example may have none: a rotation of full rank is then vanilla,
// and a mask is the feature's, unit by unit.
func TestUnitsTogetherNeedNotLieAlike(t *testing.T) {
	model := newAttention(1, 4, 2, 3, dtypes.Float32, 1)
	call := exchange(random(1, 3, 3, 4), random(2, 3, 3, 4), [][]int{{2}, {0, 1}, {}}, [][]int{{1}, {0, 2}, {}})
	call.Locations[0] = call.Locations[0].Heads([][]int{{1, 0}, {1}, {}}, [][]int{{0, 1}, {0}, {}})
	with := func(intervention interv.Intervention, together int) *interv.Intervenable {
		return interv.MustNew(engine, model, interv.Config{Representations: []interv.Representation{
			{Component: headValues, Unit: interv.HeadPosition, Intervention: intervention, MaxUnits: together}}})
	}
	want := flat(with(interv.Vanilla{}, 0).MustRun(call).Output)
	wantDifferent(t, want, flat(with(interv.Vanilla{}, 0).MustForward(call.Base)))
	wantClose(t, "rotated", flat(with(interv.RotatedSpace{}, 2).MustRun(call).Output), want, 1e-5)

	first := exchange(call.Base["inputs_embeds"], call.Sources[0]["inputs_embeds"], [][]int{{0}, {0, 1}, {}}, [][]int{{0}, {0, 2}, {}})
	first.Locations[0] = first.Locations[0].Heads([][]int{{0, 1}, {1}, {}}, [][]int{{0, 1}, {0}, {}})
	wantClose(t, "from the first unit of all to the first", flat(with(interv.RotatedSpace{}, 2).MustRun(first).Output),
		flat(with(interv.Vanilla{}, 0).MustRun(first).Output), 1e-5)

	masked := with(interv.SigmoidMask{}, 2)
	must(t, masked.SetParameters(map[string]*tensors.Tensor{"0.mask": tensors.FromValue([]float32{9, 9, 9, -9, -9, -9})}))
	first = exchange(call.Base["inputs_embeds"], call.Sources[0]["inputs_embeds"], [][]int{{2}, {0}, {}}, [][]int{{1}, {0}, {}})
	first.Locations[0] = first.Locations[0].Heads([][]int{{1}, {1}, {}}, [][]int{{0}, {0}, {}})
	wantClose(t, "the first of both units", flat(masked.MustRun(call).Output), flat(with(interv.Vanilla{}, 0).MustRun(first).Output), 1e-5)

	call.Locations[0].Base[0] = []int{1, 2}
	_, err := masked.Run(call)
	wanted.Refusal(t, err, "base locations of example 0", "4 units", "2, the max units", "or none")
}

// What is handed in or out of an Intervenable is a copy: writing into it changes no call.
func TestParametersAreCopies(t *testing.T) {
	model, call := stretch(2, dtypes.Float32)
	iv := patch(model, attends, interv.RotatedSpace{})
	given := iv.Parameters()
	must(t, iv.SetParameters(given))
	call.Subspaces = [][][]int{interv.Repeat(2, 0)}
	before := flat(iv.MustRun(call).Output)
	for _, value := range []*tensors.Tensor{given["0.rotation"], iv.Parameters()["0.rotation"]} {
		tensors.MustMutableFlatData(value, func(flat []float32) { flat[0] = 100 })
	}
	wantSame(t, "the output", flat(iv.MustRun(call).Output), before)
}

// What is collected of examples with different counts of units tells units from what fills in.
func TestVectorsAreTheUnitsCollected(t *testing.T) {
	model := newAttention(1, 4, 2, 3, dtypes.Float32, 1)
	base := random(1, 2, 3, 4)
	all := numbers(read(model, headValues, base)) // [2, 2, 3, 3]
	iv := interv.MustNew(engine, model, interv.Config{Representations: []interv.Representation{
		{Component: headValues, Unit: interv.HeadPosition, Intervention: interv.Collect{}}}})
	location := interv.At([][]int{{2}, {0, 1}}).Heads(nil, [][]int{{0, 1}, {1}})
	got := iv.MustRun(interv.Call{Base: embeds(base), Locations: []*interv.Location{location}}).Collected[0].Vectors()
	var want []float64
	for _, row := range []int{2, 3 + 2, 6 + 3, 6 + 3 + 1} { // (example · 2 + head) · 3 + position
		want = append(want, all[row*3:row*3+3]...)
	}
	if got.Shape().Dim(0) != 4 || !slices.Equal(numbers(got), want) {
		t.Errorf("got %v, wanted %v", got, want)
	}
}

// Gradients of the model are programs of the Gradients they come from, however often they are asked for.
func TestGradientsOfModelShareTheirPrograms(t *testing.T) {
	model, call := stretch(2, dtypes.Float32)
	iv := patch(model, attends, interv.RotatedSpace{})
	gradient := iv.Gradient(sumOfSquares)
	gradient.MustRun(call)
	for range 3 {
		gradient.OfModel().MustRun(call)
	}
	if got := iv.Stats().Programs; got != 2 {
		t.Errorf("got %d programs, wanted one of each kind", got)
	}
}

// Calls of every kind share an Intervenable, one after the other and back again: each gives what it gives alone, whichever programs there
// are by then.
func TestCallsOfEveryKindShareAnIntervenable(t *testing.T) {
	model := newAttention(1, 4, 2, 3, dtypes.Float32, 1)
	config := interv.Config{Representations: []interv.Representation{
		{Component: attends, Intervention: interv.Vanilla{}, Group: "one"},
		{Component: blockOutput, Intervention: interv.LowRankRotatedSpace{Rank: 3}, Group: "one"},
		{Component: blockOutput, Intervention: interv.Collect{}}}}
	base, source, location := embeds(random(1, 2, 3, 4)), embeds(random(2, 2, 3, 4)), interv.FromTo(interv.Repeat(2, 0), interv.Repeat(2, 2))
	both := interv.FromTo(interv.Repeat(2, 0, 1), interv.Repeat(2, 2, 1))
	call := func(first, second, collect *interv.Location, change func(c *interv.Call)) interv.Call {
		c := interv.Call{Base: base, Sources: []interv.Inputs{source, nil}, Locations: []*interv.Location{first, second, collect}}
		if change != nil {
			change(&c)
		}
		return c
	}
	given := func(dimensions ...int) func(c *interv.Call) {
		return func(c *interv.Call) {
			c.Sources, c.Activations = nil, []*tensors.Tensor{random(3, dimensions...), random(4, dimensions...), nil}
			c.Locations = []*interv.Location{write(location), write(location), nil}
		}
	}
	calls := []interv.Call{
		call(location, location, nil, nil),
		call(both, location, nil, nil),
		call(location, both, nil, nil),
		call(interv.Everywhere(), nil, nil, nil),
		call(nil, location, nil, nil),
		call(location, location, write(both), nil),
		call(location, location, write(both), func(c *interv.Call) { c.Subspaces = [][][]int{nil, nil, interv.Repeat(2, 3, 1)} }),
		call(location, location, nil, func(c *interv.Call) { c.WithBase = true }),
		call(location, location, nil, func(c *interv.Call) { c.Subspaces = [][][]int{interv.Repeat(2, 1), nil, nil} }),
		call(location, location, nil, func(c *interv.Call) { c.Subspaces = [][][]int{nil, {{2}, {0, 1}}, nil} }),
		call(location, location, nil, func(c *interv.Call) { c.Sources = []interv.Inputs{embeds(random(5, 2, 4, 4)), nil} }),
		call(location, location, nil, func(c *interv.Call) { c.Sources = []interv.Inputs{base, nil} }),
		call(nil, nil, nil, given(4)),
		call(nil, nil, nil, given(1, 4)),
		call(nil, nil, nil, given(2, 1, 4)),
	}
	shared := interv.MustNew(engine, model, config)
	for range 2 {
		for i, c := range calls {
			got, want := shared.MustRun(c), interv.MustNew(engine, model, config).MustRun(c)
			wantSame(t, fmt.Sprint("output of call ", i), flat(got.Output), flat(want.Output))
			if (got.BaseOutput != nil) != c.WithBase || len(got.Collected) != len(want.Collected) {
				t.Fatalf("call %d: got %v, wanted %v", i, got, want)
			}
			for k := range want.Collected {
				wantSame(t, fmt.Sprint("collected in call ", i), flat(got.Collected[k].Value), flat(want.Collected[k].Value))
			}
		}
	}
	// Labels may change their type.
	gradient := shared.Gradient(func(o interv.Outcome) *Node {
		return ReduceAllSum(Mul(o.Output, ConvertDType(o.Labels["wanted"], dtypes.Float32)))
	})
	label := func(wanted any) []float32 {
		return flat(gradient.MustRun(call(location, location, nil, func(c *interv.Call) {
			c.Labels = interv.Inputs{"wanted": tensors.MustFromAnyValue(wanted)}
		})).Gradients["1.rotation"])
	}
	wantSame(t, "gradient for integers", label([][][]int32{{{1, 0, 3}}}), label([][][]float32{{{1, 0, 3}}}))
}
