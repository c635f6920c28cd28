package plotting_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/govene/govene/plotting"
)

// Rows that a loop appends are a table, without a slice for each column.
func ExampleFrameOf() {
	type effect struct {
		after, token string
		difference   float32 `frame:"logit difference"`
	}
	rows := []effect{{"embeddings", "Rome", 0.123}, {"block 0", "Rome", 7.4689}, {"block 1", "Paris", -0.001}}
	frame, err := plotting.FrameOf(rows)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(frame.Rounded(2))
	// Output:
	// after       token  logit difference
	// embeddings  Rome               0.12
	// block 0     Rome               7.47
	// block 1     Paris                 0
}

func TestFrameOf(t *testing.T) {
	type component string
	type row struct {
		what component
		n    int64
		x    float64
	}
	frame := plotting.MustFrameOf([]row{{"b", 2, 0.25}, {"a", 1, math.Copysign(0, -1)}, {"b", 3, 0.75}})
	numbers, err := plotting.Values[int](frame, "n")
	if err != nil || !slices.Equal(numbers, []int{2, 1, 3}) {
		t.Errorf("n: %v, %v", numbers, err)
	}
	groups, err := frame.GroupBy("what")
	if err != nil || len(groups) != 2 || groups[0].Key[0] != "b" || groups[0].Len() != 2 {
		t.Errorf("groups %v, %v; wanted b first, as it occurs first, with 2 rows", groups, err)
	}
	exact, err := plotting.Values[float64](frame.Rounded(1), "x")
	if err != nil || !slices.Equal(exact, []float64{0.3, 0, 0.8}) || math.Signbit(exact[1]) {
		t.Errorf("rounded: %v, %v; wanted 0.3, 0, 0.8", exact, err)
	}
	if before, _ := plotting.Values[float64](frame, "x"); before[0] != 0.25 {
		t.Errorf("Rounded changed its table: %v", before)
	}
	if empty, err := plotting.FrameOf([]row(nil)); err != nil || empty.Len() != 0 || len(empty.Names()) != 3 {
		t.Errorf("no rows: %v, %v", empty, err)
	}
}

func TestFrameOfRefusals(t *testing.T) {
	_, number := plotting.FrameOf([]int{1})
	_, field := plotting.FrameOf([]struct{ ok bool }{{true}})
	_, twice := plotting.FrameOf([]struct {
		a int
		b int `frame:"a"`
	}{{1, 2}})
	for wanted, err := range map[string]error{
		"rows: got int, wanted structs":                   number,
		`field "ok": got bool, wanted a number or a text`: field,
		`column "a": got a second column of that name`:    twice,
	} {
		if err == nil || !strings.Contains(err.Error(), wanted) {
			t.Errorf("got %v, wanted %s", err, wanted)
		}
	}
}
