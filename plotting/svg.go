package plotting

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"image/color"
	"math"
	"strconv"
	"strings"
	"unicode"
)

// canvas writes SVG elements, in pixels from the upper left corner.
type canvas struct{ bytes.Buffer }

// fonts have the same widths, those that textWidth knows, wherever one of the first four is installed.
const fonts = "'DejaVu Sans','Bitstream Vera Sans',Verdana,Geneva,sans-serif"

// anchor is where a text stands relative to its place.
type anchor string

const (
	start  anchor = "start"
	middle anchor = "middle"
	end    anchor = "end"
)

// font is how a text is written; centred on its height.
type font struct {
	size   float64
	colour color.RGBA
	anchor anchor
	bold   bool
	turn   float64 // degrees, against the clock
	halo   bool    // an edge in the panel's colour sets it off from marks below
}

func (c *canvas) rect(left, top, width, height float64, fill color.RGBA) {
	fmt.Fprintf(c, `<rect x="%s" y="%s" width="%s" height="%s" fill="%s"/>`+"\n", px(left), px(top), px(width), px(height), css(fill))
}

func (c *canvas) path(points [][2]float64, colour color.RGBA, width float64, dashes string) {
	var d strings.Builder
	for i, p := range points {
		fmt.Fprintf(&d, "%c%s %s", "ML"[min(i, 1)], px(p[0]), px(p[1]))
	}
	if dashes != "" {
		dashes = fmt.Sprintf(` stroke-dasharray="%s"`, dashes)
	}
	fmt.Fprintf(c, `<path d="%s" fill="none" stroke="%s" stroke-width="%s" stroke-linejoin="round"%s/>`+"\n",
		&d, css(colour), px(width), dashes)
}

func (c *canvas) line(x1, y1, x2, y2 float64, colour color.RGBA, width float64) {
	c.path([][2]float64{{x1, y1}, {x2, y2}}, colour, width, "")
}

func (c *canvas) circle(x, y, radius float64, fill color.RGBA) {
	fmt.Fprintf(c, `<circle cx="%s" cy="%s" r="%s" fill="%s"/>`+"\n", px(x), px(y), px(radius), css(fill))
}

func (c *canvas) text(x, y float64, text string, f font) {
	if text == "" {
		return
	}
	fmt.Fprintf(c, `<text x="%s" y="%s" dy=".35em" font-size="%s" fill="%s" text-anchor="%s"`, px(x), px(y), px(f.size), css(f.colour), f.anchor)
	if f.bold {
		c.WriteString(` font-weight="bold"`)
	}
	if f.halo {
		fmt.Fprintf(c, ` stroke="%s" stroke-width="3" stroke-linejoin="round" paint-order="stroke"`, css(panelGrey))
	}
	if f.turn != 0 {
		fmt.Fprintf(c, ` transform="rotate(%s %s %s)"`, px(-f.turn), px(x), px(y))
	}
	fmt.Fprintf(c, ">%s</text>\n", escaped(text))
}

// group wraps what draw writes into an element with attributes.
func (c *canvas) group(attributes string, draw func()) {
	fmt.Fprintf(c, "<g %s>\n", attributes)
	draw()
	c.WriteString("</g>\n")
}

// crisp lets edges fall on whole pixels, so that tiles side by side show no seam.
const crisp = `shape-rendering="crispEdges"`

// px writes a number of pixels to the hundredth, the same on every machine.
func px(v float64) string {
	return strconv.FormatFloat(math.Round(v*100)/100+0, 'f', -1, 64)
}

func css(c color.RGBA) string { return fmt.Sprintf("#%02x%02x%02x", c.R, c.G, c.B) }

// escaped is text inside an XML element or attribute. Characters that XML cannot hold become U+FFFD.
func escaped(text string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(text)) // a strings.Builder never fails
	return b.String()
}

// asciiWidths are the widths of the characters from space to tilde in DejaVu Sans, in hundredths of the font size.
var asciiWidths = [...]uint8{32, 40, 46, 84, 64, 95, 78, 27, 39, 39, 50, 84, 32, 36, 32, 34, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 34, 34,
	84, 84, 84, 53, 100, 68, 69, 70, 77, 63, 58, 77, 75, 29, 29, 66, 56, 86, 75, 79, 60, 79, 69, 63, 61, 73, 68, 99, 69, 61, 69, 39, 34, 39,
	84, 50, 50, 61, 63, 55, 63, 62, 35, 63, 63, 28, 28, 58, 28, 97, 63, 61, 63, 63, 41, 52, 39, 63, 59, 82, 59, 59, 52, 64, 34, 64, 84}

// textWidth is how wide a text is in pixels: to a percent for ASCII, an estimate for the rest.
func textWidth(text string, size float64) float64 {
	hundredths := 0
	for _, r := range text {
		switch {
		case r >= ' ' && int(r-' ') < len(asciiWidths):
			hundredths += int(asciiWidths[r-' '])
		case unicode.Is(unicode.Mn, r):
		case r >= 0x2070 && r < 0x20a0 || r == 0xb9 || r == 0xb2 || r == 0xb3: // superscripts
			hundredths += 40
		case r >= 0x1100: // wide scripts, and symbols that may be
			hundredths += 100
		default:
			hundredths += 70
		}
	}
	return float64(hundredths) / 100 * size
}

func widest(texts []string, size float64) float64 {
	width := 0.0
	for _, text := range texts {
		width = math.Max(width, textWidth(text, size))
	}
	return width
}

// fitted is the font size, at most the one given and at least 5, at which a text is no wider than width.
func fitted(text string, size, width float64) float64 {
	return math.Max(5, math.Min(size, size*width/math.Max(1, textWidth(text, size))))
}

// wrapped breaks a text between words into lines no wider than width, where words are short enough.
func wrapped(text string, size, width float64) []string {
	var lines []string
	for _, word := range strings.Fields(text) {
		if last := len(lines) - 1; last >= 0 && textWidth(lines[last]+" "+word, size) <= width {
			lines[last] += " " + word
		} else {
			lines = append(lines, word)
		}
	}
	return lines
}

// shortened is a text, or as much of its beginning as fits a width, and an ellipsis.
func shortened(text string, size, width float64) string {
	if textWidth(text, size) <= width {
		return text
	}
	kept := ""
	for _, r := range text {
		if textWidth(kept+string(r)+"…", size) > width {
			break
		}
		kept += string(r)
	}
	return kept + "…"
}
