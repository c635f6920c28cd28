package safetensors

import (
	"encoding/binary"
	"fmt"
	"math"
)

// Float32s returns the elements of a floating-point tensor as float32, rounding those of F64.
func (t Tensor) Float32s() ([]float32, error) {
	size := sizes[t.DType]
	var read func(b []byte) float32
	switch t.DType {
	case "F32":
		read = func(b []byte) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(b)) }
	case "F64":
		read = func(b []byte) float32 { return float32(math.Float64frombits(binary.LittleEndian.Uint64(b))) }
	case "BF16":
		read = func(b []byte) float32 { return math.Float32frombits(uint32(binary.LittleEndian.Uint16(b)) << 16) }
	case "F16":
		read = func(b []byte) float32 { return fromHalf(binary.LittleEndian.Uint16(b)) }
	default:
		return nil, fmt.Errorf("tensor %q: got element type %s, wanted F32, F64, F16 or BF16", t.Name, t.DType)
	}
	values := make([]float32, len(t.Data)/size)
	for i := range values {
		values[i] = read(t.Data[i*size:])
	}
	return values, nil
}

// fromHalf widens an IEEE 754 half-precision number.
func fromHalf(h uint16) float32 {
	sign, exponent, fraction := uint32(h>>15)<<31, int(h>>10&31), uint32(h&1023)
	switch exponent {
	case 0: // zero and subnormal numbers: fraction · 2⁻²⁴
		value := float32(fraction) * float32(math.Ldexp(1, -24))
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
	size := sizes[t.DType]
	if t.DType != "I32" && t.DType != "I64" {
		return nil, fmt.Errorf("tensor %q: got element type %s, wanted I32 or I64", t.Name, t.DType)
	}
	values := make([]int32, len(t.Data)/size)
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
