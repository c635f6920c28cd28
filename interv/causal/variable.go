package causal

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"

	"github.com/govene/govene/internal/refusal"
)

// Value is what a variable can be: anything that Go compares with ==, such as a bool, an int, a string or an array of numbers, but
// neither nil nor NaN. Values of different types differ: the int 1 is not the float64 1.
type Value = any

// Setting gives variables their values, by name.
type Setting map[string]Value

// Variable is one variable of a model: an input, which has no parents, or one that is computed from its parents.
type Variable struct {
	Name string

	// Values lists what the variable can be. An input has such a list, or Draw in its place. That of a computed variable may be nil:
	// it is then what Mechanism makes of all combinations of its parents' values, if these are listed and no more than 1,048,576; else
	// both truth values if Mechanism returns a bool; else unknown.
	Values []Value

	// Draw makes values of an input that has too many to list.
	Draw func(random *rand.Rand) Value

	Parents []string

	// Mechanism is a Go function that computes the variable from its parents, one argument for each in their order, and has one
	// result: func(w, x int) bool. It must be pure, as it is called whenever a value is needed, by any goroutine.
	Mechanism any
}

// Input is a variable without parents that has one of the listed values.
func Input[T comparable](name string, values ...T) Variable {
	v := Variable{Name: name, Values: make([]Value, len(values))}
	for i, value := range values {
		v.Values[i] = value
	}
	return v
}

// Drawn is a variable without parents whose values are made by draw, such as random vectors: [4]float32.
func Drawn[T comparable](name string, draw func(random *rand.Rand) T) Variable {
	return Variable{Name: name, Draw: func(random *rand.Rand) Value { return draw(random) }}
}

// Computed is a variable that mechanism, a Go function, computes from its parents:
//
//	causal.Computed("WX", func(w, x int) bool { return w == x }, "W", "X")
func Computed(name string, mechanism any, parents ...string) Variable {
	return Variable{Name: name, Parents: parents, Mechanism: mechanism}
}

// check refuses what is wrong with a variable on its own; names are those of all variables.
func (v Variable) check(names []string) error {
	fail := func(axis, got, wanted string) error {
		return &Error{Where: "variable " + v.Name, Axis: axis, Got: got, Wanted: wanted}
	}
	for i, parent := range v.Parents {
		if !slices.Contains(names, parent) {
			return refusal.UnknownName("variable "+v.Name, "parents", parent, names)
		}
		if slices.Contains(v.Parents[:i], parent) {
			return fail("parents", parent+" twice", "each once")
		}
	}
	isInput := len(v.Parents) == 0
	switch {
	case isInput && v.Mechanism != nil:
		return fail("parents", "none, but a mechanism", "parents for the mechanism, or an input without one")
	case isInput && v.Draw != nil && v.Values != nil:
		return fail("values", "both Values and Draw", "one of the two")
	case isInput && v.Draw == nil && len(v.Values) == 0, v.Values != nil && len(v.Values) == 0:
		return fail("values", "none", "at least one")
	case !isInput && v.Draw != nil:
		return fail("Draw", "a function", "none: the variable is computed from its parents")
	case !isInput && v.Mechanism == nil:
		return fail("mechanism", "none", "a function of "+strings.Join(v.Parents, ", "))
	}
	if err := v.checkValues(); err != nil || isInput {
		return err
	}
	return v.checkSignature()
}

func (v Variable) checkValues() error {
	seen := map[Value]bool{}
	for _, value := range v.Values {
		if err := checkValue(v.Name, value); err != nil {
			return err
		}
		if seen[value] {
			return &Error{Where: "variable " + v.Name, Axis: "values", Got: fmt.Sprintf("%v twice", value), Wanted: "each once"}
		}
		seen[value] = true
	}
	return nil
}

// checkValue refuses values of a variable that == cannot tell from others.
func checkValue(variable string, value Value) error {
	var got, wanted string
	switch {
	case value == nil:
		got, wanted = "nil", "a value"
	case !reflect.ValueOf(value).Comparable():
		got, wanted = fmt.Sprintf("a %T", value), "a type that == compares (an array in place of a slice)"
	case !equal(value, value): // NaN, also within an array
		got, wanted = fmt.Sprint(value), "a value that equals itself"
	default:
		return nil
	}
	return &Error{Where: "variable " + variable, Axis: "value", Got: got, Wanted: wanted}
}

func equal(a, b Value) bool { return a == b }

// checkSignature wants the mechanism to be a function of as many arguments as there are parents, with one result.
func (v Variable) checkSignature() error {
	t := reflect.TypeOf(v.Mechanism)
	takes := t.Kind() == reflect.Func && !reflect.ValueOf(v.Mechanism).IsNil() && t.NumOut() == 1 &&
		(t.NumIn() == len(v.Parents) || t.IsVariadic() && len(v.Parents) >= t.NumIn()-1)
	if !takes {
		return &Error{Where: "variable " + v.Name, Axis: "mechanism", Got: t.String(),
			Wanted: fmt.Sprintf("a function with %d arguments (%s) and one result", len(v.Parents), strings.Join(v.Parents, ", "))}
	}
	return nil
}

// argument is the type of the mechanism's argument i.
func argument(mechanism reflect.Type, i int) reflect.Type {
	if last := mechanism.NumIn() - 1; mechanism.IsVariadic() && i >= last {
		return mechanism.In(last).Elem()
	}
	return mechanism.In(i)
}
