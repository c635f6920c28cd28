// Command sweep times sweeps on GPT-2 small, compiling included, and prints one line of JSON for each; bench/sweep_peers.py is its twin.
// GOMLX_BACKEND chooses the backend.
//
//	sweep -make FOLDER                     writes a model with random weights and the questions that are asked of it
//	sweep -folder FOLDER [-out NUMBERS]    runs the sweeps on them
//	sweep                                  makes both on the fly
//	sweep -growth PLOT.svg                 how time grows with cells, layers, pairs and tokens, on a smaller model
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/bench/internal/profile"
	"github.com/govene/govene/internal/must"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/attribution"
	"github.com/govene/govene/interv/metric"
	"github.com/govene/govene/interv/paths"
	"github.com/govene/govene/interv/sweep"
	"github.com/govene/govene/interv/transformer"
)

const (
	gpt2Small = `{"model_type": "gpt2", "vocab_size": 50257, "n_positions": 1024, "n_embd": 768, "n_layer": 12, "n_head": 12}`
	length    = 32 // tokens of a prompt
	pairs     = 8
)

// questions are what is asked: the logit of the right token less that of the wrong one after each base, patched from its source.
type questions struct {
	Base   [][]int32 `json:"base"` // [pair][position]
	Source [][]int32 `json:"source"`
	Right  []int     `json:"right"` // [pair]
	Wrong  []int     `json:"wrong"`
}

func newQuestions() (q questions) {
	random := rand.New(rand.NewPCG(1, 0))
	token := func() int { return random.IntN(50257) }
	for range pairs {
		var base, source []int32
		for range length {
			base, source = append(base, int32(token())), append(source, int32(token()))
		}
		q.Base, q.Source = append(q.Base, base), append(q.Source, source)
		q.Right, q.Wrong = append(q.Right, token()), append(q.Wrong, token())
	}
	return q
}

func (q questions) inputs(rows [][]int32) interv.Inputs {
	return interv.Inputs{interv.InputIDs: tensors.FromFlatDataAndDimensions(slices.Concat(rows...), pairs, length)}
}

func (q questions) metric() metric.LogitDifference {
	return metric.LogitDifference{Right: metric.Each(q.Right...), Wrong: metric.Each(q.Wrong...)}
}

// line is one measurement. Seconds include compiling; the limit is what the multiplications alone take at the machine's rate.
type line struct {
	Library  string  `json:"library"`
	Backend  string  `json:"backend"`
	Name     string  `json:"name"`
	Cells    int     `json:"cells"`
	Programs int     `json:"programs"`
	Compile  float64 `json:"compile_s"`
	Total    float64 `json:"total_s"`
	Again    float64 `json:"again_s,omitempty"` // of a second run, when all is compiled: of an attribution on other inputs
	Limit    float64 `json:"limit_s,omitempty"`
	Rate     float64 `json:"gflops_per_s"`
}

// bench is a run of the program: a model, questions, and the numbers of each sweep, [cell][pair].
type bench struct {
	questions
	engine  compute.Backend
	model   *transformer.Model
	backend string
	explain bool    // in place of running
	again   bool    // a second time
	rate    float64 // of the machine's multiplications
	numbers map[string][][]float64
}

func main() {
	folder := flag.String("folder", "", "of model and questions; made on the fly if empty")
	write := flag.String("make", "", "writes model and questions into this folder, and ends")
	only := flag.String("only", "", "sweeps to run, separated by commas; all if empty")
	precision := flag.String("precision", "float32", "of the model: float32, bfloat16 or float16")
	again := flag.Bool("again", false, "run each sweep a second time, when it is compiled")
	explain := flag.Bool("explain", false, "say what each sweep would do, and do nothing")
	out := flag.String("out", "", "where the numbers go, as JSON")
	growth := flag.String("growth", "", "plot into this `file` how time grows, and end")
	flag.Parse()
	defer profile.Start()()
	if *growth != "" {
		choice := backend.MustChoose()
		(&bench{engine: must.Of(choice.New()), backend: choice.Name}).grow(*growth)
		return
	}
	model, asked := must.Of(transformer.New(transformer.MustParseConfig(gpt2Small), 1)), newQuestions()
	if *write != "" {
		check(model.Save(*write))
		check(os.WriteFile(filepath.Join(*write, "questions.json"), must.Of(json.Marshal(asked)), 0o644))
		return
	}
	if *folder != "" {
		model = must.Of(transformer.Load(*folder, transformer.Precision(*precision)))
		check(json.Unmarshal(must.Of(os.ReadFile(filepath.Join(*folder, "questions.json"))), &asked))
	}
	choice := backend.MustChoose()
	b := &bench{questions: asked, engine: must.Of(choice.New()), model: model, backend: choice.Name, explain: *explain, again: *again, numbers: map[string][][]float64{}}
	check(model.Weights().Upload(b.engine)) // which is part of loading
	b.rate = multiplications(b.engine)
	for _, s := range []struct {
		name string
		run  func(name string)
	}{{"positions8", b.positions(3, 7, 11, 15, 19, 23, 27, 31)}, {"heads", b.heads}, {"positions32", b.positions(interv.Range(0, length)...)}, {"attribution", b.attribution}, {"paths", b.paths}} {
		if *only == "" || slices.Contains(strings.Split(*only, ","), s.name) {
			s.run(s.name)
		}
	}
	if *out != "" {
		check(os.WriteFile(*out, must.Of(json.Marshal(b.numbers)), 0o644))
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func (b *bench) report(name string, l line, numbers [][]float64) {
	l.Library, l.Backend, l.Name, l.Cells, l.Rate = "govene", b.backend, name, len(numbers), b.rate/1e9
	b.numbers[name] = numbers
	check(json.NewEncoder(os.Stdout).Encode(l))
}

// positions patches the output of every block at each of some positions.
func (b *bench) positions(positions ...int) func(name string) {
	return func(name string) {
		b.sweep(name, sweep.Sweep{Components: []interv.Component{transformer.BlockOutput}, Positions: sweep.At(positions...)})
	}
}

// heads patches the mixed values of every head at all positions.
func (b *bench) heads(name string) {
	b.sweep(name, sweep.Sweep{Components: []interv.Component{transformer.HeadAttentionValueOutput}, Heads: interv.Range(0, 12)})
}

func (b *bench) sweep(name string, s sweep.Sweep) {
	s.Base, s.Source, s.Metric = b.inputs(b.Base), b.inputs(b.Source), b.metric()
	if b.explain {
		fmt.Printf("%s: %s\n", name, must.Of(s.Plan(b.engine, b.model)))
		return
	}
	begun := time.Now()
	plan := must.Of(s.Plan(b.engine, b.model))
	result := must.Of(plan.Run(context.Background()))
	l := line{Programs: result.Stats.Programs, Compile: result.Stats.Compiling.Seconds(), Total: time.Since(begun).Seconds(), Limit: result.Stats.Flops / b.rate}
	if b.again {
		begun = time.Now()
		must.Of(plan.Run(context.Background()))
		l.Again = time.Since(begun).Seconds()
	}
	b.report(name, l, result.Values)
}

// attribution estimates the patches of positions from gradients.
func (b *bench) attribution(name string) {
	if b.explain {
		return
	}
	a := attribution.Attribution{Base: b.inputs(b.Base), Source: b.inputs(b.Source), Measure: interv.Measure{Metric: b.metric()}}
	for layer := range b.model.Config().Layers {
		a.Sites = append(a.Sites, interv.Site{Layer: layer, Component: transformer.BlockOutput})
	}
	begun := time.Now()
	plan := must.Of(a.Plan(b.engine, b.model))
	result := must.Of(plan.Run(context.Background()))
	total, stats := time.Since(begun).Seconds(), plan.Stats()
	begun = time.Now()
	must.Of(must.Of(plan.On(a.Source, a.Base, a.Measure)).Run(context.Background()))
	again := time.Since(begun).Seconds()
	var numbers [][]float64
	for _, effect := range result.Effects {
		for position := range length {
			cell := make([]float64, pairs)
			for pair := range cell {
				cell[pair] = effect.Of(pair, 0, position)
			}
			numbers = append(numbers, cell)
		}
	}
	b.report(name, line{Programs: stats.Programs, Compile: stats.Compiling.Seconds(), Total: total, Again: again}, numbers)
}

// paths gives what each head below the last layer writes to the queries of the last layer's first head, and to nothing else.
func (b *bench) paths(name string) {
	if b.explain {
		return
	}
	begun := time.Now()
	result := must.Of(paths.Run(context.Background(), b.engine, b.model, paths.Paths{Base: b.inputs(b.Base), Source: b.inputs(b.Source), Metric: b.metric(),
		Receivers: []paths.Receiver{{Layer: b.model.Config().Layers - 1, Component: transformer.HeadQueryOutput, Heads: []int{0}}}}))
	total := time.Since(begun).Seconds()
	b.report(name, line{Programs: result.Stats.Programs, Compile: result.Stats.Compiling.Seconds(), Total: total}, result.Values)
}

// multiplications is the machine's rate at the model's largest product, in operations a second: the best of a few.
func multiplications(engine compute.Backend) float64 {
	const rows, in, out = 1024, 768, 3072
	exec := MustNewExec(engine, func(x, w *Node) *Node { return ReduceAllSum(DotGeneral(x, []int{-1}, nil, w, []int{0}, nil)) })
	x, w := ones(rows, in), ones(in, out)
	best := time.Hour
	for range 20 {
		begun := time.Now()
		tensors.ToScalar[float32](exec.MustCall(x, w)[0])
		best = min(best, time.Since(begun))
	}
	return 2 * rows * in * out / best.Seconds()
}

func ones(rows, columns int) *tensors.Tensor {
	flat := make([]float32, rows*columns)
	for i := range flat {
		flat[i] = 1
	}
	return tensors.FromFlatDataAndDimensions(flat, rows, columns)
}
