package das_test

import (
	"strings"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/interv"
)

func int32s(values []int) *tensors.Tensor {
	flat := make([]int32, len(values))
	for i, value := range values {
		flat[i] = int32(value)
	}
	return tensors.FromFlatDataAndDimensions(flat, len(flat))
}

// crossEntropy is the mean of −log p of the label.
func crossEntropy(o interv.Outcome) *Node {
	label := OneHot(o.Labels["label"], o.Output.Shape().Dim(1), o.Output.DType())
	return Neg(ReduceAllMean(ReduceSum(Mul(label, LogSoftmax(o.Output, -1)), -1)))
}

// slow tells that programs take seconds to compile.
var slow = strings.Contains(strings.ToLower(engine.Name()), "xla")
