package paths

import (
	"context"
	"slices"
	"time"

	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/sweep"
)

// item is a sender in a pair.
type item struct{ sender, pair int }

// A plan is a way to run paths: it fills values of the result, [sender][pair], and what clean runs say.
type plan interface {
	run(ctx context.Context, result *sweep.Result) error
}

// run makes all runs: piece by piece of a model that is made of blocks, else as batches.
func (j *job) run(ctx context.Context) (*sweep.Result, error) {
	begun := time.Now()
	result := &sweep.Result{Cells: j.Senders, Metric: j.Metric.Name(), Base: make([]float64, j.extent.Batch), Source: make([]float64, j.extent.Batch)}
	for range j.senders {
		result.Values = append(result.Values, make([]float64, j.extent.Batch))
	}
	plan, err := j.plan()
	if err == nil {
		err = plan.run(ctx, result)
	}
	if err != nil {
		return nil, err
	}
	if interv.ReadsClean(j.Metric) { // of a source, it would compare with the source itself
		result.Source = nil
	}
	result.Stats.Running = time.Since(begun) - result.Stats.Compiling
	return result, nil
}

func (j *job) plan() (plan, error) {
	if blocks, ok := j.model.(interv.Blocks); ok && !j.inBatches {
		return j.newStack(blocks)
	}
	return j.newBatched()
}

// items lists the senders in some pairs, those of low layers first.
func (j *job) items(pairs []int) (list []item) {
	order := interv.Range(0, len(j.senders))
	slices.SortStableFunc(order, func(a, b int) int { return j.senders[a].entry() - j.senders[b].entry() })
	for _, sender := range order {
		for _, pair := range pairs {
			list = append(list, item{sender, pair})
		}
	}
	return list
}
