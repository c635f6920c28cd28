package mlp

import (
	"math"

	"github.com/gomlx/gomlx/core/graph"
)

// Activation is the function between the layers, under the name that Hugging Face configs have for it.
type Activation string

// The activation functions; Φ is the normal distribution function.
const (
	Relu    Activation = "relu"     // max(x, 0)
	Gelu    Activation = "gelu"     // x·Φ(x)
	GeluNew Activation = "gelu_new" // x·(1 + tanh(√(2/π)·(x + 0.044715·x³)))/2, which approximates Gelu
	Silu    Activation = "silu"     // x·σ(x)
	Sigmoid Activation = "sigmoid"  // σ(x) = 1/(1 + e⁻ˣ)
	Tanh    Activation = "tanh"
	Linear  Activation = "linear" // x
)

var activations = []Activation{Relu, Gelu, GeluNew, Silu, Sigmoid, Tanh, Linear}

// apply is the activation of each element of x.
func (a Activation) apply(x *graph.Node) *graph.Node {
	half := func(onePlus *graph.Node) *graph.Node {
		return graph.Mul(x, graph.MulScalar(graph.OnePlus(onePlus), 0.5))
	}
	switch a {
	case Relu:
		return graph.MaxScalar(x, 0)
	case Gelu:
		return half(graph.Erf(graph.MulScalar(x, math.Sqrt2/2)))
	case GeluNew:
		cubic := graph.Add(x, graph.MulScalar(graph.Mul(x, graph.Square(x)), 0.044715))
		return half(graph.Tanh(graph.MulScalar(cubic, math.Sqrt(2/math.Pi))))
	case Silu:
		return graph.Mul(x, graph.Sigmoid(x))
	case Sigmoid:
		return graph.Sigmoid(x)
	case Tanh:
		return graph.Tanh(x)
	}
	return x
}
