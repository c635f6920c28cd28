package sweep

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/metric"
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

// Plans agree on random sweeps, of random lengths, padding, places and metrics.
func TestPlansAgreeOnRandomSweeps(t *testing.T) {
	if few() {
		t.Skip("ninety plans")
	}
	for seed := range uint64(30) {
		random := rand.New(rand.NewPCG(seed, 77))
		model, _ := scene(t, []string{"gpt2", "llama", "gemma3", "gpt_neox"}[random.IntN(4)])
		s := randomSweep(random, model)
		t.Run(fmt.Sprint(seed), func(t *testing.T) { both(t, model, s) })
	}
}

// spaced are position ids that grow by one or two.
func spaced(random *rand.Rand, positions int, ends [][2]int) *tensors.Tensor {
	var ids []int32
	for range ends {
		last := int32(random.IntN(2) - 1)
		for range positions {
			last += 1 + int32(random.IntN(2))
			ids = append(ids, last)
		}
	}
	return tensors.FromFlatDataAndDimensions(ids, len(ends), positions)
}

// randomSweep draws a sweep of up to four pairs of up to nine positions, of which any number is padding on one side.
func randomSweep(random *rand.Rand, model *transformer.Model) (s Sweep) {
	positions, ends := 1+random.IntN(9), make([][2]int, 1+random.IntN(4))
	shortest := positions
	for i := range ends {
		ends[i] = [2]int{0, positions}
		switch random.IntN(3) {
		case 0:
			ends[i][0] = random.IntN(positions)
		case 1:
			ends[i][1] = 1 + random.IntN(positions)
		}
		shortest = min(shortest, ends[i][1]-ends[i][0])
	}
	places := random.IntN(3) == 0 // positions of their own, not the same in bases and sources
	inputs := func() interv.Inputs {
		in := padded(random, model.Config().Vocabulary, positions, ends)
		if places {
			in[interv.PositionIDs] = spaced(random, positions, ends)
		}
		return in
	}
	anywhere := func() (places [][]int) { // a column of each pair that is no padding
		for _, end := range ends {
			places = append(places, []int{end[0] + random.IntN(end[1]-end[0])})
		}
		return places
	}
	s.Base = inputs()
	switch random.IntN(4) {
	case 0:
		s.Intervention = interv.Zero{}
	case 1:
		s.From = FromMean
	default:
		s.Source = inputs()
	}
	s.Metric = []interv.Metric{metric.LogitDifference{Right: metric.Each(1), Wrong: metric.Each(4)}, metric.KL{}, metric.Logit{Tokens: []int{3}}}[random.IntN(3)]
	for len(s.Components) == 0 {
		for _, sites := range model.Catalogue().Sites {
			if sites.Width > 0 && sites.Component != transformer.FinalNorm && random.IntN(8) == 0 && !slices.Contains(s.Components, sites.Component) {
				s.Components = append(s.Components, sites.Component)
			}
		}
	}
	for range random.IntN(4) { // none for all positions at once
		place := Place{At: anywhere()}
		if s.Source != nil && random.IntN(2) == 0 {
			place.Source = anywhere()
		}
		s.Positions = append(s.Positions, place)
	}
	if random.IntN(3) == 0 {
		s.ReadAt = [][]int{{-1 - random.IntN(shortest)}}
	}
	s.Window = 2 * random.IntN(2)
	return s
}
