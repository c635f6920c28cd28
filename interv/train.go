package interv

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"math"
	"slices"
	"sync"

	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/must"
)

// Trainer trains the parameters of an [Intervenable] on a loss. A step is one program: the call, its gradients and the update, after
// which rotations are orthonormal again. Parameters and the optimizer's state stay on the device.
//
// Steps of one trainer run one after the other, whoever calls; calls of the Intervenable may run beside them and see the parameters
// of before or after a step.
type Trainer struct {
	iv       *Intervenable
	loss     Loss
	settings Adam
	rates    map[parameterKey]float64 // of Adam.Rates
	id       int64

	mu    sync.Mutex
	steps int
	state map[parameterKey]moments
}

// Adam is how a [Trainer] updates parameters: Kingma and Ba, "Adam: A Method for Stochastic Optimization" (2015), with its correction of
// bias, decays of 0.9 and 0.999, and ε = 1e-8. A rotation moves along the tangent part of its update, and is then retracted to the
// nearest matrix with orthonormal columns.
type Adam struct {
	// Rate is the learning rate; 0 means 1e-3.
	Rate float64

	// Rates are the learning rates of single parameters, by the names that [Intervenable.Parameters] uses, where they differ.
	Rates map[string]float64

	// Schedule, if not nil, is what the rates are multiplied with at each step, which counts from 0; see [Linear].
	Schedule func(step int) float64

	// Temperature, if not nil, is the value that every parameter called temperature has at each step; see [Linear].
	Temperature func(step int) float64
}

// Linear goes from one value to another over a number of steps, and stays there.
func Linear(from, to float64, steps int) func(step int) float64 {
	return func(step int) float64 {
		return from + (to-from)*min(1, float64(step)/float64(max(1, steps)))
	}
}

const (
	decayOfMean, decayOfSquare = 0.9, 0.999
	adamEpsilon                = 1e-8
)

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
		return 0, &Error{Where: "training", Axis: "prepared call", Got: "none, or one of another Intervenable", Wanted: "one of that which is trained"}
	}
	return t.take(func() (*bound, error) { return prepared.bound, nil })
}

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
	task := &trainingTask{Trainer: t, frozen: *t.iv.frozen.Load()}
	keys := t.iv.trained(b.call, task.frozen)
	feed, err := t.feed(keys)
	if err != nil {
		return 0, err
	}
	_, added, err := t.iv.runBound(b, task, feed)
	if err != nil {
		return 0, err
	}
	loss := floats(added[0])[0]
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return loss, &Error{Where: fmt.Sprintf("training step %d", t.steps), Axis: "loss", Got: fmt.Sprint(loss), Wanted: "a finite number"}
	}
	changed, state := parameterValues{}, maps.Clone(t.state)
	for i, key := range keys {
		updated := added[1+4*i : 5+4*i]
		if floats(updated[3])[0] == 0 {
			return loss, &Error{Where: fmt.Sprintf("training step %d", t.steps), Axis: "update of " + key.String(), Got: "one that is not finite or by far too large",
				Wanted: "a finite gradient, and a rate that is not far above 1"}
		}
		changed[key], state[key] = updated[0], moments{updated[1], updated[2]}
	}
	t.iv.replace(changed)
	t.state = state
	t.steps++
	return loss, nil
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

// feed is what the program takes beside the call: a factor for the mean's bias, one for the square's, then for each parameter its rate
// and moments.
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
	step := float64(t.steps + 1)
	feed := []*tensors.Tensor{scalar(1 / (1 - math.Pow(decayOfMean, step))), scalar(1 / (1 - math.Pow(decayOfSquare, step)))}
	for _, key := range keys {
		rate, ok := t.rates[key]
		if !ok {
			rate = t.settings.Rate
		}
		m, ok := t.state[key]
		if !ok {
			shape := (*t.iv.parameters.Load())[key].Shape()
			m = moments{tensors.FromShape(shape), tensors.FromShape(shape)}
		}
		feed = append(feed, scalar(rate*factor), m.mean, m.square)
	}
	return feed, nil
}

// trainingTask is a loss and a step of training in a program.
type trainingTask struct {
	*Trainer
	frozen frozenParameters
}

func (t *trainingTask) key() string { return fmt.Sprintf("training %d%s ", t.id, t.frozen) }

// build adds the loss, then for each trained parameter its new value, its moments, and 1 if all of them are sound.
func (t *trainingTask) build(b *builder, o Outcome) []*Node {
	keys := t.iv.trained(b.call.call, t.frozen)
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
	unbiasMean, unbiasSquare := extra(scalar), extra(scalar)
	results := []*Node{value}
	for i, gradient := range Gradient(value, variables...) {
		p, rate := variables[i], extra(scalar)
		orthonormal := t.iv.kind(keys[i]) == Orthonormal
		if orthonormal {
			gradient = tangent(p, gradient)
		}
		mean := Add(MulScalar(extra(p.Shape()), decayOfMean), MulScalar(gradient, 1-decayOfMean))
		square := Add(MulScalar(extra(p.Shape()), decayOfSquare), MulScalar(Square(gradient), 1-decayOfSquare))
		update := Div(Mul(mean, unbiasMean), AddScalar(Sqrt(Mul(square, unbiasSquare)), adamEpsilon))
		if orthonormal {
			update = tangent(p, update)
		}
		p = Sub(p, Mul(rate, update))
		sound := LogicalAnd(LogicalAll(IsFinite(p)), LogicalAll(IsFinite(square)))
		if orthonormal {
			var converged *Node
			p, converged = retract(p)
			sound = LogicalAnd(sound, converged)
		}
		results = append(results, p, mean, square, ConvertDType(sound, p.DType()))
	}
	return results
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
