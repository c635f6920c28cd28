// Command das takes steps of distributed alignment search on the network of hierarchical equality, or searches, and prints one line of JSON
// for each measurement. das_jax.py and das_pytorch.py are its twins. GOMLX_BACKEND chooses the backend.
package main

import (
	"flag"
	"math/rand/v2"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/bench/internal/timing"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/mlp"
)

// The network and the search: four entities of four numbers each, three layers, eight dimensions for each of two variables.
const (
	width, layers, batch = 16, 3, 1280
)

func main() {
	steps := flag.Int("steps", 300, "to time")
	folder := flag.String("equality", "", "train networks of hierarchical equality into this folder and search in them, in place of timing a step")
	networks, seeds := flag.Int("networks", 5, "with -equality: with weight decay, and as many without"), flag.Int("seeds", 5, "with -equality, of each search")
	training, search := flag.Int("training", 20_000, "steps, with -equality"), flag.Int("search", 1_000, "steps, with -equality")
	searches := flag.Bool("searches", false, "time whole searches, and steps in GPT-2, in place of steps")
	rank := flag.Int("rank", 0, "time steps of this rank in GPT-2, in place of steps")
	whole := flag.Bool("tutorial", false, "time a tutorial, training and search, in place of steps")
	flag.Parse()
	choice := backend.MustChoose()
	engine, err := choice.New()
	if err != nil {
		panic(err)
	}
	if *folder != "" {
		equality(engine, *folder, *networks, *seeds, *training, *search)
		return
	}
	if *searches {
		searchAll(choice.Name, engine, *steps)
		lowRank(choice.Name, engine, min(20, *steps/20), 16)
		return
	}
	if *rank > 0 {
		lowRank(choice.Name, engine, *steps, *rank)
		return
	}
	if *whole {
		tutorial(choice.Name, engine)
		return
	}
	iv := interv.MustNew(engine, mlp.MustNewClassifier(mlp.Config{Layers: layers, Width: width, Activation: mlp.Relu}, 1), config())
	trainer := iv.MustTrainer(crossEntropy, interv.Adam{Rate: 1e-3})
	calls := make([]interv.Call, 20)
	for i := range calls {
		calls[i] = call(rand.New(rand.NewPCG(uint64(i), 0)))
	}
	prepared := make([]*interv.Prepared, len(calls))
	for i, c := range calls {
		prepared[i] = iv.MustPrepare(c)
	}
	next := 0
	timing.Report(choice.Name, "step on a new call", iv, 20, *steps, func() {
		trainer.MustStep(calls[next%len(calls)])
		next++
	})
	timing.Report(choice.Name, "step on a prepared call", iv, 20, *steps, func() {
		trainer.MustStepOn(prepared[next%len(calls)])
		next++
	})
}

// config exchanges the first eight dimensions of a rotated space with the first source's, and the others with the second's.
func config() interv.Config {
	first := interv.Representation{Component: mlp.BlockOutput, Intervention: interv.RotatedSpace{}, Link: "rotation",
		SubspacePartition: [][]int{interv.Range(0, width/2), interv.Range(width/2, width)}}
	return interv.Config{Representations: []interv.Representation{first, first}}
}

// call is a batch of random vectors, one of three kinds of which fall to the two sources, and random labels.
func call(random *rand.Rand) interv.Call {
	vectors := func() interv.Inputs {
		flat := make([]float32, batch*width)
		for i := range flat {
			flat[i] = float32(random.NormFloat64())
		}
		return interv.Inputs{interv.InputsEmbeds: tensors.FromFlatDataAndDimensions(flat, batch, 1, width)}
	}
	labels := make([]int32, batch)
	for i := range labels {
		labels[i] = int32(random.IntN(2))
	}
	at := interv.FromTo(interv.Repeat(batch, 0), interv.Repeat(batch, 0))
	return interv.Call{
		Base: vectors(), Sources: []interv.Inputs{vectors(), vectors()}, Locations: []*interv.Location{at, at},
		Subspaces: [][][]int{interv.Repeat(batch, 0), interv.Repeat(batch, 1)},
		Labels:    interv.Inputs{"label": tensors.FromFlatDataAndDimensions(labels, batch)},
	}
}

// crossEntropy is the mean of −log p of the label.
func crossEntropy(o interv.Outcome) *Node {
	wanted := OneHot(o.Labels["label"], o.Output.Shape().Dim(1), o.Output.DType())
	return Neg(ReduceAllMean(ReduceSum(Mul(wanted, LogSoftmax(o.Output, -1)), -1)))
}
