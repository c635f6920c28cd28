package paths_test

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/metric"
	"github.com/govene/govene/interv/paths"
	"github.com/govene/govene/interv/transformer"
)

// Which heads the queries of head 0 of layer 2 depend on.
func Example() {
	model := transformer.MustNew(transformer.MustParseConfig(`{"model_type": "gpt2", "vocab_size": 23, "n_positions": 16, "n_embd": 12, "n_layer": 3, "n_head": 3}`), 1)
	tokens := func(ids ...int32) interv.Inputs {
		return interv.Inputs{interv.InputIDs: tensors.FromFlatDataAndDimensions(ids, 1, len(ids))}
	}
	result := paths.MustRun(backend.MustNew(), model, paths.Paths{
		Base: tokens(3, 1, 4, 1), Source: tokens(3, 7, 4, 1),
		Receivers: []paths.Receiver{{Layer: 2, Component: transformer.HeadQueryOutput, Heads: []int{0}}},
		Metric:    metric.LogitDifference{Right: metric.Each(5), Wrong: metric.Each(6)},
	})
	svg, err := result.Plot().Bytes() // layers × heads
	fmt.Println(len(result.Cells), "paths", len(svg) > 0, err)
	// Output: 6 paths true <nil>
}
