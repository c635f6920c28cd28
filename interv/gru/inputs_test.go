package gru_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/gru"
)

func TestInputs(t *testing.T) {
	plain := gru.MustNewClassifier(gru.Config{Layers: 1, Width: 2}, 1)
	words := gru.Config{Layers: 1, Width: 2, Embeddings: true, Vocabulary: 7, MaxPositions: 4}
	reader, writer := gru.MustNewClassifier(words, 1), gru.MustNewLanguageModel(words, 1)
	ints := func(values ...int32) *tensors.Tensor {
		return tensors.FromFlatDataAndDimensions(values, 1, len(values))
	}
	for name, c := range map[string]struct {
		model  *gru.Model
		inputs interv.Inputs
		words  []string
	}{
		"nothing":              {plain, nil, []string{"inputs_embeds", "an input of that name"}},
		"no word either":       {reader, nil, []string{"input_ids", "an input of that name"}},
		"no embeddings":        {plain, interv.Inputs{"input_ids": ints(1)}, []string{`"input_ids"`, "one of inputs_embeds, attention_mask"}},
		"both":                 {reader, interv.Inputs{"input_ids": ints(1), "inputs_embeds": ints(1)}, []string{"input_ids", "one of the two"}},
		"unknown word":         {reader, interv.Inputs{"input_ids": ints(1, 7)}, []string{"input_ids of example 0, position 1", "got 7", "0 to 6"}},
		"position":             {reader, interv.Inputs{"input_ids": ints(1), "position_ids": ints(4)}, []string{"position_ids", "got 4", "0 to 3"}},
		"padding on the left":  {reader, interv.Inputs{"input_ids": ints(1, 2), "attention_mask": ints(0, 1)}, []string{"attention_mask of example 0", "on the left", "step 0"}},
		"mask with a hole":     {reader, interv.Inputs{"input_ids": ints(1, 2, 3), "attention_mask": ints(1, 0, 1)}, []string{"position 2", "padding"}},
		"mask of a last state": {writer, interv.Inputs{"input_ids": ints(1), "attention_mask": ints(1)}, []string{`"attention_mask"`}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.model.Check(c.inputs)
			for _, word := range c.words {
				if err == nil || !strings.Contains(err.Error(), word) {
					t.Errorf("got %v, wanted %q in it", err, word)
				}
			}
		})
	}
	extent, err := reader.Check(interv.Inputs{"input_ids": ints(1, 2, 3), "attention_mask": ints(1, 1, 0)})
	if start, end := extent.Real(0); err != nil || extent.Positions != 3 || !slices.Equal([]int{start, end}, []int{0, 2}) {
		t.Errorf("got %+v, %v, wanted 3 positions, 2 of them real", extent, err)
	}
}
