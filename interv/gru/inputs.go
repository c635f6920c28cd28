package gru

import (
	"fmt"

	"github.com/govene/govene/interv"
)

// Check validates the inputs of one run: inputs_embeds [batch, steps, d] of the weights' type, or, if the model has embeddings,
// input_ids [batch, steps] int32; position_ids of the same shape, which add position embeddings; and for a classifier
// attention_mask of the same shape, 1 for steps that count and 0 for padding on the right.
func (m *Model) Check(inputs interv.Inputs) (interv.Extent, error) {
	names, vocabulary := []string{interv.InputsEmbeds}, 0
	if m.config.Embeddings {
		names, vocabulary = append(names, interv.InputIDs, interv.PositionIDs), m.config.Vocabulary
	}
	if m.head == classifier {
		names = append(names, interv.AttentionMask)
	}
	if err := inputs.Only(names...); err != nil {
		return interv.Extent{}, err
	}
	extent, err := inputs.RequireSequence(vocabulary, m.config.Width, m.weights.DType())
	if err != nil {
		return interv.Extent{}, err
	}
	if inputs[interv.PositionIDs] != nil {
		if _, err := inputs.RequireIDs(interv.PositionIDs, m.config.MaxPositions, extent.Batch, extent.Positions); err != nil {
			return extent, err
		}
	}
	for example, start := range extent.Starts {
		if start > 0 {
			return extent, &interv.Error{Axis: fmt.Sprintf("%s of example %d", interv.AttentionMask, example), Got: "padding on the left",
				Wanted: "ones from step 0 on, padding on the right"}
		}
	}
	return extent, nil
}
