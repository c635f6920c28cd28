package causal

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// String shows the model's structure: for each variable its time step, its parents and its values.
func (m *Model) String() string {
	rows := [][]string{{"step", "variable", "parents", "values"}}
	for _, n := range m.variables {
		values := list(n.Values)
		if n.Values == nil {
			values = "any"
		}
		rows = append(rows, []string{fmt.Sprint(n.step), n.Name, strings.Join(n.Parents, ", "), values})
	}
	return align(rows)
}

// Table shows settings as a table: a column for each variable, in network order, and a line for each setting. A variable that a
// setting leaves open, such as those that are not inputs in an input setting, is a dot.
func (m *Model) Table(settings ...Setting) string {
	rows := [][]string{m.names()}
	for _, setting := range settings {
		row := make([]string, len(m.variables))
		for i, n := range m.variables {
			row[i] = "·"
			if value, ok := setting[n.Name]; ok {
				row[i] = fmt.Sprint(value)
			}
		}
		rows = append(rows, row)
	}
	return align(rows)
}

// Node is a variable as a point in a drawing of the model.
type Node struct {
	Variable string
	Step     int // the length of the longest path from an input; for outputs, that of the longest of all
	Place    int // among the variables of its step, from 0
}

// Edge is an arrow from a parent to a variable that is computed from it.
type Edge struct{ From, To Node }

// Graph lists the variables and arrows of the model, in network order, with coordinates to draw them at.
func (m *Model) Graph() ([]Node, []Edge) {
	nodes := make([]Node, len(m.variables))
	at := map[string]Node{}
	var edges []Edge
	for i, n := range m.variables {
		place := 0
		if i > 0 && nodes[i-1].Step == n.step {
			place = nodes[i-1].Place + 1
		}
		nodes[i] = Node{n.Name, n.step, place}
		at[n.Name] = nodes[i]
		for _, parent := range n.Parents {
			edges = append(edges, Edge{at[parent], nodes[i]})
		}
	}
	return nodes, edges
}

// list writes values with commas between them, the middle of a long list left out.
func list(values []Value) string {
	const most = 12
	words := make([]string, len(values))
	for i, value := range values {
		words[i] = fmt.Sprint(value)
	}
	if len(words) > most {
		words = slices.Concat(words[:most-2], []string{"…"}, words[len(words)-1:])
	}
	return strings.Join(words, ", ")
}

// align puts rows of words into columns.
func align(rows [][]string) string {
	var widths []int
	for _, row := range rows {
		for i, word := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(word))
		}
	}
	var text strings.Builder
	for _, row := range rows {
		var line strings.Builder
		for i, word := range row {
			line.WriteString(word)
			line.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(word)+2))
		}
		text.WriteString(strings.TrimRight(line.String(), " "))
		text.WriteByte('\n')
	}
	return text.String()
}
