package sweep

import (
	"fmt"
	"strings"
	"time"

	"github.com/govene/govene/internal/estimate"
)

// Explain says what running the plan will do: cells and runs, the way that is taken and why, programs, what one holds and how many times
// it runs, the operations that have to be done and how many will be, and the memory besides the weights.
func (p *Plan) Explain() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d cells × %d pairs = %d runs, each read by %s\n", len(p.cells), p.extent.Batch, len(p.cells)*p.extent.Batch, p.Metric.Name())
	for _, s := range p.slots {
		fmt.Fprintf(&b, "  %s of %s", s.intervention.Name(), s.component)
		switch {
		case s.tables != nil && s.from == FromMean:
			fmt.Fprint(&b, ", reading means")
		case s.tables != nil:
			fmt.Fprint(&b, ", reading given vectors")
		case s.from != "":
			fmt.Fprintf(&b, ", reading the %s", s.from)
		}
		fmt.Fprintln(&b)
	}
	if p.packed == nil {
		p.batch.explain(&b, p.why)
	} else {
		p.packed.explain(&b)
	}
	return b.String()
}

// String is what Explain says.
func (p *Plan) String() string { return p.Explain() }

func (b *batched) explain(w *strings.Builder, why string) {
	items := len(b.cells) * b.extent.Batch
	fmt.Fprintf(w, "in batches, since %s\n", why)
	fmt.Fprintf(w, "2 programs: the clean runs; batches of %d runs, patched in %d places\n", b.rows-1, len(b.at))
	fmt.Fprintf(w, "%d batches\n", (items+b.rows-2)/(b.rows-1))
	b.explainMemory(w, b.rows*b.bytes())
}

func (j *job) explainMemory(w *strings.Builder, bytes int) {
	fmt.Fprint(w, estimate.Memory(bytes))
	if j.Memory > 0 {
		fmt.Fprintf(w, ", of %v allowed", j.Memory)
	}
	fmt.Fprintln(w)
}

func (p *packed) explain(w *strings.Builder) {
	kinds := map[int]bool{}
	for block := range p.blocks.Blocks() {
		kinds[p.blocks.Kind(block)] = true
	}
	chunks, blocks := 0, 0
	for _, list := range p.chunks {
		chunks += len(list)
		blocks += p.blocks.Blocks()
		for _, c := range list {
			blocks += p.blocks.Blocks() - 1 - max(0, c.entry())
		}
	}
	fmt.Fprintf(w, "packed: what cells change, %d segments, in %d chunks of %d × %d columns with %d reads a row\n",
		len(p.changes), chunks, p.rows, p.layout.columns, p.layout.reads)
	fmt.Fprintf(w, "%d programs: the embedding, %d of a block, the finish; blocks run %d times, the finish %d times\n", 2+len(kinds), len(kinds), blocks, chunks+len(p.groups))
	needed, done := p.flops(), 2*p.costs.multiplications*(p.layout.cost(p.costs))
	fmt.Fprintf(w, "%.3g operations needed, %.3g done\n", needed, done)
	p.explainMemory(w, p.bytes(p.layout))
	if rate := rateOf(p.backend.Name()); rate > 0 {
		fmt.Fprintf(w, "about %v once compiled, at the rate of earlier sweeps\n", time.Duration(done/rate*float64(time.Second)).Round(100*time.Millisecond))
	}
}
