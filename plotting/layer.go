package plotting

import (
	"image/color"
)

// Layer draws marks for the rows of a panel. A layer of your own is a type with these methods, and AddTo calling [Plot.AddLayer].
type Layer interface {
	Part

	// Needs lists the aesthetics without which the layer cannot draw.
	Needs() []Aesthetic

	// Draw draws the rows of one panel, when all sizes are known. It changes nothing.
	Draw(p *Panel)
}

// Arranger is a layer that has a say before sizes are known: it may move rows, widen the axes by [Scale.Include], or refuse. It is
// called for each panel, in the order of the layers.
type Arranger interface{ Arrange(p *Panel) error }

// Keyer is a layer that draws its own keys in legends, on a panel with axes from 0 to 1. Other layers' keys are squares.
type Keyer interface {
	DrawKey(key *Panel, colour color.RGBA)
}

// Row is what became of a row of the table: numbers on the axes, and colours. What is not mapped is zero.
type Row struct {
	X, Y          float64
	Width, Height float64 // of the tile that lies there; a bar has no Height
	Fill, Colour  color.RGBA
	Label         any // a float64, an int or a string
	Group         int // the same for rows that agree in Group, Colour and Fill; in the order of their values
}

// Panel is one panel of a figure, to draw on in the numbers of its axes.
type Panel struct {
	X, Y *Scale
	Rows []Row

	figure *figure // nil for a key
	canvas *canvas
}

// Rect fills the rectangle between two corners.
func (p *Panel) Rect(left, bottom, right, top float64, fill color.RGBA) {
	x1, x2 := ordered(p.X.place(left), p.X.place(right))
	y1, y2 := ordered(p.Y.place(bottom), p.Y.place(top))
	p.canvas.rect(x1, y1, x2-x1, y2-y1, fill)
}

func ordered(a, b float64) (low, high float64) { return min(a, b), max(a, b) }

// Path draws a line through points, width pixels wide, dashed or not.
func (p *Panel) Path(points [][2]float64, colour color.RGBA, width float64, dashed bool) {
	places := make([][2]float64, len(points))
	for i, point := range points {
		places[i] = [2]float64{p.X.place(point[0]), p.Y.place(point[1])}
	}
	dashes := ""
	if dashed {
		dashes = "5 4"
	}
	p.canvas.path(places, colour, width, dashes)
}

// Disc fills a circle with a radius in pixels.
func (p *Panel) Disc(x, y, radius float64, fill color.RGBA) {
	p.canvas.circle(p.X.place(x), p.Y.place(y), radius, fill)
}

// Write writes a text centred at a point and shifted up by a number of pixels.
func (p *Panel) Write(x, y float64, text string, size float64, colour color.RGBA, up float64) {
	p.canvas.text(p.X.place(x), p.Y.place(y)-up, text, font{size: size, colour: colour, anchor: middle})
}
