package interv

import (
	"fmt"
	"html"
	"reflect"
	"strings"
	"text/tabwriter"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/plural"
)

// table is what configs, calls and results print: text in a terminal, HTML in a notebook.
type table struct {
	title string
	head  []string
	rows  [][]string
	notes []string
}

// String is the table as aligned text.
func (t table) String() string {
	var text strings.Builder
	fmt.Fprintln(&text, t.title)
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{t.head}, t.rows...) {
		fmt.Fprintln(w, "  "+strings.Join(row, "\t"))
	}
	w.Flush()
	for _, note := range t.notes {
		fmt.Fprintln(&text, note)
	}
	lines := strings.Split(strings.TrimRight(text.String(), "\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

// HTML is the table as HTML.
func (t table) HTML() string {
	var text strings.Builder
	fmt.Fprintf(&text, "<table><caption>%s</caption><thead>", html.EscapeString(t.title))
	cells := func(tag string, row []string) {
		text.WriteString("<tr>")
		for _, cell := range row {
			fmt.Fprintf(&text, "<%s>%s</%s>", tag, html.EscapeString(cell), tag)
		}
		text.WriteString("</tr>")
	}
	cells("th", t.head)
	text.WriteString("</thead><tbody>")
	for _, row := range t.rows {
		cells("td", row)
	}
	text.WriteString("</tbody></table>")
	for _, note := range t.notes {
		fmt.Fprintf(&text, "<p>%s</p>", html.EscapeString(note))
	}
	return text.String()
}

// String says what the config will do: a table with one line for each representation.
func (c Config) String() string { return c.table().String() }

// HTML is the table of String for a notebook.
func (c Config) HTML() string { return c.table().HTML() }

func (c Config) table() table {
	mode := c.Mode
	if mode == "" {
		mode = Parallel
	}
	t := table{title: fmt.Sprintf("%s, %s", plural.Of(len(c.Representations), "intervention"), mode), head: []string{"", "site", "unit", "intervention"}}
	for i, r := range c.Representations {
		together := 1 // as for interventions without parameters
		if _, parameterized := r.Intervention.(Parameterized); parameterized {
			together = r.MaxUnits
		}
		t.rows = append(t.rows, []string{fmt.Sprint(i), r.Site().String(), unitOf(r.Unit, together), describeIntervention(r.Intervention)})
	}
	t.addColumn("parts", func(i int) string { return describeParts(c.Representations[i].SubspacePartition) })
	t.addColumn("link", func(i int) string { return c.Representations[i].Link })
	t.addColumn("group", func(i int) string { return c.Representations[i].Group })
	t.addColumn("name", func(i int) string { return c.Representations[i].Name })
	return t
}

// addColumn adds a column, unless it is empty in every row.
func (t *table) addColumn(head string, of func(row int) string) {
	empty := true
	for i := range t.rows {
		empty = empty && of(i) == ""
	}
	if empty {
		return
	}
	t.head = append(t.head, head)
	for i := range t.rows {
		t.rows[i] = append(t.rows[i], of(i))
	}
}

// String says what it will do: the table of its config with what the model adds, and the number of parameters.
func (iv *Intervenable) String() string { return iv.table().String() }

// HTML is the table of String for a notebook.
func (iv *Intervenable) HTML() string { return iv.table().HTML() }

func (iv *Intervenable) table() table {
	t := iv.config.table()
	t.title = iv.model.Catalogue().Model + ": " + t.title
	frozen := iv.frozenNow()
	for i, p := range iv.plan.representations {
		t.rows[i][2] = unitOf(p.Unit, p.together)
	}
	t.addColumn("parameters", func(i int) string {
		owner := iv.plan.representations[i].owner
		if owner != i {
			return fmt.Sprintf("those of %d", owner)
		}
		var list []string
		for _, parameter := range iv.declared[i] {
			kind := parameter.Kind.String()
			if frozen[parameterKey{i, parameter.Name}] {
				kind = "frozen"
			}
			list = append(list, fmt.Sprintf("%s %v %s", parameter.Name, parameter.Value.Shape().Dimensions, kind))
		}
		return strings.Join(list, ", ")
	})
	if all, trainable := iv.Count(); all > 0 {
		t.notes = append(t.notes, fmt.Sprintf("%d parameters, %d of them trainable", all, trainable))
	}
	return t
}

// String says what the call gives and asks for: a table with one line for each representation.
func (c Call) String() string { return c.table().String() }

// HTML is the table of String for a notebook.
func (c Call) HTML() string { return c.table().HTML() }

func (c Call) table() table {
	t := table{title: "call: base " + describeInputs(c.Base), head: []string{"", "location"}}
	for i, location := range c.Locations {
		t.rows = append(t.rows, []string{fmt.Sprint(i), location.String()})
	}
	t.addColumn("subspaces", func(i int) string {
		if ids := entry(c.Subspaces, i); ids != nil {
			return fmt.Sprint(ids)
		}
		return ""
	})
	t.addColumn("activations", func(i int) string {
		if given := entry(c.Activations, i); given != nil {
			return given.Shape().String()
		}
		return ""
	})
	for i, source := range c.Sources {
		t.notes = append(t.notes, fmt.Sprintf("source %d: %s", i, describeInputs(source)))
	}
	if len(c.Labels) > 0 {
		t.notes = append(t.notes, "labels: "+describeInputs(c.Labels))
	}
	if c.WithBase {
		t.notes = append(t.notes, "with the base's clean output")
	}
	return t
}

// describeInputs lists names and shapes.
func describeInputs(inputs Inputs) string {
	if inputs == nil {
		return "none"
	}
	var list []string
	for _, name := range sortedKeys(inputs) {
		list = append(list, name+" "+describeShape(inputs[name]))
	}
	return strings.Join(list, ", ")
}

// String is the units read and written, as in "[[0] [0]] → [[2] [3]]".
func (l *Location) String() string {
	switch {
	case l == nil:
		return "left out"
	case l.Everywhere:
		return "everywhere"
	}
	side := func(list, heads [][]int) string {
		if heads != nil {
			return fmt.Sprintf("heads %v at %v", heads, list)
		}
		return fmt.Sprint(list)
	}
	if l.Source == nil && l.SourceHeads == nil {
		return side(l.Base, l.BaseHeads)
	}
	return side(l.Source, l.SourceHeads) + " → " + side(l.Base, l.BaseHeads)
}

// String says what came out: a table of names and shapes.
func (r *Result) String() string { return r.table().String() }

// HTML is the table of String for a notebook.
func (r *Result) HTML() string { return r.table().HTML() }

func (r *Result) table() table {
	t := table{title: "result", head: []string{"", "shape"}, rows: [][]string{{"output", describeShape(r.Output)}}}
	if r.BaseOutput != nil {
		t.rows = append(t.rows, []string{"base output", describeShape(r.BaseOutput)})
	}
	for _, c := range r.Collected {
		t.rows = append(t.rows, []string{"collected " + c.Name, describeShape(c.Value)})
	}
	return t
}

// String says what came out: the loss, and a table of names and shapes.
func (r *GradientResult) String() string { return r.table().String() }

// HTML is the table of String for a notebook.
func (r *GradientResult) HTML() string { return r.table().HTML() }

func (r *GradientResult) table() table {
	t := r.Result.table()
	t.title = fmt.Sprintf("loss %.6g", r.Loss)
	for _, gradients := range []map[string]*tensors.Tensor{r.Gradients, r.Model} {
		for _, name := range sortedKeys(gradients) {
			t.rows = append(t.rows, []string{"∂loss/∂" + name, describeShape(gradients[name])})
		}
	}
	return t
}

// String is the settings and how far training is: "Adam, rate 0.001, 20 steps taken".
func (t *Trainer) String() string {
	return fmt.Sprintf("Adam, rate %g, %s taken", t.settings.Rate, plural.Of(t.Steps(), "step"))
}

func unitOf(unit Unit, together int) string {
	if together > 1 {
		return strings.TrimPrefix(fmt.Sprintf("%s, %d together", unit, together), ", ")
	}
	return string(unit)
}

// describeIntervention is the name and, where there are any that are set, the settings.
func describeIntervention(i Intervention) string {
	if i == nil {
		return "none"
	}
	value := reflect.ValueOf(i)
	if constant, ok := i.(Constant); ok {
		return "constant " + describeIntervention(constant.Of)
	}
	if _, isFunction := i.(interface{ check() error }); isFunction || value.Kind() != reflect.Struct {
		return i.Name()
	}
	var settings []string
	for k := range value.NumField() {
		if field := value.Type().Field(k); field.IsExported() && !field.Anonymous && !value.Field(k).IsZero() {
			settings = append(settings, fmt.Sprintf("%s %v", strings.ToLower(field.Name), value.Field(k)))
		}
	}
	if len(settings) == 0 {
		return i.Name()
	}
	return fmt.Sprintf("%s (%s)", i.Name(), strings.Join(settings, ", "))
}

// describeParts writes ranges as 0–3 and other parts as lists.
func describeParts(parts [][]int) string {
	var list []string
	for _, part := range parts {
		text := fmt.Sprint(part)
		if n := len(part); n > 1 && part[n-1]-part[0] == n-1 && reflect.DeepEqual(part, Range(part[0], part[0]+n)) {
			text = fmt.Sprintf("%d–%d", part[0], part[n-1])
		}
		list = append(list, text)
	}
	return strings.Join(list, " ")
}
