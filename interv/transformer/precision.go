package transformer

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/govene/govene/interv"
)

// Precision is the type of numbers in which a model holds its weights, on the device too, and its activations. In 16 bits, norms, rotations'
// angles, softmax and activation functions are computed in float32, as transformers does, and logits and all that is collected are float32.
//
// 16 bits take half the memory of float32; docs/precision.md says what holds in them.
type Precision string

// The precisions that a model can be loaded in.
const (
	Float32  Precision = "float32" // the default
	BFloat16 Precision = "bfloat16"
	Float16  Precision = "float16"
)

// precisions are the element types of the precisions.
var precisions = map[Precision]dtypes.DType{Float32: dtypes.Float32, BFloat16: dtypes.BFloat16, Float16: dtypes.Float16}

// dtypeOf is the element type of the precision that is named, float32 of none.
func dtypeOf(named []Precision) (dtypes.DType, error) {
	switch len(named) {
	case 0:
		return dtypes.Float32, nil
	case 1:
	default:
		return dtypes.InvalidDType, &interv.Error{Axis: "precision", Got: fmt.Sprint(named), Wanted: "one"}
	}
	dtype, ok := precisions[named[0]]
	if !ok {
		return dtype, interv.UnknownName("", "precision", named[0], []Precision{Float32, BFloat16, Float16})
	}
	return dtype, nil
}

// wide is x in float32 at least, nil for nil: what is summed, or goes through a function, is computed in it.
func wide(x *Node) *Node {
	if x == nil || !x.DType().IsHalfPrecision() {
		return x
	}
	return ConvertDType(x, dtypes.Float32)
}

// narrow is x in the element type of like, the model's.
func narrow(x, like *Node) *Node {
	if x.DType() == like.DType() {
		return x
	}
	return ConvertDType(x, like.DType())
}

// wideDot is DotGeneral without a rounding of its sums to 16 bits. It asks for sums of float32 by the type of the result alone: matrices of 16
// bits are then multiplied as they are. Asked for float32 to add up in and a result of 16 bits, XLA on CPU makes copies of them in float32.
func wideDot(x *Node, axes, batch []int, y *Node, yAxes, yBatch []int) *Node {
	product := Dot(x, y)
	if x.DType().IsHalfPrecision() {
		product = product.WithAccumulatorDType(dtypes.InvalidDType).WithOutputDType(dtypes.Float32)
	}
	return product.General(axes, batch, yAxes, yBatch)
}

// narrowDot is wideDot with its sums rounded to the type of x.
func narrowDot(x *Node, axes, batch []int, y *Node, yAxes, yBatch []int) *Node {
	return narrow(wideDot(x, axes, batch, y, yAxes, yBatch), x)
}
