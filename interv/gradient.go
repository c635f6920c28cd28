package interv

import (
	"fmt"
	"sync/atomic"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// Loss adds a scalar to the graph, computed from the counterfactual output and the call's Labels.
type Loss func(output *Node, labels Nodes) *Node

// Gradients computes gradients of a loss with respect to the trainable parameters of an [Intervenable]. Like it, it may be used by
// many goroutines at once.
type Gradients struct {
	iv   *Intervenable
	loss Loss
	kind string
}

var gradients atomic.Int64

// Gradient prepares the gradient of a loss.
func (iv *Intervenable) Gradient(loss Loss) *Gradients {
	return &Gradients{iv: iv, loss: loss, kind: fmt.Sprintf("gradient %d ", gradients.Add(1))}
}

// GradientResult is the result of a call with its loss and gradients.
type GradientResult struct {
	Result
	Loss float64

	// Gradients holds ∂loss/∂parameter by the name that [Intervenable.Parameters] uses, for the parameters that took part. A
	// rotation is taken here as a matrix of free entries.
	Gradients map[string]*tensors.Tensor

	// Tangents holds, for rotations, the part of the gradient along which R stays orthonormal: G − R (RᵀG + GᵀR)/2.
	Tangents map[string]*tensors.Tensor
}

// Run makes one call and differentiates its loss.
func (g *Gradients) Run(call Call) (*GradientResult, error) {
	results, layout, err := g.iv.run(call, g.loss, g.kind)
	if err != nil {
		return nil, err
	}
	r := &GradientResult{Result: *layout.result(results), Gradients: map[string]*tensors.Tensor{}, Tangents: map[string]*tensors.Tensor{}}
	results = results[1+len(layout.collected):]
	if layout.base {
		results = results[1:]
	}
	r.Loss, results = floats(results[0])[0], results[1:]
	for _, key := range layout.gradients {
		r.Gradients[key.String()], results = results[0], results[1:]
		if g.iv.kind(key) == Orthonormal {
			r.Tangents[key.String()], results = results[0], results[1:]
		}
	}
	return r, nil
}

// MustRun is Run that panics on an error.
func (g *Gradients) MustRun(call Call) *GradientResult { return must(g.Run(call)) }

// gradients adds the loss, and for each trainable parameter that takes part its gradient and, for rotations, the tangent part.
func (build *builder) gradients(loss Loss, output *Node) []*Node {
	labels := build.inputs("label", build.call.call.Labels, func(b *bound) Inputs { return b.call.Labels })
	value := loss(output, labels)
	if !value.IsScalar() {
		panic(&Error{Where: "loss", Axis: "shape", Got: value.Shape().String(), Wanted: "a scalar"})
	}
	out := &build.program.outputs
	out.loss = true
	var parameters []*Node
	for owner, declared := range build.iv.declared {
		for _, parameter := range declared {
			key := parameterKey{owner, parameter.Name}
			if node := build.owned[key]; node != nil && parameter.Kind != Fixed {
				out.gradients = append(out.gradients, key)
				parameters = append(parameters, node)
			}
		}
	}
	if len(parameters) == 0 {
		panic(&Error{Where: "gradient", Axis: "trainable parameters that take part", Got: "none", Wanted: "at least one"})
	}
	results := []*Node{value}
	for i, gradient := range Gradient(value, parameters...) {
		results = append(results, gradient)
		if build.iv.kind(out.gradients[i]) == Orthonormal {
			results = append(results, tangent(parameters[i], gradient))
		}
	}
	return results
}
