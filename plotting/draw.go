package plotting

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
)

// The colours of a figure's parts: plotnine's grey panels on a white ground of the figure's own.
var (
	ground    = Hex(0xffffff)
	panelGrey = Hex(0xebebeb)
	stripGrey = Hex(0xd9d9d9)
	gridWhite = Hex(0xffffff)
	tickGrey  = Hex(0x4d4d4d)
	titleInk  = Hex(0x1a1a1a)
)

// idMark stands for the document's own prefix of ids until all is drawn. No text can contain it: XML has no such character.
const idMark = "\x00"

// draw writes the document. Its ids begin with a hash of it, so that those of several figures in one page differ.
func (f *figure) draw() []byte {
	l, p := &f.layout, f.plot
	c := &canvas{}
	fmt.Fprintf(c, `<svg xmlns="http://www.w3.org/2000/svg" role="img" aria-labelledby="%stitle %[1]sdesc" width="%[2]s" height="%[3]s" `+
		`viewBox="0 0 %[2]s %[3]s" style="max-width:100%%;height:auto" font-family="%[4]s" xml:space="preserve">`+"\n",
		idMark, px(l.width), px(l.height), fonts)
	title := cmp.Or(p.labels.Title, fmt.Sprintf("%s against %s", l.yTitle, l.xTitle))
	fmt.Fprintf(c, "<title id=\"%stitle\">%s</title>\n<desc id=\"%[1]sdesc\">%[3]s</desc>\n", idMark, escaped(title), escaped(p.description()))
	fmt.Fprintf(c, `<rect width="%s" height="%s" rx="6" fill="%s"/>`+"\n", px(l.width), px(l.height), css(ground))
	f.drawTitles(c)
	for i, panel := range f.panels {
		f.drawPanel(c, i, panel)
	}
	if !p.theme.NoLegend {
		f.drawGuides(c)
	}
	c.WriteString("</svg>\n")
	prefix := fmt.Sprintf("plot-%x-", sha256.Sum256(c.Bytes()))[:len("plot-")+12] + "-"
	return bytes.ReplaceAll(c.Bytes(), []byte(idMark), []byte(prefix))
}

// drawTitles writes the titles of the figure and of its axes.
func (f *figure) drawTitles(c *canvas) {
	l := &f.layout
	y := edge + 8
	for _, line := range l.titleLines {
		c.text(edge, y, line, font{size: titleFont, colour: titleInk, anchor: start, bold: true})
		y += 20
	}
	for _, line := range l.subtitleLines {
		c.text(edge, y, line, font{size: smallFont, colour: tickGrey, anchor: start})
		y += lineHeight
	}
	width := float64(l.columns)*l.pitchX - gap
	c.text(l.left+width/2, l.panelsBottom()+l.axisHeight+14, l.xTitle,
		font{size: fitted(l.xTitle, axisFont, width), colour: titleInk, anchor: middle})
	height := l.panelsBottom() - l.top
	c.text(edge+lineHeight/2, l.top+height/2, l.yTitle,
		font{size: fitted(l.yTitle, axisFont, height), colour: titleInk, anchor: middle, turn: 90})
}

// panelsBottom is the lower edge of the last row of panels.
func (l *layout) panelsBottom() float64 {
	return l.top + float64(l.rows-1)*l.pitchY + l.panelHeight
}

// drawPanel draws a panel: its ground, strip and grid, the layers, and axes on the outer sides.
func (f *figure) drawPanel(c *canvas, i int, panel *Panel) {
	l := &f.layout
	left, top := f.aim(i)
	bottom, right := top+l.panelHeight, left+l.panelWidth
	c.group(crisp, func() {
		c.rect(left, top, l.panelWidth, l.panelHeight, panelGrey)
		if f.strips != nil {
			c.rect(left, top-stripSize, l.panelWidth, stripSize, stripGrey)
		}
		for _, t := range l.xTicks {
			c.line(f.x.place(t.number), top, f.x.place(t.number), bottom, gridWhite, 1)
		}
		for _, t := range l.yTicks {
			c.line(left, f.y.place(t.number), right, f.y.place(t.number), gridWhite, 1)
		}
	})
	if f.strips != nil {
		c.text(left+l.panelWidth/2, top-stripSize/2, f.strips[i],
			font{size: fitted(f.strips[i], smallFont, l.panelWidth-6), colour: titleInk, anchor: middle})
	}
	panel.canvas = c
	for _, layer := range f.plot.layers {
		layer.Draw(panel)
	}
	if i%l.columns == 0 {
		f.drawYAxis(c, left)
	}
	if i+l.columns >= len(f.panels) { // no panel below
		f.drawXAxis(c, bottom)
	}
}

func (f *figure) drawYAxis(c *canvas, left float64) {
	for _, t := range f.layout.yTicks {
		y := f.y.place(t.number)
		c.line(left-tickSize, y, left, y, tickGrey, 1)
		c.text(left-tickSize-3, y, t.label, font{size: smallFont, colour: tickGrey, anchor: end})
	}
}

func (f *figure) drawXAxis(c *canvas, bottom float64) {
	style := font{size: smallFont, colour: tickGrey, anchor: middle}
	if turn := f.layout.turn; turn > 0 {
		style.anchor, style.turn = end, turn
	}
	for _, t := range f.layout.xTicks {
		x := f.x.place(t.number)
		c.line(x, bottom, x, bottom+tickSize, tickGrey, 1)
		y := bottom + tickSize + 3 + smallFont/2
		if style.turn > 0 {
			y = bottom + tickSize + 4
		}
		c.text(x, y, t.label, style)
	}
}

// drawGuides draws legends and colour bars below one another, in the middle of the panels' height.
func (f *figure) drawGuides(c *canvas) {
	l := &f.layout
	height := -guideGap
	for _, g := range f.guides {
		height += g.height + guideGap
	}
	left := l.left + float64(l.columns)*l.pitchX - gap + guideGap
	top := max(l.top, (l.top+l.panelsBottom()-height)/2)
	for i := range f.guides {
		g := &f.guides[i]
		g.draw(c, fmt.Sprintf("%sbar%d", idMark, i), f.plot.layers, left, top)
		top += g.height + guideGap
	}
}
