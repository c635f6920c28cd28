package plotting

import (
	"cmp"
	"fmt"
	"image/color"
	"slices"
)

// Point draws a disc at each row's place.
type Point struct {
	Radius float64 // in pixels; 0 for 2.5
}

// AddTo implements [Part].
func (pt Point) AddTo(p *Plot) { p.AddLayer(pt) }

// Needs implements [Layer].
func (Point) Needs() []Aesthetic { return []Aesthetic{X, Y} }

// Draw implements [Layer].
func (pt Point) Draw(p *Panel) {
	for _, r := range p.Rows {
		p.Disc(r.X, r.Y, cmp.Or(pt.Radius, 2.5), either(r.Colour, ink))
	}
}

// DrawKey implements [Keyer].
func (pt Point) DrawKey(key *Panel, colour color.RGBA) {
	key.Disc(0.5, 0.5, cmp.Or(pt.Radius, 2.5), colour)
}

// Line joins rows that agree in Group, Colour and Fill, in the order of X. If no two rows agree, that is an error.
type Line struct {
	Width float64 // in pixels; 0 for 1.5
}

// AddTo implements [Part].
func (l Line) AddTo(p *Plot) { p.AddLayer(l) }

// Needs implements [Layer].
func (Line) Needs() []Aesthetic { return []Aesthetic{X, Y} }

// groups are the rows of each line.
func (Line) groups(p *Panel) [][]Row {
	rows := slices.Clone(p.Rows)
	slices.SortStableFunc(rows, func(a, b Row) int { return cmp.Or(a.Group-b.Group, cmp.Compare(a.X, b.X)) })
	var groups [][]Row
	for start, end := 0, 0; start < len(rows); start = end {
		for end < len(rows) && rows[end].Group == rows[start].Group {
			end++
		}
		groups = append(groups, rows[start:end])
	}
	return groups
}

// Arrange refuses lines that have no length.
func (l Line) Arrange(p *Panel) error {
	for _, rows := range l.groups(p) {
		if len(rows) > 1 {
			return nil
		}
	}
	return refuse("Line", fmt.Sprintf("%d rows, none of which belong together", len(p.Rows)),
		"two rows or more that agree in Group, Colour and Fill")
}

// Draw implements [Layer].
func (l Line) Draw(p *Panel) {
	for _, rows := range l.groups(p) {
		points := make([][2]float64, len(rows))
		for i, r := range rows {
			points[i] = [2]float64{r.X, r.Y}
		}
		p.Path(points, either(rows[0].Colour, ink), cmp.Or(l.Width, 1.5), false)
	}
}

// DrawKey implements [Keyer].
func (l Line) DrawKey(key *Panel, colour color.RGBA) {
	key.Path([][2]float64{{0, 0.5}, {1, 0.5}}, colour, cmp.Or(l.Width, 1.5), false)
}

// HLine draws a dashed line across every panel, for reference. The axis reaches it.
type HLine struct {
	At     float64 // a value of the y axis
	Label  string  // written at the line's left end
	Colour color.RGBA
}

// AddTo implements [Part].
func (h HLine) AddTo(p *Plot) { p.AddLayer(h) }

// Needs implements [Layer].
func (HLine) Needs() []Aesthetic { return nil }

// Arrange makes the axis reach the line.
func (h HLine) Arrange(p *Panel) error {
	number, err := p.Y.Number(h.At)
	if err != nil {
		e := *err.(*Error)
		e.Where = "HLine, " + e.Where
		return &e
	}
	p.Y.Include(number)
	return nil
}

// Draw implements [Layer].
func (h HLine) Draw(p *Panel) {
	y, _ := p.Y.Number(h.At) // Arrange has seen it
	left, right := p.X.Ends()
	colour := either(h.Colour, Hex(0xb2182b))
	p.Path([][2]float64{{left, y}, {right, y}}, colour, 1.2, true)
	p.canvas.text(p.X.place(left)+4, p.Y.place(y)-8, h.Label, font{size: smallFont, colour: colour, anchor: start, halo: true})
}
