package transformer

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/interv"
)

// inputs of a run, by name.
const (
	inputsEmbeds  = "inputs_embeds"
	inputIDs      = "input_ids"
	positionIDs   = "position_ids"
	attentionMask = "attention_mask"
)

// Check validates the inputs of one run: input_ids [batch, positions] int32, or inputs_embeds [batch, positions, d] of the weights'
// type, which take the place of the token embeddings (in Gemma, of the scaled ones); attention_mask of the same shape as the ids, 1
// for tokens and 0 for padding on the left, on the right or both; and position_ids of that shape. Without position_ids, positions count
// from the first token that is not padding.
func (m *Model) Check(inputs interv.Inputs) (interv.Extent, error) {
	if err := inputs.Only(inputIDs, inputsEmbeds, attentionMask, positionIDs); err != nil {
		return interv.Extent{}, err
	}
	var x *tensors.Tensor
	var err error
	switch ids, embeds := inputs[inputIDs], inputs[inputsEmbeds]; {
	case ids != nil && embeds != nil:
		return interv.Extent{}, &interv.Error{Axis: inputIDs, Got: "both it and inputs_embeds", Wanted: "one of the two"}
	case embeds != nil:
		x, err = inputs.Require(inputsEmbeds, m.weights.DType(), interv.Any, interv.Any, m.config.Width)
	default:
		x, err = requireIDs(inputs, inputIDs, m.config.Vocabulary, interv.Any, interv.Any)
	}
	if err != nil {
		return interv.Extent{}, err
	}
	extent := interv.Extent{Batch: x.Shape().Dim(0), Positions: x.Shape().Dim(1)}
	if inputs[attentionMask] != nil {
		if extent.Starts, extent.Ends, err = checkMask(inputs, extent); err != nil {
			return extent, err
		}
	}
	return extent, m.checkPositions(inputs, extent)
}

// checkPositions refuses positions that have no embedding.
func (m *Model) checkPositions(inputs interv.Inputs, extent interv.Extent) error {
	limit := m.config.MaxPositions
	if inputs[positionIDs] != nil {
		if !m.config.LearnedPositions {
			limit = 1 << 24 // up to here float32 holds every position
		}
		_, err := requireIDs(inputs, positionIDs, limit, extent.Batch, extent.Positions)
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

// requireIDs checks an int32 input [batch, positions] whose entries are below size.
func requireIDs(inputs interv.Inputs, name string, size, batch, length int) (*tensors.Tensor, error) {
	t, err := inputs.Require(name, dtypes.Int32, batch, length)
	if err != nil {
		return nil, err
	}
	tensors.MustConstFlatData(t, func(flat []int32) {
		for i, id := range flat {
			if err == nil && (id < 0 || int(id) >= size) {
				err = &interv.Error{Axis: fmt.Sprintf("%s of example %d, position %d", name, i/t.Shape().Dim(1), i%t.Shape().Dim(1)),
					Got: fmt.Sprint(id), Wanted: fmt.Sprintf("0 to %d", size-1)}
			}
		}
	})
	return t, err
}

// checkMask wants each row of the mask to be ones with only padding before and after, and returns where these ones begin and end.
func checkMask(inputs interv.Inputs, extent interv.Extent) (starts, ends []int, err error) {
	mask, err := inputs.Require(attentionMask, dtypes.Int32, extent.Batch, extent.Positions)
	if err != nil {
		return nil, nil, err
	}
	starts, ends = make([]int, extent.Batch), make([]int, extent.Batch)
	tensors.MustConstFlatData(mask, func(flat []int32) {
		for example := range extent.Batch {
			row := flat[example*extent.Positions : (example+1)*extent.Positions]
			starts[example], ends[example] = -1, -1
			for position, value := range row {
				wrong := value != 0 && value != 1
				switch {
				case value == 1 && starts[example] < 0:
					starts[example] = position
				case value == 0 && starts[example] >= 0 && ends[example] < 0:
					ends[example] = position
				case value == 1 && ends[example] >= 0:
					wrong = true
				}
				if wrong && err == nil {
					err = &interv.Error{Axis: fmt.Sprintf("%s of example %d, position %d", attentionMask, example, position),
						Got: fmt.Sprint(value), Wanted: "a row of ones, with zeros for padding only before the first and after the last of them"}
				}
			}
			if starts[example] < 0 && err == nil {
				err = &interv.Error{Axis: fmt.Sprintf("%s of example %d", attentionMask, example), Got: "no ones", Wanted: "at least one token"}
			}
			if ends[example] < 0 {
				ends[example] = extent.Positions
			}
		}
	})
	return starts, ends, err
}
