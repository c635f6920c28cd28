// Tutorial is distributed alignment search from an empty file: a causal model, a network that learns its task, a search for both of its
// variables after each layer, and a report with controls.
package main

import (
	"context"
	"fmt"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/causal"
	"github.com/govene/govene/interv/counterfactual"
	"github.com/govene/govene/interv/das"
	"github.com/govene/govene/interv/mlp"
	"github.com/govene/govene/interv/training"
)

func report() *das.Report {
	ctx, engine := context.Background(), backend.Parameters(1e3).MustNew()
	// Are two pairs of entities both equal, or both unequal? Entities are fresh vectors of four numbers.
	entities, same := interv.Range(0, 100), func(a, b int) bool { return a == b }
	algorithm := causal.MustNew(
		causal.Input("W", entities...), causal.Input("X", entities...),
		causal.Input("Y", entities...), causal.Input("Z", entities...),
		causal.Computed("WX", same, "W", "X"), causal.Computed("YZ", same, "Y", "Z"),
		causal.Computed("O", func(wx, yz bool) bool { return wx == yz }, "WX", "YZ"),
	)
	vectors := causal.FreshEmbeddings(4).With(1, 16)
	pairs := func(size int) causal.Design {
		return causal.Design{Size: size, Balance: []string{"WX", "YZ"}}
	}
	draw := func(size int, seed uint64) das.Data {
		return counterfactual.MustData(algorithm, pairs(size), vectors, seed)
	}
	// A network learns the task.
	untrained := mlp.MustNewClassifier(mlp.Config{Layers: 3, Width: 16, Activation: mlp.Relu}, 1)
	examples := counterfactual.Stream(algorithm, pairs(256), vectors, 1, counterfactual.Factual)
	trained := training.MustRun(ctx, engine, untrained, examples, training.Settings{
		Steps: 4000, Rate: 1e-2, WeightDecay: 0.1, Schedule: interv.Linear(1, 0.01, 4000),
	}).Model
	// Eight dimensions for each variable are searched after each layer, and controls as well.
	search := das.Search{
		Ranks: []int{8}, Seeds: 2, Steps: 300, Rate: 0.02, Schedule: interv.Linear(1, 0.01, 300),
	}
	for layer := range 3 {
		site := interv.Site{Layer: layer, Component: mlp.BlockOutput}
		search.Places = append(search.Places, das.Place{Site: site})
	}
	return das.MustCheck(ctx, engine, trained, untrained, search,
		das.Samples{Train: draw(10_000, 2), Held: draw(1000, 3), Test: draw(2000, 4)})
}

func main() { fmt.Print(report()) }
