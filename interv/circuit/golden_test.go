package circuit_test

import (
	"testing"

	"github.com/govene/govene/internal/golden/effects"
	"github.com/govene/govene/internal/host"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/circuit"
	"github.com/govene/govene/interv/transformer"
)

// kinds are those of nodes, by their number in golden cases.
var kinds = []interv.Component{transformer.Embedding, transformer.HeadAttentionValueOutput, transformer.MLPOutput, transformer.HeadQueryOutput,
	transformer.HeadKeyOutput, transformer.HeadValueOutput, transformer.MLPInput, transformer.FinalNorm}

// Scores of all edges are those of an implementation in PyTorch, which has all edges that there are.
func TestGoldenEdges(t *testing.T) {
	effects.Run(t, engine, "edges", nil, func(t *testing.T, c *effects.Case) {
		var ask struct {
			Measure interv.Measure
			Steps   int
		}
		c.Ask(t, &ask)
		scores, err := circuit.Attribute(t.Context(), engine, c.Model, circuit.Attribution{Base: c.Base, Source: c.Source, Measure: ask.Measure, Steps: ask.Steps})
		if err != nil {
			t.Fatal(err)
		}
		each := map[circuit.Edge][]float64{}
		for i, edge := range scores.Edges {
			each[edge] = scores.Each[i]
		}
		wanted := c.Wanted(t, "edges")
		if n := wanted.Shape().Dimensions[0]; n != len(scores.Edges) || n != len(each) {
			t.Fatalf("%d edges, %d of them different, wanted %d", len(scores.Edges), len(each), n)
		}
		var got [][]float64
		numbers := host.Floats(wanted)
		for ; len(numbers) > 0; numbers = numbers[6:] {
			node := func(n []float64) circuit.Node {
				return circuit.Node{Component: kinds[int(n[0])], Layer: int(n[1]), Head: int(n[2])}
			}
			edge := circuit.Edge{From: node(numbers), To: node(numbers[3:])}
			score, ok := each[edge]
			if !ok {
				t.Fatalf("no edge %v", edge)
			}
			got = append(got, score)
		}
		c.Compare(t, "scores", effects.Flat(got), 1e-9)
	})
}

// What circuits do on their own is what runs in PyTorch say in which each reader is given a stream of its own.
func TestGoldenFaithfulness(t *testing.T) {
	effects.Run(t, engine, "faithfulness", []string{"llama mean of nodes"}, func(t *testing.T, c *effects.Case) {
		var ask struct {
			Circuits []circuit.Circuit
			Outside  circuit.Ablation
			Metric   interv.Measure
		}
		c.Ask(t, &ask)
		result, err := circuit.Evaluate(t.Context(), engine, c.Model, circuit.Evaluation{Base: c.Base, Source: c.Source, Circuits: ask.Circuits,
			Outside: ask.Outside, Metric: ask.Metric.Metric})
		if err != nil {
			t.Fatal(err)
		}
		c.Compare(t, "values", effects.Flat(result.Values), 1e-9)
		c.Compare(t, "model", result.Model, 1e-9)
		c.Compare(t, "empty", result.Empty, 1e-9)
		var shares []float64
		for i := range ask.Circuits {
			shares = append(shares, result.Faithfulness(i))
		}
		c.Compare(t, "faithfulness", shares, 1e-9)
	})
}
