package interv_test

import (
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv"
)

// A prepared call is the call: in runs and in steps of training, to the bit, whatever becomes of the caller's maps and slices.
func TestPreparedCalls(t *testing.T) {
	model, call := stretch(4, dtypes.Float32)
	iv, other := patch(model, attends, interv.LowRankRotatedSpace{Rank: 2}), patch(model, attends, interv.LowRankRotatedSpace{Rank: 2})
	call.Labels = interv.Inputs{"unused": tensors.FromScalar(float32(1))}
	want := flat(iv.MustRun(call).Output)
	prepared, err := iv.Prepare(call)
	must(t, err)
	again := call
	again.Base, again.Sources, again.Locations = embeds(call.Base["inputs_embeds"]), []interv.Inputs{embeds(call.Sources[0]["inputs_embeds"])}, []*interv.Location{call.Locations[0]}
	delete(call.Base, "inputs_embeds")
	call.Sources[0], call.Locations[0] = nil, nil
	wantSame(t, "the output", flat(prepared.MustRun().Output), want)
	ours, theirs := iv.MustTrainer(sumOfSquares, interv.Adam{Rate: 0.1}), other.MustTrainer(sumOfSquares, interv.Adam{Rate: 0.1})
	for range 3 {
		if got, wanted := ours.MustStepOn(prepared), theirs.MustStep(again); got != wanted {
			t.Errorf("got a loss of %g, wanted %g", got, wanted)
		}
	}
	wantSame(t, "the rotation", flat(iv.Parameters()["0.rotation"]), flat(other.Parameters()["0.rotation"]))
	if ours.Steps() != 3 {
		t.Errorf("got %d steps, wanted 3", ours.Steps())
	}
	_, err = theirs.StepOn(prepared)
	wanted.Refusal(t, err, "training", "prepared call", "another Intervenable")
	_, err = theirs.StepOn(nil)
	wanted.Refusal(t, err, "prepared call", "none")
	_, err = iv.Prepare(interv.Call{})
	wanted.Refusal(t, err, "locations")
}

// A call of all units in order has a program in which nothing is picked out. It computes what the other program does.
func TestAllUnitsAtOnce(t *testing.T) {
	const batch, positions, width = 2, 3, 4
	for name, r := range map[string]interv.Representation{
		"units":    {Component: attends, Intervention: interv.LowRankRotatedSpace{Rank: 2}},
		"together": {Component: attends, Intervention: interv.LowRankRotatedSpace{Rank: 5}, MaxUnits: positions},
		"heads":    {Component: headQueries, Unit: interv.Head, Intervention: interv.RotatedSpace{}},
	} {
		t.Run(name, func(t *testing.T) {
			model := newAttention(2, width, 2, positions, dtypes.Float32, 3)
			iv := interv.MustNew(engine, model, interv.Config{Representations: []interv.Representation{r}})
			units := 3
			if r.Unit == interv.Head {
				units = 2
			}
			all, turned := interv.Range(0, units), interv.Range(0, units)
			turned[0], turned[1] = 1, 0
			call := exchange(random(1, batch, positions, width), random(2, batch, positions, width), interv.Repeat(batch, all...), interv.Repeat(batch, all...))
			want := flat(iv.MustRun(call).Output)
			if name == "units" || name == "heads" { // the same pairs of units in another order: not all in order
				call.Locations = []*interv.Location{interv.FromTo(interv.Repeat(batch, turned...), interv.Repeat(batch, turned...))}
				wantClose(t, "in another order", flat(iv.MustRun(call).Output), want, 1e-6)
			}
			call.Locations = []*interv.Location{interv.Everywhere()}
			wantSame(t, "everywhere", flat(iv.MustRun(call).Output), want)
		})
	}
}
