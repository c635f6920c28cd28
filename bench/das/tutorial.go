package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/gomlx/compute"

	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/counterfactual"
	"github.com/govene/govene/interv/das"
	"github.com/govene/govene/interv/mlp"
	"github.com/govene/govene/interv/training"
)

// finished is the line of JSON of the tutorial.
type finished struct {
	Library       string  `json:"library"`
	Backend       string  `json:"backend"`
	Name          string  `json:"name"`
	Seconds       float64 `json:"seconds"`
	Training      float64 `json:"training_s"`
	Search        float64 `json:"search_s"`
	TrainingSteps int     `json:"training_steps"`
	Steps         int     `json:"steps"`
	Accuracy      float64 `json:"accuracy"`
	IIA           float64 `json:"iia"`
}

// tutorial is pyvene's, from data to accuracies: das_tutorial.py is its twin, and says what it consists of. Numbers of examples and steps, rates
// and batches are those of the notebook.
func tutorial(name string, engine compute.Backend) {
	const factualBatch, trainingSteps, large, steps, examples = 1024, 3072, 6400, 2000, 1_280_000
	begin := time.Now()
	held := counterfactual.Factual(counterfactual.MustData(algorithm(), factual(10_000), encoding(), 1001))
	result := training.MustRun(context.Background(), engine, mlp.MustNewClassifier(mlp.Config{Layers: layers, Width: width, Activation: mlp.Relu}, 42),
		counterfactual.Stream(algorithm(), factual(factualBatch), encoding(), 42, counterfactual.Factual),
		training.Settings{Steps: trainingSteps, Rate: 1e-3, Schedule: interv.Linear(1, 0.001, trainingSteps), Every: trainingSteps, Held: []interv.Call{held}})
	after := time.Now()
	s := das.Search{Places: []das.Place{{Site: interv.Site{Component: mlp.BlockOutput}}}, Ranks: []int{width / 2}, Steps: steps, Batch: large, Rate: 1e-3, Every: steps}
	found := das.MustRun(context.Background(), engine, result.Model, s, counterfactual.MustData(algorithm(), design(examples), encoding(), 2),
		counterfactual.MustData(algorithm(), design(10_000), encoding(), 3))
	end := time.Now()
	text, err := json.Marshal(finished{"govene", name, "tutorial", end.Sub(begin).Seconds(), after.Sub(begin).Seconds(), end.Sub(after).Seconds(), trainingSteps, steps,
		result.Curves.Last().Accuracy, found.Best().Accuracy})
	if err != nil {
		panic(err)
	}
	fmt.Println(string(text))
}
