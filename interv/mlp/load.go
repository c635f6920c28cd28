package mlp

import (
	"math"
	"math/rand/v2"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/draw"
	"github.com/govene/govene/internal/must"
	"github.com/govene/govene/interv"
)

// NewClassifier makes a model with random weights; the same seed gives the same bits. Weights and biases are drawn uniformly from
// ±1/√d, as PyTorch's Linear does.
func NewClassifier(config Config, seed uint64) (*Model, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	source := rand.New(rand.NewPCG(seed, 0))
	bound := 1 / math.Sqrt(float64(config.Width))
	values := map[string]*tensors.Tensor{}
	for _, weight := range config.weights() {
		values[weight.Name] = draw.Tensor(func() float64 { return bound * (2*source.Float64() - 1) }, weight.Dimensions...)
	}
	return WithWeights(config, values)
}

// MustNewClassifier is NewClassifier that panics on an error.
func MustNewClassifier(config Config, seed uint64) *Model {
	return must.Of(NewClassifier(config, seed))
}

// WithWeights makes a model from tensors by name; each must be there, of the right shape, and finite.
func WithWeights(config Config, weights map[string]*tensors.Tensor) (*Model, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	checked, err := interv.NewWeights(config.weights(), weights)
	if err != nil {
		return nil, interv.Within(config.Catalogue().Model, err)
	}
	return &Model{config: config, weights: checked}, nil
}

// WithWeights is the model with other weights of the same names and shapes.
func (m *Model) WithWeights(weights map[string]*tensors.Tensor) (*Model, error) {
	return WithWeights(m.config, weights)
}

// Save writes config.json and model.safetensors into a folder, which is made if need be.
func (m *Model) Save(folder string) error { return interv.SaveModel(folder, m.config, m.weights) }

// Load reads a model that Save wrote, or one with the same files made elsewhere.
func Load(folder string) (*Model, error) { return interv.LoadModel(folder, WithWeights) }

// MustLoad is Load that panics on an error.
func MustLoad(folder string) *Model { return must.Of(Load(folder)) }
