package interv

import (
	"fmt"
	"sync/atomic"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/must"
)

// Loss adds a scalar to the graph, computed from what a call brings about.
type Loss func(o Outcome) *Node

// Outcome is what a [Loss] can be computed from.
type Outcome struct {
	Output     *Node // the counterfactual output
	BaseOutput *Node // the clean output, nil unless the call asks for it (Call.WithBase)
	Labels     Nodes // the call's Labels
	Parameters Nodes // the interventions' parameters that take part, by the names that Intervenable.Parameters uses
}

// Gradients computes gradients of a loss with respect to the trainable parameters of an [Intervenable]. Like it, it may be used by
// many goroutines at once.
type Gradients struct {
	iv      *Intervenable
	loss    Loss
	id      int64
	ofModel bool
}

var tasks atomic.Int64 // numbers losses, which Go cannot compare

// Gradient prepares the gradient of a loss. It is to be kept for many calls: each has programs of its own.
func (iv *Intervenable) Gradient(loss Loss) *Gradients {
	return &Gradients{iv: iv, loss: loss, id: tasks.Add(1)}
}

// OfModel returns a Gradients that also differentiates with respect to the model's weights, as interchange intervention training does
// (Geiger et al., "Inducing Causal Structure for Interpretable Neural Networks", 2022).
func (g *Gradients) OfModel() *Gradients {
	return &Gradients{iv: g.iv, loss: g.loss, id: g.id, ofModel: true}
}

// GradientResult is the result of a call with its loss and gradients.
type GradientResult struct {
	Result
	Loss float64

	// Gradients holds ∂loss/∂parameter by the name that [Intervenable.Parameters] uses, for the parameters that took part and are
	// neither fixed nor frozen. A rotation is taken here as a matrix of free entries.
	Gradients map[string]*tensors.Tensor

	// Tangents holds, for rotations, the part of the gradient along which R stays orthonormal: G − R (RᵀG + GᵀR)/2.
	Tangents map[string]*tensors.Tensor

	// Model holds ∂loss/∂weight by the weight's name, where the gradient of the model was asked for.
	Model map[string]*tensors.Tensor
}

// Run makes one call and differentiates its loss. The gradients are 0 where that does not depend on a parameter.
func (g *Gradients) Run(call Call) (*GradientResult, error) {
	if g.loss == nil {
		return nil, errNoLoss
	}
	t := &gradientTask{Gradients: g, frozen: *g.iv.frozen.Load()}
	result, added, err := g.iv.run(call, t, nil)
	if err != nil {
		return nil, err
	}
	r := &GradientResult{Result: *result, Loss: floats(added[0])[0], Gradients: map[string]*tensors.Tensor{},
		Tangents: map[string]*tensors.Tensor{}}
	added = added[1:]
	for _, key := range g.iv.trained(call, t.frozen) {
		r.Gradients[key.String()], added = added[0], added[1:]
		if g.iv.kind(key) == Orthonormal {
			r.Tangents[key.String()], added = added[0], added[1:]
		}
	}
	if g.ofModel {
		r.Model = map[string]*tensors.Tensor{}
		for i, name := range g.iv.model.Weights().names {
			r.Model[name] = added[i]
		}
	}
	return r, nil
}

// MustRun is Run that panics on an error.
func (g *Gradients) MustRun(call Call) *GradientResult { return must.Of(g.Run(call)) }

// trained lists the parameters that take part in a call and are neither fixed nor frozen, in config order.
func (iv *Intervenable) trained(call Call, frozen frozenParameters) []parameterKey {
	takesPart := make([]bool, len(iv.plan.representations))
	for i, p := range iv.plan.representations {
		takesPart[p.owner] = takesPart[p.owner] || entry(call.Locations, i) != nil
	}
	var keys []parameterKey
	for _, key := range iv.keys() {
		if takesPart[key.owner] && iv.kind(key) != Fixed && !frozen[key] {
			keys = append(keys, key)
		}
	}
	return keys
}

// gradientTask is a loss and its gradients in a program.
type gradientTask struct {
	*Gradients
	frozen frozenParameters
}

func (t *gradientTask) key() string {
	return fmt.Sprintf("gradient %d of model %t %s ", t.id, t.ofModel, t.frozen)
}

// build adds the loss, then for each trained parameter its gradient and, for rotations, the tangent part, then the weights' gradients.
func (t *gradientTask) build(b *builder, o Outcome) []*Node {
	keys := t.iv.trained(b.call.call, t.frozen)
	variables := b.variables(keys)
	if t.ofModel {
		for _, name := range t.iv.model.Weights().names {
			variables = append(variables, b.weights[name])
		}
	}
	value := o.evaluate(t.loss, variables)
	results := []*Node{value}
	for i, gradient := range Gradient(value, variables...) {
		results = append(results, gradient)
		if i < len(keys) && t.iv.kind(keys[i]) == Orthonormal {
			results = append(results, tangent(variables[i], gradient))
		}
	}
	return results
}

// variables are the nodes of parameters that take part.
func (build *builder) variables(keys []parameterKey) []*Node {
	variables := make([]*Node, len(keys))
	for i, key := range keys {
		variables[i] = build.owned[key]
	}
	return variables
}

var errNoLoss = &Error{Where: "loss", Got: "none", Wanted: "a function"}

// evaluate adds a loss that is to be differentiated by variables.
func (o Outcome) evaluate(loss Loss, variables []*Node) (value *Node) {
	if len(variables) == 0 {
		panic(&Error{Where: "loss", Axis: "trainable parameters that take part", Got: "none", Wanted: "at least one"})
	}
	if err := guard(func() { value = loss(o) }); err != nil {
		base := "a base output"
		if o.BaseOutput == nil {
			base = "no base output, as the call has no WithBase"
		}
		panic(Within(fmt.Sprintf("loss of an outcome with labels %v, parameters %v and %s", sortedKeys(o.Labels), sortedKeys(o.Parameters), base), err))
	}
	switch {
	case value == nil:
		panic(&Error{Where: "loss", Got: "no node", Wanted: "a scalar"})
	case !value.IsScalar() || !value.DType().IsFloat():
		panic(&Error{Where: "loss", Axis: "shape", Got: value.Shape().String(), Wanted: "a scalar of float32 or float64"})
	}
	return value
}
