package das

import (
	"fmt"
	"html"
	"slices"
	"strings"

	"github.com/govene/govene/plotting"
)

// lines are the cells of the table.
func (r *Report) lines() [][]string {
	lines := [][]string{{"place", "rank", "what", "IIA", "95%", "held out", "seeds"}}
	for _, row := range r.Rows {
		rank, held, seeds := "", "", make([]string, len(row.Seeds))
		switch {
		case row.Rank > 0:
			rank = fmt.Sprint(row.Rank)
		case len(row.Ranks) > 0:
			rank = strings.Join(strings.Fields(strings.Trim(fmt.Sprint(row.Ranks), "[]")), "+") // of each variable, as found
		}
		if len(row.Seeds) > 0 && row.Held > 0 {
			held = fmt.Sprintf("%.3f", row.Held)
		}
		for i, seed := range row.Seeds {
			seeds[i] = fmt.Sprintf("%.3f", seed)
		}
		lines = append(lines, []string{row.Place, rank, row.Name, fmt.Sprintf("%.3f", row.Accuracy), fmt.Sprintf("%.3f–%.3f", row.Low, row.High), held, strings.Join(seeds, " ")})
	}
	return lines
}

// summary is the line above the table.
func (r *Report) summary() string {
	return fmt.Sprintf("%d test examples; the model is right on %.3f of bases and %.3f of sources; the label stays the base's in %.3f", r.Examples, r.Base, r.Sources, r.Unchanged)
}

// String is the report as text.
func (r *Report) String() string {
	var text strings.Builder
	fmt.Fprintln(&text, r.summary())
	for _, line := range r.lines() {
		fmt.Fprintf(&text, "%-36s %4s  %-18s %6s  %-13s  %8s  %s\n", line[0], line[1], line[2], line[3], line[4], line[5], line[6])
	}
	for _, warning := range r.Warnings {
		fmt.Fprintln(&text, "Warning:", warning)
	}
	return text.String()
}

// HTML is the report as a table with its warnings, for notebooks.
func (r *Report) HTML() string {
	var text strings.Builder
	fmt.Fprintf(&text, "<p>%s</p>\n<table>\n", html.EscapeString(r.summary()))
	for i, line := range r.lines() {
		tag := "td"
		if i == 0 {
			tag = "th"
		}
		text.WriteString("<tr>")
		for _, cell := range line {
			fmt.Fprintf(&text, "<%s>%s</%s>", tag, html.EscapeString(cell), tag)
		}
		text.WriteString("</tr>\n")
	}
	text.WriteString("</table>\n")
	for _, warning := range r.Warnings {
		fmt.Fprintf(&text, "<p><b>Warning:</b> %s</p>\n", html.EscapeString(warning))
	}
	return text.String()
}

// Frame is the report as data: place, rank, what, accuracy, low, high, and a label with the spread over seeds. What has no rank, all
// dimensions and none, stands at each.
func (r *Report) Frame() *plotting.Frame {
	var ranks []int
	names := []string{Found, Centred, Spread}
	controls := []string{Untrained, Drawn, Shuffled, All, None}
	for _, row := range r.Rows {
		given := !slices.Contains(names, row.Name) && !slices.Contains(controls, row.Name)
		if given {
			names = append(names, row.Name)
		}
		if (given || row.Name == Found) && !slices.Contains(ranks, row.Rank) {
			ranks = append(ranks, row.Rank)
		}
	}
	var places, whats, labels, order []string
	var at []int
	var accuracies, lows, highs []float64
	for _, name := range append(names, controls...) {
		for _, row := range r.Rows {
			if row.Name != name {
				continue
			}
			if !slices.Contains(order, name) {
				order = append(order, name)
			}
			label := fmt.Sprintf("%.2f", row.Accuracy)
			if len(row.Seeds) > 1 {
				label += fmt.Sprintf(" (%.2f–%.2f)", slices.Min(row.Seeds), slices.Max(row.Seeds))
			}
			for _, rank := range ranks {
				if row.Rank == rank || row.Rank == 0 {
					places, whats, labels, at = append(places, row.Place), append(whats, row.Name), append(labels, label), append(at, rank)
					accuracies, lows, highs = append(accuracies, row.Accuracy), append(lows, row.Low), append(highs, row.High)
				}
			}
		}
	}
	return plotting.MustFrame(plotting.NewColumn("place", places), plotting.NewColumn("rank", at).Levels(), plotting.NewColumn("what", whats).Levels(order...),
		plotting.NewColumn("accuracy", accuracies), plotting.NewColumn("low", lows), plotting.NewColumn("high", highs), plotting.NewColumn("spread", labels))
}

// Plot shows the alignments and each control as heat maps side by side: place by rank, with the spread over seeds.
func (r *Report) Plot() plotting.Plot {
	return plotting.New(r.Frame(), plotting.Aes{X: "rank", Y: "place", Fill: "accuracy", Label: "spread"}).Add(plotting.Tile{}, plotting.Text{},
		plotting.FacetWrap{By: "what"}, plotting.FillScale{Limits: [2]float64{0, 1}},
		plotting.Labels{Title: "Interchange intervention accuracy, and its controls", Subtitle: "On the test examples: of the best seed; in brackets the least and the greatest"})
}
