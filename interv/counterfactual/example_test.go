package counterfactual_test

import (
	"context"
	"fmt"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/causal"
	"github.com/govene/govene/interv/counterfactual"
	"github.com/govene/govene/interv/das"
	"github.com/govene/govene/interv/mlp"
	"github.com/govene/govene/interv/training"
)

var engine = backend.MustNew()

// Tensors of hierarchical equality, each of whose entities is a fresh vector of four numbers, and pairs as often equal as not.
func ExampleData() {
	algorithm := causal.MustHierarchicalEquality(100)
	data := counterfactual.MustData(algorithm, causal.Design{Size: 1000, Balance: []string{"WX", "YZ"}}, causal.FreshEmbeddings(4).With(1, 16), 1)
	fmt.Println(data.Base["inputs_embeds"].Shape(), len(data.Sources), len(data.Labels))
	// Output: (Float32)[1000, 1, 16] 2 1000
}

// A network learns conjunction, and to keep A in its first four units: what it says with those of another run is what the causal model says.
func ExampleInterchange() {
	model := causal.MustNew(
		causal.Input("A", false, true), causal.Input("B", false, true),
		causal.Computed("first", func(a bool) bool { return a }, "A"),
		causal.Computed("C", func(first, b bool) bool { return first && b }, "first", "B"),
	)
	network := mlp.MustNewClassifier(mlp.Config{Layers: 2, Width: 8}, 1)
	config := interv.Config{Representations: []interv.Representation{{Layer: 0, Component: mlp.BlockOutput, Intervention: interv.Vanilla{}}}}
	examples := counterfactual.Stream(model, causal.Design{Size: 128, Balance: []string{"first", "B"}}, causal.Embeddings(4, 3).With(1, 8), 2, func(d das.Data) interv.Call {
		return counterfactual.Interchange(d, 0, interv.Range(0, 4))
	})
	result := training.MustRun(context.Background(), engine, network, examples, training.Settings{Steps: 300, Rate: 0.02, Config: config})
	look := result.Curves.Last()
	fmt.Println(look.Accuracy, look.BaseAccuracy)
	// Output: 1 1
}
