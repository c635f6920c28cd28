package sweep_test

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/metric"
	"github.com/govene/govene/interv/sweep"
	"github.com/govene/govene/interv/transformer"
)

// A map of layers and positions, with its plot.
func Example() {
	model := transformer.MustNew(transformer.MustParseConfig(`{"model_type": "gpt2", "vocab_size": 23, "n_positions": 16, "n_embd": 12, "n_layer": 2, "n_head": 3}`), 1)
	tokens := func(ids ...int32) interv.Inputs {
		return interv.Inputs{interv.InputIDs: tensors.FromFlatDataAndDimensions(ids, 1, len(ids))}
	}
	result := sweep.MustRun(backend.MustNew(), model, sweep.Sweep{
		Base: tokens(3, 1, 4, 1), Source: tokens(3, 7, 4, 1),
		Components: []interv.Component{transformer.BlockOutput}, Positions: sweep.UpTo(4),
		Metric: metric.LogitDifference{Right: metric.Each(5), Wrong: metric.Each(6)},
	})
	plot := result.Plot() // nb.Show(plot) in a notebook
	svg, err := plot.Bytes()
	fmt.Println(len(result.Cells), "cells", len(svg) > 0, err)
	fmt.Printf("%.2f\n", result.Recovered()[7]) // in the end, the last position has it all
	// Output:
	// 8 cells true <nil>
	// [1.00]
}
