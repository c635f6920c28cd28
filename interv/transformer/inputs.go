package transformer

import (
	"fmt"

	"github.com/govene/govene/interv"
)

// Check validates the inputs of one run: input_ids [batch, positions] int32, or inputs_embeds [batch, positions, d] float32 (float64 in
// a model of that), which take the place of the token embeddings (in Gemma, of the scaled ones); attention_mask of the same shape as the ids, 1
// for tokens and 0 for padding on the left, on the right or both; and position_ids of that shape, except in models with ALiBi. Without
// position_ids, positions count from the first token that is not padding.
func (m *Model) Check(inputs interv.Inputs) (interv.Extent, error) {
	if err := inputs.Only(interv.InputIDs, interv.InputsEmbeds, interv.AttentionMask, interv.PositionIDs); err != nil {
		return interv.Extent{}, err
	}
	extent, err := inputs.RequireSequence(m.config.Vocabulary, m.config.Width, m.weights.ResultDType())
	if err != nil {
		return interv.Extent{}, err
	}
	return extent, m.checkPositions(inputs, extent)
}

// checkPositions refuses positions that have no embedding.
func (m *Model) checkPositions(inputs interv.Inputs, extent interv.Extent) error {
	limit := m.config.MaxPositions
	if inputs[interv.PositionIDs] != nil && m.config.Attention.Alibi {
		return &interv.Error{Axis: interv.PositionIDs, Got: "positions", Wanted: "none: with ALiBi, positions are counted from the first token"}
	}
	if inputs[interv.PositionIDs] != nil {
		if !m.config.LearnedPositions {
			limit = 1 << 24 // up to here float32 holds every position
		}
		_, err := inputs.RequireIDs(interv.PositionIDs, limit, extent.Batch, extent.Positions)
		return err
	}
	for example := range extent.Batch {
		if start, _ := extent.Real(example); m.config.LearnedPositions && extent.Positions-start > limit {
			return &interv.Error{Axis: fmt.Sprintf("length of example %d", example), Got: fmt.Sprintf("%d positions", extent.Positions-start),
				Wanted: fmt.Sprintf("at most %d, for which the model has position embeddings", limit)}
		}
	}
	return nil
}
