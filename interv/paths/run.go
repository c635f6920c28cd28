package paths

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gomlx/compute"

	"github.com/govene/govene/internal/plural"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/sweep"
)

// item is a sender in a pair.
type item struct{ sender, pair int }

// A way to run paths fills values of the result, [sender][pair], and what clean runs say.
type way interface {
	run(ctx context.Context, result *sweep.Result) error
	explain(w *strings.Builder)
}

// Plan is paths that have been checked against a model, with all that will be done: nothing has been compiled or run yet.
type Plan struct {
	job *job
	way way
}

// Plan checks all paths against a model and lays them out.
func (p Paths) Plan(backend compute.Backend, model interv.Model) (*Plan, error) {
	j, err := p.check(backend, model)
	if err != nil {
		return nil, interv.Within("paths", err)
	}
	plan, err := j.plan()
	return plan, interv.Within("paths", err)
}

// plan lays paths out: piece by piece of a model that is made of blocks, else as batches.
func (j *job) plan() (p *Plan, err error) {
	p = &Plan{job: j}
	if blocks, ok := j.model.(interv.Blocks); ok && !j.inBatches {
		p.way, err = j.newStack(blocks)
	} else {
		p.way, err = j.newBatched()
	}
	return p, err
}

// Explain says what running the plan will do: senders and receivers, the way that is taken, programs and how many times they run, at most how
// many operations that is, and the memory besides the weights.
func (p *Plan) Explain() string {
	var b strings.Builder
	j := p.job
	fmt.Fprintf(&b, "%s × %s = %s, each read by %s\n", plural.Of(len(j.senders), "sender"), plural.Of(j.extent.Batch, "pair"), plural.Of(len(j.senders)*j.extent.Batch, "path"), j.Metric.Name())
	for _, r := range j.receivers {
		fmt.Fprintf(&b, "  into %s", r.Site)
		if r.heads != nil {
			fmt.Fprintf(&b, ", heads %v", r.heads)
		}
		fmt.Fprintln(&b)
	}
	p.way.explain(&b)
	return b.String()
}

// String is what Explain says.
func (p *Plan) String() string { return p.Explain() }

// Run runs the plan; see [Run].
func (p *Plan) Run(ctx context.Context) (*sweep.Result, error) {
	result, err := p.run(ctx)
	return result, interv.Within("paths", err)
}

func (p *Plan) run(ctx context.Context) (*sweep.Result, error) {
	begun, j := time.Now(), p.job
	result := &sweep.Result{Cells: j.Senders, Metric: j.Metric.Name(), Base: make([]float64, j.extent.Batch), Source: make([]float64, j.extent.Batch)}
	for range j.senders {
		result.Values = append(result.Values, make([]float64, j.extent.Batch))
	}
	if err := p.way.run(ctx, result); err != nil {
		return nil, err
	}
	if interv.ReadsClean(j.Metric) { // of a source, it would compare with the source itself
		result.Source = nil
	}
	result.Stats.Running = time.Since(begun) - result.Stats.Compiling
	return result, nil
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
