package program

import (
	"fmt"
	"reflect"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"

	"github.com/govene/govene/resident/internal/wire"
)

// AppendStep appends a step: a method by its number, called on a function (0: the builder) with arguments. The numbers of the values and
// functions among the arguments are told by numberOf.
func AppendStep(w *wire.Writer, number int, receiver uint64, arguments []any, numberOf func(any) (uint64, error)) error {
	w.Uint(uint64(number))
	w.Uint(receiver)
	call := reflect.TypeOf(methods[number].call)
	e := encoder{w, numberOf}
	for i, argument := range arguments {
		t := call.In(i + 1)
		v := reflect.ValueOf(argument)
		if !v.IsValid() || t.Kind() == reflect.Interface {
			boxed := reflect.New(t).Elem()
			if v.IsValid() {
				boxed.Set(v)
			}
			v = boxed
		}
		if err := e.value(v); err != nil {
			return fmt.Errorf("%s, argument %d: %w", methods[number].name, i+1, err)
		}
	}
	return nil
}

type encoder struct {
	*wire.Writer
	numberOf func(any) (uint64, error)
}

func (e encoder) value(v reflect.Value) error {
	switch t := v.Type(); {
	case t == valueType || t == functionType:
		if v.IsNil() {
			e.Uint(0)
			return nil
		}
		number, err := e.numberOf(v.Interface())
		e.Uint(number)
		return err
	case t.Kind() == reflect.Interface: // the values of a constant
		return e.flat(v.Interface())
	}
	switch v.Kind() {
	case reflect.Bool:
		e.Bool(v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		e.Int(v.Int())
	case reflect.Float32, reflect.Float64:
		e.Float(v.Float())
	case reflect.String:
		e.Text(v.String())
	case reflect.Slice:
		if v.IsNil() {
			e.Uint(0)
			return nil
		}
		e.Uint(uint64(v.Len()) + 1)
		return e.elements(v)
	case reflect.Array:
		return e.elements(v)
	case reflect.Pointer:
		e.Bool(!v.IsNil())
		if !v.IsNil() {
			return e.value(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if err := e.value(v.Field(i)); err != nil {
				return err
			}
		}
	default:
		return fmt.Errorf("a %s can't be sent", v.Type())
	}
	return nil
}

func (e encoder) elements(v reflect.Value) error {
	for i := range v.Len() {
		if err := e.value(v.Index(i)); err != nil {
			return err
		}
	}
	return nil
}

func (e encoder) flat(flat any) error {
	t := reflect.TypeOf(flat)
	if t == nil || t.Kind() != reflect.Slice {
		return fmt.Errorf("the values of a constant are a slice, not a %T", flat)
	}
	dtype := dtypes.FromGoType(t.Elem())
	if dtype == dtypes.InvalidDType {
		return fmt.Errorf("a constant can't hold elements of type %s", t.Elem())
	}
	e.Int(int64(dtype))
	e.Uint(uint64(reflect.ValueOf(flat).Len()))
	e.Raw(dtypes.UnsafeByteSliceFromAny(flat))
	return nil
}

// AppendShape appends a shape.
func AppendShape(w *wire.Writer, shape shapes.Shape) {
	if err := (encoder{w, nil}).value(reflect.ValueOf(shape)); err != nil {
		panic(err) // a shape has numbers and names alone
	}
}

// ReadShape takes a shape and refuses one that no tensor can have.
func ReadShape(r *wire.Reader) shapes.Shape {
	var shape shapes.Shape
	decoder{r, nil}.value(reflect.ValueOf(&shape).Elem(), 0)
	return shape
}

// decoder decodes arguments for a replay. The zero replay knows no values.
type decoder struct {
	*wire.Reader
	replay *Replay
}

// deepest bounds how deep structures may be nested.
const deepest = 16

func (d decoder) value(to reflect.Value, depth int) {
	if depth > deepest {
		d.Fail("arguments nested deeper than %d", deepest)
	}
	if d.Err != nil {
		return
	}
	switch t := to.Type(); {
	case t == valueType:
		setNumbered(d, to, d.replay.values)
		return
	case t == functionType:
		setNumbered(d, to, d.replay.functions)
		return
	case t.Kind() == reflect.Interface:
		d.flat(to)
		return
	}
	switch to.Kind() {
	case reflect.Bool:
		to.SetBool(d.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v := d.Int()
		if to.OverflowInt(v) {
			d.Fail("%d is too large for a %s", v, to.Type())
			return
		}
		to.SetInt(v)
	case reflect.Float32, reflect.Float64:
		to.SetFloat(d.Float())
	case reflect.String:
		to.SetString(d.Text())
	case reflect.Slice:
		n := d.Uint()
		if n == 0 {
			return
		}
		if n-1 > uint64(len(d.Bytes)) { // each element takes a byte at least
			d.Fail("a list of %d elements in %d bytes", n-1, len(d.Bytes))
			return
		}
		to.Set(reflect.MakeSlice(to.Type(), int(n-1), int(n-1)))
		d.elements(to, depth)
	case reflect.Array:
		d.elements(to, depth)
	case reflect.Pointer:
		if d.Bool() {
			to.Set(reflect.New(to.Type().Elem()))
			d.value(to.Elem(), depth+1)
		}
	case reflect.Struct:
		for i := range to.NumField() {
			d.value(to.Field(i), depth+1)
		}
		if shape, ok := to.Interface().(shapes.Shape); ok && d.Err == nil {
			d.checkShape(shape)
		}
	default:
		d.Fail("a %s can't be received", to.Type())
	}
}

func (d decoder) elements(to reflect.Value, depth int) {
	for i := 0; i < to.Len() && d.Err == nil; i++ {
		d.value(to.Index(i), depth+1)
	}
}

func setNumbered[T any](d decoder, to reflect.Value, known []T) {
	switch n := d.Uint(); {
	case d.Err != nil || n == 0:
	case n >= uint64(len(known)):
		d.Fail("%s %d does not exist yet", to.Type().Name(), n)
	default:
		to.Set(reflect.ValueOf(known[n]))
	}
}

func (d decoder) flat(to reflect.Value) {
	dtype, n := dtypes.DType(d.Int()), d.Uint()
	content := d.Raw()
	if d.Err != nil {
		return
	}
	if !known(dtype) || n > uint64(len(content)) || dtypes.FromGoType(dtype.GoType()) != dtype {
		d.Fail("a constant of %d bytes that are not %d elements of type %d", len(content), n, dtype)
		return
	}
	flat := dtypes.MakeAnySlice(dtype, int(n))
	bytes := dtypes.UnsafeByteSliceFromAny(flat)
	if len(bytes) != len(content) {
		d.Fail("a constant of %d bytes, where %d elements of type %s take %d", len(content), n, dtype, len(bytes))
		return
	}
	copy(bytes, content)
	to.Set(reflect.ValueOf(flat))
}

func known(dtype dtypes.DType) bool {
	return dtype > dtypes.InvalidDType && dtype.IsADType() && dtype.IsSupported()
}

// largest bounds the elements of a tensor, so that numbers of bytes can't overflow.
const largest = 1 << 44

func (d decoder) checkShape(s shapes.Shape) {
	if len(s.TupleShapes) > 0 || !s.Ok() {
		if len(s.Dimensions) > 0 || len(s.AxisNames) > 0 {
			d.Fail("a shape without element type that has axes")
		}
		return
	}
	if !known(s.DType) {
		d.Fail("element type %d does not exist", s.DType)
		return
	}
	if len(s.AxisNames) > 0 && len(s.AxisNames) != len(s.Dimensions) {
		d.Fail("a shape with %d axes and %d names of axes", len(s.Dimensions), len(s.AxisNames))
		return
	}
	size := 1
	for axis, dimension := range s.Dimensions {
		if dimension == shapes.DynamicDim && len(s.AxisNames) > 0 && s.AxisNames[axis] != "" {
			continue
		}
		if dimension < 0 || dimension > largest {
			d.Fail("a dimension of %d", dimension)
			return
		}
		if dimension > 0 && size > largest/dimension {
			d.Fail("a shape of more than %d elements", largest)
			return
		}
		size *= max(dimension, 1)
	}
}

// visitValues calls visit with each value of a graph that an argument is or holds.
func visitValues(v reflect.Value, visit func(compute.Value)) {
	switch v.Kind() {
	case reflect.Interface:
		if v.Type() == valueType && !v.IsNil() {
			visit(v.Interface())
		}
	case reflect.Slice:
		for i := range v.Len() {
			visitValues(v.Index(i), visit)
		}
	case reflect.Pointer:
		if !v.IsNil() {
			visitValues(v.Elem(), visit)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			visitValues(v.Field(i), visit)
		}
	}
}
