package sweep

import (
	"context"
	"fmt"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/host"
	"github.com/govene/govene/internal/programs"
	"github.com/govene/govene/interv"
)

// run runs everything, group by group and chunk by chunk: of a chunk all blocks at once, so that no more than the clean runs of a group and
// one chunk are on the device, however large the sweep.
func (p *packed) run(ctx context.Context, out *collector) error {
	unit := 0
	for g, pairs := range p.groups {
		own, first := p.Part.has(unit), unit // the clean runs of a group without chunks are a unit themselves
		unit += max(1, len(p.chunks[g]))
		var left []chunk
		for i, rows := range p.chunks[g] {
			if p.Part.has(first + i) {
				own = true
				if !out.has(rows.items()) {
					left = append(left, rows)
				}
			}
		}
		if !own || len(left) == 0 && out.measured(pairs) {
			continue
		}
		if err := p.group(ctx, pairs, left, out); err != nil {
			return err
		}
	}
	return nil
}

// units are what parts take in turn: chunks, and groups without any.
func (p *packed) units() (units [][]item) {
	for _, chunks := range p.chunks {
		if len(chunks) == 0 {
			units = append(units, nil)
		}
		for _, rows := range chunks {
			units = append(units, rows.items())
		}
	}
	return units
}

func (p *packed) group(ctx context.Context, pairs []int, chunks []chunk, out *collector) error {
	if err := p.model.Weights().Upload(p.backend); err != nil {
		return err
	}
	c, values, err := p.clean(pairs)
	defer c.free()
	if err != nil {
		return err
	}
	if err := p.takeClean(pairs, values, out); err != nil {
		return err
	}
	for _, rows := range chunks {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		values, err := p.chunk(c, rows)
		if err != nil {
			return err
		}
		of := make([]float64, 0, len(values))
		for r, row := range rows {
			for k, s := range row.segments {
				of = append(of, values[r*p.layout.reads+p.readOf(k, s)])
			}
		}
		if err := out.take(rows.items(), of); err != nil {
			return err
		}
	}
	return nil
}

// items lists what the segments of a chunk are, row by row.
func (c chunk) items() []item {
	var list []item
	for _, row := range c {
		for _, s := range row.segments {
			list = append(list, item{s.cell, s.pair})
		}
	}
	return list
}

// takeClean hands over what clean runs say: also of the cells that change nothing which is read.
func (p *packed) takeClean(pairs []int, values []float64, out *collector) error {
	var same []item
	var bases []float64
	for i, pair := range pairs {
		out.base[pair] = values[i*p.layout.reads]
		if p.hasSources {
			out.source[pair] = values[(len(pairs)+i)*p.layout.reads]
		}
		for cell := range p.cells {
			if it := (item{cell, pair}); !p.changes[it] {
				same, bases = append(same, it), append(bases, out.base[pair])
			}
		}
	}
	return out.take(same, bases)
}

// clean runs bases and sources of pairs, and measures them.
func (p *packed) clean(pairs []int) (c *clean, values []float64, err error) {
	c = &clean{pairs: pairs, embedded: map[interv.Component]*tensors.Tensor{}, recorded: map[interv.Component][]*tensors.Tensor{}}
	a := p.arrangeClean(pairs)
	x, err := p.runEmbedding(c, a, c.embedded)
	if err != nil {
		return c, nil, err
	}
	c.streams = append(c.streams, x)
	for block := range p.blocks.Blocks() {
		results, err := p.runBlock(c, a, block, x)
		if err != nil {
			return c, nil, err
		}
		x = results[0]
		c.streams, c.keys, c.values = append(c.streams, x), append(c.keys, results[1]), append(c.values, results[2])
		for i, component := range p.recorded {
			c.recorded[component] = append(c.recorded[component], results[3+i])
		}
	}
	a, x = p.arrange(c, p.unchanged(pairs)), p.zeros(p.streamOf(p.rows, p.layout.columns))
	values, logits, err := p.runFinish(c, a, x)
	if err == nil && interv.ReadsClean(p.Metric) {
		c.logits = logits
		values, logits, err = p.runFinish(c, a, x)
		programs.Free(logits)
	}
	return c, values, err
}

// arrangeClean makes the indices of the clean runs of pairs. Rows of none are like the first.
func (p *packed) arrangeClean(pairs []int) *plan {
	count, n := p.layout.clean, p.extent.Positions
	a := &plan{pieces: p.ofClean, rows: slices.Repeat([]int{pairs[0]}, count)}
	column := make([]int, count*n)
	for i := range column {
		column[i] = i % n
	}
	copy(a.rows, pairs)
	sources := count
	if p.hasSources {
		sources = len(pairs)
		copy(a.rows[sources:], pairs)
	}
	segments := make([]int, count*n)
	for r, pair := range a.rows {
		start, end := p.extent.Real(pair)
		for i := range n {
			if i < start || i >= end {
				segments[r*n+i] = -1 // padding is in no segment, so that nothing sees it
			}
		}
	}
	a.columns = p.place(a.rows, column, segments, make([]int, count*n), sources)
	a.columns["base"] = p.filled(0, count)
	p.inputsAt(a.columns, a.rows, column, sources)
	return a
}

// unchanged is a chunk of what is read of clean runs, each in a row of its own: segments that change nothing, in the last block.
func (p *packed) unchanged(pairs []int) (rows chunk) {
	for _, source := range []bool{false, true} {
		for _, pair := range pairs {
			if source && !p.hasSources {
				break
			}
			read := segment{cell: -1, pair: pair, first: p.readsAt(pair), last: p.readsAt(pair), entry: p.blocks.Blocks() - 1}
			rows = append(rows, &packedRow{pair: pair, entry: read.entry, source: source, segments: []placed{{read, 0}}})
		}
	}
	return rows
}

// readsAt is the column that is read in a pair.
func (p *packed) readsAt(pair int) int { return p.job.reads[pair] }

// chunk runs the rows of a chunk through all blocks, and returns the metric of each read.
func (p *packed) chunk(c *clean, rows chunk) (values []float64, err error) {
	a := p.arrange(c, rows)
	entry := rows.entry()
	x := p.zeros(p.streamOf(p.rows, p.layout.columns)) // all that is computed enters from the clean run
	none := x
	if entry < 0 {
		if x, err = p.runEmbedding(c, a, nil); err != nil {
			return nil, err
		}
		entry = 0
	}
	release := func() {
		if x != none {
			programs.Free(x)
		}
	}
	for block := entry; block < p.blocks.Blocks()-1; block++ {
		results, err := p.runBlock(c, a, block, x)
		release()
		if err != nil {
			return nil, err
		}
		x = results[0]
		programs.Free(results[1:]...)
	}
	values, logits, err := p.runFinish(c, a, x)
	release()
	programs.Free(logits)
	return values, err
}

func (p *packed) runEmbedding(c *clean, a *plan, keep map[interv.Component]*tensors.Tensor) (*tensors.Tensor, error) {
	f := a.columns.With(nil)
	f.Take("outer", p.blocks.OuterWeights(), p.model.Weights().Tensor)
	p.feedHomes(f, c, a, p.homesOf(true, false), -1)
	results, err := a.embed.Run(f)
	if err != nil {
		return nil, err
	}
	for i, component := range p.embedded {
		if keep != nil {
			keep[component] = results[1+i]
		} else {
			programs.Free(results[1+i])
		}
	}
	return results[0], nil
}

// feedBlock feeds a block.
func (p *packed) feedBlock(c *clean, a *plan, block int, x *tensors.Tensor) programs.Feed {
	f := a.columns.With(programs.Feed{"stream": x, "clean": c.streams[min(block, len(c.streams)-1)], "enter": p.none(p.rows, p.layout.columns)})
	if a.enter[block] != nil {
		f["enter"] = programs.Int32s(a.enter[block], p.rows, p.layout.columns)
	}
	f.Take("weight", p.blocks.BlockWeights(block), p.model.Weights().Tensor)
	if block < len(c.keys) {
		f["keys"], f["values"] = c.keys[block], c.values[block]
	} else { // the clean run itself, which has no base
		keys, values := p.blocks.KeyShapes(block, p.layout.clean, p.extent.Positions)
		f["keys"], f["values"] = p.zeros(keys), p.zeros(values)
	}
	return f
}

func (p *packed) runBlock(c *clean, a *plan, block int, x *tensors.Tensor) ([]*tensors.Tensor, error) {
	f := p.feedBlock(c, a, block, x)
	p.feedHomes(f, c, a, p.homesOf(false, false), block)
	return a.block[p.blocks.Kind(block)].Run(f)
}

// feedHomes feeds what homes do in a block.
func (p *packed) feedHomes(f programs.Feed, c *clean, a *plan, homes []*home, block int) {
	for _, h := range homes {
		where := site{h, block}
		grid := p.grid(h.sites.Heads)
		f["hit "+h.name] = p.none(grid...)
		if a.hits[where] != nil {
			f["hit "+h.name] = programs.Int32s(a.hits[where], grid...)
		}
		for name, t := range h.parameters {
			f["parameter "+name+" "+h.name] = t
		}
		layer := max(0, block)
		if h.component == p.output && !h.late {
			layer--
		}
		switch {
		case h.tables != nil:
			table := h.tables[layer]
			if table == nil {
				table = h.anyTable()
			}
			f["table "+h.name] = table
		case h.readsRun():
			table := p.zeros(p.readShape(h.slot))
			if a.hits[where] != nil {
				table = p.at(c, h.readComponent, layer)
			}
			f["read "+h.name] = table
		}
		if p.selects(h.slot) {
			f["selected "+h.name], f["masks "+h.name] = p.filled(0, p.rows, p.layout.columns), p.maskTable(h.slot)
			if a.chosen[where] != nil {
				f["selected "+h.name] = programs.Int32s(a.chosen[where], p.rows, p.layout.columns)
			}
		}
	}
}

// maskTable has a row for each list of features: 1 for those in it.
func (p *packed) maskTable(s *slot) *tensors.Tensor {
	key := "masks " + string(s.component) + fmt.Sprint(s.role)
	if p.zero[key] == nil {
		lists := p.masks(s)
		values := make([]float64, len(lists)*s.features)
		for i, list := range lists {
			if list == nil {
				list = interv.Range(0, s.features)
			}
			for _, feature := range list {
				values[i*s.features+feature] = 1
			}
		}
		p.zero[key] = p.floats(values, len(lists), s.features)
	}
	return p.zero[key]
}

func (p *packed) runFinish(c *clean, a *plan, x *tensors.Tensor) (values []float64, logits *tensors.Tensor, err error) {
	last := p.blocks.Blocks() - 1
	f := p.feedBlock(c, a, last, x)
	p.feedHomes(f, c, a, p.homesOf(false, true), last)
	f.Take("outer", p.blocks.OuterWeights(), p.model.Weights().Tensor)
	f["reads"] = programs.Int32s(a.reads, p.rows, p.layout.reads)
	for name, t := range p.reading.Data {
		f["data "+name] = host.Rows(t, a.pairs)
	}
	if interv.ReadsClean(p.Metric) {
		if f["clean logits"] = c.logits; c.logits == nil {
			f["clean logits"] = p.zeros(p.logitsShape())
		}
		rows := p.rowsOf(c, a.pairs)
		for i := range rows {
			rows[i] *= p.layout.reads
		}
		f["clean row"] = programs.Int32s(rows, len(rows))
	}
	return p.finish.RunNumbers(f)
}
