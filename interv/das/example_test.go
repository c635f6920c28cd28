package das_test

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/das"
	"github.com/govene/govene/interv/mlp"
)

// A network says whether its first number is above 0. One direction of what its first layer reads stands for that.
func ExampleRun() {
	model, err := mlp.WithWeights(mlp.Config{Layers: 1, Width: 2, Activation: mlp.Linear}, map[string]*tensors.Tensor{
		"mlp.h.0.ff1.weight": tensors.FromFlatDataAndDimensions([]float32{0.6, 0.8, 0.8, -0.6}, 2, 2), "mlp.h.0.ff1.bias": tensors.FromValue([]float32{0, 0}),
		"score.weight": tensors.FromFlatDataAndDimensions([]float32{-1.8, -2.4, 1.8, 2.4}, 2, 2), "score.bias": tensors.FromValue([]float32{0, 0})})
	if err != nil {
		fmt.Println(err)
		return
	}
	// The label of an interchange is the source's.
	examples := func(seed uint64) das.Data {
		random := rand.New(rand.NewPCG(seed, 0))
		base, source, labels := make([]float32, 512), make([]float32, 512), make([]int, 256)
		for i := range base {
			base[i], source[i] = float32(random.NormFloat64()), float32(random.NormFloat64())
			if i%2 == 0 && source[i] > 0 {
				labels[i/2] = 1
			}
		}
		inputs := func(flat []float32) interv.Inputs {
			return interv.Inputs{interv.InputsEmbeds: tensors.FromFlatDataAndDimensions(flat, len(labels), 1, 2)}
		}
		return das.Data{Base: inputs(base), Sources: []interv.Inputs{inputs(source)}, Labels: labels}
	}
	place := das.Place{Site: interv.Site{Layer: 0, Component: mlp.BlockInput}}
	result, err := das.Run(context.Background(), engine, model, das.Search{Places: []das.Place{place}, Ranks: []int{1}, Seeds: 3, Steps: 300, Rate: 0.05},
		examples(1), examples(2))
	if err != nil {
		fmt.Println(err)
		return
	}
	best := result.Best()
	fmt.Println(best.Place, "rank", best.Rank, best.Accuracy > 0.98)
	// Output: layer 0 block_input, position 0 rank 1 true
}
