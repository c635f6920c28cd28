package causal_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/govene/govene/internal/golden"
	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv/causal"
)

// wantDrawn wants well-formed XML with a box for each variable, all of them inside the picture and apart from each other, and parents to the
// left of what is computed from them.
func wantDrawn(t *testing.T, model *causal.Model, drawing causal.Drawing) {
	t.Helper()
	type rect struct{ x, y, width, height float64 }
	var boxes []rect
	var names []string
	var picture rect
	decoder := xml.NewDecoder(bytes.NewReader(drawing.SVG()))
	bold := false
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%v in %s", err, drawing.SVG())
		}
		switch token := token.(type) {
		case xml.StartElement:
			of := map[string]string{}
			for _, a := range token.Attr {
				of[a.Name.Local] = a.Value
			}
			number := func(name string) float64 { value, _ := strconv.ParseFloat(of[name], 64); return value }
			r := rect{number("x"), number("y"), number("width"), number("height")}
			if token.Name.Local == "svg" {
				picture = r
			}
			if token.Name.Local == "rect" && of["rx"] == "7" {
				boxes = append(boxes, r)
			}
			bold = of["font-weight"] == "bold"
		case xml.CharData:
			if bold {
				names = append(names, string(token))
			}
			bold = false
		}
	}
	variables := model.Variables()
	if len(boxes) != len(variables) || len(names) != len(variables) {
		t.Fatalf("got %d boxes and names %q of %d variables", len(boxes), names, len(variables))
	}
	at := map[string]rect{}
	for i, v := range variables {
		b := boxes[i]
		at[v.Name] = b
		if b.x < 0 || b.y < 0 || b.x+b.width > picture.width || b.y+b.height > picture.height {
			t.Errorf("%s is outside of the picture: %v of %v", v.Name, b, picture)
		}
		for k, other := range boxes[:i] {
			if b.x < other.x+other.width && other.x < b.x+b.width && b.y < other.y+other.height+8 && other.y < b.y+b.height+8 {
				t.Errorf("%s lies on %s: %v on %v", v.Name, variables[k].Name, b, other)
			}
		}
		for _, parent := range v.Parents {
			if p := at[parent]; p.x+p.width+20 > b.x {
				t.Errorf("%s is not to the right of %s", v.Name, parent)
			}
		}
	}
}

func TestDrawings(t *testing.T) {
	for seed := range uint64(100) {
		random := rand.New(rand.NewPCG(seed, 0))
		model := randomModel(random)
		wantDrawn(t, model, model.Drawing())
		input, err := model.SampleInput(random)
		if err != nil {
			t.Fatal(err)
		}
		wantDrawn(t, model, model.MustDrawSetting(model.MustRun(input)))
		if names := model.Internal(); len(names) > 0 {
			source, _ := model.SampleInput(random)
			drawing := model.MustDrawInterchange(input, map[string]causal.Setting{names[0]: source})
			wantDrawn(t, model, drawing)
			before, after := model.MustRun(input), model.MustInterchange(input, map[string]causal.Setting{names[0]: source})
			arrows := 0
			for name := range before {
				if before[name] != after[name] {
					arrows++
				}
			}
			if got := strings.Count(string(drawing.SVG()), " → "); got != arrows {
				t.Errorf("seed %d: got %d changes, wanted %d: %s", seed, got, arrows, drawing)
			}
		}
		if !bytes.Equal(model.Drawing().SVG(), model.Drawing().SVG()) {
			t.Error("two drawings of a model differ")
		}
	}
	strange := causal.MustNew(causal.Input("<a & \"b\">\x00", "x\ny", "]]>"), causal.Input("a name that is much longer than any box should be", 1, 2),
		causal.Computed("🙂", func(a string, b int) string { return a }, "<a & \"b\">\x00", "a name that is much longer than any box should be"))
	wantDrawn(t, strange, strange.Drawing())
	_, err := strange.DrawSetting(causal.Setting{"no": 1})
	wanted.Refusal(t, err, "drawing", "no")
	_, err = causal.Conjunction().DrawInterchange(causal.Setting{"A": true}, nil)
	wanted.Refusal(t, err, "B")
}

func TestGoldenModelsAreDrawn(t *testing.T) {
	for _, c := range golden.Cases(t, "causal") {
		t.Run(c.Name, func(t *testing.T) {
			model, _ := goldenModel(t, c)
			wantDrawn(t, model, model.Drawing())
		})
	}
}

// The picture that the README shows; GOVENE_WRITE=1 writes it anew.
func TestGoldenDrawing(t *testing.T) {
	const path = "testdata/interchange.svg"
	got := causal.MustArithmetic(4, 3).MustDrawInterchange(causal.Setting{"X": 1, "Y": 2, "Z": 1}, map[string]causal.Setting{"S": {"X": 3, "Y": 2, "Z": 0}}).SVG()
	if os.Getenv("GOVENE_WRITE") != "" {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if want, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got another picture than %s (%v)", path, err)
	}
}

// What an interchange changes, in words; SVG has it as a picture.
func ExampleModel_DrawInterchange() {
	model := causal.MustHierarchicalEquality(4)
	drawing := model.MustDrawInterchange(causal.Setting{"W": 0, "X": 1, "Y": 2, "Z": 3},
		map[string]causal.Setting{"WX": {"W": 2, "X": 2, "Y": 0, "Z": 1}})
	fmt.Print(drawing)
	// Output:
	// W  X  Y  Z  WX     YZ     O
	// 0  1  2  3  false  false  true
	// 0  1  2  3  true   false  false
	// taken from a source: WX
	// changed: WX, O
}
