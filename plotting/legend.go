package plotting

import (
	"fmt"
	"image/color"
	"math"
	"slices"
)

// colouring gives the rows of a column their colours.
type colouring struct {
	column Column
	scale  FillScale

	levels []string // categories: their names, the rows' indices among them, and their colours
	index  []int
	shades []color.RGBA

	low, high   float64 // quantities: the limits, and whether there are values beyond
	below, over bool
}

// colouringOf makes the colours for a column from a scale, which is nil where the plot has none.
func colouringOf(c Column, where string, scale *FillScale) (*colouring, error) {
	where = fmt.Sprintf("%s (column %q)", where, c.name)
	k := &colouring{column: c}
	if scale != nil {
		k.scale = *scale
	}
	if !k.scale.Map.valid() {
		return nil, refuse(where+", Map", k.scale.Map.String(), "one of the colour maps' constants")
	}
	if c.categorical() {
		if k.scale.Limits != [2]float64{} {
			return nil, refuse(where+", Limits", fmt.Sprint(k.scale.Limits), "none, as the column holds categories")
		}
		k.levels, k.index = c.factor()
		k.shades = shadesOf(len(k.levels), scale)
		return k, nil
	}
	low, high := math.Inf(1), math.Inf(-1)
	for row := range c.len() {
		v := c.number(row)
		if !(math.Abs(v) < 1e300) {
			return nil, refuse(fmt.Sprintf("%s, row %d", where, row), fmt.Sprint(v), "a finite number below 1e300")
		}
		low, high = math.Min(low, v), math.Max(high, v)
	}
	switch limits := k.scale.Limits; {
	case limits != [2]float64{} && limits[0] >= limits[1] || limits[0]-limits[0] != 0 || limits[1]-limits[1] != 0:
		return nil, refuse(where+", Limits", fmt.Sprint(limits), "a smaller finite number, then a larger one")
	case limits != [2]float64{}:
		k.low, k.high, k.below, k.over = limits[0], limits[1], low < limits[0], high > limits[1]
	case k.scale.Map == RdBu:
		k.high = math.Max(math.Abs(low), math.Abs(high))
		k.low = -k.high
	default:
		k.low, k.high = low, high
	}
	return k, nil
}

// shadesOf are the colours of n categories.
func shadesOf(n int, scale *FillScale) []color.RGBA {
	shades := make([]color.RGBA, n)
	for i := range shades {
		switch {
		case scale == nil && n <= len(categoryColours):
			shades[i] = Hex(categoryColours[i])
		case scale == nil:
			shades[i] = Viridis.At(float64(i) / float64(n-1))
		default: // the middles of even parts, as the palest colours are lost on a light ground
			shades[i] = scale.Map.At((float64(i) + 0.5) / float64(n))
		}
	}
	return shades
}

// of is a row's colour.
func (k *colouring) of(row int) color.RGBA {
	if k.levels != nil {
		return k.shades[k.index[row]]
	}
	if k.low == k.high {
		return k.scale.Map.At(0.5)
	}
	return k.scale.Map.At((k.column.number(row) - k.low) / (k.high - k.low))
}

// ticks are the labelled places of a colour bar.
func (k *colouring) ticks() []tick {
	if k.low == k.high {
		return []tick{{k.low, withMinus(fmt.Sprintf("%.4g", k.low))}}
	}
	ticks := linearTicks(k.low, k.high, 5, false)
	if k.below {
		ticks = setEnd(ticks, k.low, "≤ ")
	}
	if k.over {
		ticks = setEnd(ticks, k.high, "≥ ")
	}
	return ticks
}

// setEnd labels an end of the bar that stands for values beyond it, in place of a tick too close to it.
func setEnd(ticks []tick, at float64, sign string) []tick {
	ticks = slices.DeleteFunc(ticks, func(t tick) bool { return t.number == at })
	return append(ticks, tick{at, sign + withMinus(fmt.Sprintf("%.3g", at))})
}

// guide is a legend or a colour bar.
type guide struct {
	title     string
	aesthetic Aesthetic
	*colouring

	titleLines []string
	width      float64
	height     float64
}

// The sizes of guides, in pixels.
const (
	keySize    = 15.0
	keyPitch   = 20.0 // from one key to the next
	keysInRow  = 15   // keys below one another, before another column begins
	barLength  = 130.0
	guideTitle = 120.0 // width at which a title is broken
)

// measure sets the guide's size.
func (g *guide) measure() {
	g.titleLines = wrapped(g.title, smallFont, guideTitle)
	g.width = widest(g.titleLines, smallFont)
	g.height = lineHeight*float64(len(g.titleLines)) + 6
	if g.levels == nil {
		var labels []string
		for _, t := range g.ticks() {
			labels = append(labels, t.label)
		}
		g.width = math.Max(g.width, keySize+7+widest(labels, smallFont))
		g.height += barLength + 4
		return
	}
	columns := (len(g.levels) + keysInRow - 1) / keysInRow
	g.width = math.Max(g.width, float64(columns)*g.columnWidth())
	g.height += keyPitch * float64(min(len(g.levels), keysInRow))
}

func (g *guide) columnWidth() float64 {
	return keySize + 7 + math.Min(longest, widest(g.levels, smallFont)) + 10
}

// draw draws the guide with its upper left corner at a point.
func (g *guide) draw(c *canvas, id string, layers []Layer, left, top float64) {
	for _, line := range g.titleLines {
		c.text(left, top+lineHeight/2, line, font{size: smallFont, colour: ink, anchor: start})
		top += lineHeight
	}
	top += 6
	if g.levels == nil {
		g.drawBar(c, id, left, top)
		return
	}
	for i, level := range g.levels {
		x := left + float64(i/keysInRow)*g.columnWidth()
		y := top + float64(i%keysInRow)*keyPitch
		g.drawKey(c, layers, x, y, g.shades[i])
		c.text(x+keySize+7, y+keySize/2, shortened(level, smallFont, longest), font{size: smallFont, colour: ink, anchor: start})
	}
}

// drawKey lets each layer that can draw its key, or fills a square.
func (g *guide) drawKey(c *canvas, layers []Layer, left, top float64, colour color.RGBA) {
	key := &Panel{X: &Scale{high: 1, from: left, to: left + keySize}, Y: &Scale{high: 1, from: top + keySize, to: top}, canvas: c}
	drawn := false
	for _, layer := range layers {
		if keyer, ok := layer.(Keyer); ok && g.aesthetic == Colour {
			keyer.DrawKey(key, colour)
			drawn = true
		}
	}
	if !drawn {
		c.rect(left, top, keySize, keySize, colour)
	}
}

// drawBar draws a colour bar: a gradient with the map's own steps.
func (g *guide) drawBar(c *canvas, id string, left, top float64) {
	fmt.Fprintf(c, `<linearGradient id="%s" x1="0" y1="1" x2="0" y2="0">`+"\n", id)
	steps := colourMaps[g.scale.Map].steps
	for i, step := range steps {
		fmt.Fprintf(c, `<stop offset="%s%%" stop-color="%s"/>`+"\n", px(100*float64(i)/float64(len(steps)-1)), css(Hex(step)))
	}
	c.WriteString("</linearGradient>\n")
	if g.low == g.high {
		c.rect(left, top, keySize, barLength, g.scale.Map.At(0.5))
	} else {
		fmt.Fprintf(c, `<rect x="%s" y="%s" width="%s" height="%s" fill="url(#%s)"/>`+"\n", px(left), px(top), px(keySize), px(barLength), id)
	}
	c.path([][2]float64{{left, top}, {left + keySize, top}, {left + keySize, top + barLength}, {left, top + barLength}, {left, top}},
		Hex(0xb3b3b3), 0.5, "")
	for _, t := range g.ticks() {
		share := 0.5
		if g.low < g.high {
			share = (t.number - g.low) / (g.high - g.low)
		}
		y := top + (1-share)*barLength
		c.line(left+keySize, y, left+keySize+3, y, ink, 0.8)
		c.text(left+keySize+6, y, t.label, font{size: smallFont, colour: ink, anchor: start})
	}
}
