package mlp

import "github.com/govene/govene/internal/activation"

// Activation is the elementwise function between the layers, under the name that Hugging Face configs have for it.
type Activation = activation.Function

// The activation functions; Φ is the normal distribution function.
const (
	Relu    = activation.Relu    // max(x, 0)
	Gelu    = activation.Gelu    // x·Φ(x)
	GeluNew = activation.GeluNew // x/2 · (1 + tanh(√(2/π)·(x + 0.044715·x³))), which approximates Gelu
	Silu    = activation.Silu    // x·σ(x)
	Sigmoid = activation.Sigmoid // σ(x) = 1/(1 + e⁻ˣ)
	Tanh    = activation.Tanh
	Linear  = activation.Linear // x
)
