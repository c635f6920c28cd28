package plotting_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/govene/govene/plotting"
)

var regen = flag.Bool("regen", false, "write the golden figures anew; look at each before committing it")

// figures are the golden plots, by file name.
func figures() map[string]plotting.Plot {
	text := plotting.NewColumn[string]
	number := plotting.NewColumn[float64]
	components := []string{"reset_gate_output", "update_gate_output", "new_gate_output", "cell_output"}
	bars := plotting.MustFrame(text("component", components).Levels(components...), number("effect", []float64{0.00213, 0.0845, 0.631, 1}))
	var twice, kind []string
	var values []float64
	for i, component := range components {
		for j, k := range []string{"vanilla", "rotated"} {
			twice, kind = append(twice, component), append(kind, k)
			values = append(values, float64(3*i+j*j)-2.5*float64(j))
		}
	}
	dodged := plotting.MustFrame(text("component", twice).Levels(components...), text("kind", kind), number("change", values))

	var x, y, wave []float64
	var layer []int
	var name []string
	for l := range 5 {
		for step := range 12 {
			x, layer, name = append(x, float64(step)*25), append(layer, l), append(name, []string{"b", "a", "c", "d", "e"}[l])
			y = append(y, math.Sin(float64(step)/3+float64(l))*math.Exp(-float64(l)/4))
			wave = append(wave, math.Cos(float64(step*(l+1))/7)-0.2)
		}
	}
	curves := plotting.MustFrame(number("training step", x), number("loss", y), number("correlation", wave),
		plotting.NewColumn("layer", layer), text("model", name))

	hostile := []string{`<&>"'`, "a\x00b\x1bc", " the", "日本語 ☃", "\xff\xfe", "]]>"}
	strange := plotting.MustFrame(text(`<x> & "y"`, hostile).Levels(hostile...), number("p", []float64{1e-7, 3e-7, 2e-7, 5e-7, 4e-7, 6e-7}))

	return map[string]plotting.Plot{
		"example": plotting.New(effects(), plotting.Aes{X: "base step", Y: "source step", Fill: "effect", Label: "effect"}).Add(
			plotting.Tile{},
			plotting.Text{Format: "%.2f"},
			plotting.FacetWrap{By: "class", Both: true},
			plotting.FillScale{Map: plotting.Purples},
			plotting.Labels{Title: "What one patched step changes", Subtitle: "Change of each class's score, in standard deviations"},
		),
		"lollipop": lollipop(),
		"logbars": plotting.New(bars, plotting.Aes{X: "component", Y: "effect", Label: "effect"}).Add(
			plotting.Bar{},
			plotting.Text{Above: true},
			plotting.HLine{At: 0.5, Label: "half of the state's"},
			plotting.LogY{},
			plotting.Labels{Title: "Effect by component"},
		),
		"dodged": plotting.New(dodged, plotting.Aes{X: "component", Y: "change", Fill: "kind", Label: "change"}).Add(
			plotting.Bar{},
			plotting.Text{Above: true},
			plotting.HLine{At: 0},
			plotting.Theme{XAngle: 90, Width: 480, Height: 400},
		),
		"lines": plotting.New(curves, plotting.Aes{X: "training step", Y: "loss", Colour: "model"}).Add(
			plotting.Line{},
			plotting.Point{},
		),
		"facets": plotting.New(curves, plotting.Aes{X: "training step", Y: "loss", Colour: "layer"}).Add(
			plotting.Line{},
			plotting.FacetWrap{By: "model"},
			plotting.ColourScale{Map: plotting.Greens, Limits: [2]float64{-1, 3}},
		),
		"diverging": plotting.New(curves, plotting.Aes{X: "training step", Y: "layer", Fill: "correlation"}).Add(
			plotting.Tile{},
			plotting.ReverseY{},
			plotting.FillScale{Map: plotting.RdBu},
			plotting.Theme{Height: 300},
		),
		"strange": plotting.New(strange, plotting.Aes{X: `<x> & "y"`, Y: "p", Fill: `<x> & "y"`, Label: `<x> & "y"`}).Add(
			plotting.Bar{},
			plotting.Text{Above: true},
			plotting.FillScale{Map: plotting.Reds},
			plotting.Labels{Title: `Texts <b>with</b> & without "markup"`, Fill: "]]> <!-- a long title of a legend -->"},
		),
	}
}

func TestFigures(t *testing.T) {
	for name, plot := range figures() {
		t.Run(name, func(t *testing.T) {
			got, err := plot.Bytes()
			if err != nil {
				t.Fatal(err)
			}
			again, _ := plot.Bytes()
			if !bytes.Equal(got, again) {
				t.Error("the same plot gave other bytes")
			}
			file := filepath.Join("testdata", name+".svg")
			if *regen {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("the figure is not %s; if it should not be, -regen writes it anew:\n%s", file, firstDifference(got, want))
			}
			checkDocument(t, want)
		})
	}
}

func firstDifference(got, want []byte) string {
	gotLines, wantLines := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i := range min(len(gotLines), len(wantLines)) {
		if gotLines[i] != wantLines[i] {
			return "got    " + gotLines[i] + "\nwanted " + wantLines[i]
		}
	}
	return "one is longer"
}

// checkDocument parses strictly, and checks what a screen reader needs: a title and a description that the root refers to.
func checkDocument(t *testing.T, document []byte) {
	t.Helper()
	decoder := xml.NewDecoder(bytes.NewReader(document))
	decoder.Strict = true
	ids, referred, text := map[string]string{}, "", map[string]string{}
	element := ""
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("not well-formed: %v", err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			element = token.Name.Local
			for _, attribute := range token.Attr {
				switch attribute.Name.Local {
				case "id":
					if ids[attribute.Value] != "" {
						t.Errorf("id %q twice", attribute.Value)
					}
					ids[attribute.Value] = element
				case "aria-labelledby":
					referred = attribute.Value
				case "x", "y", "width", "height", "d":
					if strings.Contains(attribute.Value, "NaN") || strings.Contains(attribute.Value, "Inf") {
						t.Errorf("%s of %s is %q", attribute.Name.Local, element, attribute.Value)
					}
				}
			}
		case xml.CharData:
			text[element] += string(token)
		case xml.EndElement:
			element = ""
		}
	}
	for i, kind := range []string{"title", "desc"} {
		names := strings.Fields(referred)
		if len(names) != 2 || ids[names[i]] != kind || text[kind] == "" {
			t.Errorf("aria-labelledby=%q, ids %v: no %s", referred, ids, kind)
		}
	}
}
