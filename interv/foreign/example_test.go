package foreign_test

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/model"

	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/foreign"
)

// perceptron is a GoMLX model as one finds it: x ← x + W relu(U x), twice, and a head.
func perceptron(scope *model.Scope, x *graph.Node) *graph.Node {
	for layer := range 2 {
		scope := scope.In("layer_%d", layer)
		hidden := activation.Relu(layers.Dense(scope.In("up"), x, true, 8))
		x = graph.Add(x, layers.Dense(scope.In("down"), hidden, true, 4))
	}
	return layers.Dense(scope.In("head"), x, false, 2)
}

// A model that GoMLX has trained, whose code stays as it is. Its input has no position axis, so a run has one position, 0.
func ExampleFromStore() {
	store := model.NewStore()
	exec := model.MustNewExec(engine, store, perceptron)
	exec.MustCall(tensors.FromShape(random(1, 3, 4).Shape())) // initializes the variables; training or a checkpoint would do it, too

	m := foreign.MustFromStore(engine, foreign.Description{
		Name:   "perceptron",
		Inputs: []foreign.Input{{Name: "x", DType: dtypes.Float32, Dims: []int{foreign.Batch, 4}}},
		Sites: []foreign.Sites{
			{Sites: interv.Sites{Component: "hidden", Layers: 2, Width: 8}, Dims: []int{foreign.Batch, 8}, Find: foreign.Reads("/layer_%d/down")},
			{Sites: interv.Sites{Component: "output", Layers: 2, Width: 4}, Dims: []int{foreign.Batch, 4}, Find: foreign.Then(foreign.Module("/layer_%d/down"))},
		},
	}, store, func(scope *model.Scope, inputs interv.Nodes) *graph.Node { return perceptron(scope, inputs["x"]) })

	patch := interv.MustNew(engine, m, interv.Config{Representations: []interv.Representation{
		{Layer: 1, Component: "output", Intervention: interv.Vanilla{}},
	}})
	source := interv.Inputs{"x": random(2, 3, 4)}
	result := patch.MustRun(interv.Call{
		Base:      interv.Inputs{"x": random(1, 3, 4)},
		Sources:   []interv.Inputs{source},
		Locations: []*interv.Location{interv.Everywhere()},
		WithBase:  true,
	})
	fmt.Println(result.Output.Equal(result.BaseOutput), result.Output.Equal(patch.MustForward(source)))
	// Output: false true
}

// A graph function of one's own, with its activations named by aliases.
func ExampleNew() {
	weights := map[string]*tensors.Tensor{"w": random(1, 4, 4)}
	build := func(weights, inputs interv.Nodes) *graph.Node {
		x := graph.Tanh(graph.Einsum("bpi,io->bpo", inputs["x"], weights["w"])).WithAlias("hidden")
		return graph.ReduceMean(x, 1)
	}
	_, err := foreign.New(engine, foreign.Description{
		Name:   "mean",
		Inputs: []foreign.Input{{Name: "x", DType: dtypes.Float32, Dims: []int{foreign.Batch, foreign.Positions, 4}}},
		Sites:  []foreign.Sites{{Sites: interv.Sites{Component: "hidden", Layers: 1, Width: 4}, Find: foreign.Alias("hiden")}},
	}, weights, build)
	fmt.Println(err)
	// Output: mean, layer 0 hidden: selector: got no node, wanted 1 of shape [3 2 4]
}
