package safetensors

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Float32s returns the elements of a floating-point tensor as float32, rounding those of F64.
func (t Tensor) Float32s() ([]float32, error) {
	if !Floating(t.DType) {
		return nil, fmt.Errorf("tensor %q: got element type %s, wanted F32, F64, F16 or BF16", t.Name, t.DType)
	}
	values := make([]float32, int64(len(t.Data))/sizes[t.DType])
	ToFloat32(values, t.DType, t.Data)
	return values, nil
}

// Floating tells whether [ToFloat32] converts an element type.
func Floating(dtype string) bool {
	return dtype == "F32" || dtype == "F64" || dtype == "F16" || dtype == "BF16"
}

// Size is the bytes of one element of a type.
func Size(dtype string) int { return int(sizes[dtype]) }

// ToFloat32 converts the bytes of len(values) floating-point numbers, rounding those of F64.
func ToFloat32(values []float32, dtype string, data []byte) {
	switch dtype {
	case "F32":
		for i := range values {
			values[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
		}
	case "F64":
		for i := range values {
			values[i] = float32(math.Float64frombits(binary.LittleEndian.Uint64(data[8*i:])))
		}
	case "BF16":
		for i := range values {
			values[i] = math.Float32frombits(uint32(binary.LittleEndian.Uint16(data[2*i:])) << 16)
		}
	case "F16":
		for i := range values {
			values[i] = fromHalf(binary.LittleEndian.Uint16(data[2*i:]))
		}
	default:
		panic("safetensors: no conversion of " + dtype)
	}
}

// fromHalf widens an IEEE 754 half-precision number.
func fromHalf(h uint16) float32 {
	sign, exponent, fraction := uint32(h>>15)<<31, int(h>>10&31), uint32(h&1023)
	switch exponent {
	case 0: // zero and subnormal numbers: fraction · 2⁻²⁴
		value := float32(fraction) * 0x1p-24
		return math.Float32frombits(math.Float32bits(value) | sign)
	case 31:
		return math.Float32frombits(sign | 255<<23 | fraction<<13)
	}
	return math.Float32frombits(sign | uint32(exponent+127-15)<<23 | fraction<<13)
}

// Float64s returns the elements of a floating-point tensor as float64.
func (t Tensor) Float64s() ([]float64, error) {
	if t.DType == "F64" {
		values := make([]float64, len(t.Data)/8)
		for i := range values {
			values[i] = math.Float64frombits(binary.LittleEndian.Uint64(t.Data[i*8:]))
		}
		return values, nil
	}
	narrow, err := t.Float32s()
	values := make([]float64, len(narrow))
	for i, value := range narrow {
		values[i] = float64(value)
	}
	return values, err
}

// Int32s returns the elements of an I32 or I64 tensor; one that does not fit is an error.
func (t Tensor) Int32s() ([]int32, error) {
	if t.DType != "I32" && t.DType != "I64" {
		return nil, fmt.Errorf("tensor %q: got element type %s, wanted I32 or I64", t.Name, t.DType)
	}
	values := make([]int32, int64(len(t.Data))/sizes[t.DType])
	for i := range values {
		if t.DType == "I32" {
			values[i] = int32(binary.LittleEndian.Uint32(t.Data[i*4:]))
			continue
		}
		wide := int64(binary.LittleEndian.Uint64(t.Data[i*8:]))
		if values[i] = int32(wide); int64(values[i]) != wide {
			return nil, fmt.Errorf("tensor %q: got element %d, wanted one that fits in 32 bits", t.Name, wide)
		}
	}
	return values, nil
}

// FromFloat32s makes an F32 tensor.
func FromFloat32s(name string, shape []int, values []float32) Tensor {
	data := make([]byte, 0, 4*len(values))
	for _, value := range values {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(value))
	}
	return Tensor{name, "F32", shape, data}
}

// FromFloat64s makes an F64 tensor.
func FromFloat64s(name string, shape []int, values []float64) Tensor {
	data := make([]byte, 0, 8*len(values))
	for _, value := range values {
		data = binary.LittleEndian.AppendUint64(data, math.Float64bits(value))
	}
	return Tensor{name, "F64", shape, data}
}
