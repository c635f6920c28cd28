package interv_test

import (
	"fmt"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/gru"
)

// Patching the state after step 4 of the source into step 7 of the base.
func Example() {
	model := gru.MustNewClassifier(gru.Config{Layers: 1, Width: 2}, 42)
	patch := interv.MustNew(engine, model, interv.Config{Representations: []interv.Representation{
		{Layer: 0, Component: gru.CellOutput, Unit: interv.Step, Intervention: interv.Vanilla{}},
	}})
	result := patch.MustRun(interv.Call{
		Base:      interv.Inputs{"inputs_embeds": random(1, 10, 10, 2)},
		Sources:   []interv.Inputs{{"inputs_embeds": random(2, 10, 10, 2)}},
		Locations: []*interv.Location{interv.FromTo(interv.Repeat(10, 4), interv.Repeat(10, 7))},
		WithBase:  true,
	})
	fmt.Println(result.Output.Shape(), result.Output.Equal(result.BaseOutput))
	// Output: (Float32)[10, 2] false
}

// The gradient of the output's sum with respect to a rotation, and a step along it.
func ExampleIntervenable_Gradient() {
	model := gru.MustNewClassifier(gru.Config{Layers: 1, Width: 4}, 42)
	das := interv.MustNew(engine, model, interv.Config{Representations: []interv.Representation{
		{Layer: 0, Component: gru.CellOutput, Intervention: interv.LowRankRotatedSpace{Rank: 1}},
	}})
	sum := das.Gradient(func(output *Node, _ interv.Nodes) *Node { return ReduceAllSum(output) })
	call := interv.Call{
		Base:      interv.Inputs{"inputs_embeds": random(1, 1, 1, 4)},
		Sources:   []interv.Inputs{{"inputs_embeds": random(2, 1, 1, 4)}},
		Locations: []*interv.Location{interv.FromTo(interv.Repeat(1, 0), interv.Repeat(1, 0))},
	}
	before := sum.MustRun(call)
	if err := das.Descend(before, 0.1); err != nil {
		fmt.Println(err)
	}
	fmt.Println(before.Gradients["0.rotation"].Shape(), sum.MustRun(call).Loss < before.Loss)
	// Output: (Float32)[4, 1] true
}
