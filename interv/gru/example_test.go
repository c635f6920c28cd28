package gru_test

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/gru"
)

// The state after the last step is all that the output depends on: with that of the source the base answers as the source does.
func Example() {
	model := gru.MustNewClassifier(gru.Config{Layers: 1, Width: 2}, 42)
	base := interv.Inputs{"inputs_embeds": tensors.FromFlatDataAndDimensions([]float32{1, 2, 3, 4, 5, 6}, 1, 3, 2)}
	source := interv.Inputs{"inputs_embeds": tensors.FromFlatDataAndDimensions([]float32{6, 5, 4, 3, 2, 1}, 1, 3, 2)}

	patch := interv.MustNew(engine, model, interv.Single(0, gru.CellOutput, interv.Vanilla{}))
	last := interv.FromTo(interv.Repeat(1, -1), interv.Repeat(1, -1))
	result := patch.MustRun(interv.Interchange(base, source, last))
	fmt.Println(result.Output.Shape(), result.Output.InDelta(patch.MustForward(source), 1e-6))
	// Output: (Float32)[1, 2] true
}
