// Package causal is about causal models: variables with values, each computed from its parents, such as an algorithm that a neural
// network may implement. A model says what the right answer is when some of its variables take the values that they have for other
// inputs — the labels that interchange interventions on a network are compared with — and draws the examples for it.
//
// The terms are those of Geiger et al., "Causal Abstractions of Neural Networks", 2021. The package knows nothing of networks and
// needs the standard library alone.
package causal

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/govene/govene/internal/must"
	"github.com/govene/govene/internal/refusal"
)

// Model is a causal model: a directed graph of variables without cycles. It is made by [New] and does not change, so any number of
// goroutines may use it.
type Model struct {
	variables []*node // in network order: by time step, then as listed
	byName    map[string]*node
	inputs    []string // as listed
	outputs   []string // as listed
	lastStep  int

	compiling    sync.Once
	compiled     *compiled // see compile
	compileError error

	mu        sync.Mutex         // and no sync.Map, as in interv.Intervenable
	reachable map[string][]Value // that any inputs lead to, by variable, once somebody asked
}

// node is a variable with what New finds out about it.
type node struct {
	Variable
	mechanism reflect.Value
	parents   []*node
	step      int
	children  int
	index     map[Value]int // of each listed value; nil if the values are unknown or drawn

	// classes holds, for each listed value, the combinations of parents' values that lead to it, each as one number (see combination);
	// nil if the combinations were not enumerated.
	classes [][]int
}

// mostCombinations is how many combinations of parents' values are enumerated for one variable.
const mostCombinations = 1 << 20

// New makes a model of variables in any order. It refuses names that are empty, taken or unknown, cycles, variables without values
// or mechanism, mechanisms that do not fit their parents or that leave their variable's list of values, and models without output.
func New(variables ...Variable) (*Model, error) {
	m := &Model{byName: map[string]*node{}, reachable: map[string][]Value{}}
	names := make([]string, len(variables))
	for i, v := range variables {
		names[i] = v.Name
	}
	for i, v := range variables {
		if v.Name == "" || slices.Contains(names[:i], v.Name) {
			return nil, &Error{Where: fmt.Sprintf("variable %d", i), Axis: "name", Got: fmt.Sprintf("%q", v.Name),
				Wanted: "a name that no other variable has"}
		}
		if err := v.check(names); err != nil {
			return nil, err
		}
		v.Values, v.Parents = slices.Clone(v.Values), slices.Clone(v.Parents)
		n := &node{Variable: v, mechanism: reflect.ValueOf(v.Mechanism)}
		m.variables = append(m.variables, n)
		m.byName[v.Name] = n
	}
	if err := m.order(); err != nil {
		return nil, err
	}
	for _, n := range m.variables {
		if err := n.enumerate(); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// MustNew is New that panics on an error.
func MustNew(variables ...Variable) *Model { return must.Of(New(variables...)) }

// order finds parents, inputs, outputs and time steps, and sorts the variables by them.
func (m *Model) order() error {
	for _, n := range m.variables {
		for _, parent := range n.Parents {
			n.parents = append(n.parents, m.byName[parent])
			m.byName[parent].children++
		}
		n.step = -1
	}
	for _, n := range m.variables {
		if err := n.place(nil); err != nil {
			return err
		}
		m.lastStep = max(m.lastStep, n.step)
	}
	for _, n := range m.variables {
		switch {
		case len(n.parents) == 0:
			m.inputs = append(m.inputs, n.Name)
		case n.children == 0:
			m.outputs = append(m.outputs, n.Name)
			n.step = m.lastStep
		}
	}
	if len(m.outputs) == 0 {
		return &Error{Where: "model", Axis: "outputs", Got: fmt.Sprintf("%d variables, none computed", len(m.variables)),
			Wanted: "at least one variable that is computed from others"}
	}
	slices.SortStableFunc(m.variables, func(a, b *node) int { return cmp.Compare(a.step, b.step) })
	return nil
}

// place gives the variable and its ancestors their time step, the length of the longest path from an input. below is the path of
// descendants on which the variable was reached.
func (n *node) place(below []string) error {
	if start := slices.Index(below, n.Name); start >= 0 {
		return &Error{Where: "variable " + n.Name, Axis: "parents",
			Got: "a cycle, " + strings.Join(append(below[start:], n.Name), " ← "), Wanted: "none"}
	}
	if n.step >= 0 {
		return nil
	}
	step := 0
	for _, parent := range n.parents {
		if err := parent.place(append(below, n.Name)); err != nil {
			return err
		}
		step = max(step, parent.step+1)
	}
	n.step = step
	return nil
}

// enumerate finds the variable's values, if they are not given, and its classes.
func (n *node) enumerate() error {
	n.index = indexOf(n.Values)
	if len(n.parents) == 0 {
		return nil
	}
	results, err := n.results()
	if err != nil {
		return err
	}
	if n.Values == nil {
		n.Values = distinct(results)
		if kind := n.mechanism.Type().Out(0); results == nil && kind.Kind() == reflect.Bool {
			n.Values = []Value{reflect.ValueOf(false).Convert(kind).Interface(), reflect.ValueOf(true).Convert(kind).Interface()}
		}
		n.index = indexOf(n.Values)
	}
	if results != nil {
		n.classes = make([][]int, len(n.Values))
	}
	for i, value := range results {
		n.classes[n.index[value]] = append(n.classes[n.index[value]], i)
	}
	return nil
}

// results runs the mechanism on all combinations of the parents' values; nil if these are unknown or too many.
func (n *node) results() ([]Value, error) {
	combinations := 1
	for i, parent := range n.parents {
		for _, value := range parent.Values {
			if err := n.checkArgument(i, value); err != nil {
				return nil, err
			}
		}
		if combinations *= len(parent.Values); combinations > mostCombinations {
			combinations = 0
		}
	}
	if combinations == 0 {
		return nil, nil
	}
	results, computed := make([]Value, combinations), n.computed()
	kind := n.mechanism.Type().Out(0).Kind()
	plain := kind == reflect.Bool || kind == reflect.Int // what is sound once is sound again
	sound := map[Value]bool{}
	for i := range results {
		result := computed(i)
		if !plain || !sound[result] {
			if err := n.checkListed("run", result); err != nil {
				return nil, fmt.Errorf("mechanism of %s on %v: %w", n.Name, n.combination(i), err)
			}
			if plain {
				sound[result] = true
			}
		}
		results[i] = result
	}
	return results, nil
}

// computed is the mechanism as a function of the number of a combination of its parents' values. Those of the commonest types are called as what
// they are: by reflection, a million combinations take half a second.
func (n *node) computed() func(i int) Value {
	switch mechanism := n.Mechanism.(type) {
	case func(a, b int) bool:
		return ofTwo(mechanism, n.parents)
	case func(a, b int) int:
		return ofTwo(mechanism, n.parents)
	case func(a, b bool) bool:
		return ofTwo(mechanism, n.parents)
	}
	in := make([]reflect.Value, len(n.parents))
	return func(i int) Value {
		for k, value := range n.combination(i) {
			in[k] = reflect.ValueOf(value)
		}
		return n.mechanism.Call(in)[0].Interface()
	}
}

func ofTwo[T, R any](mechanism func(a, b T) R, parents []*node) func(i int) Value {
	typed := func(values []Value) []T {
		list := make([]T, len(values))
		for i, value := range values {
			list[i] = value.(T)
		}
		return list
	}
	first, second := typed(parents[0].Values), typed(parents[1].Values)
	return func(i int) Value { return mechanism(first[i/len(second)], second[i%len(second)]) }
}

// distinct lists each of the values once, sorted where they have an order; nil for none.
func distinct(values []Value) []Value {
	var once []Value
	seen := map[Value]bool{}
	for _, value := range values {
		if !seen[value] {
			seen[value] = true
			once = append(once, value)
		}
	}
	slices.SortStableFunc(once, compare)
	return once
}

// combination number i of the parents' values; the last parent's changes fastest.
func (n *node) combination(i int) []Value {
	values := make([]Value, len(n.parents))
	for k := len(values) - 1; k >= 0; k-- {
		listed := n.parents[k].Values
		values[k] = listed[i%len(listed)]
		i /= len(listed)
	}
	return values
}

func indexOf(values []Value) map[Value]int {
	if values == nil {
		return nil
	}
	index := make(map[Value]int, len(values))
	for i, value := range values {
		index[value] = i
	}
	return index
}

// compare puts false before true, and numbers and strings in their order; it leaves others as they are.
func compare(a, b Value) int {
	x, y := reflect.ValueOf(a), reflect.ValueOf(b)
	switch {
	case x.Type() != y.Type():
		return 0
	case x.Kind() == reflect.Bool && x.Bool() != y.Bool():
		if y.Bool() {
			return -1
		}
		return 1
	case x.CanInt():
		return cmp.Compare(x.Int(), y.Int())
	case x.CanFloat():
		return cmp.Compare(x.Float(), y.Float())
	case x.Kind() == reflect.String:
		return cmp.Compare(x.String(), y.String())
	}
	return 0
}

// Variables lists the model's variables in network order: by time step, then as they were given to New. The values that New found are
// filled in.
func (m *Model) Variables() []Variable {
	variables := make([]Variable, len(m.variables))
	for i, n := range m.variables {
		variables[i] = n.Variable
		variables[i].Values, variables[i].Parents = slices.Clone(n.Values), slices.Clone(n.Parents)
	}
	return variables
}

// Inputs lists the variables without parents.
func (m *Model) Inputs() []string { return slices.Clone(m.inputs) }

// Outputs lists the computed variables that no other is computed from.
func (m *Model) Outputs() []string { return slices.Clone(m.outputs) }

// Internal lists the variables that are neither inputs nor outputs, in network order.
func (m *Model) Internal() []string {
	var names []string
	for _, n := range m.variables {
		if len(n.parents) > 0 && n.children > 0 {
			names = append(names, n.Name)
		}
	}
	return names
}

// names lists all variables in network order.
func (m *Model) names() []string {
	names := make([]string, len(m.variables))
	for i, n := range m.variables {
		names[i] = n.Name
	}
	return names
}

// find is the variable of that name.
func (m *Model) find(where, name string) (*node, error) {
	if n, ok := m.byName[name]; ok {
		return n, nil
	}
	return nil, refusal.UnknownName(where, "variable", name, m.names())
}

// drawValue takes one of the listed values with equal chances, or draws one.
func (n *node) drawValue(where string, random *rand.Rand) (Value, error) {
	switch {
	case n.Draw != nil:
		value := n.Draw(random)
		return value, checkValue(n.Name, value)
	case len(n.Values) > 0:
		return n.Values[random.IntN(len(n.Values))], nil
	}
	return nil, n.unlisted(where)
}

// unlisted is the error for a variable whose values have to be known and are not.
func (n *node) unlisted(where string) error {
	return &Error{Where: where, Axis: "values of " + n.Name, Got: "none listed",
		Wanted: "a list (Variable.Values), as each of them is tried"}
}
