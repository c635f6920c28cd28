package sweep

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/transformer"
)

// What is read is the last column of each segment, also where as many are read as there are columns.
func TestSegmentsOfShortInputs(t *testing.T) {
	if few() {
		t.Skip("nine plans")
	}
	model, s := scene(t, "gpt2")
	random := rand.New(rand.NewPCG(5, 6))
	for _, positions := range []int{1, 2, 3} {
		ends := [][2]int{{0, positions}, {0, positions}, {positions - 1, positions}}
		s.Base, s.Source = padded(random, model.Config().Vocabulary, positions, ends), padded(random, model.Config().Vocabulary, positions, ends)
		s.Components = []interv.Component{transformer.HeadKeyOutput, transformer.HeadValueOutput}
		s.Heads, s.Positions = interv.Range(0, model.Config().Attention.Heads), nil
		for i := range positions {
			s.Positions = append(s.Positions, Place{At: [][]int{{i}, {i}, {-1}}})
		}
		t.Run(fmt.Sprint(positions), func(t *testing.T) { both(t, model, s) })
	}
}
