package plotting

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Text writes each row's Label at its place: on a tile in black or white, whichever its colour shows better, and as small as the
// tile's or bar's width demands.
type Text struct {
	Format string  // a verb of package fmt for the label, such as "%.2f"; empty for three digits of fractions, and all of the rest
	Size   float64 // in pixels; 0 for 10
	Above  bool    // writes beyond the place instead of on it, as for bars: over it, or under it where y is below zero
}

// AddTo implements [Part].
func (t Text) AddTo(p *Plot) { p.AddLayer(t) }

// Needs implements [Layer].
func (Text) Needs() []Aesthetic { return []Aesthetic{X, Y, Label} }

// label is what is written for a row.
func (t Text) label(r Row) string {
	if t.Format != "" {
		text := fmt.Sprintf(t.Format, r.Label)
		if zero := strings.TrimPrefix(text, "-"); zero != text && !strings.ContainsAny(zero, "123456789") && strings.Contains(zero, "0") {
			return zero // what is rounded to −0.00 is 0.00
		}
		return text
	}
	if number, ok := r.Label.(float64); ok {
		return withMinus(strconv.FormatFloat(number, 'g', 3, 64))
	}
	return fmt.Sprint(r.Label)
}

// Arrange refuses a format that does not fit, and makes room for labels above.
func (t Text) Arrange(p *Panel) error {
	for _, r := range p.Rows {
		if label := t.label(r); strings.Contains(label, "%!") && !strings.Contains(fmt.Sprint(r.Label), "%!") {
			return refuse("Text, Format", fmt.Sprintf("%q, which makes %q", t.Format, label),
				fmt.Sprintf("one verb of package fmt for %T", r.Label))
		}
	}
	if t.Above {
		for _, r := range p.Rows {
			p.Y.Include(r.Y + outwards(p.Y, r)*0.08*(p.Y.high-p.Y.low))
		}
	}
	return nil
}

// outwards is the sign of the way from zero to a row's place: along the axis, or against it from below zero.
func outwards(y *Scale, r Row) float64 {
	if r.Y < 0 && !y.Log() {
		return -1
	}
	return 1
}

// Draw implements [Layer].
func (t Text) Draw(p *Panel) {
	size := t.size(p.figure)
	for _, r := range p.Rows {
		up := 0.0
		if t.Above {
			up = 0.8 * size * outwards(p.Y, r)
		}
		if p.Y.reverse {
			up = -up
		}
		colour := Hex(0x1a1a1a)
		if r.Height > 0 && !t.Above {
			colour = inkOn(r.Fill)
		}
		p.Write(r.X, r.Y, t.label(r), size, colour, up)
	}
}

// size is one size for the labels of all panels.
func (t Text) size(f *figure) float64 {
	size := cmp.Or(t.Size, 10)
	for _, p := range f.panels {
		for _, r := range p.Rows {
			if r.Width > 0 {
				room := math.Abs(p.X.place(r.X+r.Width) - p.X.place(r.X))
				size = min(size, fitted(t.label(r), size, 0.92*room))
			}
			if r.Height > 0 {
				size = min(size, max(5, 0.9*math.Abs(p.Y.place(r.Y+r.Height)-p.Y.place(r.Y))))
			}
		}
	}
	return size
}
