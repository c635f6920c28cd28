package interv

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/bfloat16"
	"github.com/gomlx/compute/dtypes/float16"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/host"
)

// checkNumbers refuses what is not a tensor of float32 or float64, or holds a number that is not finite.
func checkNumbers(where string, t *tensors.Tensor) error {
	if t == nil || t.DType() != dtypes.Float32 && t.DType() != dtypes.Float64 {
		return &Error{Where: where, Axis: "elements", Got: describeShape(t), Wanted: "float32 or float64"}
	}
	return CheckFinite(where, t)
}

func describeShape(t *tensors.Tensor) string {
	if t == nil {
		return "no tensor"
	}
	return t.Shape().String()
}

// CheckFinite refuses a tensor that holds NaN or infinity.
func CheckFinite(where string, t *tensors.Tensor) error {
	var bad float64
	at := -1
	note := func(i int, value float64) {
		if at < 0 && (math.IsNaN(value) || math.IsInf(value, 0)) {
			at, bad = i, value
		}
	}
	switch t.DType() {
	case dtypes.BFloat16:
		tensors.MustConstFlatData(t, func(flat []bfloat16.BFloat16) {
			for i, value := range flat {
				if value&0x7f80 == 0x7f80 {
					note(i, value.Float64())
				}
			}
		})
	case dtypes.Float16:
		tensors.MustConstFlatData(t, func(flat []float16.Float16) {
			for i, value := range flat {
				if value&0x7c00 == 0x7c00 {
					note(i, float64(value.Float32()))
				}
			}
		})
	case dtypes.Float32:
		tensors.MustConstFlatData(t, func(flat []float32) {
			for i, value := range flat {
				if value-value != 0 {
					note(i, float64(value))
				}
			}
		})
	case dtypes.Float64:
		tensors.MustConstFlatData(t, func(flat []float64) {
			for i, value := range flat {
				if value-value != 0 {
					note(i, value)
				}
			}
		})
	}
	if at >= 0 {
		return &Error{Where: where, Axis: fmt.Sprintf("element %d of %s", at, t.Shape()), Got: fmt.Sprint(bad), Wanted: "a finite number"}
	}
	return nil
}

// ofDType returns t with elements of the type of a model's weights, float32 or float64.
func ofDType(t *tensors.Tensor, dtype dtypes.DType) *tensors.Tensor {
	if t.DType() == dtype {
		return t
	}
	return host.Tensor(host.Floats(t), dtype, t.Shape().Dimensions...)
}

func int32Tensor(values []int, dimensions ...int) *tensors.Tensor {
	flat := make([]int32, len(values))
	for i, value := range values {
		flat[i] = int32(value)
	}
	return tensors.FromFlatDataAndDimensions(flat, dimensions...)
}

func filled(value float32, size int) *tensors.Tensor {
	flat := make([]float32, size)
	for i := range flat {
		flat[i] = value
	}
	return tensors.FromFlatDataAndDimensions(flat, size)
}

// rowsAt picks rows of t, [rows, width].
func rowsAt(t *tensors.Tensor, rows []int, width int) *tensors.Tensor {
	if t.DType() == dtypes.Float64 {
		return tensors.FromFlatDataAndDimensions(pick(tensors.MustCopyFlatData[float64](t), rows, width), len(rows), width)
	}
	return tensors.FromFlatDataAndDimensions(pick(tensors.MustCopyFlatData[float32](t), rows, width), len(rows), width)
}

func pick[T any](flat []T, rows []int, width int) []T {
	picked := make([]T, 0, len(rows)*width)
	for _, row := range rows {
		picked = append(picked, flat[row*width:(row+1)*width]...)
	}
	return picked
}
