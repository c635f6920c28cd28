// Command transformer times GPT-2 small with random weights and prints one line of JSON for each measurement: a clean run with all
// logits, a run with one position of one block patched from a source, and greedy generation. GOMLX_BACKEND chooses the backend; the twin
// of transformer_pytorch.py.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/transformer"
)

const (
	gpt2Small = `{"model_type": "gpt2", "vocab_size": 50257, "n_positions": 1024, "n_embd": 768, "n_layer": 12, "n_head": 12}`
	length    = 32 // tokens of a prompt
	newTokens = 64
)

type line struct {
	Library  string  `json:"library"`
	Backend  string  `json:"backend"`
	Name     string  `json:"name"`
	MedianS  float64 `json:"median_s"`
	MinS     float64 `json:"min_s"`
	CompileS float64 `json:"compile_s"`
	N        int     `json:"n"`
	PeakMiB  float64 `json:"peak_mib"` // of the process so far
}

func main() {
	count := flag.Int("n", 10, "calls to time")
	flag.Parse()
	choice := backend.MustChoose()
	engine, err := choice.New()
	if err != nil {
		panic(err)
	}
	model := transformer.MustNew(transformer.MustParseConfig(gpt2Small), 1)
	report := func(name string, first func() time.Duration, call func()) {
		compiling := first()
		median, least := measure(*count, call)
		text, err := json.Marshal(line{"govene", choice.Name, name, median, least, compiling.Seconds(), *count, peak()})
		if err != nil {
			panic(err)
		}
		fmt.Println(string(text))
	}
	for _, batch := range []int{1, 8} {
		forward(engine, model, batch, report)
	}
	for _, batch := range []int{1, 8} {
		patched(engine, model, batch, report)
	}
	generation(engine, model, report)
}

type reporter func(name string, first func() time.Duration, call func())

func forward(engine compute.Backend, model *transformer.Model, batch int, report reporter) {
	iv := interv.MustNew(engine, model, interv.Config{})
	call := func() { iv.MustForward(tokens(1, batch)) }
	report(fmt.Sprintf("forward_%dx%d", batch, length), compiling(iv, call), call)
}

// patched puts the output of block 5 at position 10 of a source there in the base.
func patched(engine compute.Backend, model *transformer.Model, batch int, report reporter) {
	iv := interv.MustNew(engine, model, interv.Config{Representations: []interv.Representation{
		{Layer: 5, Component: transformer.BlockOutput, Unit: interv.Position, Intervention: interv.Vanilla{}}}})
	units := interv.Repeat(batch, 10)
	call := func() {
		iv.MustRun(interv.Call{Base: tokens(1, batch), Sources: []interv.Inputs{tokens(2, batch)}, Locations: []*interv.Location{interv.FromTo(units, units)}})
	}
	report(fmt.Sprintf("patched_%dx%d", batch, length), compiling(iv, call), call)
}

func generation(engine compute.Backend, model *transformer.Model, report reporter) {
	iv := interv.MustNew(engine, model, interv.Config{})
	call := func() { iv.MustGenerate(interv.Call{Base: tokens(1, 1)}, interv.Generation{NewTokens: newTokens}) }
	report(fmt.Sprintf("generate_%d", newTokens), compiling(iv, call), call)
}

// compiling makes the first call and returns how much of it was compiling.
func compiling(iv *interv.Intervenable, call func()) func() time.Duration {
	return func() time.Duration {
		call()
		return iv.Stats().Compiling
	}
}

func tokens(seed, batch int) interv.Inputs {
	ids := make([]int32, batch*length)
	for i := range ids {
		ids[i] = int32((i + seed*1000) * 7919 % 50257)
	}
	return interv.Inputs{"input_ids": tensors.FromFlatDataAndDimensions(ids, batch, length)}
}

// measure is the median and least time of single calls in seconds.
func measure(count int, call func()) (median, least float64) {
	times := make([]float64, count)
	for i := range times {
		start := time.Now()
		call()
		times[i] = time.Since(start).Seconds()
	}
	slices.Sort(times)
	return times[count/2], times[0]
}

// peak is the most memory that the process has held, in MiB; 0 where Linux's /proc is missing.
func peak() float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for _, text := range strings.Split(string(status), "\n") {
		var kib float64
		if n, _ := fmt.Sscanf(text, "VmHWM: %f kB", &kib); n == 1 {
			return kib / 1024
		}
	}
	return 0
}
