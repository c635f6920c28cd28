package causal

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// compiled is a model over the indices of its variables' values, so that millions of runs take a second: a run is a row with the index of
// each variable's value, in network order.
type compiled struct {
	model  *Model
	nodes  []compiledNode
	at     map[string]int // where in a row a variable is
	inputs []int          // where the inputs are, as listed
	same   [][]int32      // of each variable and value, a number that equal values of all inputs share; none of a computed variable
}

// compiledNode is a variable of a compiled model.
type compiledNode struct {
	count   int       // of its values
	parents []int     // where they are in a row; none for an input
	results []int32   // for each combination of the parents' values, the last parent's changing fastest, the index of the variable's own
	classes [][]int32 // for each value the combinations that lead to it
}

// compile makes the compiled form, once. All inputs' values must be listed, and the combinations of each variable's parents few enough.
func (m *Model) compile() (*compiled, error) {
	m.compiling.Do(func() {
		c := &compiled{model: m, at: map[string]int{}}
		for i, n := range m.variables {
			if n.index == nil || len(n.parents) > 0 && n.classes == nil {
				m.compileError = &Error{Where: "drawing examples", Axis: "values of " + n.Name, Got: "none listed, or too many combinations of its parents'",
					Wanted: fmt.Sprintf("listed values, and at most %d combinations", mostCombinations)}
				return
			}
			c.at[n.Name] = i
			compiled := compiledNode{count: len(n.Values)}
			combinations := 1
			for _, parent := range n.parents {
				compiled.parents = append(compiled.parents, c.at[parent.Name])
				combinations *= len(parent.Values)
			}
			if len(n.parents) > 0 {
				compiled.results, compiled.classes = make([]int32, combinations), make([][]int32, len(n.Values))
				for value, class := range n.classes {
					compiled.classes[value] = make([]int32, len(class))
					for k, combination := range class {
						compiled.classes[value][k], compiled.results[combination] = int32(combination), int32(value)
					}
				}
			}
			c.nodes = append(c.nodes, compiled)
		}
		numbers := map[Value]int32{}
		c.same = make([][]int32, len(c.nodes))
		for _, name := range m.inputs {
			i := c.at[name]
			c.inputs = append(c.inputs, i)
			for _, value := range m.variables[i].Values {
				number, known := numbers[value]
				if !known {
					number = int32(len(numbers))
					numbers[value] = number
				}
				c.same[i] = append(c.same[i], number)
			}
		}
		m.compiled = c
	})
	return m.compiled, m.compileError
}

// run computes the variables of a row that have no value yet (−1), from those that have.
func (c *compiled) run(row []int32) {
	for i := range c.nodes {
		if row[i] >= 0 {
			continue
		}
		n := &c.nodes[i]
		combination := int32(0)
		for _, parent := range n.parents {
			combination = combination*int32(c.nodes[parent].count) + row[parent]
		}
		row[i] = n.results[combination]
	}
}

// below lists the variables that an intervention on some may change, other than these.
func (c *compiled) below(fixed []bool) (list []int) {
	changed := slices.Clone(fixed)
	for i, n := range c.nodes {
		if !fixed[i] && slices.ContainsFunc(n.parents, func(parent int) bool { return changed[parent] }) {
			changed[i] = true
			list = append(list, i)
		}
	}
	return list
}

// uniform draws all inputs of a row that have none yet (−1), with equal chances.
func (c *compiled) uniform(row []int32, random *rand.Rand) {
	for _, i := range c.inputs {
		if row[i] < 0 {
			row[i] = int32(random.IntN(c.nodes[i].count))
		}
	}
}

// setting is a row as values.
func (c *compiled) setting(row []int32) Setting {
	setting := make(Setting, len(row))
	for i, n := range c.model.variables {
		setting[n.Name] = n.Values[row[i]]
	}
	return setting
}

// inputsOf are the inputs of a row as values.
func (c *compiled) inputsOf(row []int32) Setting {
	setting := make(Setting, len(c.inputs))
	for _, i := range c.inputs {
		n := c.model.variables[i]
		setting[n.Name] = n.Values[row[i]]
	}
	return setting
}

// joint draws rows in which some variables have each combination of their values with equal chances.
type joint struct {
	*compiled
	variables    []int
	combinations [][]int32 // of their values, all of which some inputs lead to
}

const (
	mostJoint  = 1 << 16 // combinations of the values of variables that are balanced jointly
	mostSearch = 1 << 22 // steps of the search for inputs that lead to all of them
)

// jointly finds the combinations of some variables' values that any inputs lead to.
func (c *compiled) jointly(variables []string) (*joint, error) {
	const where = "balanced sampling"
	j := &joint{compiled: c}
	all := 1
	for _, name := range variables {
		if _, err := c.model.find(where, name); err != nil {
			return nil, err
		}
		i := c.at[name]
		if slices.Contains(j.variables, i) {
			return nil, &Error{Where: where, Axis: "variables", Got: name + " twice", Wanted: "each once"}
		}
		j.variables = append(j.variables, i)
		if all *= c.nodes[i].count; all > mostJoint {
			return nil, &Error{Where: where, Axis: "combinations of values", Got: fmt.Sprintf("more than %d", mostJoint), Wanted: "fewer variables, or variables of fewer values"}
		}
	}
	budget := mostSearch
	assigned := make([]int32, len(c.nodes))
	for number := range all {
		combination := make([]int32, len(j.variables))
		goals := make([]goal, len(j.variables))
		for k, rest := len(combination)-1, number; k >= 0; k-- {
			count := c.nodes[j.variables[k]].count
			combination[k], rest = int32(rest%count), rest/count
			goals[k] = goal{j.variables[k], combination[k]}
		}
		clear32(assigned)
		if c.reachable(assigned, goals, &budget) {
			j.combinations = append(j.combinations, combination)
		}
		if budget <= 0 {
			return nil, &Error{Where: where, Axis: fmt.Sprint(variables), Got: "combinations of values that no inputs were found for, after a long search",
				Wanted: "variables whose values depend less on one another"}
		}
	}
	return j, nil
}

func clear32(row []int32) {
	for i := range row {
		row[i] = -1
	}
}

// goal is a value that a variable is to have.
type goal struct {
	variable int
	value    int32
}

// reachable tells whether any inputs lead to all goals and to what is assigned, by trying out.
func (c *compiled) reachable(assigned []int32, goals []goal, budget *int) bool {
	if *budget--; *budget <= 0 {
		return false
	}
	if len(goals) == 0 {
		return true
	}
	first, rest := goals[0], goals[1:]
	n := &c.nodes[first.variable]
	if taken := assigned[first.variable]; taken >= 0 {
		return taken == first.value && c.reachable(assigned, rest, budget)
	}
	assigned[first.variable] = first.value
	if n.results == nil {
		if c.reachable(assigned, rest, budget) {
			return true
		}
	}
	values := make([]int32, len(n.parents))
	for _, combination := range c.classOf(n, first.value) {
		if c.decode(n, combination, values); !c.agrees(n, values, assigned) {
			continue
		}
		further := make([]goal, 0, len(n.parents)+len(rest))
		for k, parent := range n.parents {
			further = append(further, goal{parent, values[k]})
		}
		if c.reachable(assigned, append(further, rest...), budget) {
			return true
		}
		if *budget <= 0 {
			break
		}
	}
	assigned[first.variable] = -1
	return false
}

// classOf are the combinations that lead to a value; none of an input.
func (c *compiled) classOf(n *compiledNode, value int32) []int32 {
	if n.classes == nil {
		return nil
	}
	return n.classes[value]
}

// decode writes the parents' values of a combination.
func (c *compiled) decode(n *compiledNode, combination int32, values []int32) {
	for k := len(n.parents) - 1; k >= 0; k-- {
		count := int32(c.nodes[n.parents[k]].count)
		values[k], combination = combination%count, combination/count
	}
}

// agrees tells whether parents' values are those that are assigned, where any are.
func (c *compiled) agrees(n *compiledNode, values, assigned []int32) bool {
	for k, parent := range n.parents {
		if taken := assigned[parent]; taken >= 0 && taken != values[k] {
			return false
		}
	}
	return true
}

// draw fills a row: each combination has equal chances, and from its variables down to the inputs each combination of parents' values that
// leads there and fits what is assigned already. What then still has no value is drawn with equal chances.
func (j *joint) draw(row []int32, random *rand.Rand) error {
	combination := j.combinations[random.IntN(len(j.combinations))]
	for range mostDraws {
		clear32(row)
		fits := true
		for k, variable := range j.variables {
			if fits = j.descend(variable, combination[k], row, random); !fits {
				break
			}
		}
		if fits {
			j.uniform(row, random)
			j.run(row)
			return nil
		}
	}
	return &Error{Where: "balanced sampling", Axis: "combination", Got: fmt.Sprintf("no inputs in %d draws", mostDraws), Wanted: "values that more inputs lead to"}
}

// descend gives a variable a value, and its ancestors values that lead to it; false if what is assigned already does not allow it.
func (j *joint) descend(variable int, value int32, row []int32, random *rand.Rand) bool {
	if taken := row[variable]; taken >= 0 {
		return taken == value
	}
	row[variable] = value
	n := &j.nodes[variable]
	if n.results == nil {
		return true
	}
	var few [8]int32
	values := few[:]
	if len(n.parents) > len(few) {
		values = make([]int32, len(n.parents))
	}
	class := n.classes[value]
	if slices.ContainsFunc(n.parents, func(parent int) bool { return row[parent] >= 0 }) {
		var fitting []int32
		for _, combination := range class {
			if j.decode(n, combination, values); j.agrees(n, values, row) {
				fitting = append(fitting, combination)
			}
		}
		class = fitting
	}
	if len(class) == 0 {
		return false
	}
	j.decode(n, class[random.IntN(len(class))], values)
	for k, parent := range n.parents {
		if !j.descend(parent, values[k], row, random) {
			return false
		}
	}
	return true
}

// BalancedJointly is a sampler of inputs that give some variables each combination of their values with equal chances, among the
// combinations that any inputs lead to. From the variables down to the inputs, it takes one of the combinations of parents' values that lead
// to the value above, with equal chances among those that fit. [Model.Balanced] is the same of one variable, whose values may be listed only
// in part.
func (m *Model) BalancedJointly(variables ...string) Sampler {
	c, err := m.compile()
	var j *joint
	if err == nil {
		j, err = c.jointly(variables)
	}
	return func(random *rand.Rand) (Setting, error) {
		if err != nil {
			return nil, err
		}
		row := make([]int32, len(c.nodes))
		if err := j.draw(row, random); err != nil {
			return nil, err
		}
		return c.inputsOf(row), nil
	}
}
