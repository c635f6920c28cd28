package metric

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/interv"
)

// The names of data.
const (
	tokensData  = "tokens"  // [batch, tokens] int32
	factorsData = "factors" // of the tokens
)

// perExample is a list of tokens for each example of a batch, each of them among the logits; one list stands for all examples.
func perExample(axis string, lists [][]int, batch, logits int) ([][]int, error) {
	if len(lists) != batch && len(lists) != 1 {
		return nil, &interv.Error{Axis: axis, Got: fmt.Sprintf("%d lists", len(lists)), Wanted: fmt.Sprintf("%d, one for each example, or one for all", batch)}
	}
	each := make([][]int, batch)
	for i := range each {
		each[i] = lists[i%len(lists)]
		where := fmt.Sprintf("%s of example %d", axis, i)
		if len(each[i]) == 0 {
			return nil, &interv.Error{Axis: where, Got: "none", Wanted: "at least one"}
		}
		for _, token := range each[i] {
			if token < 0 || token >= logits {
				return nil, &interv.Error{Axis: where, Got: fmt.Sprint(token), Wanted: fmt.Sprintf("0 to %d, which the model has logits of", logits-1)}
			}
		}
	}
	return each, nil
}

// longest is the length of the longest list.
func longest(lists [][]int) (most int) {
	for _, list := range lists {
		most = max(most, len(list))
	}
	return most
}

// oneEach is one token or label for each example, as data [batch, 1].
func oneEach(axis string, tokens []int, batch, logits int) (interv.Inputs, error) {
	lists, err := perExample(axis, Each(tokens...), batch, logits)
	if err != nil {
		return nil, err
	}
	flat := make([]int32, batch)
	for i, list := range lists {
		flat[i] = int32(list[0])
	}
	return interv.Inputs{tokensData: tensors.FromFlatDataAndDimensions(flat, batch, 1)}, nil
}
