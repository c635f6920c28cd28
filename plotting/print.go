package plotting

import (
	"fmt"
	"html"
	"strconv"
	"strings"
	"unicode/utf8"
)

// printed is how many rows String and HTML write.
const printed = 20

// cells are the names and the first rows as a reader sees them, fractions to four digits.
func (f *Frame) cells() [][]string {
	cells := [][]string{f.Names()}
	for row := range min(f.Len(), printed) {
		line := make([]string, len(f.columns))
		for i, c := range f.columns {
			if floats, ok := c.values.([]float64); ok {
				line[i] = strconv.FormatFloat(floats[row], 'g', 4, 64)
			} else {
				line[i] = c.text(row)
			}
		}
		cells = append(cells, line)
	}
	return cells
}

// rest says how many rows are not written; nothing if all are.
func (f *Frame) rest() string {
	if f.Len() <= printed {
		return ""
	}
	return fmt.Sprintf("and %d more rows\n", f.Len()-printed)
}

// isText tells whether a column is written from the left.
func (c Column) isText() bool {
	_, text := c.values.([]string)
	return text
}

// String writes the table as text: names, the first 20 rows, and how many more there are.
func (f *Frame) String() string {
	cells := f.cells()
	widths := make([]int, len(f.columns))
	for _, line := range cells {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var text strings.Builder
	for _, line := range cells {
		for i, cell := range line {
			padding := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if f.columns[i].isText() {
				cell += padding
			} else {
				cell = padding + cell
			}
			if i > 0 {
				text.WriteString("  ")
			}
			text.WriteString(cell)
		}
		text.WriteByte('\n')
	}
	return text.String() + f.rest()
}

// HTML writes what String does as a fragment of HTML, for nb.ShowTable.
func (f *Frame) HTML() string {
	var text strings.Builder
	text.WriteString("<table>\n")
	for row, line := range f.cells() {
		element := "td"
		if row == 0 {
			element = "th"
		}
		text.WriteString("<tr>")
		for i, cell := range line {
			align := "right"
			if f.columns[i].isText() {
				align = "left"
			}
			fmt.Fprintf(&text, `<%s style="text-align:%s">%s</%[1]s>`, element, align, html.EscapeString(cell))
		}
		text.WriteString("</tr>\n")
	}
	text.WriteString("</table>\n")
	return text.String() + f.rest()
}
