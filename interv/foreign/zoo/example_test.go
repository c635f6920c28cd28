package zoo_test

import (
	"fmt"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/zoo/transformer"

	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/foreign/zoo"
	names "github.com/govene/govene/interv/transformer"
)

// A transformer of GoMLX's zoo, as it is. With go-huggingface, which fills the store from a checkpoint, the function would be
//
//	loaded.CreateGoMLXModel
func Example() {
	build := func(scope *model.Scope) *transformer.Model {
		return transformer.New(scope).WithVocabSize(50).WithEmbedDim(16).WithNumLayers(3).WithNumHeads(2).WithHeadDim(8)
	}
	store := model.NewStore()
	inputs, source := ids(1, 50, 2, 6), ids(2, 50, 2, 6)
	model.MustNewExec(engine, store, func(scope *model.Scope, tokens *graph.Node) *graph.Node {
		return build(scope).Logits(tokens, transformer.CallOptions{})
	}).MustCall(inputs["input_ids"]) // draws the variables

	m := zoo.MustNew(engine, store, build, nil)
	patch := interv.MustNew(engine, m, interv.Config{Representations: []interv.Representation{
		{Layer: 1, Component: names.MLPOutput, Intervention: interv.Vanilla{}},
		{Layer: 2, Component: names.HeadQueryOutput, Unit: interv.Head, Intervention: interv.Zero{}},
	}})
	result := patch.MustRun(interv.Call{
		Base:      inputs,
		Sources:   []interv.Inputs{source, nil},
		Locations: []*interv.Location{interv.FromTo(interv.Repeat(2, 3), interv.Repeat(2, 4)), interv.At(interv.Repeat(2, 0))},
		WithBase:  true,
	})
	fmt.Println(result.Output.Shape(), result.Output.Equal(result.BaseOutput))
	// Output: (Float32)[2, 6, 50] false
}
