package sweep

import (
	"context"
	"math"
	"time"

	"github.com/gomlx/compute"

	"github.com/govene/govene/internal/must"
	"github.com/govene/govene/interv"
)

// item is a cell of a pair.
type item struct{ cell, pair int }

// collector keeps what has been measured so far; NaN is what has not.
type collector struct {
	values       [][]float64 // [cell][pair]
	base, source []float64   // [pair]
}

func newCollector(cells, pairs int) *collector {
	missing := func() []float64 {
		list := make([]float64, pairs)
		for i := range list {
			list[i] = math.NaN()
		}
		return list
	}
	c := &collector{base: missing(), source: missing()}
	for range cells {
		c.values = append(c.values, missing())
	}
	return c
}

func (c *collector) has(items []item) bool {
	for _, it := range items {
		if math.IsNaN(c.values[it.cell][it.pair]) {
			return false
		}
	}
	return true
}

func (c *collector) measured(pairs []int) bool {
	for _, pair := range pairs {
		if math.IsNaN(c.base[pair]) {
			return false
		}
	}
	return true
}

func (c *collector) take(items []item, values []float64) error {
	for i, it := range items {
		c.values[it.cell][it.pair] = values[i]
	}
	return nil
}

// Plan is a sweep that has been checked against a model, with all that will be done: nothing has been compiled or run yet.
type Plan struct {
	*job
	packed *packed // nil for batches
	batch  *batched
	why    string // it is not packed
}

// Plan checks all of a sweep against a model and lays it out.
func (s Sweep) Plan(backend compute.Backend, model interv.Model) (*Plan, error) {
	j, err := s.check(backend, model)
	if err != nil {
		return nil, interv.Within("sweep", err)
	}
	p := &Plan{job: j}
	if p.packed, p.why, err = newPacked(j); err == nil && p.packed == nil {
		p.batch, err = newBatched(j)
	}
	return p, interv.Within("sweep", err)
}

// Run runs a sweep. Cancelled by its context, it returns what it has measured so far along with the error.
func Run(ctx context.Context, backend compute.Backend, model interv.Model, s Sweep) (*Result, error) {
	p, err := s.Plan(backend, model)
	if err != nil {
		return nil, err
	}
	return p.Run(ctx)
}

// MustRun is Run, never cancelled, that panics on an error.
func MustRun(backend compute.Backend, model interv.Model, s Sweep) *Result {
	return must.Of(Run(context.Background(), backend, model, s))
}

// Stats tells what a sweep has taken.
type Stats struct {
	Programs  int           // compiled
	Compiling time.Duration // by the clock: programs are compiled side by side
	Running   time.Duration
	Flops     float64 // operations of the matrix products that no way around is known to: those of the clean runs and of what cells change
}

// Run runs the plan; see [Run].
func (p *Plan) Run(ctx context.Context) (*Result, error) {
	out := newCollector(len(p.cells), p.extent.Batch)
	r := &Result{Cells: p.cells, Values: out.values, Base: out.base, Metric: p.Metric.Name()}
	if p.hasSources {
		r.Source = out.source
	}
	begun := time.Now()
	if p.packed == nil {
		err := p.batch.run(ctx, out)
		for _, iv := range []*interv.Intervenable{p.batch.iv, p.batch.clean} {
			r.Stats.Programs += iv.Stats().Programs
			r.Stats.Compiling += iv.Stats().Compiling
		}
		r.Stats.Running = time.Since(begun) - r.Stats.Compiling
		return r, err
	}
	if err := p.packed.compile(); err != nil {
		return nil, err
	}
	defer p.packed.finalize()
	r.Stats = Stats{Programs: 2 + len(p.packed.block), Compiling: time.Since(begun), Flops: p.packed.flops()}
	begun = time.Now()
	err := p.packed.run(ctx, out)
	r.Stats.Running = time.Since(begun)
	return r, err
}
