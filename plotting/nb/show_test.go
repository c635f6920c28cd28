package nb_test

import (
	"errors"
	"testing"

	"github.com/govene/govene/plotting"
	"github.com/govene/govene/plotting/nb"
)

func plot() plotting.Plot {
	frame := plotting.MustFrame(plotting.NewColumn("step", []int{0, 1, 2}), plotting.NewColumn("loss", []float64{3, 1, 2}))
	return plotting.New(frame, plotting.Aes{X: "step", Y: "loss"}).Add(plotting.Point{})
}

func TestShowOutsideANotebook(t *testing.T) {
	if err := nb.Show(plot()); !errors.Is(err, nb.ErrNoNotebook) {
		t.Errorf("got %v, wanted ErrNoNotebook", err)
	}
	var refusal *plotting.Error
	if err := nb.Show(plot().Add(plotting.FacetWrap{By: "stp"})); !errors.As(err, &refusal) || refusal.Nearest != "step" {
		t.Errorf("got %v, wanted an error with the nearest column", err)
	}
}

type table struct{}

func (table) String() string { return "a" }
func (table) HTML() string   { return "<table><tr><td>a</td></tr></table>" }

func TestShowTableOutsideANotebook(t *testing.T) {
	if err := nb.ShowTable(table{}); !errors.Is(err, nb.ErrNoNotebook) {
		t.Errorf("got %v, wanted ErrNoNotebook", err)
	}
}
