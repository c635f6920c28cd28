package paths

import (
	"context"

	"github.com/gomlx/compute"

	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/sweep"
)

// RunInBatches is Run as for a model that is not made of blocks.
func RunInBatches(backend compute.Backend, model interv.Model, p Paths) (*sweep.Result, error) {
	j, err := p.check(backend, model)
	if err != nil {
		return nil, err
	}
	j.inBatches = true
	plan, err := j.plan()
	if err != nil {
		return nil, err
	}
	return plan.Run(context.Background())
}
