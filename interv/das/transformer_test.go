package das_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/wanted"
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

// Inputs of other names than the training examples' base has are refused, not taken for others.
func TestInputsOfOtherNames(t *testing.T) {
	if slow {
		t.Skip("a clean run is compiled")
	}
	model := transformer.MustNew(transformer.MustParseConfig(`{"model_type": "gpt2", "vocab_size": 5, "n_positions": 8, "n_embd": 8, "n_layer": 2, "n_head": 2}`), 1)
	data := func(source string) das.Data {
		ids, ones := tensors.FromValue([][]int32{{0, 1, 2}, {2, 1, 0}}), tensors.FromValue([][]int32{{1, 1, 1}, {1, 1, 1}})
		return das.Data{Base: interv.Inputs{interv.InputIDs: ids, interv.AttentionMask: ones}, Sources: []interv.Inputs{{interv.InputIDs: ids, source: ones}}, Labels: []int{0, 1}}
	}
	s := das.Search{Places: []das.Place{{Site: interv.Site{Component: transformer.BlockOutput}, Position: 1}}, Ranks: []int{1}, Steps: 1}
	_, err := das.Run(t.Context(), engine, model, s, data(interv.AttentionMask), data(interv.PositionIDs))
	wanted.Refusal(t, err, "inputs", "position_ids", "attention_mask")
}

// hidden is a model that does not tell that it is made of blocks.
type hidden struct{ interv.Model }

// Blocks above the place and positions from there on are all that is computed again: the alignments are those of a search that runs the model
// whole, at places on the stream between any blocks, at the first, a middle and the last position; where frequencies are other than for a
// sequence that is shorter by one, and where positions do not count from 0.
func TestPositionsBeforeThePlaceAreKept(t *testing.T) {
	random := rand.New(rand.NewPCG(2, 0))
	for n, config := range []string{
		`{"model_type": "gpt2", "vocab_size": 5, "n_positions": 8, "n_embd": 8, "n_layer": 3, "n_head": 2}`,
		`{"model_type": "llama", "vocab_size": 5, "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 8}`,
		`{"model_type": "phi3", "vocab_size": 5, "hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 8,
			"original_max_position_embeddings": 5, "rope_scaling": {"type": "longrope", "short_factor": [1, 1], "long_factor": [3, 5]}}`,
		`{"model_type": "gpt2", "vocab_size": 5, "n_positions": 8, "n_embd": 8, "n_layer": 2, "n_head": 2}`,
	} {
		if n > 0 && slow {
			continue
		}
		model := transformer.MustNew(transformer.MustParseConfig(config), 1)
		runs := func(count int) interv.Inputs {
			ids := make([]int32, 6*count)
			for i := range ids {
				ids[i] = int32(random.IntN(5))
			}
			inputs := interv.Inputs{interv.InputIDs: tensors.FromFlatDataAndDimensions(ids, count, 6)}
			if n == 3 {
				inputs[interv.PositionIDs] = tensors.FromFlatDataAndDimensions(slices.Repeat([]int32{2, 3, 4, 5, 6, 7}, count), count, 6)
			}
			return inputs
		}
		draw := func(count int) das.Data {
			d := das.Data{Base: runs(count), Sources: []interv.Inputs{runs(count), runs(count)}, Labels: make([]int, count)}
			for i := range d.Labels {
				d.Labels[i] = random.IntN(5)
			}
			return d
		}
		train, held := draw(24), draw(10)
		s := das.Search{Places: []das.Place{
			{Site: interv.Site{Component: transformer.BlockInput}, Position: 2}, {Site: interv.Site{Layer: 1, Component: transformer.BlockInput}, Position: 0},
			{Site: interv.Site{Component: transformer.BlockOutput}, Position: -1}, {Site: interv.Site{Layer: model.Config().Layers - 1, Component: transformer.BlockOutput}, Position: -1},
		}, Ranks: []int{1, 2}, Steps: 12, Batch: 8, Every: 4, Rate: 0.02}
		if slow {
			s.Places = s.Places[:1]
		}
		want := das.MustRun(t.Context(), engine, hidden{model}, s, train, held)
		for i, a := range das.MustRun(t.Context(), engine, model, s, train, held).Alignments {
			b := want.Alignments[i]
			if math.Abs(a.Loss-b.Loss) > 1e-4 || a.Steps != b.Steps {
				t.Errorf("%s, rank %d: got a loss of %g after %d steps, wanted %g after %d", a.Place, a.Rank, a.Loss, a.Steps, b.Loss, b.Steps)
			}
			wantClose(t, a.Place.String(), tensors.MustCopyFlatData[float32](a.Rotation), tensors.MustCopyFlatData[float32](b.Rotation), 1e-3)
		}
	}
}
