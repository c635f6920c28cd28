package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"time"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/das"
	"github.com/govene/govene/interv/mlp"
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

// learned trains a network on fresh examples, and tells its accuracy on 100,000 others.
func learned(engine compute.Backend, seed uint64, steps int) (*mlp.Model, float64) {
	config := mlp.Config{Layers: layers, Width: width, Activation: mlp.Relu}
	model := mlp.MustNewClassifier(config, seed)
	names := model.Weights().Names()
	forward := func(in []*Node, x *Node) *Node {
		weights := interv.Nodes{}
		for i, name := range names {
			weights[name] = in[i]
		}
		return model.Forward(weights, interv.Nodes{interv.InputsEmbeds: x}, nil)
	}
	count := len(names)
	step := MustNewExec(engine, func(in []*Node) []*Node {
		x, y, rate, number := in[3*count], in[3*count+1], in[3*count+2], in[3*count+3]
		logits := forward(in, x)
		loss := Neg(ReduceAllMean(ReduceSum(Mul(OneHot(y, 2, logits.DType()), LogSoftmax(logits, -1)), -1)))
		next := make([]*Node, 3*count)
		unbias := func(decay float64) *Node { return OneMinus(Pow(Scalar(x.Graph(), x.DType(), decay), number)) }
		for i, g := range Gradient(loss, in[:count]...) {
			mean := Add(MulScalar(in[count+i], 0.9), MulScalar(g, 0.1))
			square := Add(MulScalar(in[2*count+i], 0.999), MulScalar(Square(g), 0.001))
			change := Div(Div(mean, unbias(0.9)), AddScalar(Sqrt(Div(square, unbias(0.999))), 1e-8))
			next[i], next[count+i], next[2*count+i] = Sub(in[i], Mul(change, rate)), mean, square
		}
		return next
	})
	state := make([]*tensors.Tensor, 3*count)
	for i, name := range names {
		t := model.Weights().Tensor(name)
		state[i] = tensors.FromFlatDataAndDimensions(tensors.MustCopyFlatData[float32](t), t.Shape().Dimensions...)
		state[count+i], state[2*count+i] = tensors.FromShape(t.Shape()), tensors.FromShape(t.Shape())
	}
	random := rand.New(rand.NewPCG(seed, 99))
	ids := func(equal [][2]bool) *tensors.Tensor {
		flat := make([]int32, len(equal))
		for i, e := range equal {
			flat[i] = int32(label(e))
		}
		return tensors.FromFlatDataAndDimensions(flat, len(flat))
	}
	for i := range steps {
		x, equal := run(random, 1024)
		arguments := make([]any, 0, 3*count+4)
		for _, t := range state {
			arguments = append(arguments, t)
		}
		rate := 3e-3 * (1 - 0.99*float64(i)/float64(steps))
		results := step.MustCall(append(arguments, embeds(x)[interv.InputsEmbeds], ids(equal), float32(rate), float32(i+1))...)
		for k, t := range results {
			state[k].FinalizeAll()
			state[k] = t
		}
	}
	weights := map[string]*tensors.Tensor{}
	for i, name := range names {
		weights[name] = tensors.FromFlatDataAndDimensions(tensors.MustCopyFlatData[float32](state[i]), state[i].Shape().Dimensions...)
	}
	model, err := mlp.WithWeights(config, weights)
	if err != nil {
		panic(err)
	}
	x, equal := run(random, 100_000)
	at := interv.MustNew(engine, model, interv.Config{Representations: []interv.Representation{{Component: mlp.BlockOutput, Intervention: interv.Vanilla{}}}})
	logits := tensors.MustCopyFlatData[float32](at.MustForward(embeds(x)))
	right := 0
	for i, e := range equal {
		if (logits[2*i+1] > logits[2*i]) == (label(e) == 1) {
			right++
		}
	}
	return model, float64(right) / float64(len(equal))
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
