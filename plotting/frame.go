package plotting

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"github.com/govene/govene/internal/must"
)

// Frame is a table: named columns of equal length, one row for each observation. It is never changed; what selects or adds makes a
// new one that may share columns with the old.
type Frame struct{ columns []Column }

// Column is one variable: a name, a value for each row, and for categories their order.
type Column struct {
	name   string
	values any // []float64, []int or []string
	levels []string
}

// Value is what a cell of a frame holds.
type Value interface{ float64 | int | string }

// NewColumn makes a column of numbers or texts. The values are kept, not copied, except those of type float32.
func NewColumn[T Value | float32](name string, values []T) Column {
	if singles, ok := any(values).([]float32); ok {
		doubles := make([]float64, len(singles))
		for i, v := range singles {
			doubles[i] = float64(v)
		}
		return Column{name: name, values: doubles}
	}
	return Column{name: name, values: values}
}

// Levels makes the column categorical, with its categories in the given order, or without any in their natural one: texts by
// alphabet, numbers by size. Axes, facets and legends then treat it as a set of names. Texts are categorical without it.
func (c Column) Levels(levels ...string) Column {
	if len(levels) == 0 {
		levels, _ = Column{values: c.values}.factor()
	}
	c.levels = slices.Clone(levels)
	return c
}

// Name is the column's name.
func (c Column) Name() string { return c.name }

// categorical tells whether values are names rather than quantities.
func (c Column) categorical() bool {
	return c.isText() || c.levels != nil
}

func (c Column) len() int {
	switch values := c.values.(type) {
	case []float64:
		return len(values)
	case []int:
		return len(values)
	case []string:
		return len(values)
	}
	return 0
}

// text is the value of a row as a reader sees it.
func (c Column) text(row int) string {
	switch values := c.values.(type) {
	case []float64:
		return strconv.FormatFloat(values[row], 'g', -1, 64)
	case []int:
		return strconv.Itoa(values[row])
	}
	return c.values.([]string)[row]
}

// value is the value of a row: a float64, an int or a string.
func (c Column) value(row int) any {
	switch values := c.values.(type) {
	case []float64:
		return values[row]
	case []int:
		return values[row]
	}
	return c.values.([]string)[row]
}

// number is the value of a row of a column of numbers.
func (c Column) number(row int) float64 {
	if ints, ok := c.values.([]int); ok {
		return float64(ints[row])
	}
	return c.values.([]float64)[row]
}

// factor lists the distinct values that occur, in the order of the levels or else the natural one, and each row's index among them.
func (c Column) factor() (levels []string, index []int) {
	rows := make([]int, c.len())
	for i := range rows {
		rows[i] = i
	}
	slices.SortStableFunc(rows, c.compare)
	index = make([]int, len(rows))
	for i, row := range rows {
		if i == 0 || c.compare(rows[i-1], row) != 0 {
			levels = append(levels, c.text(row))
		}
		index[row] = len(levels) - 1
	}
	return levels, index
}

// compare orders two rows.
func (c Column) compare(a, b int) int {
	if c.levels != nil {
		return cmp.Compare(slices.Index(c.levels, c.text(a)), slices.Index(c.levels, c.text(b)))
	}
	switch values := c.values.(type) {
	case []int:
		return cmp.Compare(values[a], values[b])
	case []string:
		return cmp.Compare(values[a], values[b])
	}
	return cmp.Compare(c.number(a), c.number(b))
}

// take is the column with the given rows only.
func (c Column) take(rows []int) Column {
	switch values := c.values.(type) {
	case []float64:
		c.values = pick(values, rows)
	case []int:
		c.values = pick(values, rows)
	case []string:
		c.values = pick(values, rows)
	}
	return c
}

func pick[T any](values []T, rows []int) []T {
	picked := make([]T, len(rows))
	for i, row := range rows {
		picked[i] = values[row]
	}
	return picked
}

// NewFrame makes a table. Columns of different lengths, two of one name, one without a name, and a value that is not among its
// column's levels are errors.
func NewFrame(columns ...Column) (*Frame, error) {
	f := &Frame{slices.Clone(columns)}
	for i, c := range columns {
		where := fmt.Sprintf("column %q", c.name)
		if c.name == "" {
			return nil, refuse(fmt.Sprintf("column %d", i), "no name", "one")
		}
		if slices.ContainsFunc(columns[:i], func(other Column) bool { return other.name == c.name }) {
			return nil, refuse(where, "a second column of that name", "different names")
		}
		if c.len() != columns[0].len() {
			return nil, refuse(where, fmt.Sprintf("%d values", c.len()),
				fmt.Sprintf("%d, as in column %q", columns[0].len(), columns[0].name))
		}
		for level, name := range c.levels {
			if slices.Contains(c.levels[:level], name) {
				return nil, refuse(where, fmt.Sprintf("level %q twice", name), "each level once")
			}
		}
		for row := range c.len() {
			if c.levels != nil && !slices.Contains(c.levels, c.text(row)) {
				return nil, unknownName(fmt.Sprintf("%s, row %d", where, row), c.text(row), c.levels)
			}
		}
	}
	return f, nil
}

// MustFrame is NewFrame that panics on an error.
func MustFrame(columns ...Column) *Frame { return must.Of(NewFrame(columns...)) }

// Len is the number of rows.
func (f *Frame) Len() int {
	if f == nil || len(f.columns) == 0 {
		return 0
	}
	return f.columns[0].len()
}

// Names lists the columns.
func (f *Frame) Names() []string {
	names := make([]string, len(f.columns))
	for i, c := range f.columns {
		names[i] = c.name
	}
	return names
}

// Column returns the column of a name.
func (f *Frame) Column(name string) (Column, error) {
	for _, c := range f.columns {
		if c.name == name {
			return c, nil
		}
	}
	return Column{}, unknownName("column", name, f.Names())
}

// Values returns the values of a column, which must not be changed. A column of another type is an error.
func Values[T Value](f *Frame, column string) ([]T, error) {
	c, err := f.Column(column)
	if err != nil {
		return nil, err
	}
	values, ok := c.values.([]T)
	if !ok {
		return nil, refuse(fmt.Sprintf("column %q", column), fmt.Sprintf("%T", c.values), fmt.Sprintf("%T", values))
	}
	return values, nil
}

// Filter returns the rows for which keep is true of the column's value.
func Filter[T Value](f *Frame, column string, keep func(T) bool) (*Frame, error) {
	values, err := Values[T](f, column)
	if err != nil {
		return nil, err
	}
	var rows []int
	for row, value := range values {
		if keep(value) {
			rows = append(rows, row)
		}
	}
	return f.take(rows), nil
}

func (f *Frame) take(rows []int) *Frame {
	taken := &Frame{make([]Column, len(f.columns))}
	for i, c := range f.columns {
		taken.columns[i] = c.take(rows)
	}
	return taken
}

// Group is the rows of a table that agree in some columns.
type Group struct {
	Key []string // their values there
	*Frame
}

// GroupBy splits the table by the values of some columns. Groups come in the order of the columns' levels, the first column's
// changing slowest; combinations that do not occur are left out.
func (f *Frame) GroupBy(columns ...string) ([]Group, error) {
	index := make([][]int, f.Len()) // of each row
	chosen := make([]Column, len(columns))
	for i, name := range columns {
		c, err := f.Column(name)
		if err != nil {
			return nil, err
		}
		chosen[i] = c
		_, numbers := c.factor()
		for row, number := range numbers {
			index[row] = append(index[row], number)
		}
	}
	rows := make([]int, f.Len())
	for i := range rows {
		rows[i] = i
	}
	slices.SortStableFunc(rows, func(a, b int) int { return slices.Compare(index[a], index[b]) })
	var groups []Group
	for start, end := 0, 0; start < len(rows); start = end {
		for end < len(rows) && slices.Equal(index[rows[start]], index[rows[end]]) {
			end++
		}
		key := make([]string, len(chosen))
		for i, c := range chosen {
			key[i] = c.text(rows[start])
		}
		groups = append(groups, Group{key, f.take(rows[start:end])})
	}
	return groups, nil
}
