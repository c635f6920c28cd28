package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/counterfactual"
	"github.com/govene/govene/interv/das"
	"github.com/govene/govene/interv/mlp"
	"github.com/govene/govene/interv/transformer"
)

// timed is the line of JSON of a search: how long it took, and how many steps of single alignments that were.
type timed struct {
	Library    string  `json:"library"`
	Backend    string  `json:"backend"`
	Name       string  `json:"name"`
	Seconds    float64 `json:"seconds"`
	Alignments int     `json:"alignments"`
	Steps      int     `json:"steps"`
	Rank       int     `json:"rank,omitempty"` // of steps of one rank
}

func (t timed) print() {
	text, err := json.Marshal(t)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(text))
}

// searchAll times one search at three layers, four ranks and five seeds, with its compilation and all that it reads.
func searchAll(name string, engine compute.Backend, steps int) {
	model := mlp.MustNewClassifier(mlp.Config{Layers: layers, Width: width, Activation: mlp.Relu}, 1)
	s := das.Search{Ranks: []int{1, 2, 4, 8}, Seeds: 5, Steps: steps, Batch: batch, Every: steps}
	for layer := range layers {
		s.Places = append(s.Places, das.Place{Site: interv.Site{Layer: layer, Component: mlp.BlockOutput}})
	}
	train, held := counterfactual.MustData(algorithm(), design(20*batch), encoding(), 1), counterfactual.MustData(algorithm(), design(batch), encoding(), 2)
	start := time.Now()
	result := das.MustRun(context.Background(), engine, model, s, train, held)
	timed{"govene", name, "search", time.Since(start).Seconds(), len(result.Alignments), steps, 0}.print()
}

// lowRank times steps of a rank in the middle of GPT-2 small, 8 × 32 tokens. Blocks below the place are computed once for each example.
func lowRank(name string, engine compute.Backend, steps, rank int) {
	model := transformer.MustNew(transformer.MustParseConfig(`{"model_type": "gpt2", "vocab_size": 50257, "n_positions": 1024, "n_embd": 768, "n_layer": 12, "n_head": 12}`), 1)
	random := rand.New(rand.NewPCG(1, 0))
	data := func(count int) das.Data {
		runs := func() interv.Inputs {
			ids := make([]int32, 32*count)
			for i := range ids {
				ids[i] = int32(random.IntN(50257))
			}
			return interv.Inputs{interv.InputIDs: tensors.FromFlatDataAndDimensions(ids, count, 32)}
		}
		d := das.Data{Base: runs(), Sources: []interv.Inputs{runs()}}
		for range count {
			d.Labels = append(d.Labels, random.IntN(50257))
		}
		return d
	}
	train, held := data(32), data(8)
	var at []time.Time // the beginnings of steps, which is when the schedule is asked
	s := das.Search{Places: []das.Place{{Site: interv.Site{Layer: 5, Component: transformer.BlockOutput}, Position: 15}}, Ranks: []int{rank}, Steps: steps + 2, Batch: 8, Every: steps + 2,
		Schedule: func(int) float64 { at = append(at, time.Now()); return 1 }}
	das.MustRun(context.Background(), engine, model, s, train, held)
	timed{"govene", name, "low rank", at[steps+1].Sub(at[1]).Seconds(), 1, steps, rank}.print() // without the first step, which compiles
}
