package plotting

import (
	"fmt"
	"image/color"
	"math"
)

// ColourMap gives each number from 0 to 1 a colour. Its constants are the maps of those names in matplotlib.
type ColourMap int

// The colour maps: viridis for quantities, in even steps of lightness (van der Walt and Smith, 2015), and four by Cynthia Brewer:
// one hue from pale to dark for quantities from 0 up, and red to blue for those on both sides of 0.
const (
	Viridis ColourMap = iota
	Purples
	Greens
	Reds
	RdBu
)

// The colours at even steps of each map; those between are linear in sRGB.
var colourMaps = [...]struct {
	name  string
	steps []uint32
}{
	{"viridis", []uint32{0x440154, 0x48186a, 0x472d7b, 0x424086, 0x3b528b, 0x33638d, 0x2c728e, 0x26828e, 0x21918c,
		0x1fa088, 0x28ae80, 0x3fbc73, 0x5ec962, 0x84d44b, 0xaddc30, 0xd8e219, 0xfde725}},
	{"Purples", []uint32{0xfcfbfd, 0xefedf5, 0xdadaeb, 0xbcbddc, 0x9e9ac8, 0x807cba, 0x6950a3, 0x53268f, 0x3f007d}},
	{"Greens", []uint32{0xf7fcf5, 0xe5f5e0, 0xc7e9c0, 0xa0d99b, 0x73c476, 0x40aa5d, 0x228a44, 0x006c2c, 0x00441b}},
	{"Reds", []uint32{0xfff5f0, 0xfee0d2, 0xfcbba1, 0xfc9272, 0xfb694a, 0xee3a2c, 0xca181d, 0xa30f15, 0x67000d}},
	{"RdBu", []uint32{0x67001f, 0xb1182b, 0xd6604d, 0xf3a481, 0xfddbc7, 0xf6f7f7, 0xd1e5f0, 0x90c4dd, 0x4393c3, 0x2065ab, 0x053061}},
}

// categoryColours are told apart by colour-blind readers too: Okabe and Ito, "Color Universal Design" (2008), without black.
var categoryColours = []uint32{0x0072b2, 0xe69f00, 0x009e73, 0xcc79a7, 0x56b4e9, 0xd55e00, 0xf0e442}

// String is the map's name.
func (m ColourMap) String() string {
	if !m.valid() {
		return fmt.Sprintf("ColourMap(%d)", int(m))
	}
	return colourMaps[m].name
}

func (m ColourMap) valid() bool { return m >= 0 && int(m) < len(colourMaps) }

// At is the colour of t, which is taken as 0 below 0 and as 1 above 1.
func (m ColourMap) At(t float64) color.RGBA {
	steps := colourMaps[m].steps
	t = math.Max(0, math.Min(1, t)) * float64(len(steps)-1)
	i := min(int(t), len(steps)-2)
	a, b, share := Hex(steps[i]), Hex(steps[i+1]), t-float64(i)
	between := func(a, b uint8) uint8 { return uint8(math.Round(float64(a) + share*(float64(b)-float64(a)))) }
	return color.RGBA{between(a.R, b.R), between(a.G, b.G), between(a.B, b.B), 255}
}

// Hex is the colour of a number such as 0x4393c3.
func Hex(rgb uint32) color.RGBA {
	return color.RGBA{uint8(rgb >> 16), uint8(rgb >> 8), uint8(rgb), 255}
}

// inkOn is black or white, whichever stands out more from a ground: the one of the larger contrast ratio by the Web Content
// Accessibility Guidelines 2, (L₁ + 0.05)/(L₂ + 0.05) with L the relative luminance.
func inkOn(ground color.RGBA) color.RGBA {
	linear := func(channel uint8) float64 {
		c := float64(channel) / 255
		if c <= 0.04045 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	luminance := 0.2126*linear(ground.R) + 0.7152*linear(ground.G) + 0.0722*linear(ground.B)
	if (luminance+0.05)/0.05 > 1.05/(luminance+0.05) {
		return Hex(0x000000)
	}
	return Hex(0xffffff)
}
