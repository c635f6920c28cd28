// Package draw fills tensors with random numbers.
package draw

import "github.com/gomlx/gomlx/core/tensors"

// Tensor is a float32 tensor of numbers from a generator, such as the NormFloat64 of a rand.Rand, in the order of the elements.
func Tensor(next func() float64, dimensions ...int) *tensors.Tensor {
	size := 1
	for _, d := range dimensions {
		size *= d
	}
	flat := make([]float32, size)
	for i := range flat {
		flat[i] = float32(next())
	}
	return tensors.FromFlatDataAndDimensions(flat, dimensions...)
}
