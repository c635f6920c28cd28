package program

import (
	"fmt"
	"reflect"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"

	"github.com/govene/govene/resident/internal/wire"
)

// Replay tells a builder the steps of a program.
type Replay struct {
	builder   compute.Builder
	functions []compute.Function
	values    []compute.Value
	loops     bool // whether there is a While
}

// Result is a result of a step: one value, a list of values, or a function.
type Result struct {
	Shapes []shapes.Shape // of its values
	List   bool
}

// NewReplay starts a program in a builder.
func NewReplay(builder compute.Builder) *Replay {
	return &Replay{builder: builder, functions: []compute.Function{nil, builder.Main()}, values: []compute.Value{nil}}
}

// Add adds values that stand for those that a step would have made.
func (p *Replay) Add(values ...compute.Value) { p.values = append(p.values, values...) }

// Function is a function by its number.
func (p *Replay) Function(number uint64) compute.Function { return p.functions[number] }

// Step takes a step off a program and tells it to the builder.
func (p *Replay) Step(r *wire.Reader) (results []Result, err error) {
	number := r.Uint()
	if r.Err == nil && number >= uint64(len(methods)) {
		r.Fail("operation %d does not exist", number)
	}
	if r.Err != nil {
		return nil, r.Err
	}
	m := methods[number]
	p.loops = p.loops || m.name == "While"
	call := reflect.ValueOf(m.call)
	arguments := make([]reflect.Value, call.Type().NumIn())
	receiver := r.Uint()
	if arguments[0], err = p.receiver(call.Type().In(0), receiver); err != nil {
		return nil, fmt.Errorf("%s: %w", m.name, err)
	}
	d := decoder{r, p}
	for i := 1; i < len(arguments); i++ {
		arguments[i] = reflect.New(call.Type().In(i)).Elem()
		d.value(arguments[i], 0)
	}
	if r.Err != nil {
		return nil, fmt.Errorf("%s: %w", m.name, r.Err)
	}
	defer func() {
		if panicked := recover(); panicked != nil {
			results, err = nil, fmt.Errorf("%s: %v", m.name, panicked)
		}
	}()
	var returned []reflect.Value
	if call.Type().IsVariadic() {
		returned = call.CallSlice(arguments)
	} else {
		returned = call.Call(arguments)
	}
	last := len(returned) - 1
	if err, _ := returned[last].Interface().(error); err != nil {
		return nil, err
	}
	return p.keep(returned[:last])
}

// receiver is what a step is told to, as the interface that its method wants: reflect would compare the hundred methods of what is in it at each call.
func (p *Replay) receiver(t reflect.Type, number uint64) (reflect.Value, error) {
	switch {
	case t == builderType && number == 0:
		return reflect.ValueOf(&p.builder).Elem(), nil
	case t == functionType && number > 0 && number < uint64(len(p.functions)):
		return reflect.ValueOf(&p.functions[number]).Elem(), nil
	}
	return reflect.Value{}, fmt.Errorf("function %d does not exist yet", number)
}

// keep gives what a step made the next numbers.
func (p *Replay) keep(returned []reflect.Value) ([]Result, error) {
	results := make([]Result, len(returned))
	for i, v := range returned {
		var values []compute.Value
		switch v.Type() {
		case functionType:
			p.functions = append(p.functions, v.Interface().(compute.Function))
			continue
		case valueType:
			values = []compute.Value{v.Interface()}
		default:
			values, results[i].List = v.Interface().([]compute.Value), true
		}
		for _, value := range values {
			shape, err := p.builder.OpShape(value)
			if err != nil {
				return nil, err
			}
			results[i].Shapes = append(results[i].Shapes, shape)
			p.values = append(p.values, value)
		}
	}
	return results, nil
}

// Run tells a builder a whole program, each step of which is followed by the number of values it made. Each shape is shown to check, whose
// error ends it. It says whether the program has loops.
func Run(builder compute.Builder, code []byte, check func(shapes.Shape) error) (loops bool, err error) {
	p, r := NewReplay(builder), &wire.Reader{Bytes: code}
	for len(r.Bytes) > 0 {
		before := uint64(len(p.values))
		made, err := p.Step(r)
		if err != nil {
			return false, err
		}
		if n, wanted := uint64(len(p.values))-before, r.Uint(); r.Err == nil && n != wanted {
			return false, fmt.Errorf("an operation made %d values where the program expects %d", n, wanted)
		}
		for _, result := range made {
			for _, shape := range result.Shapes {
				if err := check(shape); err != nil {
					return false, err
				}
			}
		}
	}
	return p.loops, r.Err
}

// Probe writes a program of one step whose operands are parameters, by which another builder says what it makes of it: false if the step
// is none of a function, or takes functions.
func Probe(number int, arguments []any, shapeOf func(compute.Value) (shapes.Shape, error)) (code []byte, ok bool, err error) {
	call := reflect.TypeOf(methods[number].call)
	if call.In(0) != functionType || isOf(methods[number].name, "Parameter", "Constant", "Return", "Closure") {
		return nil, false, nil
	}
	var w wire.Writer
	numbers := map[compute.Value]uint64{}
	for i, argument := range arguments {
		if call.In(i+1) == functionType {
			return nil, false, nil
		}
		v := reflect.ValueOf(argument)
		if call.In(i+1) == valueType {
			boxed := reflect.New(valueType).Elem()
			if v.IsValid() {
				boxed.Set(v)
			}
			v = boxed
		}
		visitValues(v, func(value compute.Value) {
			if numbers[value] != 0 || err != nil {
				return
			}
			var shape shapes.Shape
			if shape, err = shapeOf(value); err != nil {
				return
			}
			numbers[value] = uint64(len(numbers) + 1)
			name := fmt.Sprintf("x%d", len(numbers))
			err = AppendStep(&w, parameterNumber, 1, []any{name, shape, (*compute.ShardingSpec)(nil)}, nil)
			w.Uint(1)
		})
	}
	if err != nil {
		return nil, false, err
	}
	err = AppendStep(&w, number, 1, arguments, func(value any) (uint64, error) { return numbers[value], nil })
	return w.Bytes, true, err
}

var parameterNumber = numberNamed("Parameter")

func numberNamed(name string) int {
	for number, m := range methods {
		if m.name == name {
			return number
		}
	}
	panic("no method " + name)
}

func isOf(name string, names ...string) bool {
	for _, one := range names {
		if name == one {
			return true
		}
	}
	return false
}

// RunProbe answers a probe: the results of its last step.
func RunProbe(builder compute.Builder, code []byte) ([]Result, error) {
	p, r := NewReplay(builder), &wire.Reader{Bytes: code}
	for {
		results, err := p.Step(r)
		if err != nil || len(r.Bytes) == 0 {
			return results, err
		}
		if r.Uint(); r.Err != nil {
			return nil, r.Err
		}
	}
}
