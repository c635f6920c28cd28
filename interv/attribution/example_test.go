package attribution_test

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/attribution"
	"github.com/govene/govene/interv/metric"
	"github.com/govene/govene/interv/transformer"
)

// What patching each position of each block's input would change of a logit difference, from one run of the base and one of the source.
func Example() {
	model := transformer.MustNew(transformer.MustParseConfig(`{"model_type": "gpt2",
		"vocab_size": 50, "n_positions": 8, "n_embd": 12, "n_layer": 2, "n_head": 3}`), 42)
	result := attribution.MustRun(engine, model, attribution.Attribution{
		Base:    interv.Inputs{"input_ids": tensors.FromValue([][]int32{{7, 8, 9, 10}})},
		Source:  interv.Inputs{"input_ids": tensors.FromValue([][]int32{{7, 20, 9, 10}})},
		Sites:   []interv.Site{{Layer: 0, Component: transformer.BlockInput}, {Layer: 1, Component: transformer.BlockInput}},
		Measure: interv.Measure{Metric: metric.LogitDifference{Right: metric.Each(3), Wrong: metric.Each(5)}},
	})
	for _, effect := range result.Effects {
		for position := range 4 {
			fmt.Println(effect.Site, position, effect.Of(0, 0, position) != 0)
		}
	}
	// Output:
	// layer 0 block_input 0 false
	// layer 0 block_input 1 true
	// layer 0 block_input 2 false
	// layer 0 block_input 3 false
	// layer 1 block_input 0 false
	// layer 1 block_input 1 true
	// layer 1 block_input 2 true
	// layer 1 block_input 3 true
}
