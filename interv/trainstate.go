package interv

import (
	"fmt"
	"maps"
	"math"
	"strings"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/host"
	"github.com/govene/govene/internal/must"
)

// OfModel returns a Trainer that also trains the model's weights, on calls without interventions as in ordinary training, or on
// interchanges: "Inducing Causal Structure for Interpretable Neural Networks" (Geiger et al., 2022). The model itself is not changed:
// [Trainer.Weights] has what training made of its weights. A model in 16 bits is refused.
func (t *Trainer) OfModel() (*Trainer, error) {
	weights := t.iv.model.Weights()
	if half(weights.dtype) {
		return nil, &Error{Where: "training", Axis: "element type of the model", Got: typeNames(weights.dtype), Wanted: typeNames(dtypes.Float32, dtypes.Float64)}
	}
	if err := weights.Upload(t.iv.backend); err != nil {
		return nil, err
	}
	of := &Trainer{iv: t.iv, loss: t.loss, settings: t.settings, rates: t.rates, id: tasks.Add(1), state: map[parameterKey]moments{}, weights: parameterValues{}}
	for _, name := range weights.names {
		of.weights[parameterKey{ofModel, name}] = weights.Tensor(name)
	}
	return of, nil
}

// Weights are copies of the model's weights as training has them now; those that the model has where they are not trained.
func (t *Trainer) Weights() map[string]*tensors.Tensor {
	t.mu.Lock()
	defer t.mu.Unlock()
	values := t.iv.model.Weights().All()
	for key, value := range t.weights {
		values[key.name] = value
	}
	for name, value := range values {
		values[name] = must.Of(value.LocalClone())
	}
	return values
}

// value is a parameter or a weight as it is now.
func (t *Trainer) value(key parameterKey) *tensors.Tensor {
	if key.owner == ofModel {
		return t.weights[key]
	}
	return t.iv.values()[key]
}

// Numbers returns a function that computes numbers of a prepared call, and takes no step: the elements of the node that of makes, row by row,
// with the parameters and weights that training has by then. A node that is nil or of other numbers than floats, and a call that another
// Intervenable has prepared, are errors.
func (t *Trainer) Numbers(of func(o Outcome) *Node) func(*Prepared) ([]float64, error) {
	task := &numbersTask{Trainer: t, of: of, number: tasks.Add(1)}
	return func(prepared *Prepared) ([]float64, error) {
		if prepared == nil || prepared.iv != t.iv {
			return nil, errOtherIntervenable
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		_, added, err := t.iv.runBound(prepared.bound, task, nil)
		if err != nil {
			return nil, err
		}
		return host.Floats(added[0]), nil
	}
}

// numbersTask is numbers of an outcome in a program.
type numbersTask struct {
	*Trainer
	of     func(o Outcome) *Node
	number int64
}

func (t *numbersTask) key() string                { return fmt.Sprintf("numbers %d ", t.number) }
func (t *numbersTask) keepsResult() bool          { return false }
func (t *numbersTask) ofWeights() parameterValues { return t.weights }

func (t *numbersTask) build(_ *builder, o Outcome) []*Node {
	value := t.of(o)
	if value == nil || !value.DType().IsFloat() {
		panic(&Error{Where: "numbers", Got: "no node of floating-point numbers", Wanted: "one"})
	}
	return []*Node{widened(value)}
}

// What a tensor of a Trainer's state is of.
const (
	stateSteps  = "steps"
	stateValue  = "value, "
	stateMean   = "mean, "
	stateSquare = "square, "
)

// State is all that further steps depend on, as copies: how many there were, and the values and moments of what is trained. What is saved of
// it (see [SaveTensors]) and set again comes to the same bits.
func (t *Trainer) State() map[string]*tensors.Tensor {
	t.mu.Lock()
	defer t.mu.Unlock()
	state := map[string]*tensors.Tensor{stateSteps: tensors.FromValue([]float64{float64(t.steps)})}
	for key, value := range t.iv.values() {
		state[stateValue+key.String()] = value
	}
	for key, value := range t.weights {
		state[stateValue+key.String()] = value
	}
	for key, m := range t.state {
		state[stateMean+key.String()], state[stateSquare+key.String()] = m.mean, m.square
	}
	for name, value := range state {
		state[name] = must.Of(value.LocalClone())
	}
	return state
}

// SetState sets what State returned, of a trainer of the same Intervenable's config and model. Tensors of other names or shapes are refused,
// and nothing is set then.
func (t *Trainer) SetState(state map[string]*tensors.Tensor) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	refuse := func(name, got, wanted string) error {
		return &Error{Where: "training state", Axis: name, Got: got, Wanted: wanted}
	}
	steps := state[stateSteps]
	if steps == nil || steps.DType() != dtypes.Float64 || steps.Size() != 1 {
		return refuse(stateSteps, describeShape(steps), "a number of float64")
	}
	if count := host.Floats(steps)[0]; !(count >= 0) || count != math.Trunc(count) || math.IsInf(count, 0) {
		return refuse(stateSteps, fmt.Sprint(count), "a whole number, 0 or more")
	}
	keys := map[string]parameterKey{}
	for _, all := range []parameterValues{t.iv.values(), t.weights} {
		for key := range all {
			keys[key.String()] = key
		}
	}
	parameters, weights, moved := map[string]*tensors.Tensor{}, parameterValues{}, map[parameterKey]moments{}
	for _, name := range sortedKeys(state) {
		if name == stateSteps {
			continue
		}
		kind, of := "", ""
		for _, prefix := range []string{stateValue, stateMean, stateSquare} {
			if rest, ok := strings.CutPrefix(name, prefix); ok {
				kind, of = prefix, rest
			}
		}
		key, known := keys[of]
		if !known {
			return refuse(name, "a tensor that this training has not", "one of State")
		}
		value, shape := state[name], t.value(key).Shape()
		if value == nil || !value.Shape().Equal(shape) {
			return refuse(name, describeShape(value), shape.String())
		}
		if err := CheckFinite("training state, "+name, value); err != nil {
			return err
		}
		value = must.Of(value.LocalClone())
		m := moved[key]
		switch {
		case kind == stateMean:
			m.mean = value
		case kind == stateSquare:
			m.square = value
		case key.owner == ofModel:
			weights[key] = value
			continue
		default:
			parameters[of] = value
			continue
		}
		moved[key] = m
	}
	for _, name := range sortedKeys(keys) {
		if state[stateValue+name] == nil {
			return refuse(stateValue+name, "none", "one")
		}
	}
	for key, m := range moved {
		if m.mean == nil || m.square == nil {
			return refuse(key.String(), "one of mean and square", "both")
		}
	}
	if err := t.iv.SetParameters(parameters); err != nil {
		return err
	}
	maps.Copy(t.weights, weights)
	t.state, t.steps = moved, int(host.Floats(steps)[0])
	return nil
}
