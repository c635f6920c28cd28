// Package activation has the elementwise functions between the layers of a network, for all models. They name it in their documentation:
// mlp.Activation and transformer.Activation are [Function].
package activation

import (
	"math"

	"github.com/gomlx/gomlx/core/graph"
)

// Function is an elementwise function, under the name that Hugging Face configs have for it.
type Function string

// The functions; Φ is the normal distribution function.
const (
	Relu    Function = "relu"     // max(x, 0)
	Gelu    Function = "gelu"     // x·Φ(x)
	GeluNew Function = "gelu_new" // x/2 · (1 + tanh(√(2/π)·(x + 0.044715·x³))), which approximates Gelu
	Silu    Function = "silu"     // x·σ(x)
	Sigmoid Function = "sigmoid"  // σ(x) = 1/(1 + e⁻ˣ)
	Tanh    Function = "tanh"
	Linear  Function = "linear" // x
)

// All lists the functions.
var All = []Function{Relu, Gelu, GeluNew, Silu, Sigmoid, Tanh, Linear}

// Apply applies the function to each element of x.
func (f Function) Apply(x *graph.Node) *graph.Node {
	half := func(onePlus *graph.Node) *graph.Node {
		return graph.Mul(x, graph.MulScalar(graph.OnePlus(onePlus), 0.5))
	}
	switch f {
	case Relu:
		return graph.MaxScalar(x, 0)
	case Gelu:
		return half(graph.Erf(graph.MulScalar(x, math.Sqrt2/2)))
	case GeluNew:
		inner := graph.MulScalar(graph.Mul(x, graph.OnePlus(graph.MulScalar(graph.Square(x), 0.044715))), math.Sqrt(2/math.Pi))
		return half(graph.Tanh(inner))
	case Silu:
		return graph.Mul(x, graph.Sigmoid(x))
	case Sigmoid:
		return graph.Sigmoid(x)
	case Tanh:
		return graph.Tanh(x)
	case Linear:
		return x
	}
	panic("activation: no function " + string(f))
}
