package gru

import (
	"math"
	"math/rand/v2"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/draw"
	"github.com/govene/govene/internal/must"
	"github.com/govene/govene/interv"
)

// NewClassifier makes a model with a classifier head and random weights; the same seed gives the same bits. Cells and head are
// drawn uniformly from ±1/√d, embeddings from a normal distribution of standard deviation 0.02.
func NewClassifier(config Config, seed uint64) (*Model, error) {
	return random(config, classifier, seed)
}

// MustNewClassifier is NewClassifier that panics on an error.
func MustNewClassifier(config Config, seed uint64) *Model {
	return must.Of(NewClassifier(config, seed))
}

// NewLanguageModel makes a model with a language-model head and random weights, drawn as in [NewClassifier].
func NewLanguageModel(config Config, seed uint64) (*Model, error) {
	return random(config, languageModel, seed)
}

// MustNewLanguageModel is NewLanguageModel that panics on an error.
func MustNewLanguageModel(config Config, seed uint64) *Model {
	return must.Of(NewLanguageModel(config, seed))
}

// Redrawn is the same network, with the same head, and random weights of its own.
func (m *Model) Redrawn(seed uint64) (*Model, error) { return random(m.config, m.head, seed) }

func random(config Config, h head, seed uint64) (*Model, error) {
	if err := config.validate(h); err != nil {
		return nil, err
	}
	source := rand.New(rand.NewPCG(seed, 0))
	bound := 1 / math.Sqrt(float64(config.Width))
	values := map[string]*tensors.Tensor{}
	for _, weight := range config.weights(h) {
		next := func() float64 { return bound * (2*source.Float64() - 1) }
		if weight.Name == tokenEmbedding || weight.Name == positionEmbedding {
			next = func() float64 { return 0.02 * source.NormFloat64() }
		}
		values[weight.Name] = draw.Tensor(next, weight.Dimensions...)
	}
	return WithWeights(config, values)
}

// WithWeights makes a model from tensors by name; each must be there, of the right shape, and finite. One named lm_head.weight makes it
// a language model, else it is a classifier.
func WithWeights(config Config, values map[string]*tensors.Tensor) (*Model, error) {
	h := classifier
	if values[languageModelWeight] != nil {
		h = languageModel
	}
	if err := config.validate(h); err != nil {
		return nil, err
	}
	weights, err := interv.NewWeights(config.weights(h), values)
	if err != nil {
		return nil, interv.Within(h.String(), err)
	}
	return &Model{config: config, head: h, weights: weights}, nil
}

// WithWeights is the model with other weights of the same names and shapes.
func (m *Model) WithWeights(weights map[string]*tensors.Tensor) (*Model, error) {
	return WithWeights(m.config, weights)
}

// Save writes config.json and model.safetensors into a folder, which is made if need be.
func (m *Model) Save(folder string) error { return interv.SaveModel(folder, m.config, m.weights) }

// Load reads a model that Save wrote, or one with the same files made elsewhere, with the head that [WithWeights] finds.
func Load(folder string) (*Model, error) { return interv.LoadModel(folder, WithWeights) }

// MustLoad is Load that panics on an error.
func MustLoad(folder string) *Model { return must.Of(Load(folder)) }
