package toy

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/draw"
	"github.com/govene/govene/internal/must"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/tokens"
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
	if _, err := os.Stat(filepath.Join(folder, "config.json")); err == nil {
		return folder, nil
	}
	tokenizer, err := tokens.Words(vocabulary())
	if err != nil {
		return "", err
	}
	model, err := train(backend, tokenizer)
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

// train takes steps of Adam on all sentences at once.
func train(backend compute.Backend, tokenizer *tokens.Tokenizer) (*transformer.Model, error) {
	parsed, err := transformer.ParseConfig(fmt.Appendf(nil, config, tokenizer.Size()))
	if err != nil {
		return nil, err
	}
	model, err := initial(parsed)
	if err != nil {
		return nil, err
	}
	batch, err := tokenizer.Encode(tokens.Options{}, sentences()...)
	if err != nil {
		return nil, err
	}
	names := model.Weights().Names()
	exec, err := NewExec(backend, func(in []*Node) []*Node { return step(model, names, in[0], in[1], in[2:]) })
	if err != nil {
		return nil, err
	}
	state := make([]any, 0, 3*len(names))
	for _, name := range names {
		state = append(state, converted[float32, float64](model.Weights().Tensor(name)))
	}
	for _, name := range append(names, names...) {
		state = append(state, tensors.FromScalarAndDimensions(0.0, model.Weights().Tensor(name).Shape().Dimensions...))
	}
	for i := range steps {
		results, err := exec.Call(append([]any{batch.Inputs()[interv.InputIDs], float64(i + 1)}, state...)...)
		if err != nil {
			return nil, err
		}
		for k, t := range results {
			state[k] = t
		}
	}
	weights := map[string]*tensors.Tensor{}
	for i, name := range names {
		weights[name] = converted[float64, float32](state[i].(*tensors.Tensor))
	}
	return transformer.WithWeights(parsed, weights)
}

// step is one step of Adam on the mean of −log p of every word after those given: new weights, then both of Adam's means.
func step(model *transformer.Model, names []string, ids, number *Node, state []*Node) []*Node {
	const decayOfMean, decayOfSquare = 0.9, 0.99
	weights, count := interv.Nodes{}, len(names)
	for i, name := range names {
		weights[name] = state[i]
	}
	logits := model.Forward(weights, interv.Nodes{interv.InputIDs: ids}, nil)
	length, words := ids.Shape().Dim(1), logits.Shape().Dim(2)
	logits = SliceAxis(logits, 1, AxisRange(given, length-1))
	targets := OneHot(SliceAxis(ids, 1, AxisRange(given+1, length)), words, logits.DType())
	loss := Neg(ReduceAllMean(ReduceSum(Mul(targets, LogSoftmax(logits, -1)), -1)))
	unbias := func(decay float64) *Node {
		return Reciprocal(OneMinus(Pow(Scalar(ids.Graph(), number.DType(), decay), number)))
	}
	next := make([]*Node, 3*count)
	for i, gradient := range Gradient(loss, state[:count]...) {
		mean := Add(MulScalar(state[count+i], decayOfMean), MulScalar(gradient, 1-decayOfMean))
		square := Add(MulScalar(state[2*count+i], decayOfSquare), MulScalar(Square(gradient), 1-decayOfSquare))
		change := Div(Mul(mean, unbias(decayOfMean)), AddScalar(Sqrt(Mul(square, unbias(decayOfSquare))), 1e-8))
		next[i], next[count+i], next[2*count+i] = Sub(state[i], MulScalar(change, rate)), mean, square
	}
	return next
}

// converted is t in another floating-point type.
func converted[From, To float32 | float64](t *tensors.Tensor) *tensors.Tensor {
	var values []To
	tensors.MustConstFlatData(t, func(flat []From) {
		for _, value := range flat {
			values = append(values, To(value))
		}
	})
	return tensors.FromFlatDataAndDimensions(values, t.Shape().Dimensions...)
}
