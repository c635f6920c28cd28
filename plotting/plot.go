package plotting

import (
	"cmp"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/govene/govene/internal/must"
)

// Aes maps aesthetics to columns, by name.
type Aes struct {
	X, Y   string
	Fill   string // the colour of areas: tiles and bars
	Colour string // the colour of lines and points
	Label  string // what Text writes
	Group  string // rows that one Line joins, besides those of one Colour
}

// Aesthetic names a field of [Aes].
type Aesthetic string

// The aesthetics that a layer may need.
const (
	X      Aesthetic = "X"
	Y      Aesthetic = "Y"
	Fill   Aesthetic = "Fill"
	Colour Aesthetic = "Colour"
	Label  Aesthetic = "Label"
)

// Part is anything that can be added to a plot. Several parts often added together make one: a type whose AddTo calls Add.
type Part interface{ AddTo(*Plot) }

// Plot is a table with a mapping, layers, and settings. It is a value: Add returns another plot and leaves this one as it is.
type Plot struct {
	frame  *Frame
	aes    Aes
	layers []Layer
	fill   *FillScale
	colour *ColourScale
	logY   bool
	downY  bool // y grows downwards
	facet  FacetWrap
	labels Labels
	theme  Theme
}

// New makes a plot without layers.
func New(frame *Frame, aes Aes) Plot { return Plot{frame: frame, aes: aes} }

// Add returns the plot with further parts: layers are drawn in the order in which they were added; of two scales or facets for
// the same thing the last holds.
func (p Plot) Add(parts ...Part) Plot {
	p.layers = slices.Clone(p.layers)
	for _, part := range parts {
		part.AddTo(&p)
	}
	return p
}

// AddLayer adds a layer; a layer's AddTo calls it.
func (p *Plot) AddLayer(layer Layer) { p.layers = append(p.layers, layer) }

// LogY makes the y axis logarithmic, to base 10. A value that is not positive is an error.
type LogY struct{}

// AddTo implements [Part].
func (LogY) AddTo(p *Plot) { p.logY = true }

// ReverseY lets the y axis grow downwards.
type ReverseY struct{}

// AddTo implements [Part].
func (ReverseY) AddTo(p *Plot) { p.downY = true }

// FillScale colours areas: quantities along the map, categories in even steps of it. Without it quantities take [Viridis] and
// categories colours made to be told apart.
type FillScale struct {
	Map ColourMap

	// Limits are the values at the map's ends; both 0 for the smallest and the largest value, or for [RdBu] those that put 0 in
	// the middle. Values beyond take the end's colour, and the colour bar says so.
	Limits [2]float64
}

// AddTo implements [Part].
func (s FillScale) AddTo(p *Plot) { p.fill = &s }

// ColourScale colours lines and points as [FillScale] does areas.
type ColourScale struct {
	Map    ColourMap
	Limits [2]float64
}

// AddTo implements [Part].
func (s ColourScale) AddTo(p *Plot) { p.colour = &s }

// FacetWrap draws a panel for each value of a column, wrapped into rows. All panels share their axes.
type FacetWrap struct {
	By      string
	Columns int  // panels in a row; 0 for about as many as there are rows
	Both    bool // strips say "class: 0" instead of "0"
}

// AddTo implements [Part].
func (f FacetWrap) AddTo(p *Plot) { p.facet = f }

// Labels are what a plot says. Axes and legends without a label are called like their columns. Of labels added twice the later,
// if not empty, hold.
type Labels struct {
	Title, Subtitle    string
	X, Y, Fill, Colour string
	Description        string // for screen readers; if empty, made from layers and mapping
}

// AddTo implements [Part].
func (l Labels) AddTo(p *Plot) {
	old := p.labels
	p.labels = Labels{cmp.Or(l.Title, old.Title), cmp.Or(l.Subtitle, old.Subtitle), cmp.Or(l.X, old.X), cmp.Or(l.Y, old.Y),
		cmp.Or(l.Fill, old.Fill), cmp.Or(l.Colour, old.Colour), cmp.Or(l.Description, old.Description)}
}

// Theme is how a plot looks. Of themes added twice the later's fields, if not zero, hold.
type Theme struct {
	Width, Height float64 // of the figure, in pixels; 0 for 640, and for a height that makes panels a quarter wider than high
	XAngle        float64 // by how many degrees labels of the x axis are turned, 0 to 90; 0 for upright wherever they fit
	NoLegend      bool
}

// AddTo implements [Part].
func (t Theme) AddTo(p *Plot) {
	old := p.theme
	p.theme = Theme{cmp.Or(t.Width, old.Width), cmp.Or(t.Height, old.Height), cmp.Or(t.XAngle, old.XAngle), t.NoLegend || old.NoLegend}
}

// WriteSVG writes the plot as an SVG document. What cannot be drawn is an [*Error], and then nothing is written.
func (p Plot) WriteSVG(w io.Writer) error {
	document, err := p.Bytes()
	if err != nil {
		return err
	}
	_, err = w.Write(document)
	return err
}

// Save writes the plot into a file, as SVG. What cannot be drawn leaves the file as it was.
func (p Plot) Save(path string) error {
	document, err := p.Bytes()
	if err != nil {
		return err
	}
	return os.WriteFile(path, document, 0o644)
}

// MustSave is Save that panics on an error.
func (p Plot) MustSave(path string) { must.Do(p.Save(path)) }

// Bytes is the plot as an SVG document.
func (p Plot) Bytes() ([]byte, error) {
	figure, err := p.build()
	if err != nil {
		return nil, err
	}
	return figure.draw(), nil
}

// MustBytes is Bytes that panics on an error.
func (p Plot) MustBytes() []byte { return must.Of(p.Bytes()) }

// String is the plot in words: its title and description.
func (p Plot) String() string {
	if p.labels.Title == "" {
		return p.description()
	}
	return p.labels.Title + ". " + p.description()
}

// description is what a screen reader says.
func (p Plot) description() string {
	if p.labels.Description != "" {
		return p.labels.Description
	}
	var text strings.Builder
	for i, layer := range p.layers {
		if i > 0 {
			text.WriteString(", ")
		}
		name := fmt.Sprintf("%T", layer)
		text.WriteString(name[strings.LastIndexByte(name, '.')+1:])
	}
	separator := ": "
	for _, mapping := range []struct{ aesthetic, column string }{
		{"x", p.aes.X}, {"y", p.aes.Y}, {"fill", p.aes.Fill}, {"colour", p.aes.Colour}, {"label", p.aes.Label}, {"a panel for each", p.facet.By},
	} {
		if mapping.column != "" {
			fmt.Fprintf(&text, "%s%s %s", separator, mapping.aesthetic, mapping.column)
			separator = ", "
		}
	}
	fmt.Fprintf(&text, "; %d rows.", p.frame.Len())
	return text.String()
}
