package plotting

import (
	"fmt"
	"image/color"
	"maps"
	"math"
	"slices"
)

// ink is the colour of marks and labels that no column colours.
var ink = Hex(0x333333)

// Tile draws a rectangle around each row's place, filled with its Fill: a heat map. A tile is one category or whole number wide;
// on an axis of other numbers, as wide as the smallest distance between two of them, and likewise high. Two tiles in one place of one
// panel are an error.
type Tile struct{}

// AddTo implements [Part].
func (t Tile) AddTo(p *Plot) { p.AddLayer(t) }

// Needs implements [Layer].
func (Tile) Needs() []Aesthetic { return []Aesthetic{X, Y, Fill} }

// Arrange gives the rows the size of their tiles.
func (Tile) Arrange(p *Panel) error {
	width := resolution(p.X, p.Rows, func(r Row) float64 { return r.X })
	height := resolution(p.Y, p.Rows, func(r Row) float64 { return r.Y })
	taken := map[[2]float64]bool{}
	for i := range p.Rows {
		r := &p.Rows[i]
		if taken[[2]float64{r.X, r.Y}] {
			return refuse("Tile", fmt.Sprintf("two rows at %s, %s", p.X.describe(r.X), p.Y.describe(r.Y)),
				"one for each place of a panel (a facet may tell them apart)")
		}
		taken[[2]float64{r.X, r.Y}] = true
		r.Width, r.Height = width, height
		p.X.Include(r.X - width/2)
		p.X.Include(r.X + width/2)
		p.Y.Include(r.Y - height/2)
		p.Y.Include(r.Y + height/2)
	}
	return nil
}

// Draw implements [Layer].
func (Tile) Draw(p *Panel) {
	p.canvas.group(crisp, func() {
		for _, r := range p.Rows {
			p.Rect(r.X-r.Width/2, r.Y-r.Height/2, r.X+r.Width/2, r.Y+r.Height/2, r.Fill)
		}
	})
}

// resolution is the smallest distance between two numbers of an axis: 1 for categories and whole numbers.
func resolution(s *Scale, rows []Row, number func(Row) float64) float64 {
	if s.levels != nil || s.whole && !s.log {
		return 1
	}
	numbers := make([]float64, len(rows))
	for i, r := range rows {
		numbers[i] = number(r)
	}
	slices.Sort(numbers)
	smallest := math.Inf(1)
	for i := 1; i < len(numbers); i++ {
		if gap := numbers[i] - numbers[i-1]; gap > 0 {
			smallest = min(smallest, gap)
		}
	}
	if math.IsInf(smallest, 1) {
		return 1
	}
	return smallest
}

// Bar draws a bar from 0, or on a logarithmic axis from the panel's lower end, to each row's Y. Rows of one X that differ in Fill,
// Colour or Group share its place side by side. Two that do not differ are an error.
type Bar struct{}

// AddTo implements [Part].
func (b Bar) AddTo(p *Plot) { p.AddLayer(b) }

// Needs implements [Layer].
func (Bar) Needs() []Aesthetic { return []Aesthetic{X, Y} }

// barColour is that of bars without a Fill.
var barColour = Hex(0x7288b4)

// barWidth is the part of a category's place that its bars take.
const barWidth = 0.9

// Arrange moves rows that share an X to their places side by side.
func (Bar) Arrange(p *Panel) error {
	if p.Y.levels != nil {
		return refuse("Bar", p.Y.where+", which holds categories", "numbers")
	}
	place := barWidth * resolution(p.X, p.Rows, func(r Row) float64 { return r.X })
	at := map[float64][]*Row{}
	for i := range p.Rows {
		at[p.Rows[i].X] = append(at[p.Rows[i].X], &p.Rows[i])
	}
	if !p.Y.Log() {
		p.Y.Include(0)
	}
	for _, x := range slices.Sorted(maps.Keys(at)) {
		rows := at[x]
		slices.SortFunc(rows, func(a, b *Row) int { return a.Group - b.Group })
		width := place / float64(len(rows))
		for i, r := range rows {
			if i > 0 && rows[i-1].Group == r.Group {
				return refuse("Bar", fmt.Sprintf("two rows at %s of the same group", p.X.describe(x)), "a Fill that tells them apart")
			}
			r.X, r.Width = x-place/2+(float64(i)+0.5)*width, width
		}
		p.X.Include(x - place/2)
		p.X.Include(x + place/2)
	}
	return nil
}

// Draw implements [Layer].
func (Bar) Draw(p *Panel) {
	foot := 0.0
	if p.Y.Log() {
		foot, _ = p.Y.Ends()
	}
	for _, r := range p.Rows {
		p.Rect(r.X-r.Width/2, foot, r.X+r.Width/2, r.Y, either(r.Fill, barColour))
	}
}

// either is a colour, or another if it is not set.
func either(c, fallback color.RGBA) color.RGBA {
	if c == (color.RGBA{}) {
		return fallback
	}
	return c
}
