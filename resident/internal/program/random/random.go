// Package random makes programs of bytes, for fuzzing: most of their steps are ones that a builder takes.
package random

import (
	"fmt"
	"reflect"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"

	"github.com/govene/govene/resident/internal/program"
	"github.com/govene/govene/resident/internal/wire"
)

// Program is a program and the shapes of what it returns.
type Program struct {
	Code    []byte
	Outputs []shapes.Shape
	Steps   []string // the names of its methods
}

// drawing is a program under construction. A builder that is told the same says which steps make sense.
type drawing struct {
	choices   []byte
	code      wire.Writer
	oracle    *program.Replay
	shapes    []shapes.Shape // of values, from 1 on
	functions int
	steps     []string
}

// function stands for a function by its number.
type function struct {
	compute.Function
	number uint64
}

// mostSteps bounds a program.
const mostSteps = 24

// New makes a program. Equal bytes make equal programs.
func New(choices []byte, builder compute.Builder) Program {
	d := &drawing{choices: choices, oracle: program.NewReplay(builder), shapes: []shapes.Shape{{}}, functions: 1}
	wild := d.pick(4) == 0 // with steps that make no sense
	for i := range 1 + d.pick(3) {
		d.step(numberOf("Parameter"), 1, []any{fmt.Sprint("x", i), d.shape(), (*compute.ShardingSpec)(nil)}, false)
	}
	for len(d.choices) > 0 && len(d.steps) < mostSteps {
		number := d.pick(program.Methods())
		signature := program.Signature(number)
		receiver := uint64(0)
		if signature.In(0) == reflect.TypeFor[compute.Function]() {
			receiver = 1
			if d.pick(4) == 0 {
				receiver = uint64(1 + d.pick(d.functions))
			}
		}
		arguments := make([]any, signature.NumIn()-1)
		for i := range arguments {
			v := reflect.New(signature.In(i + 1)).Elem()
			d.draw(v, 0)
			arguments[i] = v.Interface()
		}
		d.step(number, receiver, arguments, wild && d.pick(8) == 0)
	}
	var outputs []compute.Value
	var made []shapes.Shape
	for i := len(d.shapes) - 1; i > 0 && len(outputs) < 3; i-- {
		outputs, made = append(outputs, uint64(i)), append(made, d.shapes[i])
	}
	d.step(numberOf("Return"), 1, []any{outputs, []*compute.ShardingSpec(nil)}, true)
	return Program{d.code.Bytes, made, d.steps}
}

func numberOf(name string) int {
	for number := range program.Methods() {
		if program.Name(number) == name {
			return number
		}
	}
	panic(name)
}

// step appends a step if the builder takes it, or anyway.
func (d *drawing) step(number int, receiver uint64, arguments []any, anyway bool) {
	start := len(d.code.Bytes)
	err := program.AppendStep(&d.code, number, receiver, arguments, func(of any) (uint64, error) {
		switch of := of.(type) {
		case uint64:
			return of, nil
		case function:
			return of.number, nil
		}
		return 0, fmt.Errorf("a %T", of)
	})
	var results []program.Result
	if err == nil {
		results, err = d.oracle.Step(&wire.Reader{Bytes: d.code.Bytes[start:]})
	}
	if err != nil && !anyway {
		d.code.Bytes = d.code.Bytes[:start]
		return
	}
	d.steps = append(d.steps, program.Name(number))
	if name := program.Name(number); err == nil && (name == "NewFunction" || name == "Closure") {
		d.functions++
	}
	before := len(d.shapes)
	for _, result := range results {
		d.shapes = append(d.shapes, result.Shapes...)
	}
	d.code.Uint(uint64(len(d.shapes) - before))
}

func (d *drawing) next() byte {
	if len(d.choices) == 0 {
		return 0
	}
	b := d.choices[0]
	d.choices = d.choices[1:]
	return b
}

func (d *drawing) pick(n int) int { return int(d.next()) % n }

func (d *drawing) dtype() dtypes.DType {
	usual := []dtypes.DType{dtypes.Float32, dtypes.Int32, dtypes.Bool, dtypes.Float64, dtypes.BFloat16, dtypes.Uint8, dtypes.Int64, dtypes.Complex64}
	if b := d.pick(24); b < len(usual) {
		return usual[b]
	}
	return dtypes.Float32
}

func (d *drawing) shape() shapes.Shape {
	dimensions := make([]int, d.pick(4))
	for axis := range dimensions {
		dimensions[axis] = []int{2, 2, 2, 3, 3, 1, 0, 4}[d.pick(8)]
	}
	return shapes.Make(d.dtype(), dimensions...)
}

// whole is a number: small, or seldom one at the border of what there is.
func (d *drawing) whole() int64 {
	switch b := d.pick(64); {
	case b < 56:
		return int64(b % 5)
	case b < 60:
		return -1
	default:
		return []int64{1 << 20, 1 << 31, 1<<63 - 1, -1 << 63}[b-60]
	}
}

// draw sets an argument.
func (d *drawing) draw(to reflect.Value, depth int) {
	switch t := to.Type(); t {
	case reflect.TypeFor[compute.Value]():
		if len(d.shapes) > 1 {
			to.Set(reflect.ValueOf(uint64(len(d.shapes) - 1 - d.pick(len(d.shapes)-1)))) // rather those of late
		}
		return
	case reflect.TypeFor[compute.Function]():
		to.Set(reflect.ValueOf(function{number: uint64(d.functions - d.pick(d.functions))}))
		return
	case reflect.TypeFor[dtypes.DType]():
		to.Set(reflect.ValueOf(d.dtype()))
		return
	case reflect.TypeFor[shapes.Shape]():
		to.Set(reflect.ValueOf(d.shape()))
		return
	}
	switch to.Kind() {
	case reflect.Interface: // the elements of a constant
		flat := reflect.ValueOf(dtypes.MakeAnySlice(d.dtype(), 1+d.pick(6)))
		to.Set(flat)
	case reflect.Bool:
		to.SetBool(d.pick(2) == 1)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		if v := d.whole(); !to.OverflowInt(v) {
			to.SetInt(v)
		}
	case reflect.Float32, reflect.Float64:
		to.SetFloat(float64(d.whole()) / 2)
	case reflect.String:
		to.SetString(fmt.Sprint("n", d.pick(8)))
	case reflect.Slice:
		n := d.pick(5)
		to.Set(reflect.MakeSlice(to.Type(), n, n))
		fallthrough
	case reflect.Array:
		for i := range to.Len() {
			d.draw(to.Index(i), depth+1)
		}
	case reflect.Pointer:
		if d.pick(4) == 0 && depth < 4 {
			to.Set(reflect.New(to.Type().Elem()))
			d.draw(to.Elem(), depth+1)
		}
	case reflect.Struct:
		for i := range to.NumField() {
			d.draw(to.Field(i), depth+1)
		}
	}
}
