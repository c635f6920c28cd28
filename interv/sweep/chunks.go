package sweep

import (
	"slices"

	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/host"
	"github.com/govene/govene/internal/programs"
	"github.com/govene/govene/interv"
)

// clean is what the clean runs of a group of pairs leave on the device: base i in row i, and its source in row i + pairs.
type clean struct {
	pairs        []int
	streams      []*tensors.Tensor                      // what each block reads, and last what the topmost returns
	keys, values []*tensors.Tensor                      // of each block
	embedded     map[interv.Component]*tensors.Tensor   // what is announced below all blocks
	recorded     map[interv.Component][]*tensors.Tensor // inside of each block
	logits       *tensors.Tensor                        // that are read, of each row; nil unless the metric reads the clean run
}

// free gives everything back.
func (c *clean) free() {
	programs.Free(c.streams...)
	programs.Free(c.keys...)
	programs.Free(c.values...)
	for _, t := range c.embedded {
		programs.Free(t)
	}
	for _, list := range c.recorded {
		programs.Free(list...)
	}
	programs.Free(c.logits)
}

// at is the activation of a component, in a layer, of clean runs.
func (p *packed) at(c *clean, component interv.Component, layer int) *tensors.Tensor {
	switch {
	case component == p.input:
		return c.streams[layer]
	case component == p.output:
		return c.streams[layer+1]
	case slices.Contains(p.embedded, component):
		return c.embedded[component]
	}
	return c.recorded[component][layer]
}

// none is an index that hits nothing.
func (p *packed) none(dimensions ...int) *tensors.Tensor { return p.filled(-1, dimensions...) }

// filled is an index of one number, made once.
func (p *packed) filled(value int, dimensions ...int) *tensors.Tensor {
	size := 1
	for _, d := range dimensions {
		size *= d
	}
	key := [3]int{value, len(dimensions), size}
	if p.nothing[key] == nil {
		p.nothing[key] = programs.Int32s(slices.Repeat([]int{value}, size), dimensions...)
	}
	return p.nothing[key]
}

// zeros is a tensor of zeros, made once.
func (p *packed) zeros(shape shapes.Shape) *tensors.Tensor {
	key := shape.String()
	if p.zero[key] == nil {
		p.zero[key] = tensors.FromShape(shape)
	}
	return p.zero[key]
}

// plan is the indices of one chunk.
type plan struct {
	pieces
	columns programs.Feed  // what says where columns are, and the inputs
	enter   map[int][]int  // of blocks that columns enter at
	hits    map[site][]int // of homes, in blocks
	chosen  map[site][]int // the list of features of each column there
	reads   []int          // [rows · reads]
	pairs   []int          // [rows · reads]: the pair of each read
	rows    []int          // [rows]: the pair of each row
}

// site is a home in a block.
type site struct {
	*home
	block int
}

// arrange makes the indices of a chunk. Rows that hold nothing are like the first.
func (p *packed) arrange(c *clean, rows chunk) *plan {
	count, n := p.rows, p.layout.columns
	a := &plan{pieces: p.ofChunks, enter: map[int][]int{}, hits: map[site][]int{}, chosen: map[site][]int{},
		reads: make([]int, count*p.layout.reads), pairs: slices.Repeat([]int{c.pairs[0]}, count*p.layout.reads), rows: slices.Repeat([]int{c.pairs[0]}, count)}
	column, segments, start, bases, sources := make([]int, count*n), make([]int, count*n), make([]int, count*n), make([]int, count), count
	for r, row := range rows {
		a.rows[r] = row.pair
		bases[r] = slices.Index(c.pairs, row.pair)
		if row.source {
			bases[r], sources = bases[r]+len(c.pairs), min(sources, r)
		}
		for i := range n {
			segments[r*n+i] = -1
		}
		for k, s := range row.segments {
			for i := range s.length() {
				at := r*n + s.at + i
				column[at], segments[at], start[at] = s.first+i, k, s.first
				if s.entry >= 0 {
					if a.enter[s.entry] == nil {
						a.enter[s.entry] = slices.Repeat([]int{-1}, count*n)
					}
					a.enter[s.entry][at] = bases[r]*p.extent.Positions + s.first + i
				}
			}
			read := r*p.layout.reads + p.readOf(k, s)
			a.reads[read], a.pairs[read] = s.at+s.length()-1, row.pair
			if s.cell >= 0 {
				for _, patch := range p.patches[s.cell] {
					p.hit(a, c, patch, s, r)
				}
			}
		}
	}
	a.columns = p.place(a.rows, column, segments, start, sources)
	a.columns["base"] = programs.Int32s(bases, count)
	if rows.entry() < 0 {
		p.inputsAt(a.columns, a.rows, column, count)
	}
	return a
}

// hit notes what a patch writes in a segment.
func (p *packed) hit(a *plan, c *clean, patch patch, s placed, r int) {
	last := p.blocks.Blocks() - 1
	where := site{block: patch.layer}
	for _, h := range p.homes {
		if h.slot == patch.slot && (h.component != p.output || h.late == (patch.layer == last)) {
			where.home = h
		}
	}
	switch {
	case patch.component == p.output && !where.late:
		where.block++
	case slices.Contains(p.embedded, patch.component):
		where.block = -1
	}
	heads, n := max(1, patch.sites.Heads), p.layout.columns
	if a.hits[where] == nil {
		a.hits[where] = slices.Repeat([]int{-1}, p.rows*heads*n)
	}
	// The row of clean runs that is read.
	run := slices.Index(c.pairs, s.pair)
	if patch.from == FromSource || patch.from == FromOther {
		run += len(c.pairs)
	}
	for _, u := range patch.units(s.pair) {
		if u.position < s.first || u.position > s.last {
			continue // nothing that is read depends on it
		}
		at := s.at + u.position - s.first
		row := u.row
		if patch.readsRun() {
			row = (run*heads+u.head)*p.extent.Positions + u.read
		}
		a.hits[where][(r*heads+u.head)*n+at] = row
		if p.selects(patch.slot) {
			if a.chosen[where] == nil {
				a.chosen[where] = make([]int, p.rows*n)
			}
			a.chosen[where][r*n+at] = max(0, slices.IndexFunc(p.masks(patch.slot), func(l []int) bool { return l != nil && slices.Equal(l, patch.features) }))
		}
	}
}

// place feeds where columns are: rows of pairs, those from so many on of sources.
func (p *packed) place(pairs, column, segments, start []int, sources int) programs.Feed {
	count, n := len(pairs), p.extent.Positions
	columns := len(column) / count
	position, real, length := make([]int, len(column)), make([]int, count*n), make([]int, count)
	for r, pair := range pairs {
		from, to := p.extent.Real(pair)
		ids := p.Base[interv.PositionIDs]
		if r >= sources {
			ids = p.Source[interv.PositionIDs]
		}
		of := func(column int) int { return max(0, column-from) }
		if ids != nil {
			list := ints(ids)
			of = func(column int) int { return list[pair*n+column] }
		}
		for i := range columns {
			position[r*columns+i] = of(column[r*columns+i])
		}
		for i := from; i < to; i++ {
			real[r*n+i], length[r] = 1, max(length[r], of(i)+1)
		}
	}
	return programs.Feed{"column": programs.Int32s(column, count, columns), "position": programs.Int32s(position, count, columns),
		"segment": programs.Int32s(segments, count, columns), "start": programs.Int32s(start, count, columns), "real": programs.Int32s(real, count, n), "length": programs.Int32s(length, count, 1)}
}

// rowsOf are the rows of the clean runs of pairs.
func (p *packed) rowsOf(c *clean, pairs []int) []int {
	rows := make([]int, len(pairs))
	for i, pair := range pairs {
		rows[i] = slices.Index(c.pairs, pair)
	}
	return rows
}

// inputsAt are those of the model, at columns of pairs; source for the sources of the rows from so many on.
func (p *packed) inputsAt(f programs.Feed, pairs, column []int, sources int) {
	n, columns := p.extent.Positions, len(column)/len(pairs)
	for name, t := range p.Base {
		if name == interv.AttentionMask || name == interv.PositionIDs {
			continue
		}
		dimensions := append([]int{len(pairs), columns}, t.Shape().Dimensions[2:]...)
		out := tensors.FromShape(shapes.Make(t.DType(), dimensions...))
		size := int(t.ByteSize()) / (p.extent.Batch * n)
		copyAt := func(rows []int, t *tensors.Tensor) {
			host.Bytes(t, out, func(from, to []byte) {
				for _, r := range rows {
					for i := range columns {
						at := (pairs[r]*n + column[r*columns+i]) * size
						copy(to[(r*columns+i)*size:(r*columns+i+1)*size], from[at:at+size])
					}
				}
			})
		}
		copyAt(interv.Range(0, min(sources, len(pairs))), t)
		if sources < len(pairs) {
			copyAt(interv.Range(sources, len(pairs)), p.Source[name])
		}
		f["input "+name] = out
	}
}
