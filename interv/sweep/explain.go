package sweep

import (
	"fmt"
	"strings"
	"time"

	"github.com/govene/govene/internal/estimate"
	"github.com/govene/govene/internal/plural"
)

// Explain says what running the plan will do: cells and runs, the way that is taken and why, programs, what one holds and how many times
// it runs, the operations that have to be done and how many will be, and the memory besides the weights.
func (p *Plan) Explain() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s × %s = %s, each read by %s\n", plural.Of(len(p.cells), "cell"), plural.Of(p.extent.Batch, "pair"), plural.Of(len(p.cells)*p.extent.Batch, "run"), p.Metric.Name())
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
	batches := (len(b.cells)*b.extent.Batch + b.rows - 2) / (b.rows - 1)
	fmt.Fprintf(w, "in batches, since %s\n", why)
	fmt.Fprintf(w, "2 programs: the clean runs; batches of %s, patched in %s, which run %s\n",
		plural.Of(b.rows-1, "run"), plural.Of(len(b.at), "place"), plural.Of(batches, "time"))
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
	fmt.Fprintf(w, "packed: what cells change, %s, in %s of %d × %s with %s a row\n",
		plural.Of(len(p.changes), "segment"), plural.Of(chunks, "chunk"), p.rows, plural.Of(p.layout.columns, "column"), plural.Of(p.layout.reads, "read"))
	count, embeddings, own := 2+len(kinds), "the embedding", ""
	if !p.alike(p.extent.Positions) {
		count += len(kinds)
		own = fmt.Sprintf(", %d of a block of clean runs of %d × %s", len(kinds), p.layout.clean, plural.Of(p.extent.Positions, "column"))
		if p.embedsChunks() {
			count, embeddings = count+1, "2 embeddings"
		}
	}
	fmt.Fprintf(w, "%d programs: %s, %d of a block%s, the finish; blocks run %s, the finish %s\n", count, embeddings, len(kinds), own,
		plural.Of(blocks, "time"), plural.Of(chunks+len(p.groups), "time"))
	needed, done := p.flops(), 2*p.costs.multiplications*p.work(p.costs)
	fmt.Fprintf(w, "%.3g operations needed, %.3g done\n", needed, done)
	p.explainMemory(w, p.bytes(p.layout))
	if rate := rateOf(p.backend.Name()); rate > 0 {
		fmt.Fprintf(w, "about %v once compiled, at the rate of earlier sweeps\n", time.Duration(done/rate*float64(time.Second)).Round(100*time.Millisecond))
	}
}
