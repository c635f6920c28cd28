package sweep

import (
	"cmp"
	"slices"

	"github.com/govene/govene/interv"
)

// segment is the part of a pair's sequence that a cell changes: its columns from the first that is patched to the one that is read, in the
// blocks from its entry on.
type segment struct {
	cell, pair  int
	first, last int // columns of the sequence
	entry       int // the first block, −1 for what is below all blocks
}

func (s segment) length() int { return s.last - s.first + 1 }

// packedRow is a row of columns that hold segments of one pair.
type packedRow struct {
	pair, entry int
	source      bool // it continues the pair's source in place of its base
	used        int
	segments    []placed
}

// placed is a segment that begins in a column of its row.
type placed struct {
	segment
	at int
}

// pack puts segments into as few rows of a number of columns as it can, each with segments of one pair, at most so many: the longest first,
// each where it leaves least room (best fit decreasing). Rows come in the order of their entry.
func pack(segments []segment, columns, most int) []*packedRow {
	segments = slices.Clone(segments)
	slices.SortStableFunc(segments, func(a, b segment) int {
		return cmp.Or(cmp.Compare(a.entry, b.entry), cmp.Compare(a.pair, b.pair), cmp.Compare(b.length(), a.length()), cmp.Compare(a.cell, b.cell))
	})
	var rows []*packedRow
	open := map[int][][]*packedRow{} // of each pair, rows by the room that they have
	for _, s := range segments {
		if open[s.pair] == nil {
			open[s.pair] = make([][]*packedRow, columns+1)
		}
		byRoom := open[s.pair]
		room := s.length()
		for room < columns && len(byRoom[room]) == 0 {
			room++
		}
		var row *packedRow
		if list := byRoom[room]; room <= columns && len(list) > 0 {
			row, byRoom[room] = list[0], list[1:]
		} else {
			row = &packedRow{pair: s.pair, entry: s.entry}
			rows = append(rows, row)
		}
		row.segments = append(row.segments, placed{s, row.used})
		row.used += s.length()
		if left := columns - row.used; left > 0 && len(row.segments) < most {
			byRoom[left] = append(byRoom[left], row)
		}
	}
	slices.SortStableFunc(rows, func(a, b *packedRow) int { return cmp.Compare(a.entry, b.entry) })
	return rows
}

// layout is how a packed sweep is cut: pairs in groups, whose clean runs are rows of whole sequences, and what cells change in chunks of
// rows × columns, with so many reads in each row.
type layout struct {
	clean                int // rows of a group's clean runs
	rows, columns, reads int
	groups               [][]int // pairs
	chunks               [][]chunk
}

// alike tells whether chunks have the shape of clean runs, so that the same programs serve both.
func (l layout) alike(positions int) bool { return l.rows == l.clean && l.columns == positions }

// readOf is which of its row's reads that of segment k is: where all columns are read, that of its last column.
func (l layout) readOf(k int, s placed) int {
	if l.reads == l.columns {
		return s.at + s.length() - 1
	}
	return k
}

// chunk is rows that are run together.
type chunk []*packedRow

// entry is the first block that has to run.
func (c chunk) entry() int { return c[0].entry }

// costs are what a layout is chosen by, in units of one column in one block.
type costs struct {
	device

	multiplications float64 // that the unit is

	positions int // of a clean run
	blocks    int
	keys      float64 // of the last block, for a column that is not read
	read      float64 // of the last block and the head, for a column that is read
	overhead  float64 // of a call
	programs  float64 // of those for clean runs alone: to compile them
}

// cost is what a layout takes, programs included.
func (l layout) cost(c costs) float64 {
	if l.alike(c.positions) {
		return l.work(c)
	}
	return c.programs + l.work(c)
}

// work is what running a layout takes.
func (l layout) work(c costs) float64 {
	columns := float64(l.rows * l.columns)
	block := columns + c.overhead
	finish := c.keys*columns + c.read*float64(l.rows*l.reads) + c.overhead
	total := 0.0
	for _, chunks := range l.chunks {
		total += float64(c.blocks)*(float64(l.clean*c.positions)+c.overhead) + finish // the clean runs
		for _, chunk := range chunks {
			total += float64(c.blocks-1-max(0, chunk.entry()))*block + finish
		}
	}
	return total
}

// groups puts pairs into groups of so many, each with its segments packed.
func groups(segments []segment, pairs, perGroup, columns, reads int) (of [][]int, packed [][]*packedRow) {
	for first := 0; first < pairs; first += perGroup {
		within := slices.DeleteFunc(slices.Clone(segments), func(s segment) bool { return s.pair < first || s.pair >= first+perGroup })
		of, packed = append(of, interv.Range(first, min(first+perGroup, pairs))), append(packed, pack(within, columns, reads))
	}
	return of, packed
}

// cut cuts packed rows into chunks of so many, no wider than the fullest row if narrow.
func (l layout) cut(packed [][]*packedRow, narrow bool) layout {
	l.chunks = nil
	fullest := 1
	for _, rows := range packed {
		var chunks []chunk
		for part := range slices.Chunk(rows, l.rows) {
			chunks = append(chunks, part)
		}
		l.chunks = append(l.chunks, chunks)
		for _, row := range rows {
			fullest = max(fullest, row.used)
		}
	}
	if narrow {
		l.columns, l.reads = fullest, min(l.reads, fullest)
	}
	return l
}

// choose finds the layout that costs least among those that fit; there is none if not even the smallest does, which then is what it returns.
// A chunk has no more columns and reads than the device is the faster for, unless a pair alone has.
func choose(segments []segment, pairs, perPair int, c costs, fits func(layout) bool) (best layout, ok bool) {
	counts := []int{pairs * perPair}
	for clean := perPair; clean <= max(perPair, c.columns/c.positions); clean *= 2 {
		counts = append(counts, clean)
	}
	if counts[0] > c.columns/c.positions {
		counts = counts[1:]
	}
	var smallest layout
	try := func(l layout) {
		if fits(l) && (!ok || l.cost(c) < best.cost(c)) {
			best, ok = l, true
		}
		if size := l.rows * l.columns * l.reads; smallest.rows == 0 || size < smallest.rows*smallest.columns*smallest.reads {
			smallest = l
		}
	}
	for _, clean := range counts {
		for reads := 1; ; reads = min(2*reads, c.positions) {
			l := layout{clean: clean, rows: clean, columns: c.positions, reads: reads}
			var packed [][]*packedRow
			l.groups, packed = groups(segments, pairs, clean/perPair, c.positions, reads)
			try(l.cut(packed, false))
			for ; l.rows == clean || l.rows*c.positions <= c.columns && l.rows*reads <= c.reads; l.rows *= 2 {
				try(l.cut(packed, true))
			}
			if reads == c.positions || 2*clean*reads > c.reads {
				break
			}
		}
	}
	if !ok {
		return smallest, false
	}
	return best, true
}
