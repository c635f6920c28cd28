package plotting_test

import (
	"bytes"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/govene/govene/plotting"
)

func TestPlotRefusals(t *testing.T) {
	frame := plotting.MustFrame(
		plotting.NewColumn("step", []int{0, 1, 2, 2}), plotting.NewColumn("loss", []float64{1, -0.5, 2, 3}),
		plotting.NewColumn("zero", []float64{1, 0, 2, 3}), plotting.NewColumn("bad", []float64{1, 2, math.NaN(), 3}),
		plotting.NewColumn("token", []string{"a", "b", "a", "a"}))
	of := func(aes plotting.Aes, parts ...plotting.Part) plotting.Plot {
		return plotting.New(frame, aes).Add(parts...)
	}
	xy := plotting.Aes{X: "step", Y: "loss"}
	cases := map[string]struct {
		plot    plotting.Plot
		message string // what the error must say
	}{
		"unknown column":        {of(plotting.Aes{X: "stp", Y: "loss"}, plotting.Point{}), `X: got "stp", wanted one of step, loss, zero, bad, token; did you mean "step"?`},
		"unknown facet":         {of(xy, plotting.Point{}, plotting.FacetWrap{By: "tokn"}), `FacetWrap.By: got "tokn"`},
		"facet without a name":  {of(xy, plotting.Point{}, plotting.FacetWrap{Columns: 2}), "FacetWrap.By: got no name"},
		"negative columns":      {of(xy, plotting.Point{}, plotting.FacetWrap{By: "token", Columns: -1}), "FacetWrap.Columns: got -1"},
		"aesthetic missing":     {of(xy, plotting.Text{}), "plotting.Text: got no Label in Aes"},
		"fill missing":          {of(xy, plotting.Tile{}), "plotting.Tile: got no Fill in Aes"},
		"axis missing":          {of(plotting.Aes{Y: "loss"}, plotting.HLine{}), "plotting.HLine: got no X in Aes"},
		"negative on log":       {of(xy, plotting.Point{}, plotting.LogY{}), `y (column "loss"), row 1: got -0.5, wanted a positive number`},
		"zero on log":           {of(plotting.Aes{X: "step", Y: "zero"}, plotting.Bar{}, plotting.LogY{}), `row 1: got 0, wanted a positive number`},
		"a line at infinity":    {of(plotting.Aes{X: "step", Y: "step"}, plotting.HLine{At: math.Inf(1)}), `HLine, y (column "step"): got +Inf`},
		"log of categories":     {of(plotting.Aes{X: "step", Y: "token"}, plotting.Point{}, plotting.LogY{}), "which holds categories"},
		"NaN position":          {of(plotting.Aes{X: "step", Y: "bad"}, plotting.Point{}), `y (column "bad"), row 2: got NaN`},
		"NaN colour":            {of(plotting.Aes{X: "step", Y: "loss", Colour: "bad"}, plotting.Point{}), `Colour (column "bad"), row 2: got NaN`},
		"no layer":              {of(xy), "no layer"},
		"no frame":              {plotting.New(nil, xy).Add(plotting.Point{}), "a table without rows"},
		"two tiles":             {of(plotting.Aes{X: "step", Y: "token", Fill: "loss"}, plotting.Tile{}), `two rows at x (column "step") = 2, y (column "token") = "a"`},
		"two bars":              {of(xy, plotting.Bar{}), `two rows at x (column "step") = 2`},
		"bars of categories":    {of(plotting.Aes{X: "step", Y: "token"}, plotting.Bar{}), "which holds categories"},
		"lines without length":  {of(plotting.Aes{X: "step", Y: "loss", Group: "loss"}, plotting.Line{}), "none of which belong together"},
		"format":                {of(plotting.Aes{X: "step", Y: "loss", Label: "token"}, plotting.Text{Format: "%.2f"}), "Text, Format"},
		"limits the wrong way":  {of(plotting.Aes{X: "step", Y: "token", Fill: "loss"}, plotting.Bar{}, plotting.FillScale{Limits: [2]float64{1, 0}}), "Limits"},
		"limits of categories":  {of(plotting.Aes{X: "step", Y: "loss", Fill: "token"}, plotting.Bar{}, plotting.FillScale{Limits: [2]float64{0, 1}}), "holds categories"},
		"unknown map":           {of(plotting.Aes{X: "step", Y: "loss", Fill: "token"}, plotting.Bar{}, plotting.FillScale{Map: 99}), "ColourMap(99)"},
		"angle":                 {of(xy, plotting.Point{}, plotting.Theme{XAngle: 100}), "XAngle: got 100"},
		"a figure too small":    {of(xy, plotting.Point{}, plotting.Theme{Width: 60}), "panels of at least 20 × 20"},
		"a figure of NaN width": {of(xy, plotting.Point{}, plotting.Theme{Width: math.NaN()}), "a figure of NaN"},
		"legend too high":       {of(plotting.Aes{X: "step", Y: "loss", Colour: "loss"}, plotting.Point{}, plotting.Theme{Height: 100}), "for the legend"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var written bytes.Buffer
			err := c.plot.WriteSVG(&written)
			var refusal *plotting.Error
			if !errors.As(err, &refusal) || !strings.Contains(err.Error(), c.message) {
				t.Errorf("got %v, wanted an *Error with %s", err, c.message)
			}
			if written.Len() > 0 {
				t.Error("a figure was begun")
			}
		})
	}
}

func TestFrameRefusals(t *testing.T) {
	numbers := plotting.NewColumn("n", []int{1, 2})
	frame := plotting.MustFrame(numbers)
	read := func(text string) error { _, err := plotting.ReadCSV(strings.NewReader(text)); return err }
	made := func(columns ...plotting.Column) error { _, err := plotting.NewFrame(columns...); return err }
	_, wrongType := plotting.Values[string](frame, "n")
	_, unknown := plotting.Filter(frame, "m", func(int) bool { return true })
	_, unknownGroup := frame.GroupBy("m")
	for message, err := range map[string]error{
		`column "m": got 1 values, wanted 2, as in column "n"`: made(numbers, plotting.NewColumn("m", []int{1})),
		`column "n": got a second column of that name`:         made(numbers, numbers),
		`column 0: got no name`:                                made(plotting.NewColumn("", []int{1})),
		`column "n", row 1: got "2", wanted one of 1`:          made(numbers.Levels("1")),
		`level "1" twice`:                                      made(numbers.Levels("1", "1")),
		`column "n": got []int, wanted []string`:               wrongType,
		`column: got "m", wanted one of n`:                     unknown,
		`column: got "m", wanted one of`:                       unknownGroup,
		`got no name`:                                          read(",b\n"),
		`CSV: got nothing`:                                     read(""),
		`wrong number of fields`:                               read("a,b\n1\n"),
		`a second column`:                                      read("a,a\n1,2\n"),
	} {
		if err == nil || !strings.Contains(err.Error(), message) {
			t.Errorf("got %v, wanted %s", err, message)
		}
	}
}

// A plot that cannot be drawn leaves the file as it was.
func TestSave(t *testing.T) {
	frame := plotting.MustFrame(plotting.NewColumn("x", []int{1, 2}), plotting.NewColumn("y", []int{3, 4}))
	plot := plotting.New(frame, plotting.Aes{X: "x", Y: "y"})
	path := filepath.Join(t.TempDir(), "plot.svg")
	plot.Add(plotting.Point{}).MustSave(path)
	if err := plot.Save(path); err == nil {
		t.Error("a plot without layers was saved")
	}
	kept, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(kept, plot.Add(plotting.Point{}).MustBytes()) {
		t.Errorf("the file has %d bytes (%v), wanted the first plot's", len(kept), err)
	}
}
