// Command gru times the GRU tutorial's calls and prints one line of JSON for each, with the time to compile its program apart. Each call
// returns the clean output on the base too, as pyvene always does. GOMLX_BACKEND chooses the backend.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/gru"
)

// line is one result.
type line struct {
	Backend string  `json:"backend"`
	Name    string  `json:"name"`
	Median  float64 `json:"median_s"`
	Compile float64 `json:"compile_s"`
}

func main() {
	count := flag.Int("n", 2000, "calls to time")
	flag.Parse()
	engine, choice, err := backend.New()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	model := gru.MustNewClassifier(gru.Config{Layers: 1, Width: 2}, 42)
	report := func(name string, stats func() interv.Stats, call func()) {
		call()
		result := line{choice.Name, name, measure(*count, call), stats().Compiling.Seconds()}
		if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
			panic(err)
		}
	}

	vanilla := interv.MustNew(engine, model, interv.Config{Representations: []interv.Representation{
		{Component: gru.CellOutput, Unit: interv.Step, MaxUnits: 1, Intervention: interv.Vanilla{}}}})
	base, source := uniform(1, 10, 10, 2), uniform(2, 10, 10, 2)
	report("vanilla", vanilla.Stats, func() {
		vanilla.MustRun(interv.Call{Base: base, Sources: []interv.Inputs{source},
			Locations: []*interv.Location{interv.FromTo(interv.Repeat(10, 0, 2, 4), interv.Repeat(10, 0, 5, 7))}, WithBase: true})
	})

	base, source = uniform(3, 1, 1, 2), uniform(4, 1, 1, 2)
	first := interv.FromTo(interv.Repeat(1, 0), interv.Repeat(1, 0))
	sum := func(o interv.Outcome) *Node { return ReduceAllSum(o.Output) }
	rotated := interv.Representation{Component: gru.CellOutput, Unit: interv.Step, Intervention: interv.LowRankRotatedSpace{Rank: 2}}
	das := interv.MustNew(engine, model, interv.Config{Representations: []interv.Representation{rotated}})
	gradient := das.Gradient(sum)
	report("das", das.Stats, func() {
		gradient.MustRun(interv.Call{Base: base, Sources: []interv.Inputs{source}, Locations: []*interv.Location{first}, WithBase: true})
	})

	rotated.SubspacePartition, rotated.Link = [][]int{interv.Range(0, 1), interv.Range(1, 2)}, "0"
	linked := interv.MustNew(engine, model, interv.Config{Representations: []interv.Representation{rotated, rotated}})
	linkedGradient := linked.Gradient(sum)
	report("das_linked", linked.Stats, func() {
		linkedGradient.MustRun(interv.Call{Base: base, Sources: []interv.Inputs{source, source},
			Locations: []*interv.Location{first, first}, Subspaces: [][][]int{{{0}}, {{1}}}, WithBase: true})
	})
}

func uniform(seed uint64, dimensions ...int) interv.Inputs {
	random := rand.New(rand.NewPCG(seed, 0))
	size := 1
	for _, d := range dimensions {
		size *= d
	}
	flat := make([]float32, size)
	for i := range flat {
		flat[i] = random.Float32()
	}
	return interv.Inputs{"inputs_embeds": tensors.FromFlatDataAndDimensions(flat, dimensions...)}
}

// measure is the median time of single calls in seconds, after some to warm up.
func measure(count int, call func()) float64 {
	for range count / 10 {
		call()
	}
	times := make([]float64, count)
	for i := range times {
		start := time.Now()
		call()
		times[i] = time.Since(start).Seconds()
	}
	slices.Sort(times)
	return times[count/2]
}
