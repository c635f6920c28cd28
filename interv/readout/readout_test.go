package readout_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv/readout"
)

// words is a tokenizer whose tokens are words.
type words []string

func (w words) Decode(ids []int) (text string) {
	for _, id := range ids {
		text += w[id]
	}
	return text
}

var vocabulary = words{"the", " cat", "\n", " sat"}

func ExampleTopVals() {
	top, err := readout.TopVals(vocabulary, []float32{0.125, 0.5, 0.25, 0.125}, 3)
	if err != nil {
		fmt.Println(err)
	}
	fmt.Print(top)
	// Output:
	// _cat                 0.5
	// \n                   0.25
	// the                  0.125
}

// Equal values come by id, however many there are.
func TestTopValsOfEqualValues(t *testing.T) {
	many, distribution := make(words, 40), make([]float32, 40)
	for id := range many {
		many[id], distribution[id] = fmt.Sprint(id), float32(id%3)
	}
	top, err := readout.TopVals(many, distribution, 40)
	if err != nil {
		t.Fatal(err)
	}
	for i, value := range top[1:] {
		if before := top[i]; before.Value < value.Value || before.Value == value.Value && before.ID > value.ID {
			t.Fatalf("token %d of value %g comes before token %d of value %g", before.ID, before.Value, value.ID, value.Value)
		}
	}
}

func TestTopValsRefusals(t *testing.T) {
	for _, n := range []int{0, 5} {
		_, err := readout.TopVals(vocabulary, make([]float32, 4), n)
		wanted.Refusal(t, err, "1 to 4")
	}
	_, err := readout.TopVals(vocabulary, []float32{float32(math.NaN())}, 1)
	wanted.Refusal(t, err, "NaN")
}

func TestEmbedToDistrib(t *testing.T) {
	embeddings := tensors.FromValue([][]float32{{1, 0}, {0, 2}, {0, 0}})
	x := tensors.FromValue([][]float32{{float32(math.Log(2)), float32(math.Log(3)) / 2}})
	got := tensors.MustCopyFlatData[float32](MustExecOnce(backend.MustNew(), readout.EmbedToDistrib, x, embeddings))
	want := []float32{2. / 6, 3. / 6, 1. / 6}
	if !slices.EqualFunc(got, want, func(a, b float32) bool { return math.Abs(float64(a-b)) < 1e-6 }) {
		t.Errorf("got %v, wanted %v", got, want)
	}
}

func TestLogitDifference(t *testing.T) {
	got, err := readout.LogitDifference([]float32{1, 2, 4, 0, -1, 3}, 3, 2, 0)
	if err != nil || len(got) != 2 || got[0] != 3 || got[1] != 3 {
		t.Errorf("got %v, %v, wanted [3 3]", got, err)
	}
	if _, err := readout.LogitDifference([]float32{1, 2, 4, 0}, 3, 2, 0); err == nil {
		t.Error("part of a row was read")
	}
	if _, err := readout.LogitDifference([]float32{1, 2, 4}, 3, 3, 0); err == nil {
		t.Error("a token outside the vocabulary was read")
	}
}
