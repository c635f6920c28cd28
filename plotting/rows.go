package plotting

import (
	"cmp"
	"fmt"
	"math"
	"reflect"

	"github.com/govene/govene/internal/must"
)

// FrameOf makes a table of rows that are structs: a column for each field, under the field's name or that of its tag `frame:"name"`.
// Texts are categories in the order in which they first occur, where [NewColumn] takes them by alphabet. Fields that are neither numbers
// nor texts, and what [NewFrame] refuses, are errors.
func FrameOf[Row any](rows []Row) (*Frame, error) {
	row := reflect.TypeFor[Row]()
	if row.Kind() != reflect.Struct {
		return nil, refuse("rows", row.String(), "structs")
	}
	columns := make([]Column, row.NumField())
	for i := range columns {
		field := row.Field(i)
		name := cmp.Or(field.Tag.Get("frame"), field.Name)
		values := make([]reflect.Value, len(rows))
		for r := range rows {
			values[r] = reflect.ValueOf(&rows[r]).Elem().Field(i)
		}
		switch zero := reflect.Zero(field.Type); {
		case zero.CanInt():
			columns[i] = NewColumn(name, each(values, func(v reflect.Value) int { return int(v.Int()) }))
		case zero.CanFloat():
			columns[i] = NewColumn(name, each(values, reflect.Value.Float))
		case field.Type.Kind() == reflect.String:
			texts := each(values, reflect.Value.String)
			columns[i] = NewColumn(name, texts).Levels(distinct(texts)...)
		default:
			return nil, refuse(fmt.Sprintf("field %q", field.Name), field.Type.String(), "a number or a text")
		}
	}
	return NewFrame(columns...)
}

// MustFrameOf is FrameOf that panics on an error.
func MustFrameOf[Row any](rows []Row) *Frame { return must.Of(FrameOf(rows)) }

func each[T any](values []reflect.Value, of func(reflect.Value) T) []T {
	all := make([]T, len(values))
	for i, value := range values {
		all[i] = of(value)
	}
	return all
}

// distinct lists texts in the order in which they first occur.
func distinct(texts []string) (first []string) {
	seen := map[string]bool{}
	for _, text := range texts {
		if !seen[text] {
			seen[text], first = true, append(first, text)
		}
	}
	return first
}

// Rounded is the table with its float64s to so many digits after the point, such as all backends agree on; none is −0. Integers, texts
// and columns with levels stay.
func (f *Frame) Rounded(digits int) *Frame {
	unit := math.Pow10(digits)
	rounded := &Frame{make([]Column, len(f.columns))}
	for i, c := range f.columns {
		if values, ok := c.values.([]float64); ok && c.levels == nil {
			numbers := make([]float64, len(values))
			for row, value := range values {
				numbers[row] = math.Round(value*unit)/unit + 0 // + 0 turns −0 into 0
			}
			c.values = numbers
		}
		rounded.columns[i] = c
	}
	return rounded
}
