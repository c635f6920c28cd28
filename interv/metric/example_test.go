package metric_test

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/metric"
	"github.com/govene/govene/interv/transformer"
)

// One place is patched, and what comes back is a logit difference: how much more the model says token 3 than token 5.
func Example() {
	model := transformer.MustNew(transformer.MustParseConfig(`{"model_type": "gpt2",
		"vocab_size": 50, "n_positions": 8, "n_embd": 12, "n_layer": 2, "n_head": 3}`), 42)
	patch := interv.MustNew(backend.MustNew(), model, interv.Config{Representations: []interv.Representation{
		{Layer: 0, Component: transformer.BlockOutput, Intervention: interv.Vanilla{}},
	}})
	result := patch.MustRun(interv.Call{
		Base:      interv.Inputs{"input_ids": tensors.FromValue([][]int32{{7, 8, 9, 10}})},
		Sources:   []interv.Inputs{{"input_ids": tensors.FromValue([][]int32{{7, 20, 9, 10}})}},
		Locations: []*interv.Location{interv.FromTo([][]int{{1}}, [][]int{{1}})},
		Metrics:   []interv.Measure{{Metric: metric.LogitDifference{Right: metric.Each(3), Wrong: metric.Each(5)}}},
	})
	fmt.Println(len(result.MustMetric("logit_difference")), result.Output == nil)
	// Output: 1 true
}

// The mean of a metric over examples, with its spread.
func ExampleSummarize() {
	fmt.Println(metric.MustSummarize([]float64{0.2, 0.9, 0.4, 0.7, 0.8}))
	// Output: 0.6 ± 0.13 (0.34 to 0.82, n = 5)
}
