package plotting

import (
	"fmt"
	"image/color"
	"math"
	"strings"
	"testing"
)

func TestTicks(t *testing.T) {
	for _, c := range []struct {
		scale Scale
		most  int
		want  string
	}{
		{Scale{low: 0, high: 1, margin: 0.05}, 6, "0.0 0.2 0.4 0.6 0.8 1.0"},
		{Scale{low: 0, high: 1, margin: 0.05}, 3, "0.0 0.5 1.0"},
		{Scale{low: -1.2, high: 1.2, margin: 0.05}, 6, "−1.0 −0.5 0.0 0.5 1.0"},
		{Scale{low: 0, high: 4, margin: 0.05, whole: true}, 12, "0 1 2 3 4"},
		{Scale{low: 0, high: 40, margin: 0.05, whole: true}, 6, "0 10 20 30 40"},
		{Scale{low: 7, high: 7, margin: 0.05, whole: true}, 12, "7"},
		{Scale{low: 0, high: 3e6, margin: 0.05}, 6, "0 1×10⁶ 2×10⁶ 3×10⁶"},
		{Scale{low: 1e17, high: 1e17 + 64, margin: 0.05}, 6, "1×10¹⁷"},
		{Scale{low: 0, high: 5e-5, margin: 0.05}, 6, "0 1×10⁻⁵ 2×10⁻⁵ 3×10⁻⁵ 4×10⁻⁵ 5×10⁻⁵"},
		{Scale{low: -3, high: 0, margin: 0.05, log: true}, 6, "0.001 0.01 0.1 1"},
		{Scale{low: -8, high: 0, margin: 0.05, log: true}, 6, "10⁻⁸ 10⁻⁶ 10⁻⁴ 10⁻² 10⁰"},
		{Scale{low: 0, high: 1, margin: 0.05, log: true}, 6, "1 2 5 10"},
		{Scale{low: -8, high: -6.6, margin: 0, log: true}, 6, "10⁻⁸ 2×10⁻⁸ 5×10⁻⁸ 10⁻⁷ 2×10⁻⁷"},
		{Scale{low: 5, high: 6.8, margin: 0, log: true}, 6, "10⁵ 2×10⁵ 5×10⁵ 10⁶ 2×10⁶ 5×10⁶"},
		{Scale{low: -0.8, high: 0.4, margin: 0, log: true}, 6, "0.2 0.5 1 2"},
		{Scale{low: 2, high: 2.3, margin: 0.05, log: true}, 6, "100 120 140 160 180 200"},
		{Scale{levels: []string{"b", "a"}}, 1, "b a"},
	} {
		var labels []string
		for _, tick := range c.scale.ticks(c.most) {
			labels = append(labels, tick.label)
		}
		if got := strings.Join(labels, " "); !strings.HasPrefix(got, c.want) || c.want != "1×10¹⁷" && got != c.want {
			t.Errorf("%+v: got %s, wanted %s", c.scale, got, c.want)
		}
	}
}

// built is the figure of a plot without errors.
func built(t *testing.T, plot Plot) *figure {
	t.Helper()
	f, err := plot.build()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func near(a, b float64) bool { return math.Abs(a-b) < 1e-9 }

func TestAxesReachBeyond(t *testing.T) {
	frame := MustFrame(NewColumn("name", []string{"b", "a", "c"}), NewColumn("v", []float64{10, 20, 30}))
	f := built(t, New(frame, Aes{X: "name", Y: "v"}).Add(Point{}))
	if low, high := f.x.Ends(); !near(low, 0.4) || !near(high, 3.6) {
		t.Errorf("categories: got %g to %g, wanted 0.4 to 3.6", low, high)
	}
	if low, high := f.y.Ends(); !near(low, 9) || !near(high, 31) {
		t.Errorf("quantities: got %g to %g, wanted 9 to 31", low, high)
	}
	if f.panels[0].Rows[0].X != 2 {
		t.Errorf(`"b" lies at %g, wanted 2: texts sort by alphabet`, f.panels[0].Rows[0].X)
	}
	f = built(t, New(frame, Aes{X: "name", Y: "v"}).Add(Bar{}))
	if low, _ := f.y.Ends(); low >= 0 {
		t.Errorf("the axis of bars begins at %g, wanted below 0", low)
	}
	f = built(t, New(frame, Aes{X: "name", Y: "v"}).Add(Bar{}, ReverseY{}))
	if top, bottom := f.y.place(10), f.y.place(30); top >= bottom {
		t.Errorf("reversed: 10 is at %g and 30 at %g, wanted 10 above", top, bottom)
	}
}

func TestLogBarsRiseFromTheLowerEnd(t *testing.T) {
	frame := MustFrame(NewColumn("name", []string{"a", "b"}), NewColumn("v", []float64{0.01, 100}))
	f := built(t, New(frame, Aes{X: "name", Y: "v"}).Add(Bar{}, LogY{}))
	c := &canvas{}
	f.panels[0].canvas = c
	f.aim(0)
	Bar{}.Draw(f.panels[0])
	low, _ := f.y.Ends()
	for i, v := range []float64{-2, 2} {
		want := `height="` + px(f.y.place(low)-f.y.place(v)) + `"`
		if line := strings.Split(c.String(), "\n")[i]; !strings.Contains(line, want) {
			t.Errorf("got %s, wanted %s", line, want)
		}
	}
}

func TestBarsSideBySide(t *testing.T) {
	frame := MustFrame(NewColumn("name", []string{"a", "a", "b"}), NewColumn("kind", []string{"v", "u", "u"}), NewColumn("y", []int{1, 2, 3}))
	rows := built(t, New(frame, Aes{X: "name", Y: "y", Fill: "kind"}).Add(Bar{})).panels[0].Rows
	for i, want := range [][2]float64{{1.225, 0.45}, {0.775, 0.45}, {2, 0.9}} {
		if !near(rows[i].X, want[0]) || !near(rows[i].Width, want[1]) {
			t.Errorf("row %d: got x %g, width %g, wanted %v", i, rows[i].X, rows[i].Width, want)
		}
	}
}

func TestFacetsShareAxesAndKeepLevels(t *testing.T) {
	frame := MustFrame(NewColumn("x", []int{1, 2, 3, 4}), NewColumn("y", []float64{1, 2, 30, 40}),
		NewColumn("class", []string{"late", "late", "early", "early"}).Levels("late", "never", "early"))
	f := built(t, New(frame, Aes{X: "x", Y: "y"}).Add(Point{}, FacetWrap{By: "class"}))
	if strings.Join(f.strips, " ") != "late early" {
		t.Errorf("got strips %v, wanted late and early", f.strips)
	}
	if f.panels[0].Y != f.panels[1].Y || f.y.high != 40 {
		t.Error("panels do not share their axes")
	}
	for panels, want := range map[int][2]int{1: {1, 1}, 3: {3, 1}, 4: {2, 2}, 5: {3, 2}, 12: {4, 3}} {
		if columns, rows := (FacetWrap{}).wrap(panels); columns != want[0] || rows != want[1] {
			t.Errorf("%d panels: got %d × %d, wanted %v", panels, columns, rows, want)
		}
	}
}

func TestColours(t *testing.T) {
	for m, want := range map[ColourMap][3]uint32{
		Viridis: {0x440154, 0x21918c, 0xfde725}, Purples: {0xfcfbfd, 0x9e9ac8, 0x3f007d}, Greens: {0xf7fcf5, 0x73c476, 0x00441b},
		Reds: {0xfff5f0, 0xfb694a, 0x67000d}, RdBu: {0x67001f, 0xf6f7f7, 0x053061},
	} {
		for i, value := range []float64{-1, 0.5, 2} {
			if got := m.At(value); got != Hex(want[i]) {
				t.Errorf("%v at %g: got %v, wanted %v", m, value, css(got), css(Hex(want[i])))
			}
		}
	}
	for ground, want := range map[color.RGBA]color.RGBA{Hex(0x3f007d): Hex(0xffffff), Hex(0xfde725): Hex(0), Hex(0xffffff): Hex(0)} {
		if got := inkOn(ground); got != want {
			t.Errorf("on %s: got %s, wanted %s", css(ground), css(got), css(want))
		}
	}
}

func TestGuides(t *testing.T) {
	frame := MustFrame(NewColumn("x", []int{1, 2}), NewColumn("kind", []string{"a", "b"}))
	plot := New(frame, Aes{X: "x", Y: "x", Fill: "kind", Colour: "kind"}).Add(Bar{}, Point{})
	both := built(t, plot)
	if len(both.guides) != 1 || both.guides[0].aesthetic != Colour {
		t.Errorf("one column, one scale: got %d guides, wanted one", len(both.guides))
	}
	if f := built(t, plot.Add(ColourScale{Map: Reds})); len(f.guides) != 2 {
		t.Errorf("one column, two scales: got %d guides, wanted two", len(f.guides))
	}
	if f := built(t, plot.Add(Theme{NoLegend: true})); f.layout.panelWidth <= both.layout.panelWidth {
		t.Error("without its legend the figure has no more room")
	}
}

// A plot is a value: adding to it leaves it as it was.
func TestAddCopies(t *testing.T) {
	frame := MustFrame(NewColumn("x", []int{1, 2}))
	base := New(frame, Aes{X: "x", Y: "x"}).Add(Point{})
	a, b := base.Add(Line{}), base.Add(HLine{}, LogY{})
	if len(base.layers) != 1 || base.logY {
		t.Error("base changed")
	}
	if _, ok := a.layers[1].(Line); !ok || len(b.layers) != 2 {
		t.Error("plots with a common base share layers")
	}
}

// Labels of bars lie beyond the bars' ends, whichever way the axis grows.
func TestLabelsLieBeyondTheirBars(t *testing.T) {
	frame := MustFrame(NewColumn("name", []string{"a", "b"}), NewColumn("v", []float64{-3, 5}))
	for name, part := range map[string]Part{"upwards": Theme{}, "downwards": ReverseY{}} {
		f := built(t, New(frame, Aes{X: "name", Y: "v", Label: "v"}).Add(Bar{}, part))
		c := &canvas{}
		f.panels[0].canvas = c
		f.aim(0)
		Text{Above: true}.Draw(f.panels[0])
		for i, line := range strings.Split(strings.TrimSpace(c.String()), "\n") {
			var x, y float64
			if _, err := fmt.Sscanf(line, `<text x="%f" y="%f"`, &x, &y); err != nil {
				t.Fatalf("%s: %s: %v", name, line, err)
			}
			zero, end := f.y.place(0), f.y.place(f.panels[0].Rows[i].Y)
			if (end-zero)*(y-end) <= 0 {
				t.Errorf("%s: the bar goes from %g to %g, and its label is at %g", name, zero, end, y)
			}
		}
	}
}

// Two rows are a line; one is none.
func TestLinesOfTwoRows(t *testing.T) {
	frame := MustFrame(NewColumn("x", []float64{0, 1}), NewColumn("y", []float64{2, 3}), NewColumn("of", []string{"a", "b"}))
	var figure strings.Builder
	if err := New(frame, Aes{X: "x", Y: "y"}).Add(Line{}).WriteSVG(&figure); err != nil {
		t.Error(err)
	}
	if err := New(frame, Aes{X: "x", Y: "y", Group: "of"}).Add(Line{}).WriteSVG(&figure); err == nil {
		t.Error("two lines of one row each were drawn")
	}
}
