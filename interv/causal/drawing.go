package causal

import (
	"encoding/xml"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/govene/govene/internal/must"
)

// Drawing is a picture of a model as a graph, in SVG: columns by time step, the inputs on the left.
type Drawing struct {
	svg   []byte
	words string
}

// SVG is the picture, a document of its own.
func (d Drawing) SVG() []byte { return slices.Clone(d.svg) }

// String says in words what the picture shows.
func (d Drawing) String() string { return d.words }

// Drawing draws the model: its variables and what each is computed from.
func (m *Model) Drawing() Drawing {
	return m.drawn(m.String(), func(*node) look { return look{} })
}

// DrawSetting draws the model with the value that each variable has in a setting, such as a run's.
func (m *Model) DrawSetting(setting Setting) (Drawing, error) {
	for _, name := range slices.Sorted(maps.Keys(setting)) {
		if _, err := m.find("drawing", name); err != nil {
			return Drawing{}, err
		}
	}
	return m.drawn(m.Table(setting), func(n *node) look {
		if value, ok := setting[n.Name]; ok {
			return look{text: fmt.Sprint(value)}
		}
		return look{}
	}), nil
}

// DrawInterchange draws what [Model.Interchange] does: the values of the base's run, the variables that are taken from sources, whose own
// parents no longer count, and what changes, as "old → new".
func (m *Model) DrawInterchange(base Setting, sources map[string]Setting) (Drawing, error) {
	before, err := m.Run(base)
	if err != nil {
		return Drawing{}, err
	}
	after, err := m.Interchange(base, sources)
	if err != nil {
		return Drawing{}, err
	}
	var changed []string
	for _, n := range m.variables {
		if before[n.Name] != after[n.Name] {
			changed = append(changed, n.Name)
		}
	}
	words := fmt.Sprintf("%staken from a source: %s\nchanged: %s\n", m.Table(before, after), orNone(slices.Sorted(maps.Keys(sources))), orNone(changed))
	return m.drawn(words, func(n *node) look {
		l := look{text: fmt.Sprint(after[n.Name]), changed: before[n.Name] != after[n.Name]}
		if l.changed {
			l.text = shortened(fmt.Sprint(before[n.Name]), mostRunes/2) + " → " + shortened(l.text, mostRunes/2)
		}
		_, l.taken = sources[n.Name]
		return l
	}), nil
}

// MustDrawSetting is DrawSetting that panics on an error.
func (m *Model) MustDrawSetting(setting Setting) Drawing { return must.Of(m.DrawSetting(setting)) }

// MustDrawInterchange is DrawInterchange that panics on an error.
func (m *Model) MustDrawInterchange(base Setting, sources map[string]Setting) Drawing {
	return must.Of(m.DrawInterchange(base, sources))
}

func orNone(names []string) string {
	if len(names) == 0 {
		return "nothing"
	}
	return strings.Join(names, ", ")
}

// look is how a variable is drawn.
type look struct {
	text           string // its value; empty for none
	taken, changed bool
}

// Sizes in pixels.
const (
	margin     = 16.0
	boxHeight  = 40.0
	rowHeight  = 58.0
	columnGap  = 56.0
	wideRune   = 8.2 // of 13 pixels, on average, and rather too much
	mostRunes  = 22
	leastWidth = 52.0
)

// Colours: of lines and texts, boxes, what is taken from a source, and what changes.
const (
	ink      = "#333333"
	faint    = "#b8b8b8"
	box      = "#f4f4f4"
	takenBox = "#fde3c0"
	changed  = "#b3460f"
)

// drawn draws the model, each variable as look says.
func (m *Model) drawn(words string, lookOf func(*node) look) Drawing {
	l := m.layout()
	looks, widths := map[string]look{}, make([]float64, len(l.columns))
	height, anyTaken, anyChanged := 0.0, false, false
	for c, column := range l.columns {
		widths[c] = leastWidth
		for _, s := range column {
			height = max(height, s.row*rowHeight+boxHeight)
			if s.node == nil {
				continue
			}
			look := lookOf(s.node)
			look.text = shortened(look.text, mostRunes+3)
			looks[s.node.Name] = look
			anyTaken, anyChanged = anyTaken || look.taken, anyChanged || look.changed
			widths[c] = max(widths[c], 20+wideRune*float64(max(utf8.RuneCountInString(shortened(s.node.Name, mostRunes)), utf8.RuneCountInString(look.text))))
		}
	}
	lefts, width := make([]float64, len(widths)), margin
	for c := range widths {
		lefts[c] = width
		width += widths[c] + columnGap
	}
	width += margin - columnGap
	height += 2 * margin
	keys := key(anyTaken, anyChanged)
	if keys != "" {
		height, width = height+22, max(width, 2*margin+wideRune*float64(len("taken from a source   changed")))
	}
	var svg strings.Builder
	fmt.Fprintf(&svg, `<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" viewBox="0 0 %.0f %.0f" role="img" font-family="DejaVu Sans, Verdana, sans-serif" font-size="13">`,
		width, height, width, height)
	fmt.Fprintf(&svg, "\n<title>Causal model</title>\n<desc>%s</desc>\n", escaped(words))
	fmt.Fprintf(&svg, `<rect width="%.0f" height="%.0f" fill="#ffffff"/>`+"\n", width, height)
	middle := func(s *spot) float64 { return margin + s.row*rowHeight + boxHeight/2 }
	for _, e := range l.edges {
		colour, dashes := ink, ""
		if looks[e.to.Name].taken {
			colour, dashes = faint, ` stroke-dasharray="4 3"`
		} else if looks[e.from.Name].changed {
			colour = changed
		}
		var path strings.Builder
		x, y := lefts[e.from.step]+widths[e.from.step], middle(e.through[0])
		fmt.Fprintf(&path, "M%.1f %.1f", x, y)
		for i, s := range e.through[1:] {
			toX, toY := lefts[s.column], middle(s)
			last := i == len(e.through)-2
			if last {
				toX -= 7 // the arrow's head
			}
			fmt.Fprintf(&path, " C%.1f %.1f %.1f %.1f %.1f %.1f", (x+toX)/2, y, (x+toX)/2, toY, toX, toY)
			if x, y = toX, toY; !last {
				x += widths[s.column]
				fmt.Fprintf(&path, " L%.1f %.1f", x, y)
			}
		}
		fmt.Fprintf(&svg, `<path d="%s" fill="none" stroke="%s" stroke-width="1.4"%s/>`+"\n", path.String(), colour, dashes)
		fmt.Fprintf(&svg, `<path d="M%.1f %.1f l-8 -4 v8 z" fill="%s"/>`+"\n", x+7, y, colour)
	}
	for _, n := range m.variables {
		s, look := l.spots[n.Name], looks[n.Name]
		fill, stroke, thick := box, ink, 1.2
		if look.taken {
			fill = takenBox
		}
		if look.changed {
			stroke, thick = changed, 2.2
		}
		x, y := lefts[s.column], middle(s)
		fmt.Fprintf(&svg, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.0f" rx="7" fill="%s" stroke="%s" stroke-width="%.1f"/>`+"\n",
			x, y-boxHeight/2, widths[s.column], boxHeight, fill, stroke, thick)
		text := func(dy float64, weight, fill, content string) {
			fmt.Fprintf(&svg, `<text x="%.1f" y="%.1f" text-anchor="middle" font-weight="%s" fill="%s">%s</text>`+"\n", x+widths[s.column]/2, y+dy, weight, fill, escaped(content))
		}
		if name := shortened(n.Name, mostRunes); look.text == "" {
			text(4.5, "bold", ink, name)
		} else {
			text(-3.5, "bold", ink, name)
			colour := ink
			if look.changed {
				colour = changed
			}
			text(13.5, "normal", colour, look.text)
		}
	}
	if keys != "" {
		fmt.Fprintf(&svg, `<g transform="translate(%.0f %.0f)">%s</g>`+"\n", margin, height-margin, keys)
	}
	svg.WriteString("</svg>\n")
	return Drawing{[]byte(svg.String()), words}
}

// key explains the colours that a picture has.
func key(taken, change bool) string {
	text, x := "", 0
	add := func(fill, stroke, thick, content string) {
		text += fmt.Sprintf(`<rect x="%d" y="-11" width="16" height="12" rx="3" fill="%s" stroke="%s" stroke-width="%s"/><text x="%d" fill="%s" font-size="12">%s</text>`,
			x, fill, stroke, thick, x+22, ink, content)
		x += 22 + 8*(len(content)+2)
	}
	if taken {
		add(takenBox, ink, "1.2", "taken from a source")
	}
	if change {
		add(box, changed, "2.2", "changed")
	}
	return text
}

// shortened has at most so many letters, the last an ellipsis where any are missing.
func shortened(text string, most int) string {
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	return string([]rune(text)[:most-1]) + "…"
}

func escaped(text string) string {
	var b strings.Builder
	xml.EscapeText(&b, []byte(text)) // a Builder never fails
	return strings.NewReplacer("&#xA;", "\n", "&#x9;", "\t").Replace(b.String())
}
