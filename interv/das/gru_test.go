package das_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/das"
	"github.com/govene/govene/interv/gru"
)

// In a recurrent network, places are sites at a time step, announced step by step or at once: what a search says there is what an
// Intervenable does, and what one direction along it measures.
func TestSearchesAtTimeSteps(t *testing.T) {
	steps, wide := 3, 4
	if slow {
		steps = 2
	}
	model := gru.MustNewClassifier(gru.Config{Layers: 1, Width: wide, Labels: 3}, 1)
	random := rand.New(rand.NewPCG(1, 0))
	draw := func(count int) das.Data {
		runs := func() interv.Inputs {
			flat := make([]float32, count*steps*wide)
			for i := range flat {
				flat[i] = float32(2 * random.NormFloat64())
			}
			return interv.Inputs{interv.InputsEmbeds: tensors.FromFlatDataAndDimensions(flat, count, steps, wide)}
		}
		d := das.Data{Base: runs(), Sources: []interv.Inputs{runs()}, Labels: make([]int, count)}
		for i, x := range tensors.MustCopyFlatData[float32](d.Sources[0][interv.InputsEmbeds]) {
			if i%(steps*wide) == wide && x > 0 { // a number of step 1
				d.Labels[i/(steps*wide)] = 1
			}
		}
		return d
	}
	train, held := draw(64), draw(40)
	places := []das.Place{{Site: interv.Site{Component: gru.CellOutput}, Position: 1}, {Site: interv.Site{Component: gru.X2HOutput}, Position: 1}}
	if slow { // the other takes the same way on every backend
		places = places[:1]
	}
	s := das.Search{Places: places, Ranks: []int{1}, Steps: 40, Batch: 32, Every: 20, Rate: 0.05}
	steps++
	longer := draw(20)
	longer.BaseLabels, longer.SourceLabels = longer.Labels, [][]int{longer.Labels}
	_, err := das.Check(t.Context(), engine, model, model, s, das.Samples{Train: train, Held: held, Test: longer})
	wanted.Refusal(t, err, "test examples", "positions", "as the training examples have")
	for _, a := range das.MustRun(t.Context(), engine, model, s, train, held).Alignments {
		got := a.MustMeasure(engine, model, held)
		if math.Abs(got-a.Accuracy) > 0.026 { // an answer on the edge
			t.Errorf("%s: got %.3f of the whole output, wanted the search's %.3f", a.Place, got, a.Accuracy)
		}
		if slow {
			continue
		}
		if along := das.MustAlong(a.Place, tensors.MustCopyFlatData[float32](a.Rotation)).MustMeasure(engine, model, held); math.Abs(along-got) > 0.026 {
			t.Errorf("%s: got %.3f along its direction, wanted %.3f", a.Place, along, got)
		}
	}
}
