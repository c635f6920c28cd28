package plotting

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
)

// figure is a plot on its way to the page: what build makes and layout places.
type figure struct {
	plot   Plot
	x, y   *Scale
	panels []*Panel
	strips []string // above each panel; nil without facets
	guides []guide
	layout layout
}

// build is the whole way from a table to a figure: each step uses what those before it made.
func (p Plot) build() (*figure, error) {
	// 1. Each aesthetic finds its column, and each layer the aesthetics it needs.
	columns, err := p.columns()
	if err != nil {
		return nil, err
	}
	f := &figure{plot: p, x: newScale(columns.x, "x"), y: newScale(columns.y, "y")}
	f.y.log, f.y.reverse = p.logY, p.downY
	if f.y.log && f.y.levels != nil {
		return nil, refuse("LogY", f.y.where+", which holds categories", "numbers")
	}

	// 2. Values become numbers on the axes, and colours.
	rows, err := f.rows(columns)
	if err != nil {
		return nil, err
	}

	// 3. Rows go to their panels.
	if err := f.split(rows, columns.facet); err != nil {
		return nil, err
	}

	// 4. Axes reach the rows, and what layers make of them.
	for _, panel := range f.panels {
		for _, r := range panel.Rows {
			f.x.Include(r.X)
			f.y.Include(r.Y)
		}
	}
	for _, layer := range p.layers {
		arranger, ok := layer.(Arranger)
		for _, panel := range f.panels {
			if !ok {
				break
			}
			if err := arranger.Arrange(panel); err != nil {
				return nil, err
			}
		}
	}

	// 5. All texts are known, so everything gets its place.
	return f, f.place()
}

// columnsOf are the columns of the aesthetics; one without a name is not mapped.
type columnsOf struct{ x, y, fill, colour, label, group, facet Column }

// columns finds the columns, and refuses layers that lack one.
func (p Plot) columns() (columnsOf, error) {
	var found columnsOf
	if p.frame.Len() == 0 {
		return found, refuse("plot", "a table without rows", "at least one")
	}
	if len(p.layers) == 0 {
		return found, refuse("plot", "no layer", "at least one, such as plotting.Point{}")
	}
	mapped := map[Aesthetic]bool{}
	for _, mapping := range []struct {
		aesthetic Aesthetic
		name      string
		column    *Column
	}{
		{X, p.aes.X, &found.x}, {Y, p.aes.Y, &found.y}, {Fill, p.aes.Fill, &found.fill}, {Colour, p.aes.Colour, &found.colour},
		{Label, p.aes.Label, &found.label}, {"Group", p.aes.Group, &found.group}, {"FacetWrap.By", p.facet.By, &found.facet},
	} {
		if mapping.name == "" {
			continue
		}
		var err error
		if *mapping.column, err = p.frame.Column(mapping.name); err != nil {
			e := *err.(*Error)
			e.Where = string(mapping.aesthetic)
			return found, &e
		}
		mapped[mapping.aesthetic] = true
	}
	for _, layer := range p.layers {
		// Axes come from columns, so every plot needs both.
		for _, aesthetic := range append([]Aesthetic{X, Y}, layer.Needs()...) {
			if !mapped[aesthetic] {
				return found, refuse(fmt.Sprintf("%T", layer), fmt.Sprintf("no %s in Aes", aesthetic), "the name of a column there")
			}
		}
	}
	return found, nil
}

// rows maps the table: numbers, colours, labels and groups.
func (f *figure) rows(columns columnsOf) ([]Row, error) {
	xs, err := f.x.numbers(columns.x)
	if err != nil {
		return nil, err
	}
	ys, err := f.y.numbers(columns.y)
	if err != nil {
		return nil, err
	}
	rows := make([]Row, len(xs))
	for i := range rows {
		rows[i].X, rows[i].Y = xs[i], ys[i]
		if columns.label.name != "" {
			rows[i].Label = columns.label.value(i)
		}
	}
	labels := f.plot.labels
	if columns.fill.name != "" {
		colouring, err := colouringOf(columns.fill, "Fill", f.plot.fill)
		if err != nil {
			return nil, err
		}
		for i := range rows {
			rows[i].Fill = colouring.of(i)
		}
		f.guides = append(f.guides, guide{title: cmp.Or(labels.Fill, columns.fill.name), aesthetic: Fill, colouring: colouring})
	}
	if columns.colour.name != "" {
		colouring, err := colouringOf(columns.colour, "Colour", (*FillScale)(f.plot.colour))
		if err != nil {
			return nil, err
		}
		for i := range rows {
			rows[i].Colour = colouring.of(i)
		}
		if f.plot.aes.Colour == f.plot.aes.Fill && reflect.DeepEqual((*FillScale)(f.plot.colour), f.plot.fill) {
			f.guides = nil // one guide for both
		}
		f.guides = append(f.guides, guide{title: cmp.Or(labels.Colour, columns.colour.name), aesthetic: Colour, colouring: colouring})
	}
	setGroups(rows, columns.group, columns.colour, columns.fill)
	return rows, nil
}

// setGroups numbers the combinations of values in some columns, in the order of their values.
func setGroups(rows []Row, columns ...Column) {
	keys := make([][]int, len(rows))
	for _, c := range columns {
		_, index := c.factor()
		for row, i := range index {
			keys[row] = append(keys[row], i)
		}
	}
	distinct := slices.Clone(keys)
	slices.SortFunc(distinct, slices.Compare)
	distinct = slices.CompactFunc(distinct, slices.Equal)
	for i := range rows {
		rows[i].Group, _ = slices.BinarySearchFunc(distinct, keys[i], slices.Compare)
	}
}

// split makes a panel for each value of the facet's column, or one for all rows.
func (f *figure) split(rows []Row, by Column) error {
	if f.plot.facet.Columns < 0 {
		return refuse("FacetWrap.Columns", fmt.Sprint(f.plot.facet.Columns), "0 or more")
	}
	if by.name == "" {
		if f.plot.facet != (FacetWrap{}) {
			return refuse("FacetWrap.By", "no name", "the name of a column")
		}
		f.panels = []*Panel{{X: f.x, Y: f.y, Rows: rows, figure: f}}
		return nil
	}
	levels, index := by.factor()
	for _, level := range levels {
		f.panels = append(f.panels, &Panel{X: f.x, Y: f.y, figure: f})
		if f.plot.facet.Both {
			level = by.name + ": " + level
		}
		f.strips = append(f.strips, level)
	}
	for row, i := range index {
		f.panels[i].Rows = append(f.panels[i].Rows, rows[row])
	}
	return nil
}
