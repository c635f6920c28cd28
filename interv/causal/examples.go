package causal

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/govene/govene/internal/must"
)

// Examples are counterfactual examples in bulk: a row of value indices a run in place of a Setting. [Model.Draw] makes them, millions in a
// second; [Arrays] turns their inputs into numbers.
type Examples struct {
	Variables []string // those intervened on in any example, in network order; each has a source
	IDs       []int    // of each example, which of the design's interventions it is

	c                    *compiled
	base, counterfactual [][]int32   // [example][variable]
	sources              [][][]int32 // of each of Variables; the base's row where it is not intervened on
}

// Draw draws examples as [Model.Counterfactuals] does, but for designs without samplers of their own, of models whose values are all listed.
// For factual examples intervene on nothing: Interventions: [][]string{nil}.
func (m *Model) Draw(random *rand.Rand, design Design) (*Examples, error) {
	const where = "drawing examples"
	if design.Base != nil || design.Source != nil {
		return nil, &Error{Where: where, Axis: "design", Got: "samplers", Wanted: "none, but Balance (Counterfactuals takes samplers)"}
	}
	c, err := m.compile()
	if err != nil {
		return nil, err
	}
	d := design
	d.Balance = nil // its sampler is of settings
	if err := m.fill(&d); err != nil {
		return nil, err
	}
	e := &Examples{c: c, IDs: make([]int, d.Size)}
	sets := make([][]bool, len(d.Interventions)) // of each intervention, which of Variables are in it
	below := make([][]int, len(d.Interventions)) // and which variables depend on those
	var intervened []int                         // where in a row Variables are
	for _, name := range m.names() {
		if slices.ContainsFunc(d.Interventions, func(set []string) bool { return slices.Contains(set, name) }) {
			e.Variables = append(e.Variables, name)
			intervened = append(intervened, c.at[name])
		}
	}
	for i, set := range d.Interventions {
		fixed := make([]bool, len(c.nodes))
		for _, name := range e.Variables {
			in := slices.Contains(set, name)
			sets[i] = append(sets[i], in)
			fixed[c.at[name]] = in
		}
		below[i] = c.below(fixed)
	}
	draw, err := c.drawers(design.Balance, e.Variables)
	if err != nil {
		return nil, err
	}
	width := len(c.nodes)
	rows := make([]int32, d.Size*width*(2+len(e.Variables)))
	next := func() (row []int32) {
		row, rows = rows[:width:width], rows[width:]
		return row
	}
	e.base, e.counterfactual, e.sources = make([][]int32, d.Size), make([][]int32, d.Size), make([][][]int32, len(e.Variables))
	for v := range e.sources {
		e.sources[v] = make([][]int32, d.Size)
	}
	id := 0
	for i := range d.Size {
		if i%d.Batch == 0 {
			id = random.IntN(len(d.Interventions))
		}
		e.IDs[i] = id
		base, after := next(), next()
		if err := draw.base(base, random); err != nil {
			return nil, err
		}
		copy(after, base)
		for _, changed := range below[id] {
			after[changed] = -1
		}
		for v, at := range intervened {
			e.sources[v][i] = base
			if !sets[id][v] {
				continue
			}
			source := next()
			if err := draw.sources[v](source, random); err != nil {
				return nil, err
			}
			e.sources[v][i] = source
			after[at] = source[at]
		}
		c.run(after)
		e.base[i], e.counterfactual[i] = base, after
	}
	return e, nil
}

// MustDraw is Draw that panics on an error.
func (m *Model) MustDraw(random *rand.Rand, design Design) *Examples {
	return must.Of(m.Draw(random, design))
}

// drawers draw whole runs: bases, and sources of each variable.
type drawers struct {
	base    func(row []int32, random *rand.Rand) error
	sources []func(row []int32, random *rand.Rand) error
}

func (c *compiled) drawers(balance, variables []string) (d drawers, err error) {
	if len(balance) > 0 {
		j, err := c.jointly(balance)
		if err != nil {
			return d, err
		}
		d.base = j.draw
		for range variables {
			d.sources = append(d.sources, j.draw)
		}
		return d, nil
	}
	d.base = func(row []int32, random *rand.Rand) error {
		clear32(row)
		c.uniform(row, random)
		c.run(row)
		return nil
	}
	for _, name := range variables {
		j, err := c.jointly([]string{name})
		if err != nil {
			return d, err
		}
		d.sources = append(d.sources, j.draw)
	}
	return d, nil
}

// Size is how many examples there are.
func (e *Examples) Size() int { return len(e.base) }

// Example is one of the examples as settings.
func (e *Examples) Example(i int) Counterfactual {
	example := Counterfactual{Base: e.c.inputsOf(e.base[i]), Sources: map[string]Setting{}, ID: e.IDs[i], BaseSetting: e.c.setting(e.base[i]),
		Setting: e.c.setting(e.counterfactual[i])}
	for v, name := range e.Variables {
		if &e.sources[v][i][0] != &e.base[i][0] {
			example.Sources[name] = e.c.inputsOf(e.sources[v][i])
		}
	}
	return example
}

// Labels are, for a variable such as the output, the indices of its values in [Variable.Values]: those after the interchange, those of the
// bases alone, and those of the sources of each of Variables.
func (e *Examples) Labels(variable string) (after, base []int, sources [][]int, err error) {
	if _, err := e.c.model.find("labels", variable); err != nil {
		return nil, nil, nil, err
	}
	of := func(rows [][]int32) []int {
		labels, at := make([]int, len(rows)), e.c.at[variable]
		for i, row := range rows {
			labels[i] = int(row[at])
		}
		return labels
	}
	for _, rows := range e.sources {
		sources = append(sources, of(rows))
	}
	return of(e.counterfactual), of(e.base), sources, nil
}

// Restrict is the model with inputs that have only some of their values. Computed variables keep their lists of values, so that an output's
// value has the same index in both.
func (m *Model) Restrict(values map[string][]Value) (*Model, error) {
	variables := m.Variables()
	for name := range values {
		n, err := m.find("restricted model", name)
		if err != nil {
			return nil, err
		}
		if len(n.parents) > 0 || n.index == nil {
			return nil, &Error{Where: "restricted model", Axis: name, Got: "a computed variable, or one that is drawn", Wanted: "an input with listed values"}
		}
		for _, value := range values[name] {
			if err := n.checkListed("restricted model", value); err != nil {
				return nil, err
			}
		}
	}
	for i, v := range variables {
		if list, ok := values[v.Name]; ok {
			variables[i].Values = list
		}
	}
	return New(variables...)
}

// Split is the model twice, restricted to two parts of its inputs' values: so many of them, drawn at random, that test alone has, and the
// others that train alone has. So what is learned on train is tested on values that have never been seen. The inputs, which all have the
// same values, share the parts; with none named these are all inputs.
func (m *Model) Split(random *rand.Rand, held int, inputs ...string) (train, test *Model, err error) {
	const where = "split by values"
	if len(inputs) == 0 {
		inputs = m.Inputs()
	}
	first, err := m.find(where, inputs[0])
	if err != nil {
		return nil, nil, err
	}
	parts := [2]map[string][]Value{{}, {}}
	if held < 1 || held >= len(first.Values) {
		return nil, nil, &Error{Where: where, Axis: "values held out", Got: fmt.Sprint(held), Wanted: fmt.Sprintf("1 to %d of %d values", len(first.Values)-1, len(first.Values))}
	}
	isHeld := map[Value]bool{}
	for _, i := range random.Perm(len(first.Values))[:held] {
		isHeld[first.Values[i]] = true
	}
	for _, name := range inputs {
		n, err := m.find(where, name)
		if err != nil {
			return nil, nil, err
		}
		same := len(n.Values) == len(first.Values)
		for _, value := range first.Values {
			_, has := n.index[value]
			same = same && has
		}
		if !same {
			return nil, nil, &Error{Where: where, Axis: "values of " + name, Got: list(n.Values), Wanted: fmt.Sprintf("those of %s, %s", inputs[0], list(first.Values))}
		}
		for _, value := range n.Values {
			part := 0
			if isHeld[value] {
				part = 1
			}
			parts[part][name] = append(parts[part][name], value)
		}
	}
	if train, err = m.Restrict(parts[0]); err != nil {
		return nil, nil, err
	}
	test, err = m.Restrict(parts[1])
	return train, test, err
}

// MustSplit is Split that panics on an error.
func (m *Model) MustSplit(random *rand.Rand, held int, inputs ...string) (train, test *Model) {
	train, test, err := m.Split(random, held, inputs...)
	if err != nil {
		panic(err)
	}
	return train, test
}
