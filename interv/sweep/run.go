package sweep

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"sync"
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

	progress     Progress
	path         string     // of the file of results; empty for none
	header       resultFile // what the file has besides numbers
	sources      bool       // whether it has those of sources
	begun, saved time.Time
	done, first  int // numbers measured by now, and when the run began
}

// saveEvery is how often the file of results is written anew.
const saveEvery = 2 * time.Second

// start prepares a run of a plan: it takes over what its file has.
func (c *collector) start(p *Plan) (err error) {
	c.progress, c.path = p.Progress, p.File
	if c.path != "" {
		if status, err := os.Stat(filepath.Dir(c.path)); err != nil || !status.IsDir() {
			return &interv.Error{Where: c.path, Axis: "folder", Got: "none", Wanted: "one that is there, to keep results in"}
		}
		c.header = resultFile{Format: fileFormat, Part: p.Part, Dealt: p.dealt(), Metric: p.Metric.Name(), Cells: p.cells}
		c.sources = p.measuresSources()
		if c.header.Digest, err = p.digest(); err == nil {
			err = c.resume()
		}
		if err != nil {
			return err
		}
	}
	c.begun = time.Now() // the first numbers are saved at once: where nothing can be written is known before long
	for _, row := range c.values {
		for _, v := range row {
			if !math.IsNaN(v) {
				c.first++
			}
		}
	}
	c.done = c.first
	return nil
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
	before := c.done
	for i, it := range items {
		if math.IsNaN(c.values[it.cell][it.pair]) {
			c.done++
		}
		c.values[it.cell][it.pair] = values[i]
	}
	if c.progress != nil {
		total := len(c.values) * len(c.base)
		left := time.Duration(0)
		if fresh := c.done - c.first; fresh > 0 {
			left = time.Duration(float64(time.Since(c.begun)) / float64(fresh) * float64(total-c.done))
		}
		c.progress(c.done, total, left)
	}
	if c.path == "" || c.done == before || time.Since(c.saved) < saveEvery {
		return nil
	}
	c.saved = time.Now()
	return c.save()
}

// finish writes the file of results once more, as finished if nothing went wrong.
func (c *collector) finish(err error) error {
	if c.path == "" {
		return nil
	}
	c.header.Finished = err == nil
	return c.save()
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
	if p.packed != nil {
		defer p.packed.finalize()
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
	Compiling time.Duration // by the clock, as far as it was waited for: programs are compiled side by side and while others run
	Running   time.Duration
	Flops     float64 // operations of the matrix products that no way around is known to: those of the clean runs and of what cells change
}

// measuresSources tells whether the metric is read of sources, too: one that compares with the clean run on the base is not.
func (j *job) measuresSources() bool { return j.hasSources && !interv.ReadsClean(j.Metric) }

// rates are operations a second of packed sweeps, by backend, as measured by the last of this process.
var rates sync.Map

func rateOf(backend string) float64 {
	rate, _ := rates.Load(backend)
	measured, _ := rate.(float64)
	return measured
}

// Run runs the plan; see [Run]. Programs are compiled by the first run and kept for those after it.
func (p *Plan) Run(ctx context.Context) (*Result, error) {
	out := newCollector(len(p.cells), p.extent.Batch)
	if err := out.start(p); err != nil {
		return nil, interv.Within("sweep", err)
	}
	r := &Result{Cells: p.cells, Values: out.values, Base: out.base, Metric: p.Metric.Name()}
	if p.measuresSources() {
		r.Source = out.source
	}
	run := p.runPacked
	if p.packed == nil {
		run = p.runBatched
	}
	r.Corrupted = floats(out.header.Corrupted)
	if out.header.Finished {
		return r, nil
	}
	if err := context.Cause(ctx); err != nil {
		return r, err
	}
	if p.Corrupt != nil {
		var err error
		if r.Corrupted, err = p.corrupted(&r.Stats); err != nil {
			return r, interv.Within("sweep, corruption", err)
		}
		out.header.Corrupted = numbers(r.Corrupted)
	}
	err := run(ctx, out, &r.Stats)
	return r, errors.Join(err, out.finish(err))
}

func (p *Plan) runBatched(ctx context.Context, out *collector, stats *Stats) error {
	begun := time.Now()
	count := func(sign int) { // of programs that are kept for the next run
		for _, iv := range []*interv.Intervenable{p.batch.iv, p.batch.clean} {
			stats.Programs += sign * iv.Stats().Programs
			stats.Compiling += time.Duration(sign) * iv.Stats().Compiling
		}
	}
	count(-1)
	err := p.batch.run(ctx, out)
	count(1)
	stats.Running = time.Since(begun) - stats.Compiling
	return err
}

func (p *Plan) runPacked(ctx context.Context, out *collector, stats *Stats) error {
	begun := time.Now()
	stats.Flops = p.packed.flops()
	compiles := p.packed.finish == nil
	if compiles {
		if err := p.packed.compile(); err != nil {
			return err
		}
		stats.Compiling = time.Since(begun)
	}
	err := p.packed.run(ctx, out)
	if compiles {
		for _, q := range p.packed.programs() {
			stats.Programs++
			stats.Compiling += q.Waited
		}
	}
	if stats.Running = time.Since(begun) - stats.Compiling; err == nil && out.first == 0 {
		rates.Store(p.backend.Name(), 2*p.packed.costs.multiplications*p.packed.work(p.packed.costs)/stats.Running.Seconds())
	}
	return err
}
