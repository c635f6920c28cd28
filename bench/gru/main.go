// Command gru times the GRU tutorial's calls and prints one line of JSON for each, with the time to compile its program apart. Each call
// returns the clean output on the base too, as pyvene always does. With -read all that it returns is read within the time, as whoever looks
// at it does. GOMLX_BACKEND chooses the backend.
package main

import (
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/bench/internal/profile"
	"github.com/govene/govene/bench/internal/timing"
	"github.com/govene/govene/internal/draw"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/gru"
)

func main() {
	count := flag.Int("n", 2000, "calls to time")
	reading := flag.Bool("read", false, "read what a call returns within its time")
	flag.Parse()
	defer profile.Start()()
	engine, choice, err := backend.New()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	model := gru.MustNewClassifier(gru.Config{Layers: 1, Width: 2}, 42)
	report := func(name string, iv *interv.Intervenable, call func() *interv.GradientResult) {
		timing.Report(choice.Name, name, iv, 1+*count/10, *count, func() {
			if result := call(); *reading {
				read(result)
			}
		})
	}

	vanilla := interv.MustNew(engine, model, interv.Config{Representations: []interv.Representation{
		{Component: gru.CellOutput, Unit: interv.Step, MaxUnits: 1, Intervention: interv.Vanilla{}}}})
	base, source := uniform(1, 10, 10, 2), uniform(2, 10, 10, 2)
	steps := interv.FromTo(interv.Repeat(10, 0, 2, 4), interv.Repeat(10, 0, 5, 7))
	report("vanilla", vanilla, func() *interv.GradientResult {
		call := interv.Call{Base: base, Sources: []interv.Inputs{source}, Locations: []*interv.Location{steps}, WithBase: true}
		return &interv.GradientResult{Result: *vanilla.MustRun(call)}
	})

	base, source = uniform(3, 1, 1, 2), uniform(4, 1, 1, 2)
	first := interv.FromTo(interv.Repeat(1, 0), interv.Repeat(1, 0))
	sum := func(o interv.Outcome) *Node { return ReduceAllSum(o.Output) }
	rotated := interv.Representation{Component: gru.CellOutput, Unit: interv.Step, Intervention: interv.LowRankRotatedSpace{Rank: 2}}
	das := interv.MustNew(engine, model, interv.Config{Representations: []interv.Representation{rotated}})
	gradient := das.Gradient(sum)
	report("das", das, func() *interv.GradientResult {
		return gradient.MustRun(interv.Call{Base: base, Sources: []interv.Inputs{source}, Locations: []*interv.Location{first}, WithBase: true})
	})

	rotated.SubspacePartition, rotated.Link = [][]int{interv.Range(0, 1), interv.Range(1, 2)}, "0"
	linked := interv.MustNew(engine, model, interv.Config{Representations: []interv.Representation{rotated, rotated}})
	linkedGradient := linked.Gradient(sum)
	report("das_linked", linked, func() *interv.GradientResult {
		return linkedGradient.MustRun(interv.Call{Base: base, Sources: []interv.Inputs{source, source},
			Locations: []*interv.Location{first, first}, Subspaces: [][][]int{{{0}}, {{1}}}, WithBase: true})
	})
}

func read(result *interv.GradientResult) {
	results := slices.Concat([]*tensors.Tensor{result.Output, result.BaseOutput}, slices.Collect(maps.Values(result.Gradients)),
		slices.Collect(maps.Values(result.Tangents)))
	for _, value := range results {
		tensors.MustCopyFlatData[float32](value)
	}
}

func uniform(seed uint64, dimensions ...int) interv.Inputs {
	random := rand.New(rand.NewPCG(seed, 0))
	return interv.Inputs{"inputs_embeds": draw.Tensor(func() float64 { return float64(random.Float32()) }, dimensions...)}
}
