package circuit_test

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/circuit"
	"github.com/govene/govene/interv/metric"
	"github.com/govene/govene/interv/transformer"
)

// All edges scored in one backward pass, and how faithful the circuit of the best is, beside one of all heads.
func Example() {
	model := transformer.MustNew(transformer.MustParseConfig(`{"model_type": "gpt2",
		"vocab_size": 50, "n_positions": 8, "n_embd": 12, "n_layer": 2, "n_head": 2}`), 42)
	clean := interv.Inputs{"input_ids": tensors.FromValue([][]int32{{7, 8, 9, 10}})}
	corrupted := interv.Inputs{"input_ids": tensors.FromValue([][]int32{{7, 20, 9, 11}})}
	difference := metric.LogitDifference{Right: metric.Each(3), Wrong: metric.Each(5)}

	scores := circuit.MustAttribute(engine, model, circuit.Attribution{Base: clean, Source: corrupted, Measure: interv.Measure{Metric: difference}})
	result := circuit.MustEvaluate(engine, model, circuit.Evaluation{Base: clean, Source: corrupted, Metric: difference, Circuits: []circuit.Circuit{
		scores.Top(len(scores.Edges)),
		{Nodes: []circuit.Node{circuit.Head(0, 0), circuit.Head(0, 1), circuit.Head(1, 0), circuit.Head(1, 1)}},
	}})
	fmt.Println(len(scores.Edges), "edges, from", scores.Edges[0], "to", scores.Edges[len(scores.Edges)-1])
	fmt.Printf("all edges: %.3f\n", result.Faithfulness(0))
	fmt.Println("heads alone do nearly as much:", result.Faithfulness(1) > 0.9)
	// Output:
	// 46 edges, from embedding → query 0.0 to mlp 1 → logits
	// all edges: 1.000
	// heads alone do nearly as much: false
}
