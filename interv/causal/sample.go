package causal

import (
	"fmt"
	"math/rand/v2"
	"slices"
)

// Sampler draws the inputs of a run. The same state of random gives the same inputs.
type Sampler func(random *rand.Rand) (Setting, error)

// Filter says whether to keep the inputs that led to a setting of all variables.
type Filter func(setting Setting) (bool, error)

// mostDraws is how many inputs a sampler draws in search of one that it may return.
const mostDraws = 10_000

// SampleInput is the sampler that takes for every input one of its values, with equal chances.
func (m *Model) SampleInput(random *rand.Rand) (Setting, error) {
	inputs := Setting{}
	return inputs, m.complete(inputs, random)
}

// complete draws the inputs that have no value yet.
func (m *Model) complete(inputs Setting, random *rand.Rand) error {
	for _, name := range m.inputs {
		if _, given := inputs[name]; given {
			continue
		}
		value, err := m.byName[name].drawValue("sampling", random)
		if err != nil {
			return err
		}
		inputs[name] = value
	}
	return nil
}

// SampleValue takes one of a variable's values with equal chances.
func (m *Model) SampleValue(random *rand.Rand, variable string) (Value, error) {
	n, err := m.find("sampling", variable)
	if err != nil {
		return nil, err
	}
	return n.drawValue("sampling", random)
}

// SampleIntervention draws an intervention: every internal variable has an even chance to be in it, at least one is, and each takes
// one of its values with equal chances.
func (m *Model) SampleIntervention(random *rand.Rand) (Setting, error) {
	sets, err := m.Interventions()
	if err != nil {
		return nil, err
	}
	intervention := Setting{}
	for _, name := range sets[random.IntN(len(sets))] {
		if intervention[name], err = m.byName[name].drawValue("sampling an intervention", random); err != nil {
			return nil, err
		}
	}
	return intervention, nil
}

// Interventions lists all sets of internal variables but the empty one: [A], [B], [A B], [C], [A C] and so on. A model with no
// internal variables, or more than ten, is refused.
func (m *Model) Interventions() ([][]string, error) {
	const most = 10
	internal := m.Internal()
	if len(internal) == 0 || len(internal) > most {
		return nil, &Error{Where: "interventions", Axis: "internal variables", Got: fmt.Sprint(len(internal)),
			Wanted: fmt.Sprintf("1 to %d (or a list of the sets to intervene on)", most)}
	}
	sets := make([][]string, 1<<len(internal)-1)
	for i := range sets {
		for k, name := range internal {
			if (i+1)>>k&1 == 1 {
				sets[i] = append(sets[i], name)
			}
		}
	}
	return sets, nil
}

// Filtered is a sampler that draws from another until all filters hold, 10,000 times at most.
func (m *Model) Filtered(sampler Sampler, filters ...Filter) Sampler {
	return func(random *rand.Rand) (Setting, error) {
		for range mostDraws {
			inputs, err := sampler(random)
			if err != nil {
				return nil, err
			}
			setting, err := m.Run(inputs)
			if err != nil {
				return nil, err
			}
			if keep, err := all(filters, setting); keep || err != nil {
				return inputs, err
			}
		}
		return nil, &Error{Where: "sampling", Axis: "filters", Got: fmt.Sprintf("none in %d draws for which all hold", mostDraws),
			Wanted: "filters that hold more often, or a sampler that meets them"}
	}
}

func all(filters []Filter, setting Setting) (bool, error) {
	for _, filter := range filters {
		if keep, err := filter(setting); !keep || err != nil {
			return false, err
		}
	}
	return true, nil
}

// Balanced is a sampler of inputs that give a variable one of the listed values, or of all its values that any inputs lead to if none are
// listed, each with equal chances: however rare a value is among all inputs, it is as frequent as the others. From the variable down to the inputs, it
// takes one of the combinations of parents' values that lead to the value above, with equal chances.
//
// A variable that several others on the way are computed from takes a value that fits them all; chances are equal among what fits.
// The combinations must be known: all values that lead there must be listed.
func (m *Model) Balanced(variable string, values ...Value) Sampler {
	return func(random *rand.Rand) (Setting, error) {
		const where = "balanced sampling"
		n, err := m.find(where, variable)
		if err != nil {
			return nil, err
		}
		for _, value := range values {
			if err := n.checkListed(where, value); err != nil {
				return nil, err
			}
		}
		candidates := values
		if len(candidates) == 0 {
			candidates = m.reached(n)
		}
		if len(candidates) == 0 {
			return nil, n.unlisted(where)
		}
		value := candidates[random.IntN(len(candidates))]
		for range mostDraws {
			assigned := Setting{}
			if fits, err := n.descend(value, assigned, random); err != nil {
				return nil, err
			} else if fits {
				return m.inputsOf(assigned, random)
			}
		}
		return nil, &Error{Where: where, Axis: variable, Got: fmt.Sprintf("no inputs in %d draws that make it %v", mostDraws, value),
			Wanted: "a value that some inputs lead to"}
	}
}

// reached are the values of a variable that any inputs lead to, which in a part of a split model may be few; all, where that cannot be found out.
func (m *Model) reached(n *node) []Value {
	m.mu.Lock()
	values, known := m.reachable[n.Name]
	m.mu.Unlock()
	if known {
		return values
	}
	values = n.Values
	if c, err := m.compile(); err == nil {
		if j, err := c.jointly([]string{n.Name}); err == nil {
			values = nil
			for _, combination := range j.combinations {
				values = append(values, n.Values[combination[0]])
			}
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reachable[n.Name] = values
	return values
}

// descend gives the variable a value, and its ancestors values that lead to it; false if what is assigned already does not allow it.
func (n *node) descend(value Value, assigned Setting, random *rand.Rand) (bool, error) {
	if taken, ok := assigned[n.Name]; ok {
		return taken == value, nil
	}
	assigned[n.Name] = value
	if len(n.parents) == 0 {
		return true, nil
	}
	if n.classes == nil {
		return false, &Error{Where: "balanced sampling", Axis: "parents of " + n.Name, Got: "more values than are listed or can be tried",
			Wanted: "listed values, few enough to try all combinations (or another sampler)"}
	}
	fitting := n.classes[n.index[value]]
	if slices.ContainsFunc(n.Parents, func(parent string) bool { _, ok := assigned[parent]; return ok }) {
		fitting = n.fitting(fitting, assigned)
	}
	if len(fitting) == 0 {
		return false, nil
	}
	for i, parentValue := range n.combination(fitting[random.IntN(len(fitting))]) {
		if fits, err := n.parents[i].descend(parentValue, assigned, random); !fits || err != nil {
			return false, err
		}
	}
	return true, nil
}

// fitting keeps the combinations that agree with what is assigned to the parents.
func (n *node) fitting(combinations []int, assigned Setting) []int {
	var kept []int
	for _, i := range combinations {
		agrees := true
		for k, value := range n.combination(i) {
			taken, ok := assigned[n.Parents[k]]
			agrees = agrees && (!ok || taken == value)
		}
		if agrees {
			kept = append(kept, i)
		}
	}
	return kept
}

// inputsOf keeps the inputs among what is assigned, and draws those that are not.
func (m *Model) inputsOf(assigned Setting, random *rand.Rand) (Setting, error) {
	inputs := Setting{}
	for _, name := range m.inputs {
		if value, ok := assigned[name]; ok {
			inputs[name] = value
		}
	}
	return inputs, m.complete(inputs, random)
}

// Equivalence lists for each value of a computed variable the settings of its parents that lead to it, in the order of the parents'
// values, the last parent's changing fastest. A listed value that nothing leads to has none.
func (m *Model) Equivalence(variable string) (map[Value][]Setting, error) {
	const where = "equivalence classes"
	n, err := m.find(where, variable)
	if err != nil {
		return nil, err
	}
	if n.classes == nil {
		return nil, &Error{Where: where, Axis: variable, Got: "no listed values of parents, or too many",
			Wanted: fmt.Sprintf("a computed variable with at most %d combinations of its parents' values", mostCombinations)}
	}
	classes := map[Value][]Setting{}
	for i, value := range n.Values {
		classes[value] = make([]Setting, len(n.classes[i]))
		for k, combination := range n.classes[i] {
			setting := Setting{}
			for p, parent := range n.combination(combination) {
				setting[n.Parents[p]] = parent
			}
			classes[value][k] = setting
		}
	}
	return classes, nil
}
