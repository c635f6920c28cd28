package causal

import (
	"cmp"
	"slices"
)

// layout is where a drawing puts the variables of a model: in columns by time step, each variable to the right of its parents. An edge that
// skips columns goes through bends of its own there, so that it crosses no box (Sugiyama, Tagawa and Toda, "Methods for Visual
// Understanding of Hierarchical System Structures", 1981).
type layout struct {
	columns [][]*spot
	spots   map[string]*spot
	edges   []edge
}

// spot is a variable or the bend of an edge in a column.
type spot struct {
	node        *node // nil for a bend
	column      int
	row         float64 // in units of a row's height
	left, right []*spot // what it is joined to in the columns beside it
}

// edge goes from a parent to a variable through spots, one a column.
type edge struct {
	from, to *node
	through  []*spot
}

func (m *Model) layout() *layout {
	l := &layout{columns: make([][]*spot, m.lastStep+1), spots: map[string]*spot{}}
	add := func(n *node, column int) *spot {
		s := &spot{node: n, column: column}
		l.columns[column] = append(l.columns[column], s)
		return s
	}
	for _, n := range m.variables {
		l.spots[n.Name] = add(n, n.step)
		for _, parent := range n.parents {
			e := edge{from: parent, to: n, through: []*spot{l.spots[parent.Name]}}
			for column := parent.step + 1; column < n.step; column++ {
				e.through = append(e.through, add(nil, column))
			}
			e.through = append(e.through, l.spots[n.Name])
			for i, s := range e.through[1:] {
				e.through[i].right, s.left = append(e.through[i].right, s), append(s.left, e.through[i])
			}
			l.edges = append(l.edges, e)
		}
	}
	l.order()
	l.place()
	return l
}

// order sorts each column by the mean place of what its spots are joined to, and keeps the order with the fewest crossings.
func (l *layout) order() {
	number := func() {
		for _, column := range l.columns {
			for i, s := range column {
				s.row = float64(i)
			}
		}
	}
	number()
	best, fewest := l.clone(), l.crossings()
	for sweep := range 12 {
		for i := range l.columns {
			column := l.columns[i]
			neighbours := func(s *spot) []*spot { return s.left }
			if sweep%2 == 1 {
				column = l.columns[len(l.columns)-1-i]
				neighbours = func(s *spot) []*spot { return s.right }
			}
			slices.SortStableFunc(column, func(a, b *spot) int { return cmp.Compare(mean(neighbours(a), a.row), mean(neighbours(b), b.row)) })
			for k, s := range column {
				s.row = float64(k)
			}
		}
		if crossings := l.crossings(); crossings < fewest {
			best, fewest = l.clone(), crossings
		}
	}
	l.columns = best
	number()
}

func (l *layout) clone() [][]*spot {
	columns := make([][]*spot, len(l.columns))
	for i, column := range l.columns {
		columns[i] = slices.Clone(column)
	}
	return columns
}

func mean(spots []*spot, otherwise float64) float64 {
	if len(spots) == 0 {
		return otherwise
	}
	sum := 0.0
	for _, s := range spots {
		sum += s.row
	}
	return sum / float64(len(spots))
}

// crossings counts pairs of edges that cross between two columns.
func (l *layout) crossings() (count int) {
	for _, column := range l.columns {
		var joined [][2]float64
		for _, s := range column {
			for _, right := range s.right {
				joined = append(joined, [2]float64{s.row, right.row})
			}
		}
		for i, a := range joined {
			for _, b := range joined[:i] {
				if (a[0]-b[0])*(a[1]-b[1]) < 0 {
					count++
				}
			}
		}
	}
	return count
}

// gap is how far apart two neighbours of a column are at least, in rows: a bend needs less room than a box.
func gap(a, b *spot) float64 {
	if a.node == nil && b.node == nil {
		return 0.4
	}
	if a.node == nil || b.node == nil {
		return 0.7
	}
	return 1
}

// place moves spots towards what they are joined to, in the order that they have, and begins at row 0.
func (l *layout) place() {
	for _, column := range l.columns {
		spread(column, func(s *spot) float64 { return s.row })
	}
	for round := range 24 {
		for i := range l.columns {
			column := l.columns[i]
			if round%2 == 1 {
				column = l.columns[len(l.columns)-1-i]
			}
			spread(column, func(s *spot) float64 { return mean(slices.Concat(s.left, s.right), s.row) })
		}
	}
	least := 0.0
	for i, column := range l.columns {
		if top := column[0].row; i == 0 || top < least {
			least = top
		}
	}
	for _, column := range l.columns {
		for _, s := range column {
			s.row -= least
		}
	}
}

// spread gives the spots of a column rows as near as can be to those wanted, in their order and with gaps: neighbours that would come too
// near to each other become a block around the mean of what they want.
func spread(column []*spot, want func(*spot) float64) {
	type block struct {
		sum, offset float64 // of wanted places of the first spot; of the last spot below it
		count       int
	}
	var blocks []block
	for i, s := range column {
		b := block{sum: want(s), count: 1}
		for len(blocks) > 0 {
			above, first := blocks[len(blocks)-1], i-b.count+1
			apart := gap(column[first-1], column[first])
			if above.sum/float64(above.count)+above.offset+apart <= b.sum/float64(b.count) {
				break
			}
			shift := above.offset + apart
			b = block{sum: above.sum + b.sum - float64(b.count)*shift, offset: shift + b.offset, count: above.count + b.count}
			blocks = blocks[:len(blocks)-1]
		}
		blocks = append(blocks, b)
	}
	i := 0
	for _, b := range blocks {
		row := b.sum / float64(b.count)
		for k := range b.count {
			if k > 0 {
				row += gap(column[i-1], column[i])
			}
			column[i].row = row
			i++
		}
	}
}
