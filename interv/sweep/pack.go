package sweep

import (
	"cmp"
	"slices"
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

// layout is how a packed sweep is cut: chunks of rows × columns, with so many reads in each row, and pairs in groups whose clean runs are
// one chunk.
type layout struct {
	rows, columns, reads int
	groups               [][]int // pairs
	chunks               [][]chunk
}

// chunk is rows that are run together.
type chunk []*packedRow

// entry is the first block that has to run.
func (c chunk) entry() int { return c[0].entry }

// costs are what a layout is chosen by, in units of one column in one block.
type costs struct {
	multiplications float64 // that the unit is

	blocks   int
	keys     float64 // of the last block, for a column that is not read
	read     float64 // of the last block and the head, for a column that is read
	overhead float64 // of a call
}

// cut makes the layout of a number of rows and reads.
func cut(segments []segment, pairs, perPair, rows, columns, reads int) layout {
	l := layout{rows: rows, columns: columns, reads: reads}
	perGroup := rows / perPair
	for first := 0; first < pairs; first += perGroup {
		group := make([]int, 0, perGroup)
		for pair := first; pair < min(first+perGroup, pairs); pair++ {
			group = append(group, pair)
		}
		var of []segment
		for _, s := range segments {
			if s.pair >= first && s.pair < first+perGroup {
				of = append(of, s)
			}
		}
		var chunks []chunk
		for part := range slices.Chunk(pack(of, columns, reads), rows) {
			chunks = append(chunks, part)
		}
		l.groups, l.chunks = append(l.groups, group), append(l.chunks, chunks)
	}
	return l
}

// cost is what a layout takes.
func (l layout) cost(c costs) float64 {
	tokens := float64(l.rows * l.columns)
	block := tokens + c.overhead
	finish := c.keys*tokens + c.read*float64(l.rows*l.reads) + c.overhead
	total := 0.0
	for _, chunks := range l.chunks {
		total += float64(c.blocks)*block + finish // the clean runs
		for _, chunk := range chunks {
			total += float64(c.blocks-1-max(0, chunk.entry()))*block + finish
		}
	}
	return total
}

// A chunk has at most so many columns, unless a pair alone has more, and so many reads.
const (
	mostColumns = 1024
	mostReads   = 256
)

// choose finds the layout that costs least among those that fit; there is none if not even the smallest does, which then is what it returns.
func choose(segments []segment, pairs, perPair, columns int, c costs, fits func(layout) bool) (best layout, ok bool) {
	counts := []int{pairs * perPair}
	for rows := perPair; rows <= max(perPair, mostColumns/columns); rows *= 2 {
		counts = append(counts, rows)
	}
	if counts[0] > mostColumns/columns {
		counts = counts[1:]
	}
	least := -1.0
	for _, rows := range counts {
		for reads := 1; ; reads = min(2*reads, columns) {
			if l := cut(segments, pairs, perPair, rows, columns, reads); fits(l) && (least < 0 || l.cost(c) < least) {
				best, least = l, l.cost(c)
			}
			if reads == columns || 2*rows*reads > mostReads {
				break
			}
		}
	}
	if least < 0 {
		return cut(segments, pairs, perPair, perPair, columns, 1), false
	}
	return best, true
}
