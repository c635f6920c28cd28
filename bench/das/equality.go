package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/gomlx/compute"

	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/causal"
	"github.com/govene/govene/interv/counterfactual"
	"github.com/govene/govene/interv/das"
	"github.com/govene/govene/interv/mlp"
	"github.com/govene/govene/interv/training"
)

// Hierarchical equality: are two pairs of entities both equal, or both not? Entities are fresh random vectors of four numbers; all four
// combinations of the variables WX and YZ are as frequent in every run. WX, YZ or both are intervened on, with even chances.
var algorithm = sync.OnceValue(func() *causal.Model { return causal.MustHierarchicalEquality(1000) })

func design(count int) causal.Design {
	return causal.Design{Size: count, Balance: []string{"WX", "YZ"}}
}

// factual is the design of runs without intervention.
func factual(count int) causal.Design {
	d := design(count)
	d.Interventions = [][]string{nil}
	return d
}

func encoding() causal.Encoding[float32] { return causal.FreshEmbeddings(width/4).With(1, width) }

// learned trains a network on fresh examples, and tells its accuracy on 100,000 others.
func learned(engine compute.Backend, seed uint64, steps int) (*mlp.Model, float64) {
	model := mlp.MustNewClassifier(mlp.Config{Layers: layers, Width: width, Activation: mlp.Relu}, seed)
	held := counterfactual.Factual(counterfactual.MustData(algorithm(), factual(100_000), encoding(), seed+1000))
	result := training.MustRun(context.Background(), engine, model, counterfactual.Stream(algorithm(), factual(1024), encoding(), seed, counterfactual.Factual),
		training.Settings{Steps: steps, Rate: 3e-3, Schedule: interv.Linear(1, 0.01, steps), Every: steps, Held: []interv.Call{held}})
	return result.Model, result.Curves.Last().Accuracy
}

// equality trains networks, saves them in a folder for other libraries, and searches in each at every layer with several seeds.
func equality(engine compute.Backend, folder string, networks, seeds, trainingSteps, steps int) {
	var places []das.Place
	for layer := range layers {
		places = append(places, das.Place{Site: interv.Site{Layer: layer, Component: mlp.BlockOutput}})
	}
	for network := range networks {
		start := time.Now()
		model, accuracy := learned(engine, uint64(network), trainingSteps)
		training := time.Since(start)
		if err := model.Save(filepath.Join(folder, fmt.Sprint(network))); err != nil {
			panic(err)
		}
		start = time.Now()
		examples := func(count, seed int) das.Data {
			return counterfactual.MustData(algorithm(), design(count), encoding(), uint64(seed+network))
		}
		result := das.MustRun(context.Background(), engine, model, das.Search{Places: places, Ranks: []int{width / 2}, Seeds: seeds, Steps: steps, Batch: batch,
			Rate: 1e-2, Schedule: interv.Linear(1, 0.01, steps), Every: steps / 4}, examples(256*batch, 2000), examples(10_000, 3000))
		searching := time.Since(start)
		iia := make([][]float64, layers)
		for _, a := range result.Alignments {
			iia[a.Place.Layer] = append(iia[a.Place.Layer], a.Accuracy)
		}
		text, err := json.Marshal(map[string]any{"library": "govene", "name": "equality", "network": network, "accuracy": accuracy, "iia": iia,
			"training_s": training.Seconds(), "search_s": searching.Seconds()})
		if err != nil {
			panic(err)
		}
		fmt.Println(string(text))
	}
}
