package training_test

import (
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/mlp"
	"github.com/govene/govene/interv/training"
)

var engine = backend.MustNew()

// product draws pairs of numbers; the label says whether their product is above 0.
func product(size int) func(random *rand.Rand) (interv.Call, error) {
	return func(random *rand.Rand) (interv.Call, error) {
		flat, labels := make([]float32, 8*size), make([]int32, size)
		for i := range labels {
			a, b := random.NormFloat64(), random.NormFloat64()
			if flat[8*i], flat[8*i+1] = float32(a), float32(b); a*b > 0 {
				labels[i] = 1
			}
		}
		return interv.Call{
			Base:   interv.Inputs{interv.InputsEmbeds: tensors.FromFlatDataAndDimensions(flat, size, 1, 8)},
			Labels: interv.Inputs{training.Label: tensors.FromFlatDataAndDimensions(labels, size)},
		}, nil
	}
}

// A network learns whether the product of two numbers is above 0.
func ExampleRun() {
	model := mlp.MustNewClassifier(mlp.Config{Layers: 2, Width: 8}, 1)
	held, err := product(1000)(rand.New(rand.NewPCG(2, 0)))
	if err != nil {
		fmt.Println(err)
		return
	}
	result := training.MustRun(context.Background(), engine, model, training.Fresh(1, product(256)), training.Settings{
		Steps: 1000, Rate: 0.02, Schedule: interv.WarmUp(20, interv.Cosine(1, 0.01, 980)),
		Held: []interv.Call{held}, Watch: training.Accuracy, Enough: 0.98,
	})
	fmt.Println(result.Curves.Last().Accuracy > 0.98, result.Curves.Ended, result.Model.Config().Layers)
	// Output: true true 2
}
