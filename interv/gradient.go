package interv

import (
	"fmt"
	"reflect"
	"slices"
	"sync/atomic"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/host"
	"github.com/govene/govene/internal/must"
)

// Loss adds a scalar to the graph, computed from what a call brings about.
type Loss func(o Outcome) *Node

// Outcome is what a [Loss] can be computed from.
type Outcome struct {
	Output     *Node // the counterfactual output
	BaseOutput *Node // the clean output, nil unless the call asks for it (Call.WithBase)
	Metrics    Nodes // what the call's Metrics say of Output, by the names that Result.Metrics uses
	Labels     Nodes // the call's Labels
	Parameters Nodes // the interventions' parameters that take part, by the names that Intervenable.Parameters uses
}

// Gradients computes gradients of a loss with respect to the trainable parameters of an [Intervenable] and to activations. Like it, it
// may be used by many goroutines at once.
type Gradients struct {
	iv      *Intervenable
	loss    Loss
	measure *Measure // in place of a loss
	id      int64
	ofModel bool
	sites   []Site
}

var tasks atomic.Int64 // numbers losses, which Go cannot compare

// Gradient prepares the gradient of a loss. It is to be kept for many calls: each has programs of its own.
func (iv *Intervenable) Gradient(loss Loss) *Gradients {
	return &Gradients{iv: iv, loss: loss, id: tasks.Add(1)}
}

// GradientOf prepares the gradient of a metric: of its sum over examples, so that what belongs to one example is the gradient of its own
// value. The metric is the first of the result's Metrics; those of a call follow.
func (iv *Intervenable) GradientOf(m Measure) *Gradients {
	loss := func(o Outcome) *Node {
		value := o.Metrics[m.title()]
		if value.Rank() != 1 {
			panic(&Error{Axis: "metric " + m.title(), Got: value.Shape().String(), Wanted: "one number for each example"})
		}
		return ReduceAllSum(value)
	}
	return &Gradients{iv: iv, loss: loss, measure: &m, id: tasks.Add(1)}
}

// At returns a Gradients that also differentiates with respect to the activations at some sites of the base's run, all of them in one
// backward pass. An activation is taken as the model goes on with it, after any edit there: what it does by any way above the site
// counts, and nothing else.
func (g *Gradients) At(sites ...Site) *Gradients {
	at := *g
	at.sites, at.id = sites, tasks.Add(1)
	return &at
}

// Measuring returns a Gradients of another metric. Where that differs from the one it had in its data alone, such as tokens, all programs are
// shared.
func (g *Gradients) Measuring(m Measure) *Gradients {
	of := g.iv.GradientOf(m)
	of.sites, of.ofModel = g.sites, g.ofModel
	graph := func(m Measure) [4]any {
		return [4]any{reflect.TypeOf(m.Metric), m.title(), m.Metric.Name(), m.Metric.Key()}
	}
	if g.measure != nil && g.measure.there() && m.there() && graph(*g.measure) == graph(m) {
		of.id = g.id
	}
	return of
}

// OfModel returns a Gradients that also differentiates with respect to the model's weights, as interchange intervention training does
// (Geiger et al., "Inducing Causal Structure for Interpretable Neural Networks", 2022).
func (g *Gradients) OfModel() *Gradients {
	of := *g
	of.ofModel = true
	return &of
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

	// Activations holds, for each site that At named, in its order, the activation and ∂loss/∂activation.
	Activations []ActivationGradient
}

// ActivationGradient is an activation and the gradient of a loss with respect to it, both [batch, positions, width] or, at a site with
// heads, [batch, heads, positions, width].
type ActivationGradient struct {
	Site            Site
	Value, Gradient *tensors.Tensor
}

// Run makes one call and differentiates its loss. The gradients are 0 where that does not depend on a parameter.
func (g *Gradients) Run(call Call) (*GradientResult, error) {
	if g.loss == nil {
		return nil, errNoLoss
	}
	if err := g.checkSites(); err != nil {
		return nil, err
	}
	if g.measure != nil {
		if counter, ok := g.measure.Metric.(Counter); ok && g.measure.there() && counter.Counts() {
			return nil, &Error{Where: "gradient", Axis: "metric", Got: g.measure.title() + ", which counts and has no gradient", Wanted: "one that moves smoothly"}
		}
		call.Metrics = append([]Measure{*g.measure}, call.Metrics...)
	}
	t := &gradientTask{Gradients: g, frozen: g.iv.frozenNow()}
	result, added, err := g.iv.run(call, t, nil)
	if err != nil {
		return nil, err
	}
	r := &GradientResult{Result: *result, Loss: host.Floats(added[0])[0], Gradients: map[string]*tensors.Tensor{},
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
		added = added[len(r.Model):]
	}
	for i, site := range g.sites {
		r.Activations = append(r.Activations, ActivationGradient{site, added[2*i], added[2*i+1]})
	}
	return r, nil
}

// checkSites refuses sites that the model has not, and one named twice.
func (g *Gradients) checkSites() error {
	catalogue := g.iv.model.Catalogue()
	for i, site := range g.sites {
		if _, err := catalogue.Find(site); err != nil {
			return Within("gradient", err)
		}
		if slices.Contains(g.sites[:i], site) {
			return &Error{Where: "gradient", Axis: "sites", Got: site.String() + " twice", Wanted: "each at most once"}
		}
	}
	return nil
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

// readsMetricsAlone is so of the gradient of a metric.
func (t *gradientTask) readsMetricsAlone() bool { return t.measure != nil }

// reads are the sites at which activations are differentiated.
func (t *gradientTask) reads() []Site { return t.sites }

// build adds the loss, then for each trained parameter its gradient and, for rotations, the tangent part, then the weights' gradients, then
// for each site its activation and gradient.
func (t *gradientTask) build(b *builder, o Outcome) []*Node {
	keys := t.iv.trained(b.call.call, t.frozen)
	variables := b.variables(keys)
	if t.ofModel {
		for _, name := range t.iv.model.Weights().names {
			variables = append(variables, b.weights[name])
		}
	}
	own := len(variables)
	for _, r := range b.read {
		variables = append(variables, r.pieces...)
	}
	value := o.evaluate(t.loss, variables)
	results := []*Node{value}
	gradients := Gradient(value, variables...)
	for i, gradient := range gradients[:own] {
		results = append(results, widened(gradient))
		if i < len(keys) && t.iv.kind(keys[i]) == Orthonormal {
			results = append(results, tangent(variables[i], gradient))
		}
	}
	gradients = gradients[own:]
	for _, r := range b.read {
		of := recorder{site: r.site, extent: r.extent, covered: r.covered, pieces: gradients[:len(r.pieces)]}
		gradients = gradients[len(r.pieces):]
		results = append(results, widened(r.whole()), widened(of.whole()))
	}
	return results
}

// variables are the nodes of parameters that take part, and of weights.
func (build *builder) variables(keys []parameterKey) []*Node {
	variables := make([]*Node, len(keys))
	for i, key := range keys {
		if variables[i] = build.owned[key]; key.owner == ofModel {
			variables[i] = build.weights[key.name]
		}
	}
	return variables
}

var errNoLoss = &Error{Where: "loss", Got: "none", Wanted: "a function"}

// evaluate adds a loss that is to be differentiated by variables.
func (o Outcome) evaluate(loss Loss, variables []*Node) (value *Node) {
	if len(variables) == 0 {
		panic(&Error{Where: "loss", Axis: "trainable parameters that take part", Got: "none", Wanted: "at least one, or sites to differentiate at (Gradients.At)"})
	}
	if err := guard(func() { value = loss(o) }); err != nil {
		base := "a base output"
		if o.BaseOutput == nil {
			base = "no base output, as the call has no WithBase"
		}
		if len(o.Metrics) > 0 {
			base += fmt.Sprintf(", metrics %q", sortedKeys(o.Metrics))
		}
		panic(Within(fmt.Sprintf("loss of an outcome with labels %v, parameters %v and %s", sortedKeys(o.Labels), sortedKeys(o.Parameters), base), err))
	}
	switch {
	case value == nil:
		panic(&Error{Where: "loss", Got: "no node", Wanted: "a scalar"})
	case !value.IsScalar() || !value.DType().IsFloat():
		panic(&Error{Where: "loss", Axis: "shape", Got: value.Shape().String(), Wanted: "a scalar of floating-point numbers"})
	}
	return value
}
