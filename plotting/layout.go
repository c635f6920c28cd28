package plotting

import (
	"cmp"
	"fmt"
	"math"
)

// Sizes of the parts of a figure, in pixels.
const (
	smallFont  = 10.5 // of labels at ticks, in legends and on strips
	titleFont  = 15.0
	axisFont   = 12.0
	lineHeight = 15.0
	edge       = 12.0 // around the figure
	gap        = 8.0  // between panels
	stripSize  = 19.0
	tickSize   = 4.0
	guideGap   = 16.0
	highest    = 320.0 // of a panel, if the theme gives no height
	longest    = 180.0 // of a category's name on an axis or in a legend; longer ones are cut
)

// layout is where everything is, in pixels from the figure's upper left corner.
type layout struct {
	width, height           float64
	titleLines              []string
	subtitleLines           []string
	xTicks, yTicks          []tick
	turn                    float64 // of the labels of the x axis
	left, top, right        float64 // from the figure's edges to the panels
	columns, rows           int
	panelWidth, panelHeight float64
	pitchX, pitchY          float64 // from one panel to the next
	axisHeight              float64 // of ticks and labels of the x axis
	xTitle, yTitle          string
}

// place lays the figure out. Labels decide how much room panels have and panels how many labels there are, so it goes over both
// twice.
func (f *figure) place() error {
	l, theme, labels := &f.layout, f.plot.theme, f.plot.labels
	if !(theme.Width >= 0 && theme.Width < 1e5 && theme.Height >= 0 && theme.Height < 1e5) {
		return refuse("Theme", fmt.Sprintf("a figure of %g × %g pixels", theme.Width, theme.Height), "sizes from 0 to 100000")
	}
	if !(theme.XAngle >= 0 && theme.XAngle <= 90) {
		return refuse("Theme.XAngle", fmt.Sprint(theme.XAngle), "0 to 90 degrees")
	}
	l.xTitle, l.yTitle = cmp.Or(labels.X, f.plot.aes.X), cmp.Or(labels.Y, f.plot.aes.Y)
	l.width = cmp.Or(theme.Width, 640)
	l.titleLines = wrapped(labels.Title, titleFont*1.08, l.width-2*edge) // bold is wider
	l.subtitleLines = wrapped(labels.Subtitle, smallFont, l.width-2*edge)
	l.columns, l.rows = f.plot.facet.wrap(len(f.panels))

	l.top = edge + 20*float64(len(l.titleLines)) + lineHeight*float64(len(l.subtitleLines))
	if l.top > edge {
		l.top += 6
	}
	if f.strips != nil {
		l.top += stripSize
	}
	guidesWidth, guidesHeight := edge, 0.0
	if !theme.NoLegend {
		for i := range f.guides {
			f.guides[i].measure()
			guidesWidth = math.Max(guidesWidth, guideGap+f.guides[i].width+edge)
			guidesHeight += f.guides[i].height + guideGap
		}
	}
	l.left, l.axisHeight, l.right = 60, 24, guidesWidth
	for range 2 {
		f.placePanels()
		f.chooseTicks(guidesWidth)
	}
	if least := l.top + guidesHeight; l.height < least && theme.Height > 0 {
		return refuse("Theme.Height", fmt.Sprint(theme.Height), fmt.Sprintf("at least %.0f for the legend, or NoLegend", least))
	} else if l.height < least {
		l.height = least
	}
	if l.panelWidth < 20 || l.panelHeight < 20 {
		return refuse("Theme", fmt.Sprintf("a figure of %.0f × %.0f pixels, so panels of %.0f × %.0f", l.width, l.height, l.panelWidth,
			l.panelHeight), "panels of at least 20 × 20")
	}
	f.aim(0)
	return nil
}

// wrap tells how many panels go into a row, and how many rows there are.
func (w FacetWrap) wrap(panels int) (columns, rows int) {
	columns = w.Columns
	if columns == 0 {
		if columns = int(math.Ceil(math.Sqrt(float64(panels)))); panels <= 3 {
			columns = panels
		}
	}
	columns = min(columns, panels)
	return columns, (panels + columns - 1) / columns
}

// placePanels gives panels what is left of the figure.
func (f *figure) placePanels() {
	l := &f.layout
	strip := 0.0
	if f.strips != nil {
		strip = stripSize
	}
	below := l.axisHeight + 22 + edge
	columns, rows := float64(l.columns), float64(l.rows)
	l.panelWidth = (l.width - l.left - l.right - (columns-1)*gap) / columns
	between := (rows - 1) * (gap + strip)
	if height := f.plot.theme.Height; height > 0 {
		l.height = height
		l.panelHeight = (height - l.top - below - between) / rows
	} else {
		l.panelHeight = math.Round(math.Max(60, math.Min(0.8*l.panelWidth, highest)))
		l.height = l.top + rows*l.panelHeight + between + below
	}
	l.pitchX, l.pitchY = l.panelWidth+gap, l.panelHeight+gap+strip
}

// aim points the axes at a panel.
func (f *figure) aim(panel int) (left, top float64) {
	l := &f.layout
	left = l.left + float64(panel%l.columns)*l.pitchX
	top = l.top + float64(panel/l.columns)*l.pitchY
	f.x.from, f.x.to = left, left+l.panelWidth
	f.y.from, f.y.to = top+l.panelHeight, top
	return left, top
}

// The most ticks that an axis of quantities has, of whole numbers and of others.
const (
	mostWhole = 12
	mostTicks = 6
)

// chooseTicks takes as many ticks as labels have room, and makes room for the labels, and on the right for the guides too.
func (f *figure) chooseTicks(guidesWidth float64) {
	l := &f.layout
	f.aim(0)
	most := func(s *Scale) int {
		if s.whole {
			return mostWhole
		}
		return mostTicks
	}
	l.yTicks = fitTicks(f.y, most(f.y), func(tick) float64 { return lineHeight - 3 })
	labelWidth := 0.0
	for _, t := range l.yTicks {
		labelWidth = math.Max(labelWidth, textWidth(t.label, smallFont))
	}

	width := func(t tick) float64 { return textWidth(t.label, smallFont) + 6 }
	l.turn = f.plot.theme.XAngle
	l.xTicks = f.x.ticks(most(f.x))
	if l.turn == 0 && f.x.levels == nil {
		l.xTicks = fitTicks(f.x, most(f.x), width)
	} else if l.turn == 0 && !apart(f.x, l.xTicks, width) {
		if l.turn = 45; !apart(f.x, l.xTicks, func(tick) float64 { return 1.5 * smallFont }) {
			l.turn = 90
		}
	}
	if l.turn > 0 {
		pitch := 1.1 * smallFont / math.Sin(l.turn*math.Pi/180)
		l.xTicks = fitTicks(f.x, most(f.x), func(t tick) float64 { return math.Min(pitch, width(t)) })
	}

	// What labels of the x axis reach beyond the panel, and down.
	sine, cosine := math.Sincos(l.turn * math.Pi / 180)
	before, after, depth := 0.0, 0.0, 0.0
	for _, t := range l.xTicks {
		w, x := textWidth(t.label, smallFont), f.x.place(t.number)
		depth = math.Max(depth, w*sine+smallFont*cosine)
		if l.turn > 0 {
			before = math.Max(before, f.x.from-(x-w*cosine))
		} else {
			before, after = math.Max(before, f.x.from-(x-w/2)), math.Max(after, x+w/2-f.x.to)
		}
	}
	l.axisHeight = tickSize + 4 + depth
	l.left = edge + math.Max(lineHeight+8+labelWidth+tickSize+3, before)
	l.right = math.Max(guidesWidth, edge+after)
}

// fitTicks takes the most ticks that keep apart, at most the number given. Of categories that do not, every second, third … stays.
func fitTicks(s *Scale, most int, size func(tick) float64) []tick {
	for ; s.levels == nil && most > 2; most-- {
		if ticks := s.ticks(most); len(ticks) <= most && apart(s, ticks, size) {
			return ticks
		}
	}
	all := s.ticks(most)
	for every := 1; ; every++ {
		var kept []tick
		for i := 0; i < len(all); i += every {
			kept = append(kept, all[i])
		}
		if len(kept) < 2 || apart(s, kept, size) {
			return kept
		}
	}
}

// apart tells whether labels of these sizes do not touch.
func apart(s *Scale, ticks []tick, size func(tick) float64) bool {
	for i := 1; i < len(ticks); i++ {
		if math.Abs(s.place(ticks[i].number)-s.place(ticks[i-1].number)) < (size(ticks[i])+size(ticks[i-1]))/2 {
			return false
		}
	}
	return true
}
