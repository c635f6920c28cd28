// Command training takes steps of distributed alignment search with rotations of several ranks at one width and prints one line of JSON
// for each rank: the time of a step, how far the rotation is from orthonormal after all of them, max |RᵀR − I| in float64, and how much
// memory the process holds after a hundredth of them and at the end (on Linux; 0 elsewhere).
// training_pyvene.py is its twin. GOMLX_BACKEND chooses the backend.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/bench/internal/profile"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/mlp"
)

type line struct {
	Library       string  `json:"library"`
	Backend       string  `json:"backend"`
	Width         int     `json:"width"`
	Rank          int     `json:"rank"`
	Steps         int     `json:"steps"`
	MedianSeconds float64 `json:"median_s"`
	CompileS      float64 `json:"compile_s"`
	Orthonormal   float64 `json:"max_deviation_from_orthonormal"`
	FirstMiB      float64 `json:"first_mib"`
	LastMiB       float64 `json:"last_mib"`
}

func main() {
	width := flag.Int("width", 768, "of the activations")
	ranks := flag.String("ranks", "1,16,128,768", "of the rotations")
	steps := flag.Int("steps", 200, "to take with each rank")
	flag.Parse()
	defer profile.Start()()
	choice := backend.MustChoose()
	for _, text := range strings.Split(*ranks, ",") {
		rank, err := strconv.Atoi(text)
		if err != nil {
			fmt.Fprintln(os.Stderr, "training: ranks:", err)
			os.Exit(2)
		}
		report(train(choice, *width, rank, *steps))
	}
}

func report(l line) {
	text, err := json.Marshal(l)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(text))
}

// train searches for the subspace of one block's output that carries what the source's output has: 16 pairs a step.
func train(choice backend.Choice, width, rank, steps int) line {
	engine, err := choice.New()
	if err != nil {
		panic(err)
	}
	model := mlp.MustNewClassifier(mlp.Config{Layers: 2, Width: width, Classes: 10, Activation: mlp.Tanh}, 1)
	iv := interv.MustNew(engine, model, interv.Config{Representations: []interv.Representation{
		{Component: mlp.BlockOutput, Intervention: interv.LowRankRotatedSpace{Rank: rank}}}})
	trainer := iv.MustTrainer(func(o interv.Outcome) *Node {
		return ReduceAllMean(Square(Sub(o.Output, o.Labels["wanted"])))
	}, interv.Adam{Rate: 1e-3})
	const pairs = 16
	units := interv.Repeat(pairs, 0)
	var times []float64
	var firstMiB float64
	for step := range steps {
		call := interv.Call{Base: inputs(step, 0, pairs, width), Sources: []interv.Inputs{inputs(step, 1, pairs, width)},
			Locations: []*interv.Location{interv.FromTo(units, units)}, Labels: interv.Inputs{"wanted": normal(step, 2, pairs, 10)}}
		start := time.Now()
		trainer.MustStep(call)
		times = append(times, time.Since(start).Seconds())
		if step == steps/100 {
			firstMiB = resident()
		}
	}
	lastMiB := resident()
	slices.Sort(times)
	return line{"govene", choice.Name, width, rank, steps, times[len(times)/2], iv.Stats().Compiling.Seconds(), deviation(iv.Parameters()["0.rotation"]),
		firstMiB, lastMiB}
}

// resident is the memory that the process holds, in MiB, once Go's garbage is collected.
func resident() float64 {
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	var total, pages int
	if _, err := fmt.Sscan(string(text), &total, &pages); err != nil {
		panic(err)
	}
	return float64(pages*os.Getpagesize()) / (1 << 20)
}

func inputs(step, which, pairs, width int) interv.Inputs {
	return interv.Inputs{"inputs_embeds": normal(step, which, pairs, 1, width)}
}

func normal(step, which int, dimensions ...int) *tensors.Tensor {
	random := rand.New(rand.NewPCG(uint64(step), uint64(which)))
	size := 1
	for _, d := range dimensions {
		size *= d
	}
	flat := make([]float32, size)
	for i := range flat {
		flat[i] = float32(random.NormFloat64())
	}
	return tensors.FromFlatDataAndDimensions(flat, dimensions...)
}

// deviation is the largest entry of |RᵀR − I|.
func deviation(rotation *tensors.Tensor) float64 {
	rows, columns := rotation.Shape().Dim(0), rotation.Shape().Dim(1)
	values := tensors.MustCopyFlatData[float32](rotation)
	largest := 0.0
	for a := range columns {
		for b := range a + 1 {
			sum := 0.0
			if a == b {
				sum = -1
			}
			for i := range rows {
				sum += float64(values[i*columns+a]) * float64(values[i*columns+b])
			}
			largest = max(largest, math.Abs(sum))
		}
	}
	return largest
}
