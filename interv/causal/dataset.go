package causal

import (
	"fmt"
	"math/rand/v2"

	"github.com/govene/govene/internal/must"
)

// Factual is an example of what the model does: the inputs of a run, and all variables. Its label is the output in Setting.
type Factual struct{ Input, Setting Setting }

// Counterfactual is an example of what the model would do: see [Model.Interchange].
type Counterfactual struct {
	Base        Setting            // inputs of the base run
	Sources     map[string]Setting // of each variable intervened on, the inputs of its source run
	ID          int                // which of the interventions this is, that is, which set of variables Sources has
	BaseSetting Setting            // all variables of the base run without intervention; the base label is its output
	Setting     Setting            // all variables with the intervention; the label is its output
}

// Source is the inputs of the variable's source run; those of the base for a variable that is not intervened on, whose own value put
// into the base changes nothing.
func (c Counterfactual) Source(variable string) Setting {
	if source, ok := c.Sources[variable]; ok {
		return source
	}
	return c.Base
}

// Factuals draws size examples. A nil sampler stands for m.SampleInput.
func (m *Model) Factuals(random *rand.Rand, size int, sampler Sampler) ([]Factual, error) {
	if size < 0 {
		return nil, &Error{Where: "factual examples", Axis: "size", Got: fmt.Sprint(size), Wanted: "0 or more"}
	}
	if sampler == nil {
		sampler = m.SampleInput
	}
	examples := make([]Factual, size)
	for i := range examples {
		input, err := sampler(random)
		if err != nil {
			return nil, err
		}
		setting, err := m.Run(input)
		if err != nil {
			return nil, err
		}
		examples[i] = Factual{input, setting}
	}
	return examples, nil
}

// MustFactuals is Factuals that panics on an error.
func (m *Model) MustFactuals(random *rand.Rand, size int, sampler Sampler) []Factual {
	return must.Of(m.Factuals(random, size, sampler))
}

// Design says how counterfactual examples are drawn.
type Design struct {
	// Size is the number of examples, exactly.
	Size int

	// Batch is how many consecutive examples share an intervention, so that they can be one batch; 0 means 1. Where Size is not a
	// multiple of it, the last batch is shorter.
	Batch int

	// Interventions lists the sets of variables to intervene on; each batch takes one with equal chances, whose index is the ID of
	// its examples. Nil stands for [Model.Interventions], all sets of internal variables.
	Interventions [][]string

	// Balance lists variables whose combinations of values every base and every source has with equal chances, as [Model.BalancedJointly]
	// draws them; in place of Base and Source.
	Balance []string

	// Base draws the inputs of base runs; nil stands for [Model.SampleInput].
	Base Sampler

	// Source draws the inputs of source runs for a variable intervened on. Nil stands for [Model.Balanced], which gives the variable
	// each of its values equally often; where Base is given, for Base.
	Source func(variable string) Sampler
}

// Counterfactuals draws examples as the design says.
func (m *Model) Counterfactuals(random *rand.Rand, design Design) ([]Counterfactual, error) {
	if err := m.fill(&design); err != nil {
		return nil, err
	}
	examples := make([]Counterfactual, design.Size)
	id := 0
	for i := range examples {
		if i%design.Batch == 0 {
			id = random.IntN(len(design.Interventions))
		}
		var err error
		if examples[i], err = m.counterfactual(random, design, id); err != nil {
			return nil, err
		}
	}
	return examples, nil
}

// MustCounterfactuals is Counterfactuals that panics on an error.
func (m *Model) MustCounterfactuals(random *rand.Rand, design Design) []Counterfactual {
	return must.Of(m.Counterfactuals(random, design))
}

// fill checks a design and puts in what nil and 0 stand for.
func (m *Model) fill(d *Design) (err error) {
	const where = "design"
	if d.Size < 0 || d.Batch < 0 {
		return &Error{Where: where, Axis: "size and batch", Got: fmt.Sprintf("%d and %d", d.Size, d.Batch), Wanted: "0 or more"}
	}
	d.Batch = max(d.Batch, 1)
	if d.Interventions == nil {
		if d.Interventions, err = m.Interventions(); err != nil {
			return err
		}
	}
	if len(d.Interventions) == 0 {
		return &Error{Where: where, Axis: "interventions", Got: "none", Wanted: "at least one set of variables (nil stands for all)"}
	}
	for i, set := range d.Interventions {
		seen := map[string]bool{}
		for _, name := range set {
			if _, err := m.find(fmt.Sprintf("%s, intervention %d", where, i), name); err != nil {
				return err
			}
			if seen[name] {
				return &Error{Where: where, Axis: fmt.Sprintf("intervention %d", i), Got: name + " twice", Wanted: "each once"}
			}
			seen[name] = true
		}
	}
	if len(d.Balance) > 0 {
		if d.Base != nil || d.Source != nil {
			return &Error{Where: where, Axis: "balance", Got: fmt.Sprint(d.Balance, " and samplers"), Wanted: "one of the two"}
		}
		d.Base = m.BalancedJointly(d.Balance...)
	}
	if d.Source == nil {
		base := d.Base
		d.Source = func(variable string) Sampler {
			if base != nil {
				return base
			}
			return m.Balanced(variable)
		}
	}
	if d.Base == nil {
		d.Base = m.SampleInput
	}
	return nil
}

func (m *Model) counterfactual(random *rand.Rand, design Design, id int) (c Counterfactual, err error) {
	c = Counterfactual{Sources: map[string]Setting{}, ID: id}
	if c.Base, err = design.Base(random); err != nil {
		return c, err
	}
	for _, variable := range design.Interventions[id] {
		if c.Sources[variable], err = design.Source(variable)(random); err != nil {
			return c, fmt.Errorf("source of %s: %w", variable, err)
		}
	}
	if c.BaseSetting, err = m.Run(c.Base); err != nil {
		return c, err
	}
	c.Setting, err = m.Interchange(c.Base, c.Sources)
	return c, err
}
