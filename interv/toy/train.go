package toy

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/draw"
	"github.com/govene/govene/internal/must"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/tokens"
	"github.com/govene/govene/interv/training"
	"github.com/govene/govene/interv/transformer"
)

const (
	config = `{"model_type": "gpt2", "vocab_size": %d, "n_positions": 16, "n_embd": 64, "n_layer": 2, "n_head": 4}`
	seed   = 1
	steps  = 150
	rate   = 3e-3
	given  = 4 // words of a sentence that the model need not predict: up to the country
)

// Make trains the model and writes it, with its tokenizer, into a folder in Hugging Face's layout, unless it is there already. It returns
// the folder. Training is in float64, so that every backend and processor comes to the same float32 weights but for the last digits.
func Make(backend compute.Backend, folder string) (string, error) {
	return written(folder, vocabulary(), func(tokenizer *tokens.Tokenizer) (*transformer.Model, error) { return train(backend, tokenizer) })
}

// written is the folder of a model, which is made if it is not there.
func written(folder string, words []string, make func(*tokens.Tokenizer) (*transformer.Model, error)) (string, error) {
	if _, err := os.Stat(filepath.Join(folder, "config.json")); err == nil {
		return folder, nil
	}
	tokenizer, err := tokens.Words(words)
	if err != nil {
		return "", err
	}
	model, err := make(tokenizer)
	if err != nil {
		return "", err
	}
	part, err := os.MkdirTemp(filepath.Dir(folder), filepath.Base(folder)+"-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(part)
	if err := model.Save(part); err != nil {
		return "", err
	}
	if err := tokenizer.Save(part); err != nil {
		return "", err
	}
	if err := os.Rename(part, folder); err != nil && !os.IsExist(err) {
		return "", err
	}
	return folder, nil
}

// MustMake is Make that panics on an error.
func MustMake(backend compute.Backend, folder string) string { return must.Of(Make(backend, folder)) }

// initial draws the matrices one after the other from one stream, unlike transformer.New, which may change its streams: the tutorials tell
// what the model that comes of these very numbers does.
func initial(config transformer.Config) (*transformer.Model, error) {
	model, err := transformer.New(config, seed)
	if err != nil {
		return nil, err
	}
	source := rand.New(rand.NewPCG(seed, 0))
	weights := model.Weights().All()
	for _, name := range model.Weights().Names() {
		if shape := weights[name].Shape(); shape.Rank() > 1 {
			weights[name] = draw.Tensor(func() float64 { return 0.02 * source.NormFloat64() }, shape.Dimensions...)
		}
	}
	return transformer.WithWeights(config, weights)
}

// train trains on all sentences at once.
func train(backend compute.Backend, tokenizer *tokens.Tokenizer) (*transformer.Model, error) {
	batch, err := tokenizer.Encode(tokens.Options{}, sentences()...)
	if err != nil {
		return nil, err
	}
	inputs := interv.Inputs{interv.InputIDs: batch.Inputs()[interv.InputIDs]} // of one length, so that there is nothing to mask
	next, err := training.NextTokens(inputs, given)
	if err != nil {
		return nil, err
	}
	return fit(backend, fmt.Sprintf(config, tokenizer.Size()), false, training.Always(interv.Call{Base: inputs, Labels: interv.Inputs{training.Label: next}}),
		training.Settings{Steps: steps, Rate: rate, Decays: [2]float64{0.9, 0.99}, Every: steps})
}

// fit trains a model of a config in float64, on the grid or not.
func fit(backend compute.Backend, config string, rounded bool, stream training.Stream, settings training.Settings) (*transformer.Model, error) {
	parsed, err := transformer.ParseConfig([]byte(config))
	if err != nil {
		return nil, err
	}
	model, err := initial(parsed)
	if err != nil {
		return nil, err
	}
	precise, err := model.WithWeights(converted[float32, float64](model.Weights().All()))
	if err != nil {
		return nil, err
	}
	if !rounded {
		result, err := training.Run(context.Background(), backend, precise, stream, settings)
		if err != nil {
			return nil, err
		}
		return model.WithWeights(converted[float64, float32](result.Model.Weights().All()))
	}
	result, err := training.Run(context.Background(), backend, onGrid{precise}, stream, settings)
	if err != nil {
		return nil, err
	}
	return model.WithWeights(converted[float64, float32](result.Model.rounded()))
}

// converted are weights in another floating-point type.
func converted[From, To float32 | float64](weights map[string]*tensors.Tensor) map[string]*tensors.Tensor {
	converted := map[string]*tensors.Tensor{}
	for name, t := range weights {
		values := make([]To, t.Size())
		tensors.MustConstFlatData(t, func(flat []From) {
			for i, value := range flat {
				values[i] = To(value)
			}
		})
		converted[name] = tensors.FromFlatDataAndDimensions(values, t.Shape().Dimensions...)
	}
	return converted
}
