package gru

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/interv"
)

// requireIDs checks an int32 input [batch, steps] whose entries index a table of the given size.
func requireIDs(inputs interv.Inputs, name string, size, batch, steps int) (*tensors.Tensor, error) {
	t, err := inputs.Require(name, dtypes.Int32, batch, steps)
	if err != nil {
		return nil, err
	}
	tensors.MustConstFlatData(t, func(flat []int32) {
		for i, id := range flat {
			if err == nil && (id < 0 || int(id) >= size) {
				err = &interv.Error{Axis: fmt.Sprintf("%s of example %d, step %d", name, i/t.Shape().Dim(1), i%t.Shape().Dim(1)),
					Got: fmt.Sprint(id), Wanted: fmt.Sprintf("0 to %d", size-1)}
			}
		}
	})
	return t, err
}

// checkMask wants each row of the mask to be some ones and then only zeros, and returns how many ones.
func checkMask(inputs interv.Inputs, extent interv.Extent) (lengths []int, err error) {
	mask, err := inputs.Require(attentionMask, dtypes.Int32, extent.Batch, extent.Positions)
	if err != nil {
		return nil, err
	}
	lengths = make([]int, extent.Batch)
	tensors.MustConstFlatData(mask, func(flat []int32) {
		for i, value := range flat {
			lengths[i/extent.Positions] += int(value)
			previous := int32(1)
			if i%extent.Positions > 0 {
				previous = flat[i-1]
			}
			first := i%extent.Positions == 0
			if err == nil && (value != 0 && value != 1 || value > previous || first && value == 0) {
				err = &interv.Error{Axis: fmt.Sprintf("%s of example %d, step %d", attentionMask, i/extent.Positions, i%extent.Positions),
					Got: fmt.Sprint(value), Wanted: "a row of ones, then zeros (padding on the right), with a one at step 0"}
			}
		}
	})
	return lengths, err
}
