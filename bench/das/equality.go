package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"

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
func learned(engine compute.Backend, seed uint64, steps int, decay float64) (*mlp.Model, float64) {
	model := mlp.MustNewClassifier(mlp.Config{Layers: layers, Width: width, Activation: mlp.Relu}, seed)
	held := counterfactual.Factual(counterfactual.MustData(algorithm(), factual(100_000), encoding(), seed+1000))
	result := training.MustRun(context.Background(), engine, model, counterfactual.Stream(algorithm(), factual(1024), encoding(), seed, counterfactual.Factual),
		training.Settings{Steps: steps, Rate: 3e-3, WeightDecay: decay, Schedule: interv.Linear(1, 0.01, steps), Every: steps, Held: []interv.Call{held}})
	return result.Model, result.Curves.Last().Accuracy
}

// network is what is found in a network of hierarchical equality.
type network struct {
	Library   string      `json:"library"`
	Name      string      `json:"name"`
	Network   string      `json:"network"` // the name of its folder
	Decay     float64     `json:"decay"`   // of weights, in its training
	Accuracy  float64     `json:"accuracy"`
	Separated float64     `json:"separated"` // how far units of the first layer read one pair alone: see separated
	Training  float64     `json:"training_s"`
	Search    float64     `json:"search_s"` // with all controls
	Report    *das.Report `json:"report"`
}

// separated is the share of the first layer's weights, by squares, that are of the pair that a unit reads more of: a half where all units read
// both pairs alike, 1 where each reads one.
func separated(model *mlp.Model) float64 {
	weights := tensors.MustCopyFlatData[float32](model.Weights().Tensor("mlp.h.0.ff1.weight"))
	most, all := 0.0, 0.0
	for unit := range width {
		var of [2]float64
		for i, w := range weights[unit*width : (unit+1)*width] {
			of[i/(width/2)] += float64(w * w)
		}
		most, all = most+max(of[0], of[1]), all+of[0]+of[1]
	}
	return most / all
}

// equality trains networks, some with weight decay and some without, saves them in a folder for other libraries, and searches in each at every
// layer with several seeds, controls beside.
func equality(engine compute.Backend, folder string, networks, seeds, trainingSteps, steps int) {
	var places []das.Place
	for layer := range layers {
		places = append(places, das.Place{Site: interv.Site{Layer: layer, Component: mlp.BlockOutput}})
	}
	for i := range 2 * networks {
		n := network{Library: "govene", Name: "equality", Network: fmt.Sprint(i)}
		if i < networks {
			n.Decay = 0.1
		}
		start := time.Now()
		model, accuracy := learned(engine, uint64(i%networks), trainingSteps, n.Decay)
		n.Training, n.Accuracy, n.Separated = time.Since(start).Seconds(), accuracy, separated(model)
		if err := model.Save(filepath.Join(folder, n.Network)); err != nil {
			panic(err)
		}
		start = time.Now()
		examples := func(count int, seed uint64) das.Data {
			return counterfactual.MustData(algorithm(), design(count), encoding(), seed+uint64(i))
		}
		n.Report = das.MustCheck(context.Background(), engine, model, mlp.MustNewClassifier(model.Config(), 1000+uint64(i)),
			das.Search{Places: places, Ranks: []int{width / 2}, Seeds: seeds, Steps: steps, Batch: batch, Rate: 1e-2, Schedule: interv.Linear(1, 0.01, steps), Every: steps / 4},
			das.Samples{Train: examples(64*batch, 2000), Held: examples(5_000, 3000), Test: examples(10_000, 4000)})
		n.Search = time.Since(start).Seconds()
		text, err := json.Marshal(n)
		if err != nil {
			panic(err)
		}
		fmt.Println(string(text))
	}
}
