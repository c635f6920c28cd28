package causal

import (
	"fmt"
	"math"
	"reflect"

	"github.com/govene/govene/internal/must"
)

// Array is numbers in row-major order, with the dimensions that a tensor made of them has.
type Array[T float32 | int32] struct {
	Values     []T
	Dimensions []int
}

// Encode turns examples into one array, a row for each: encode says which numbers an example has. Rows are [len(row)], or of the given
// dimensions; so the array is [len(examples), dimensions…]. Rows of different sizes are refused.
//
//	base, err := causal.Encode(examples, func(e causal.Counterfactual) ([]float32, error) {
//		return causal.Numbers[float32](e.Base["W"], e.Base["X"])
//	})
func Encode[T float32 | int32, Example any](examples []Example, encode func(Example) ([]T, error), dimensions ...int) (Array[T], error) {
	size := -1
	if len(dimensions) > 0 {
		size = 1
		for _, d := range dimensions {
			size *= d
		}
	}
	var array Array[T]
	for i, example := range examples {
		row, err := encode(example)
		if err != nil {
			return Array[T]{}, fmt.Errorf("example %d: %w", i, err)
		}
		if size < 0 {
			size = len(row)
			dimensions = []int{size}
		}
		if len(row) != size {
			return Array[T]{}, &Error{Where: fmt.Sprintf("example %d", i), Axis: "numbers", Got: fmt.Sprint(len(row)),
				Wanted: fmt.Sprintf("%d, as dimensions %v have", size, dimensions)}
		}
		array.Values = append(array.Values, row...)
	}
	array.Dimensions = append([]int{len(examples)}, dimensions...)
	return array, nil
}

// MustEncode is Encode that panics on an error.
func MustEncode[T float32 | int32, Example any](examples []Example, encode func(Example) ([]T, error), dimensions ...int) Array[T] {
	return must.Of(Encode(examples, encode, dimensions...))
}

// Numbers turns values into numbers, one after the other: false and true into 0 and 1, a number into itself, an array into its
// elements. A value that is no number, or that T does not hold exactly (float32: nearly), is refused.
func Numbers[T float32 | int32](values ...Value) ([]T, error) {
	var numbers []T
	for _, value := range values {
		if value == nil {
			return nil, &Error{Where: "numbers", Got: "no value", Wanted: "a bool, a number, or an array of them"}
		}
		var err error
		if numbers, err = appendNumbers(numbers, reflect.ValueOf(value)); err != nil {
			return nil, err
		}
	}
	return numbers, nil
}

func appendNumbers[T float32 | int32](numbers []T, v reflect.Value) ([]T, error) {
	var number float64
	switch {
	case v.Kind() == reflect.Bool:
		if v.Bool() {
			number = 1
		}
	case v.CanInt():
		number = float64(v.Int())
	case v.CanUint():
		number = float64(v.Uint())
	case v.CanFloat():
		number = v.Float()
	case v.Kind() == reflect.Array:
		for i := range v.Len() {
			var err error
			if numbers, err = appendNumbers(numbers, v.Index(i)); err != nil {
				return nil, err
			}
		}
		return numbers, nil
	default:
		return nil, &Error{Where: "numbers", Got: fmt.Sprintf("%#v (%s)", v.Interface(), v.Type()),
			Wanted: "a bool, a number, or an array of them"}
	}
	_, whole := any(T(0)).(int32)
	if whole && (number != math.Trunc(number) || math.Abs(number) > math.MaxInt32) || !(math.Abs(number) <= math.MaxFloat32) {
		return nil, &Error{Where: "numbers", Got: fmt.Sprint(v.Interface()), Wanted: fmt.Sprintf("a number that %T holds", T(0))}
	}
	return append(numbers, T(number)), nil
}
