package sweep

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/govene/govene/internal/must"
	"github.com/govene/govene/plotting"
)

// Result is what a sweep has measured. A number that is missing, of a sweep that was cancelled, is NaN.
//
// A metric that compares with the clean run, such as a KL divergence, compares cells with the base's: that is 0 of the base itself. Of a source it
// would compare the source with itself, not with the base, and so there is no Source for it, and no
// recovered share but in a sweep with a Corruption.
type Result struct {
	Cells        []Cell
	Values       [][]float64 // [cell][pair]: the metric
	Base, Source []float64   // [pair]: the metric of the clean runs; Source is nil where there is none, and where the metric compares with the base's
	Corrupted    []float64   // [pair]: the metric under the sweep's corruption alone; nil where there is none
	Metric       string      // its name
	Stats        Stats
}

// ends are the numbers from which and to which cells recover: from the base's to the source's or, in a corrupted sweep without sources, from
// the corrupted base's to the clean one's; nil where there are no such.
func (r *Result) ends() (from, to []float64) {
	switch {
	case r.Source != nil:
		return r.Base, r.Source
	case r.Corrupted != nil:
		return r.Corrupted, r.Base
	}
	return nil, nil
}

// Recovered is (value − base) / (source − base) for every cell and pair, the share of the difference between the clean runs that a cell
// brings back, [cell][pair]; in causal tracing, where a corrupted run is restored to the clean one without a source, it is
// (value − corrupted) / (base − corrupted). It is NaN or infinite where these do not differ, and nil without sources or corruption.
func (r *Result) Recovered() [][]float64 {
	from, to := r.ends()
	if from == nil {
		return nil
	}
	shares := make([][]float64, len(r.Values))
	for i, row := range r.Values {
		shares[i] = make([]float64, len(row))
		for pair, value := range row {
			shares[i][pair] = (value - from[pair]) / (to[pair] - from[pair])
		}
	}
	return shares
}

// Frame is a table with a row for each cell and pair: component, layer, position (the place's name), heads, features, direction, scale,
// pair, value, base and, with sources, source and recovered, or with corruption, corrupted and recovered.
func (r *Result) Frame() *plotting.Frame {
	recovered := r.Recovered()
	_, other := r.other()
	return r.frame(len(r.Base), func(cell, pair int) (list [4]float64) {
		list[0], list[1] = r.Values[cell][pair], r.Base[pair]
		if other != nil {
			list[2], list[3] = other[pair], recovered[cell][pair]
		}
		return list
	})
}

// other are the numbers of the end that is not the base, and what tables call them.
func (r *Result) other() (name string, numbers []float64) {
	if r.Source == nil && r.Corrupted != nil {
		return "corrupted", r.Corrupted
	}
	return "source", r.Source
}

// Means is the Frame with the mean of each cell over all pairs. Recovered is that of the means, so that a pair whose clean runs hardly differ
// does not outweigh the others.
func (r *Result) Means() *plotting.Frame {
	from, to := r.ends()
	_, other := r.other()
	return r.frame(1, func(cell, _ int) [4]float64 {
		value := mean(r.Values[cell])
		return [4]float64{value, mean(r.Base), mean(other), (value - mean(from)) / (mean(to) - mean(from))}
	})
}

// frame has a row for each cell and each of so many of its numbers: value, base, source, recovered.
func (r *Result) frame(each int, numbers func(cell, k int) [4]float64) *plotting.Frame {
	count := len(r.Cells) * each
	texts, ints, floats := map[string][]string{}, map[string][]int{}, map[string][]float64{}
	var positions []string // in the order of cells
	seen := map[string]bool{}
	for i, c := range r.Cells {
		place := c.Place.String()
		if !seen[place] {
			seen[place], positions = true, append(positions, place)
		}
		for k := range each {
			texts["component"], texts["position"] = append(texts["component"], string(c.Component)), append(texts["position"], place)
			texts["heads"], texts["features"] = append(texts["heads"], listed(c.Heads)), append(texts["features"], listed(c.Features))
			ints["layer"], ints["direction"], ints["pair"] = append(ints["layer"], c.Layer), append(ints["direction"], c.Direction), append(ints["pair"], k)
			for j, name := range []string{"value", "base", "source", "recovered"} {
				floats[name] = append(floats[name], numbers(i, k)[j])
			}
			floats["scale"] = append(floats["scale"], c.Scale)
		}
	}
	text := func(name string, levels ...string) plotting.Column {
		column := plotting.NewColumn(name, append(make([]string, 0, count), texts[name]...))
		if levels != nil {
			column = column.Levels(levels...)
		}
		return column
	}
	columns := []plotting.Column{text("component", unique(texts["component"])...), plotting.NewColumn("layer", ints["layer"]), text("position", positions...),
		text("heads", unique(texts["heads"])...), text("features", unique(texts["features"])...), plotting.NewColumn("direction", ints["direction"]), plotting.NewColumn("scale", floats["scale"])}
	if each > 1 || len(r.Base) == 1 {
		columns = append(columns, plotting.NewColumn("pair", ints["pair"]))
	}
	columns = append(columns, plotting.NewColumn("value", floats["value"]), plotting.NewColumn("base", floats["base"]))
	if name, other := r.other(); other != nil {
		columns = append(columns, plotting.NewColumn(name, floats["source"]), plotting.NewColumn("recovered", floats["recovered"]))
	}
	return must.Of(plotting.NewFrame(columns...))
}

// listed writes a list of numbers; "all" for nil.
func listed(list []int) string {
	if list == nil {
		return "all"
	}
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(list), " ", ", "), "[]")
}

// unique lists the distinct texts in the order in which they first occur.
func unique(texts []string) (list []string) {
	seen := map[string]bool{}
	for _, text := range texts {
		if !seen[text] {
			seen[text], list = true, append(list, text)
		}
	}
	return list
}

// Plot is the map of the means over pairs: layers upwards and, across, what else is swept: positions (by their names), heads, features,
// scales or directions, the first of these that has several; a panel for each component, and for each entry of the other axes. Tiles show the
// recovered share where its two ends have means that differ, and the metric elsewhere; there is none where that is no finite number.
func (r *Result) Plot() plotting.Plot {
	means := r.Means()
	var swept []axis
	for _, a := range axes {
		if slices.ContainsFunc(r.Cells, func(c Cell) bool { return a.of(c) != a.of(r.Cells[0]) }) {
			swept = append(swept, a)
		}
	}
	across := "position"
	if i := slices.IndexFunc(swept, func(a axis) bool { return a.name != "component" }); i >= 0 {
		across = swept[i].name
		swept = slices.Delete(swept, i, i+1)
	}
	fill, label, legend := "value", r.Metric, r.Metric
	if from, to := r.ends(); from != nil && mean(from) != mean(to) {
		fill, label, legend = "recovered", "recovered share of "+r.Metric, "recovered"
	}
	parts := []plotting.Part{plotting.Tile{}, plotting.FillScale{Map: plotting.RdBu}, plotting.Labels{Fill: legend,
		Description: fmt.Sprintf("The %s, by layer and %s.", strings.ReplaceAll(label, "_", " "), across)}}
	if len(swept) > 0 {
		panels := make([]string, len(r.Cells))
		for i, c := range r.Cells {
			panels[i] = panel(c, swept)
		}
		columns := []plotting.Column{plotting.NewColumn("panel", panels).Levels(unique(panels)...)}
		for _, name := range means.Names() {
			columns = append(columns, must.Of(means.Column(name)))
		}
		means = must.Of(plotting.NewFrame(columns...))
		parts = append(parts, plotting.FacetWrap{By: "panel"})
	}
	finite := func(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }
	return plotting.New(must.Of(plotting.Filter(means, fill, finite)), plotting.Aes{X: across, Y: "layer", Fill: fill}).Add(parts...)
}

// axis is what cells differ in, besides their layers, and its column in frames.
type axis struct {
	name string
	of   func(c Cell) string
}

var axes = []axis{
	{"component", func(c Cell) string { return string(c.Component) }},
	{"position", func(c Cell) string { return c.Place.String() }},
	{"heads", func(c Cell) string { return listed(c.Heads) }},
	{"features", func(c Cell) string { return listed(c.Features) }},
	{"scale", func(c Cell) string { return fmt.Sprint(c.Scale) }},
	{"direction", func(c Cell) string { return strconv.Itoa(c.Direction) }},
}

// panel names the panel of a cell by its entries on some axes.
func panel(c Cell, of []axis) string {
	var parts []string
	for _, a := range of {
		if a.name == "component" {
			parts = append(parts, a.of(c))
		} else {
			parts = append(parts, a.name+" "+a.of(c))
		}
	}
	return strings.Join(parts, ", ")
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}
