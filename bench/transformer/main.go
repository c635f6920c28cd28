// Command transformer times GPT-2 small with random weights and prints one line of JSON for each measurement: a clean run with all
// logits, a run with one position of one block patched from a source, and greedy generation. GOMLX_BACKEND chooses the backend; the twin
// of transformer_pytorch.py.
package main

import (
	"flag"
	"fmt"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/bench/internal/profile"
	"github.com/govene/govene/bench/internal/timing"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/transformer"
)

const (
	gpt2Small = `{"model_type": "gpt2", "vocab_size": 50257, "n_positions": 1024, "n_embd": 768, "n_layer": 12, "n_head": 12}`
	length    = 32 // tokens of a prompt
	newTokens = 64
)

func main() {
	count := flag.Int("n", 10, "calls to time")
	flag.Parse()
	defer profile.Start()()
	choice := backend.MustChoose()
	engine, err := choice.New()
	if err != nil {
		panic(err)
	}
	model := transformer.MustNew(transformer.MustParseConfig(gpt2Small), 1)
	report := func(name string, iv *interv.Intervenable, call func()) {
		timing.Report(choice.Name, name, iv, 1, *count, call)
	}
	for _, batch := range []int{1, 8} {
		forward(engine, model, batch, report)
	}
	for _, batch := range []int{1, 8} {
		patched(engine, model, batch, report)
	}
	generation(engine, model, report)
}

type reporter func(name string, iv *interv.Intervenable, call func())

func forward(engine compute.Backend, model *transformer.Model, batch int, report reporter) {
	iv := interv.MustNew(engine, model, interv.Config{})
	call := func() { iv.MustForward(tokens(1, batch)) }
	report(fmt.Sprintf("forward_%dx%d", batch, length), iv, call)
}

// patched puts the output of block 5 at position 10 of a source there in the base.
func patched(engine compute.Backend, model *transformer.Model, batch int, report reporter) {
	iv := interv.MustNew(engine, model, interv.Config{Representations: []interv.Representation{
		{Layer: 5, Component: transformer.BlockOutput, Unit: interv.Position, Intervention: interv.Vanilla{}}}})
	units := interv.Repeat(batch, 10)
	call := func() {
		iv.MustRun(interv.Call{Base: tokens(1, batch), Sources: []interv.Inputs{tokens(2, batch)}, Locations: []*interv.Location{interv.FromTo(units, units)}})
	}
	report(fmt.Sprintf("patched_%dx%d", batch, length), iv, call)
}

func generation(engine compute.Backend, model *transformer.Model, report reporter) {
	iv := interv.MustNew(engine, model, interv.Config{})
	call := func() { iv.MustGenerate(interv.Call{Base: tokens(1, 1)}, interv.Generation{NewTokens: newTokens}) }
	report(fmt.Sprintf("generate_%d", newTokens), iv, call)
}

func tokens(seed, batch int) interv.Inputs {
	ids := make([]int32, batch*length)
	for i := range ids {
		ids[i] = int32((i + seed*1000) * 7919 % 50257)
	}
	return interv.Inputs{"input_ids": tensors.FromFlatDataAndDimensions(ids, batch, length)}
}
