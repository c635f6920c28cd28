// Package host reads, makes and rearranges the numbers of tensors on the host. What the tensors themselves refuse (one that was finalized, a
// type that is not asked for here) panics.
package host

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/refusal"
)

// Floats reads a tensor of float32 or float64.
func Floats(t *tensors.Tensor) []float64 {
	values := make([]float64, t.Size())
	switch t.DType() {
	case dtypes.Float32:
		tensors.MustConstFlatData(t, func(flat []float32) {
			for i, value := range flat {
				values[i] = float64(value)
			}
		})
	case dtypes.Float64:
		tensors.MustConstFlatData(t, func(flat []float64) { copy(values, flat) })
	default:
		panic(&refusal.Error{Axis: "elements", Got: t.DType().String(), Wanted: "float32 or float64"})
	}
	return values
}

// Tensor is one of float64, or of float32 for every other type.
func Tensor(values []float64, dtype dtypes.DType, dimensions ...int) *tensors.Tensor {
	if dtype == dtypes.Float64 {
		return tensors.FromFlatDataAndDimensions(append([]float64(nil), values...), dimensions...)
	}
	flat := make([]float32, len(values))
	for i, value := range values {
		flat[i] = float32(value)
	}
	return tensors.FromFlatDataAndDimensions(flat, dimensions...)
}

// Rows picks rows of the first axis, in the given order.
func Rows(t *tensors.Tensor, rows []int) *tensors.Tensor {
	shape := t.Shape().Clone()
	size := int(t.ByteSize()) / shape.Dim(0)
	shape.Dimensions[0] = len(rows)
	picked := tensors.FromShape(shape)
	Bytes(t, picked, func(from, to []byte) {
		for i, row := range rows {
			copy(to[i*size:(i+1)*size], from[row*size:(row+1)*size])
		}
	})
	return picked
}

// Examples picks rows of the first axis of every tensor.
func Examples[M ~map[string]*tensors.Tensor](all M, rows []int) M {
	picked := M{}
	for name, t := range all {
		picked[name] = Rows(t, rows)
	}
	return picked
}

// Bytes gives access to the bytes of two tensors.
func Bytes(from, to *tensors.Tensor, access func(from, to []byte)) {
	err := from.ConstBytes(func(a []byte) {
		if err := to.MutableBytes(func(b []byte) { access(a, b) }); err != nil {
			panic(err)
		}
	})
	if err != nil {
		panic(err)
	}
}
