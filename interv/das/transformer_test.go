package das_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/das"
	"github.com/govene/govene/interv/transformer"
)

// In a language model, alignments are searched at any position, and answers read at the last: what a search says is what an Intervenable does
// with the whole output.
func TestSearchesInALanguageModel(t *testing.T) {
	model := transformer.MustNew(transformer.MustParseConfig(`{"model_type": "gpt2", "vocab_size": 5, "n_positions": 8, "n_embd": 8, "n_layer": 2, "n_head": 2}`), 1)
	random := rand.New(rand.NewPCG(1, 0))
	draw := func(count int) das.Data {
		runs := func() interv.Inputs {
			ids := make([]int32, 4*count)
			for i := range ids {
				ids[i] = int32(random.IntN(5))
			}
			return interv.Inputs{interv.InputIDs: tensors.FromFlatDataAndDimensions(ids, count, 4)}
		}
		d := das.Data{Base: runs(), Sources: []interv.Inputs{runs()}, Labels: make([]int, count)}
		for i, id := range tensors.MustCopyFlatData[int32](d.Sources[0][interv.InputIDs]) {
			if i%4 == 1 {
				d.Labels[i/4] = int(id) // what a trained model might copy
			}
		}
		return d
	}
	train, held := draw(128), draw(40)
	s := das.Search{Places: []das.Place{{Site: interv.Site{Component: transformer.BlockOutput}, Position: 1}, {Site: interv.Site{Layer: 1, Component: transformer.BlockOutput}, Position: -1}},
		Ranks: []int{2}, Steps: 40, Batch: 32, Every: 20, Rate: 0.05}
	for _, a := range das.MustRun(t.Context(), engine, model, s, train, held).Alignments {
		iv, err := a.Intervenable(engine, model)
		must(t, err)
		logits, right := tensors.MustCopyFlatData[float32](iv.MustRun(a.Call(held)).Output), 0
		for i, label := range held.Labels {
			if row := logits[20*i+15 : 20*i+20]; row[label] == slices.Max(row) {
				right++
			}
		}
		if got := float64(right) / float64(len(held.Labels)); math.Abs(got-a.Accuracy) > 0.026 { // an answer on the edge
			t.Errorf("%s: got %.3f of the whole output, wanted the search's %.3f", a.Place, got, a.Accuracy)
		}
	}
}
