package interv

import (
	"maps"
	"slices"

	"github.com/govene/govene/internal/must"
)

// Prepared is a call that has been checked, with its tensors on the device: made once for calls that are made many times, as in the epochs
// of training. It shares the call's tensors, which must not be changed, and nothing else with it.
type Prepared struct {
	iv    *Intervenable
	bound *bound
}

// Prepare checks a call and moves what it needs to the device.
func (iv *Intervenable) Prepare(call Call) (*Prepared, error) {
	call.Base, call.Labels = maps.Clone(call.Base), maps.Clone(call.Labels)
	call.Sources, call.Activations, call.Locations = slices.Clone(call.Sources), slices.Clone(call.Activations), slices.Clone(call.Locations)
	for i, source := range call.Sources {
		call.Sources[i] = maps.Clone(source)
	}
	b, err := iv.bind(call)
	if err != nil {
		return nil, err
	}
	return &Prepared{iv, b}, b.upload(iv.backend)
}

// MustPrepare is Prepare that panics on an error.
func (iv *Intervenable) MustPrepare(call Call) *Prepared { return must.Of(iv.Prepare(call)) }

// Run makes the call, as [Intervenable.Run] does.
func (p *Prepared) Run() (*Result, error) {
	result, _, err := p.iv.runBound(p.bound, nil, nil)
	return result, err
}

// MustRun is Run that panics on an error.
func (p *Prepared) MustRun() *Result { return must.Of(p.Run()) }
