package plotting_test

import (
	"fmt"
	"image/color"
	"math"
	"os"
	"path/filepath"
	"strings"

	"github.com/govene/govene/plotting"
)

// Patching effects as a heat map with a panel for each class: one line here for one "+" of plotnine. The figure is
// testdata/example.svg.
func Example() {
	plot := plotting.New(effects(), plotting.Aes{X: "base step", Y: "source step", Fill: "effect", Label: "effect"}).Add(
		plotting.Tile{},
		plotting.Text{Format: "%.2f"},
		plotting.FacetWrap{By: "class", Both: true},
		plotting.FillScale{Map: plotting.Purples},
		plotting.Labels{Title: "What one patched step changes", Subtitle: "Change of each class's score, in standard deviations"},
	)
	file, err := os.Create(filepath.Join(os.TempDir(), "example.svg"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.Remove(file.Name())
	defer file.Close()
	fmt.Println(plot, plot.WriteSVG(file))
	// Output: What one patched step changes. Tile, Text: x base step, y source step, fill effect, label effect, a panel for each class; 50 rows. <nil>
}

// effects is a table such as a sweep makes.
func effects() *plotting.Frame {
	var source, base, class []int
	var effect []float64
	for s := range 5 {
		for b := range 5 {
			for c := range 2 {
				source, base, class = append(source, s), append(base, b), append(class, c)
				effect = append(effect, math.Exp(-math.Abs(float64(s-b))/2)*math.Pow(0.8, float64((4-b)*(1+c))))
			}
		}
	}
	return plotting.MustFrame(
		plotting.NewColumn("source step", source), plotting.NewColumn("base step", base),
		plotting.NewColumn("class", class), plotting.NewColumn("effect", effect))
}

// Rows are selected by the value of a column, and grouped by those of several.
func ExampleFilter() {
	late, err := plotting.Filter(effects(), "base step", func(step int) bool { return step >= 3 })
	if err != nil {
		fmt.Println(err)
		return
	}
	groups, err := late.GroupBy("class", "base step")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, group := range groups {
		effect, _ := plotting.Values[float64](group.Frame, "effect")
		fmt.Printf("class %s, base step %s: %d rows, first %.2f\n", group.Key[0], group.Key[1], group.Len(), effect[0])
	}
	// Output:
	// class 0, base step 3: 5 rows, first 0.18
	// class 0, base step 4: 5 rows, first 0.14
	// class 1, base step 3: 5 rows, first 0.14
	// class 1, base step 4: 5 rows, first 0.14
}

// A table is read from CSV, each column with the narrowest type that holds it.
func ExampleReadCSV() {
	frame, err := plotting.ReadCSV(strings.NewReader("token,layer,prob\n the,0,0.25\n cat,1,1e-3\n"))
	fmt.Print(frame)
	fmt.Println(err)
	// Output:
	// token  layer   prob
	//  the       0   0.25
	//  cat       1  0.001
	// <nil>
}

// A table as HTML, which nb.ShowTable shows in a notebook.
func ExampleFrame_HTML() {
	frame := plotting.MustFrame(plotting.NewColumn("token", []string{"<s>"}), plotting.NewColumn("prob", []float64{0.123456}))
	fmt.Print(frame.HTML())
	// Output:
	// <table>
	// <tr><th style="text-align:left">token</th><th style="text-align:right">prob</th></tr>
	// <tr><td style="text-align:left">&lt;s&gt;</td><td style="text-align:right">0.1235</td></tr>
	// </table>
}

// Whisker is a layer of one's own: from a value down to 0.
type Whisker struct{}

func (w Whisker) AddTo(p *plotting.Plot)        { p.AddLayer(w) }
func (Whisker) Needs() []plotting.Aesthetic     { return []plotting.Aesthetic{plotting.X, plotting.Y} }
func (Whisker) Arrange(p *plotting.Panel) error { p.Y.Include(0); return nil }
func (Whisker) Draw(p *plotting.Panel) {
	for _, row := range p.Rows {
		p.Path([][2]float64{{row.X, 0}, {row.X, row.Y}}, color.RGBA{0x69, 0x50, 0xa3, 0xff}, 1.5, false)
	}
}

// A layer of one's own needs four short methods, and draws in the numbers of the axes. The figure is testdata/lollipop.svg.
func ExampleLayer() {
	fmt.Println(lollipop())
	// Output: A layer of one's own. Whisker, Point: x token, y score; 5 rows.
}

func lollipop() plotting.Plot {
	frame := plotting.MustFrame(
		plotting.NewColumn("token", []string{"the", "cat", "sat", "on", "mats"}).Levels("the", "cat", "sat", "on", "mats"),
		plotting.NewColumn("score", []float32{0.5, 2.25, -1, 1.5, 3}))
	return plotting.New(frame, plotting.Aes{X: "token", Y: "score"}).Add(
		Whisker{},
		plotting.Point{Radius: 4},
		plotting.Labels{Title: "A layer of one's own"},
	)
}
