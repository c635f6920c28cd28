package mlp_test

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/mlp"
)

// The first two neurons of layer 0 from the source, the others from the base.
func Example() {
	model := mlp.MustNewClassifier(mlp.Config{Layers: 2, Width: 4}, 42)
	patch := interv.MustNew(engine, model, interv.Config{Representations: []interv.Representation{
		{Layer: 0, Component: mlp.MLPActivation, Intervention: interv.Vanilla{}},
	}})
	embeds := func(flat ...float32) interv.Inputs {
		return interv.Inputs{"inputs_embeds": tensors.FromFlatDataAndDimensions(flat, 1, 1, 4)}
	}
	result := patch.MustRun(interv.Call{
		Base:      embeds(1, 2, 3, 4),
		Sources:   []interv.Inputs{embeds(4, 3, 2, 1)},
		Locations: []*interv.Location{interv.FromTo(interv.Repeat(1, 0), interv.Repeat(1, 0))},
		Subspaces: [][][]int{{{0, 1}}},
		WithBase:  true,
	})
	fmt.Println(result.Output.Shape(), result.Output.Equal(result.BaseOutput))
	// Output: (Float32)[1, 2] false
}
