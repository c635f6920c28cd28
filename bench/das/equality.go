package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/das"
	"github.com/govene/govene/interv/mlp"
	"github.com/govene/govene/interv/training"
)

// Hierarchical equality: are two pairs of entities both equal, or both not? Entities are fresh random vectors of four numbers; whether a pair
// is equal is drawn for each pair on its own with even chances, so that all four cases, the variables WX and YZ jointly, are as frequent.
const entity = 4

// run draws the inputs of count runs and the values of both variables.
func run(random *rand.Rand, count int) (flat []float32, equal [][2]bool) {
	flat, equal = make([]float32, count*width), make([][2]bool, count)
	for i := range count {
		row := flat[i*width : (i+1)*width]
		for k := range row {
			row[k] = float32(random.NormFloat64())
		}
		for pair := range 2 {
			if equal[i][pair] = random.IntN(2) == 1; equal[i][pair] {
				first := row[2*pair*entity:]
				copy(first[entity:2*entity], first[:entity])
			}
		}
	}
	return flat, equal
}

func label(equal [2]bool) int {
	if equal[0] == equal[1] {
		return 1
	}
	return 0
}

func embeds(flat []float32) interv.Inputs {
	return interv.Inputs{interv.InputsEmbeds: tensors.FromFlatDataAndDimensions(flat, len(flat)/width, 1, width)}
}

// counterfactuals intervene on WX, on YZ, or on both, with even chances.
func counterfactuals(random *rand.Rand, count int) das.Data {
	base, equal := run(random, count)
	d := das.Data{Base: embeds(base), Labels: make([]int, count), BaseLabels: make([]int, count), SourceLabels: make([][]int, 2)}
	which := make([]int, count)
	after := make([][2]bool, count)
	copy(after, equal)
	for i := range which {
		which[i], d.BaseLabels[i] = 1+random.IntN(3), label(equal[i])
	}
	for v := range 2 {
		source, sourceEqual := run(random, count)
		for i := range count {
			if which[i]>>v&1 == 0 {
				copy(source[i*width:(i+1)*width], base[i*width:(i+1)*width])
				sourceEqual[i] = equal[i]
			}
			after[i][v] = sourceEqual[i][v]
			d.SourceLabels[v] = append(d.SourceLabels[v], label(sourceEqual[i]))
		}
		d.Sources = append(d.Sources, embeds(source))
	}
	for i := range count {
		d.Labels[i] = label(after[i])
	}
	return d
}

// labelled are runs with the labels of the network's own task.
func labelled(random *rand.Rand, count int) interv.Call {
	x, equal := run(random, count)
	labels := make([]int32, count)
	for i, e := range equal {
		labels[i] = int32(label(e))
	}
	return interv.Call{Base: embeds(x), Labels: interv.Inputs{training.Label: tensors.FromFlatDataAndDimensions(labels, count)}}
}

// learned trains a network on fresh examples, and tells its accuracy on 100,000 others.
func learned(engine compute.Backend, seed uint64, steps int) (*mlp.Model, float64) {
	model := mlp.MustNewClassifier(mlp.Config{Layers: layers, Width: width, Activation: mlp.Relu}, seed)
	fresh := func(random *rand.Rand) (interv.Call, error) { return labelled(random, 1024), nil }
	result := training.MustRun(context.Background(), engine, model, training.Fresh(seed, fresh), training.Settings{Steps: steps, Rate: 3e-3,
		Schedule: interv.Linear(1, 0.01, steps), Every: steps, Held: []interv.Call{labelled(rand.New(rand.NewPCG(seed, 99)), 100_000)}})
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
		random := rand.New(rand.NewPCG(uint64(network), 7))
		result := das.MustRun(context.Background(), engine, model, das.Search{Places: places, Ranks: []int{width / 2}, Seeds: seeds, Steps: steps, Batch: batch,
			Rate: 1e-2, Schedule: interv.Linear(1, 0.01, steps), Every: steps / 4}, counterfactuals(random, 256*batch), counterfactuals(random, 10_000))
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
