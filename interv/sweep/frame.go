package sweep

import (
	"fmt"
	"strings"

	"github.com/govene/govene/internal/must"
	"github.com/govene/govene/plotting"
)

// Result is what a sweep has measured. A number that is missing, of a sweep that was cancelled, is NaN.
type Result struct {
	Cells        []Cell
	Values       [][]float64 // [cell][pair]: the metric
	Base, Source []float64   // [pair]: the metric of the clean runs; Source is nil where there is none, and where the metric compares with the base's
	Metric       string      // its name
	Stats        Stats
}

// Recovered is (value − base) / (source − base) for every cell and pair, the share of the difference between the clean runs that a cell
// brings back, [cell][pair]; it is NaN or infinite where these do not differ, and nil without sources.
func (r *Result) Recovered() [][]float64 {
	if r.Source == nil {
		return nil
	}
	shares := make([][]float64, len(r.Values))
	for i, row := range r.Values {
		shares[i] = make([]float64, len(row))
		for pair, value := range row {
			shares[i][pair] = (value - r.Base[pair]) / (r.Source[pair] - r.Base[pair])
		}
	}
	return shares
}

// Frame is a table with a row for each cell and pair: component, layer, position (the place's name), heads, features, direction, scale,
// pair, value, base and, with sources, source and recovered.
func (r *Result) Frame() *plotting.Frame {
	return r.frame(len(r.Base), func(cell, pair int) (list [4]float64) {
		list[0], list[1] = r.Values[cell][pair], r.Base[pair]
		if r.Source != nil {
			list[2], list[3] = r.Source[pair], r.Recovered()[cell][pair]
		}
		return list
	})
}

// Means is the Frame with the mean of each cell over all pairs.
func (r *Result) Means() *plotting.Frame {
	mean := func(of func(pair int) float64) float64 {
		sum := 0.0
		for pair := range r.Base {
			sum += of(pair)
		}
		return sum / float64(len(r.Base))
	}
	base := mean(func(pair int) float64 { return r.Base[pair] })
	source := 0.0
	if r.Source != nil {
		source = mean(func(pair int) float64 { return r.Source[pair] })
	}
	return r.frame(1, func(cell, _ int) [4]float64 {
		value := mean(func(pair int) float64 { return r.Values[cell][pair] })
		return [4]float64{value, base, source, (value - base) / (source - base)}
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
	if r.Source != nil {
		columns = append(columns, plotting.NewColumn("source", floats["source"]), plotting.NewColumn("recovered", floats["recovered"]))
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

// Plot is the map of the means over pairs: layers upwards and, across, what else is swept: positions (by their names), heads, features or
// scales, the first of these that has several; a panel for each component. Tiles show the recovered share where there are sources, and the
// metric elsewhere.
func (r *Result) Plot() plotting.Plot {
	across := "position"
	varies := func(of func(c Cell) string) bool {
		for _, c := range r.Cells {
			if of(c) != of(r.Cells[0]) {
				return true
			}
		}
		return false
	}
	switch {
	case varies(func(c Cell) string { return c.Place.String() }):
	case varies(func(c Cell) string { return listed(c.Heads) }):
		across = "heads"
	case varies(func(c Cell) string { return listed(c.Features) }):
		across = "features"
	case varies(func(c Cell) string { return fmt.Sprint(c.Scale) }):
		across = "scale"
	}
	fill, label := "value", r.Metric
	if r.Source != nil {
		fill, label = "recovered", "recovered share of "+r.Metric
	}
	parts := []plotting.Part{plotting.Tile{}, plotting.FillScale{Map: plotting.RdBu}, plotting.Labels{Fill: fill,
		Description: fmt.Sprintf("The %s, by layer and %s.", strings.ReplaceAll(label, "_", " "), across)}}
	if varies(func(c Cell) string { return string(c.Component) }) {
		parts = append(parts, plotting.FacetWrap{By: "component"})
	}
	return plotting.New(r.Means(), plotting.Aes{X: across, Y: "layer", Fill: fill}).Add(parts...)
}
