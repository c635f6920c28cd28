package interv

import (
	"cmp"
	"context"
	"fmt"
	"iter"
	"math"
	"slices"
	"sync"

	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/adam"
	"github.com/govene/govene/internal/host"
	"github.com/govene/govene/internal/must"
)

// Trainer trains the parameters of an [Intervenable] on a loss, and the model's weights too if [Trainer.OfModel] says so. A step is one
// program: the call, its gradients and the update, after which rotations are orthonormal again. Parameters, weights and the optimizer's
// state stay on the device.
//
// Steps of one trainer run one after the other, whoever calls; calls of the Intervenable may run beside them and see the parameters
// of before or after a step.
type Trainer struct {
	iv       *Intervenable
	loss     Loss
	settings Adam
	rates    map[parameterKey]float64 // of Adam.Rates
	id       int64
	weights  parameterValues // of the model, as trained so far; nil unless they are

	mu    sync.Mutex
	steps int
	state map[parameterKey]moments
}

// Adam is how a [Trainer] updates parameters: Kingma and Ba, "Adam: A Method for Stochastic Optimization" (2015), with its correction of
// bias, and ε = 1e-8. A rotation moves along the tangent part of its update, and is then retracted to the nearest matrix with orthonormal
// columns.
type Adam struct {
	// Rate is the learning rate; 0 means 1e-3.
	Rate float64

	// Decay and SquareDecay are β₁ and β₂, of the running means of gradients and of their squares; 0 means 0.9 and 0.999.
	Decay, SquareDecay float64

	// WeightDecay is by which share of the rate a step takes weights of the model with two axes or more towards 0, apart from their gradients:
	// W ← W − rate · decay · W. Loshchilov and Hutter, "Decoupled Weight Decay Regularization" (2019). Parameters of interventions, and biases, have
	// none.
	WeightDecay float64

	// Rates are the learning rates of single parameters, by the names that [Intervenable.Parameters] uses, where they differ.
	Rates map[string]float64

	// Schedule, if not nil, is what the rates are multiplied with at each step, which counts from 0; see [Linear].
	Schedule func(step int) float64

	// Temperature, if not nil, is the value that every parameter called temperature has at each step; see [Linear].
	Temperature func(step int) float64
}

// moments are Adam's running means of a parameter's gradient and of its square.
type moments struct{ mean, square *tensors.Tensor }

// Trainer prepares training. An unknown name, one of a parameter that is not trained, or a rate that is not above 0 is an error.
func (iv *Intervenable) Trainer(loss Loss, settings Adam) (*Trainer, error) {
	if loss == nil {
		return nil, errNoLoss
	}
	if settings.Rate == 0 {
		settings.Rate = 1e-3
	}
	if err := checkRate("all", settings.Rate); err != nil {
		return nil, err
	}
	settings.Decay, settings.SquareDecay = cmp.Or(settings.Decay, adam.Usual.Mean), cmp.Or(settings.SquareDecay, adam.Usual.Square)
	for _, decay := range []float64{settings.Decay, settings.SquareDecay} {
		if !(decay > 0 && decay < 1) {
			return nil, &Error{Where: "Adam", Axis: "decays", Got: fmt.Sprint(settings.Decay, " and ", settings.SquareDecay), Wanted: "above 0 and below 1"}
		}
	}
	if !(settings.WeightDecay >= 0) || math.IsInf(settings.WeightDecay, 0) {
		return nil, &Error{Where: "Adam", Axis: "weight decay", Got: fmt.Sprint(settings.WeightDecay), Wanted: "a finite number, 0 or more"}
	}
	rates := map[parameterKey]float64{}
	for _, name := range sortedKeys(settings.Rates) {
		key, err := iv.find(name)
		if err != nil {
			return nil, Within("rates", err)
		}
		if iv.kind(key) == Fixed {
			return nil, &Error{Where: "rates", Axis: name, Got: "a rate of a fixed parameter", Wanted: "of one that is trained"}
		}
		rates[key] = settings.Rates[name]
		if err := checkRate(name, rates[key]); err != nil {
			return nil, err
		}
	}
	return &Trainer{iv: iv, loss: loss, settings: settings, rates: rates, id: tasks.Add(1), state: map[parameterKey]moments{}}, nil
}

func checkRate(name string, rate float64) error {
	if !(rate > 0) || math.IsInf(rate, 0) {
		return &Error{Where: "rates", Axis: name, Got: fmt.Sprint(rate), Wanted: "a finite number above 0"}
	}
	return nil
}

// MustTrainer is Trainer that panics on an error.
func (iv *Intervenable) MustTrainer(loss Loss, settings Adam) *Trainer {
	return must.Of(iv.Trainer(loss, settings))
}

// Steps is how many steps have been taken.
func (t *Trainer) Steps() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.steps
}

// Step makes one call and moves every trainable parameter that took part against its gradient. It returns the loss before the update. A
// loss that depends on none of them, and a loss or an update that is not finite, are errors; after any error the parameters are what they
// were.
func (t *Trainer) Step(call Call) (float64, error) {
	return t.take(func() (*bound, error) { return t.iv.bind(call) })
}

// StepOn is [Trainer.Step] of a call that the same Intervenable has prepared: where steps are short, checking the call and moving its
// tensors takes as long as they do.
func (t *Trainer) StepOn(prepared *Prepared) (float64, error) {
	if prepared == nil || prepared.iv != t.iv {
		return 0, errOtherIntervenable
	}
	return t.take(func() (*bound, error) { return prepared.bound, nil })
}

var errOtherIntervenable = &Error{Where: "training", Axis: "prepared call", Got: "none, or one of another Intervenable", Wanted: "one of that which is trained"}

// take takes a step at the temperature of the schedule.
func (t *Trainer) take(bind func() (*bound, error)) (float64, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	before, err := t.setTemperature()
	if err != nil {
		return 0, err
	}
	b, err := bind()
	loss := 0.0
	if err == nil {
		loss, err = t.step(b)
	}
	if err != nil {
		t.iv.replace(before)
	}
	return loss, err
}

func (t *Trainer) step(b *bound) (float64, error) {
	task := &trainingTask{Trainer: t, frozen: t.iv.frozenNow()}
	keys := t.keys(b.call, task.frozen)
	feed, err := t.feed(keys)
	if err != nil {
		return 0, err
	}
	_, added, err := t.iv.runBound(b, task, feed)
	if err != nil {
		return 0, err
	}
	loss := host.Floats(added[0])[0]
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return loss, &Error{Where: fmt.Sprintf("training step %d", t.steps), Axis: "loss", Got: fmt.Sprint(loss), Wanted: "a finite number"}
	}
	for i, sound := range host.Floats(added[1]) {
		if sound == 0 {
			return loss, &Error{Where: fmt.Sprintf("training step %d", t.steps), Axis: "update of " + keys[i].String(), Got: "one that is not finite or by far too large",
				Wanted: "a finite gradient, and a rate that is not far above 1"}
		}
	}
	changed, added := parameterValues{}, added[2:]
	for i, key := range keys {
		updated := added[3*i : 3*i+3]
		t.state[key] = moments{updated[1], updated[2]}
		if key.owner == ofModel {
			t.weights[key] = updated[0]
		} else {
			changed[key] = updated[0]
		}
	}
	t.iv.replace(changed)
	t.steps++
	return loss, nil
}

// keys lists what a step changes: parameters, then weights.
func (t *Trainer) keys(call Call, frozen frozenParameters) []parameterKey {
	keys := t.iv.trained(call, frozen)
	if t.weights != nil {
		for _, name := range t.iv.model.Weights().names {
			keys = append(keys, parameterKey{ofModel, name})
		}
	}
	return keys
}

// MustStep is Step that panics on an error.
func (t *Trainer) MustStep(call Call) float64 { return must.Of(t.Step(call)) }

// MustStepOn is StepOn that panics on an error.
func (t *Trainer) MustStepOn(prepared *Prepared) float64 { return must.Of(t.StepOn(prepared)) }

// Train takes a step for each call of each epoch, and returns the mean loss of the last epoch. It ends early, between two steps, when
// the context does; with an error comes the mean of the last epoch that was finished, NaN for none.
func (t *Trainer) Train(ctx context.Context, calls iter.Seq[Call], epochs int) (float64, error) {
	mean := math.NaN()
	if epochs < 1 {
		return mean, &Error{Where: "training", Axis: "epochs", Got: fmt.Sprint(epochs), Wanted: "at least 1"}
	}
	for range epochs {
		sum, count := 0.0, 0
		for call := range calls {
			if err := ctx.Err(); err != nil {
				return mean, err
			}
			loss, err := t.Step(call)
			if err != nil {
				return mean, err
			}
			sum, count = sum+loss, count+1
		}
		if count == 0 {
			return mean, &Error{Where: "training", Axis: "calls", Got: "none", Wanted: "at least one"}
		}
		mean = sum / float64(count)
	}
	return mean, nil
}

// setTemperature follows the schedule, if there is one, and returns what it replaced.
func (t *Trainer) setTemperature() (before parameterValues, err error) {
	if t.settings.Temperature == nil {
		return nil, nil
	}
	before = t.iv.temperatures()
	return before, t.iv.SetTemperature(t.settings.Temperature(t.steps))
}

// feed is what the program takes beside the call: a factor for the mean's bias, one for the square's, the rate, then for each parameter its
// own rate, if it has one, and its moments.
func (t *Trainer) feed(keys []parameterKey) ([]*tensors.Tensor, error) {
	dtype := t.iv.model.Weights().ResultDType()
	scalar := func(value float64) *tensors.Tensor { return ofDType(tensors.FromScalar(value), dtype) }
	factor := 1.0
	if t.settings.Schedule != nil {
		factor = t.settings.Schedule(t.steps)
	}
	if !(factor >= 0) || math.IsInf(factor, 0) {
		return nil, &Error{Where: fmt.Sprintf("training step %d", t.steps), Axis: "schedule", Got: fmt.Sprint(factor), Wanted: "a finite number, 0 or more"}
	}
	mean, square := t.decays().Unbias(t.steps)
	feed := []*tensors.Tensor{scalar(mean), scalar(square), scalar(t.settings.Rate * factor)}
	for _, key := range keys {
		if rate, ok := t.rates[key]; ok {
			feed = append(feed, scalar(rate*factor))
		}
		m, ok := t.state[key]
		if !ok {
			shape := t.value(key).Shape()
			m = moments{tensors.FromShape(shape), tensors.FromShape(shape)}
		}
		feed = append(feed, m.mean, m.square)
	}
	return feed, nil
}

func (t *Trainer) decays() adam.Decays {
	return adam.Decays{Mean: t.settings.Decay, Square: t.settings.SquareDecay}
}

// trainingTask is a loss and a step of training in a program.
type trainingTask struct {
	*Trainer
	frozen frozenParameters
}

func (t *trainingTask) key() string { return fmt.Sprintf("training %d%s ", t.id, t.frozen) }

// keepsResult tells that nobody reads what the call returns.
func (t *trainingTask) keepsResult() bool { return false }

// ofWeights are the weights to run with; nil for the model's own.
func (t *trainingTask) ofWeights() parameterValues { return t.weights }

// build adds the loss, a vector with 1 for each parameter whose update is sound, then for each its new value and moments.
func (t *trainingTask) build(b *builder, o Outcome) []*Node {
	keys := t.keys(b.call.call, t.frozen)
	variables := b.variables(keys)
	value := o.evaluate(t.loss, variables)
	if !dependsOn(value, variables) {
		panic(&Error{Where: "loss", Got: "one that depends on no parameter that is trained", Wanted: "one of the counterfactual output, say: nothing would change"})
	}
	taken := 0
	extra := func(shape shapes.Shape) *Node {
		i := taken
		taken++
		return b.parameter(fmt.Sprint("training ", i), shape, func(e *execution) *tensors.Tensor { return e.extra[i] })
	}
	scalar := shapes.Make(t.iv.model.Weights().ResultDType())
	unbiasMean, unbiasSquare, common := extra(scalar), extra(scalar), extra(scalar)
	var updated, sounds []*Node
	for i, gradient := range Gradient(value, variables...) {
		p, rate := variables[i], common
		if _, own := t.rates[keys[i]]; own {
			rate = extra(scalar)
		}
		orthonormal := keys[i].owner != ofModel && t.iv.kind(keys[i]) == Orthonormal
		if orthonormal {
			gradient = tangent(p, gradient)
		}
		update, mean, square := t.decays().Update(gradient, extra(p.Shape()), extra(p.Shape()), unbiasMean, unbiasSquare)
		if orthonormal {
			update = tangent(p, update)
		}
		if keys[i].owner == ofModel && p.Rank() > 1 && t.settings.WeightDecay > 0 {
			update = Add(update, MulScalar(p, t.settings.WeightDecay))
		}
		p = Sub(p, Mul(rate, update))
		sound := LogicalAnd(LogicalAll(IsFinite(p)), LogicalAll(IsFinite(square)))
		if orthonormal {
			var converged *Node
			p, converged = retract(p)
			sound = LogicalAnd(sound, converged)
		}
		updated, sounds = append(updated, p, mean, square), append(sounds, ConvertDType(sound, scalar.DType))
	}
	return append([]*Node{value, Stack(sounds, 0)}, updated...)
}

// dependsOn tells whether a node is computed from any of the others.
func dependsOn(value *Node, others []*Node) bool {
	seen := map[*Node]bool{}
	var reaches func(node *Node) bool
	reaches = func(node *Node) bool {
		if seen[node] {
			return false
		}
		seen[node] = true
		return slices.Contains(others, node) || slices.ContainsFunc(node.Inputs(), reaches)
	}
	return reaches(value)
}
