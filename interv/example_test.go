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

// Distributed alignment search: training finds the direction in which the source moves the output most.
func ExampleIntervenable_Trainer() {
	model := gru.MustNewClassifier(gru.Config{Layers: 1, Width: 4}, 42)
	das := interv.MustNew(engine, model, interv.Config{Representations: []interv.Representation{
		{Layer: 0, Component: gru.CellOutput, Intervention: interv.LowRankRotatedSpace{Rank: 1}},
	}})
	call := interv.Call{
		Base:      interv.Inputs{"inputs_embeds": random(1, 8, 3, 4)},
		Sources:   []interv.Inputs{{"inputs_embeds": random(2, 8, 3, 4)}},
		Locations: []*interv.Location{interv.FromTo(interv.Repeat(8, 2), interv.Repeat(8, 2))},
		WithBase:  true,
	}
	trainer := das.MustTrainer(func(o interv.Outcome) *Node {
		return Neg(ReduceAllMean(Square(Sub(o.Output, o.BaseOutput))))
	}, interv.Adam{Rate: 0.05})
	before := trainer.MustStep(call)
	for range 50 {
		trainer.MustStep(call)
	}
	fmt.Println(trainer.Steps(), trainer.MustStep(call) < before)
	// Output: 51 true
}

// Positions by name: the subject of each source goes to the subject of its base, wherever that is, and so do the last tokens.
func ExamplePlaces() {
	source := interv.Places{"subject": {{0}, {2}}, "last": {{4}, {4}}}
	base := interv.Places{"subject": {{1}, {0}}, "last": {{3}, {4}}}
	location := interv.FromTo(source.MustAt("subject", "last"), base.MustAt("subject", "last"))
	fmt.Println(location.Source, location.Base)
	_, err := base.At("sbject")
	fmt.Println(err)
	// Output:
	// [[0 4] [2 4]] [[1 3] [0 4]]
	// places: name: got "sbject", wanted one of last, subject; did you mean "subject"?
}

// The gradient of the output's sum with respect to a rotation.
func ExampleIntervenable_Gradient() {
	model := gru.MustNewClassifier(gru.Config{Layers: 1, Width: 4}, 42)
	das := interv.MustNew(engine, model, interv.Config{Representations: []interv.Representation{
		{Layer: 0, Component: gru.CellOutput, Intervention: interv.LowRankRotatedSpace{Rank: 1}},
	}})
	sum := das.Gradient(func(o interv.Outcome) *Node { return ReduceAllSum(o.Output) })
	result := sum.MustRun(interv.Call{
		Base:      interv.Inputs{"inputs_embeds": random(1, 1, 1, 4)},
		Sources:   []interv.Inputs{{"inputs_embeds": random(2, 1, 1, 4)}},
		Locations: []*interv.Location{interv.FromTo(interv.Repeat(1, 0), interv.Repeat(1, 0))},
	})
	fmt.Println(result.Gradients["0.rotation"].Shape())
	// Output: (Float32)[4, 1]
}
