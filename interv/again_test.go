package interv_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/interv"
)

// What a call says is what it does, whatever an earlier call at the same places has left: lists that the caller has changed since are other
// places, and an empty list is not all.
func TestCallsAfterCalls(t *testing.T) {
	if engine.Name() == "xla" {
		t.Skip("compiles a program for each call, and nothing of it depends on the backend")
	}
	const batch, positions, width = 2, 3, 4
	model := newAttention(2, width, 2, positions, dtypes.Float32, 3)
	fresh := func() *interv.Intervenable {
		return interv.MustNew(engine, model, interv.Config{Representations: []interv.Representation{
			{Component: attends, Intervention: interv.RotatedSpace{}}, {Component: headQueries, Unit: interv.HeadPosition, Intervention: interv.Vanilla{}}}})
	}
	base, other := random(1, batch, positions, width), random(2, batch, positions, width)
	call := exchange(base, other, interv.Repeat(batch, 0), interv.Repeat(batch, 1))
	at := call.Locations[0]
	heads := interv.FromTo(interv.Repeat(batch, 0), interv.Repeat(batch, 1)).Heads(interv.Repeat(batch, 1), interv.Repeat(batch, 0))
	call.Sources, call.Locations = append(call.Sources, call.Sources[0]), append(call.Locations, heads)
	call.Subspaces = [][][]int{interv.Repeat(batch, 0, 2), nil}
	iv, draw := fresh(), rand.New(rand.NewPCG(3, 0))
	for step := range 60 {
		switch draw.IntN(9) { // else the call comes again as it was
		case 0:
			if row := at.Base[draw.IntN(batch)]; len(row) > 0 {
				row[0] = draw.IntN(positions) // in place
			}
		case 1:
			heads.SourceHeads[draw.IntN(batch)][0] = draw.IntN(2)
		case 2:
			if call.Subspaces[0] != nil {
				call.Subspaces[0][draw.IntN(batch)][0] = []int{0, 1, 3}[draw.IntN(3)]
			}
		case 3:
			call.Subspaces[0] = nil
		case 4:
			call.Subspaces[0] = interv.Repeat(batch, 0, 2)
		case 5:
			example := draw.IntN(batch)
			at.Base[example], at.Source[example] = []int{}, []int{}
		case 6:
			example := draw.IntN(batch)
			at.Base[example], at.Source[example] = []int{draw.IntN(positions)}, []int{draw.IntN(positions)}
		case 7:
			call.Locations[1] = nil
		case 8:
			call.Locations[1] = heads
		}
		got, err := iv.Run(call)
		want, wrong := fresh().Run(call)
		if err != nil || wrong != nil {
			if fmt.Sprint(err) != fmt.Sprint(wrong) {
				t.Fatalf("step %d: got %v, wanted %v", step, err, wrong)
			}
			continue
		}
		wantSame(t, fmt.Sprintf("step %d, %v", step, call), flat(got.Output), flat(want.Output))
	}
}

// What a noise of another seed draws, given as activations, is its noise, in the program that there is.
func TestNoiseOfAnotherSeed(t *testing.T) {
	const batch, positions, width = 2, 3, 4
	model := newAttention(1, width, 2, positions, dtypes.Float32, 3)
	call := interv.Call{Base: embeds(random(1, batch, positions, width)), Locations: []*interv.Location{interv.At(interv.Repeat(batch, 0, 2))}}
	noisy := func(seed uint64) *interv.Intervenable {
		return interv.MustNew(engine, model, interv.Config{Representations: []interv.Representation{{Component: attends, Intervention: interv.Noise{Level: 1, Seed: seed}}}})
	}
	iv := noisy(3)
	first := flat(iv.MustRun(call).Output)
	want := flat(noisy(4).MustRun(call).Output)
	call.Activations = []*tensors.Tensor{interv.Noise{Seed: 4}.Draw(2, width)}
	got := flat(iv.MustRun(call).Output)
	wantSame(t, "seed 4", got, want)
	wantDifferent(t, got, first)
	if n := iv.Stats().Programs; n != 1 {
		t.Errorf("got %d programs, wanted 1", n)
	}
}
