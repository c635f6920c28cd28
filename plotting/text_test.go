package plotting_test

import (
	"bytes"
	"math"
	"testing"

	"github.com/govene/govene/plotting"
)

// What rounds to zero is written without a sign, and what does not keeps it.
func TestTextWritesZeroWithoutASign(t *testing.T) {
	frame := plotting.MustFrame(plotting.NewColumn("x", []int{0, 1, 2}), plotting.NewColumn("share", []float64{-0.001, math.Copysign(0, -1), -0.011}))
	document, err := plotting.New(frame, plotting.Aes{X: "x", Y: "x", Label: "share"}).Add(plotting.Text{Format: "%.2f"}).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	if got := bytes.Count(document, []byte(">0.00<")); got != 2 || !bytes.Contains(document, []byte(">-0.01<")) {
		t.Errorf("got %d labels 0.00 in\n%s\nwanted 2, and one of -0.01", got, document)
	}
}
