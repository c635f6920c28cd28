package causal

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/govene/govene/internal/must"
)

// Run computes all variables. Those in fixed, which holds at least the inputs, have the values given there, whatever their parents
// are; the others follow from their parents. To intervene on the model is to fix a variable that is not an input.
func (m *Model) Run(fixed Setting) (Setting, error) {
	setting := make(Setting, len(m.variables))
	known := 0
	for _, n := range m.variables {
		value, isFixed := fixed[n.Name]
		var err error
		switch {
		case isFixed:
			known++
			err = n.checkListed("run", value)
		case len(n.parents) == 0:
			err = &Error{Where: "run", Axis: "input " + n.Name, Got: "no value", Wanted: n.wanted()}
		default:
			value, err = n.compute(n.arguments(setting))
		}
		if err != nil {
			return nil, err
		}
		setting[n.Name] = value
	}
	if known < len(fixed) {
		for _, name := range slices.Sorted(maps.Keys(fixed)) {
			if _, err := m.find("run", name); err != nil {
				return nil, err
			}
		}
	}
	return setting, nil
}

// MustRun is Run that panics on an error.
func (m *Model) MustRun(fixed Setting) Setting { return must.Of(m.Run(fixed)) }

// Interchange runs the model on the inputs base while every variable in sources keeps the value that it has in its own source run:
// sources holds inputs for each. The result's output is the label of the counterfactual example.
func (m *Model) Interchange(base Setting, sources map[string]Setting) (Setting, error) {
	fixed := make(Setting, len(base)+len(sources))
	maps.Copy(fixed, base)
	for _, variable := range slices.Sorted(maps.Keys(sources)) {
		if _, err := m.find("interchange", variable); err != nil {
			return nil, err
		}
		source, err := m.Run(sources[variable])
		if err != nil {
			return nil, fmt.Errorf("source of %s: %w", variable, err)
		}
		fixed[variable] = source[variable]
	}
	return m.Run(fixed)
}

// MustInterchange is Interchange that panics on an error.
func (m *Model) MustInterchange(base Setting, sources map[string]Setting) Setting {
	return must.Of(m.Interchange(base, sources))
}

// arguments are the values that a setting gives the variable's parents.
func (n *node) arguments(setting Setting) []Value {
	arguments := make([]Value, len(n.parents))
	for i, parent := range n.parents {
		arguments[i] = setting[parent.Name]
	}
	return arguments
}

// compute is the mechanism's result on the parents' values, which must be one of the variable's own.
func (n *node) compute(arguments []Value) (Value, error) {
	in := make([]reflect.Value, len(arguments))
	for i, value := range arguments {
		if err := n.checkArgument(i, value); err != nil {
			return nil, err
		}
		in[i] = reflect.ValueOf(value)
	}
	result := n.mechanism.Call(in)[0].Interface()
	if err := n.checkListed("run", result); err != nil {
		return nil, fmt.Errorf("mechanism of %s on %v: %w", n.Name, arguments, err)
	}
	return result, nil
}

// checkArgument refuses a parent's value that the mechanism cannot take.
func (n *node) checkArgument(i int, value Value) error {
	if wanted := argument(n.mechanism.Type(), i); !reflect.TypeOf(value).AssignableTo(wanted) {
		return &Error{Where: "mechanism of " + n.Name, Axis: "argument " + n.Parents[i], Got: fmt.Sprintf("a %s", wanted),
			Wanted: fmt.Sprintf("a %T, as %s is %v", value, n.Parents[i], value)}
	}
	return nil
}

// checkListed refuses a value that is not among the variable's, if these are known.
func (n *node) checkListed(where string, value Value) error {
	if err := checkValue(n.Name, value); err != nil {
		return err
	}
	if _, listed := n.index[value]; n.index != nil && !listed {
		return &Error{Where: where, Axis: n.Name, Got: fmt.Sprintf("%#v (%T)", value, value), Wanted: n.wanted()}
	}
	return nil
}

// wanted says what values the variable has.
func (n *node) wanted() string {
	if n.index == nil {
		return "a value"
	}
	return fmt.Sprintf("one of %s (%T)", list(n.Values), n.Values[0])
}
