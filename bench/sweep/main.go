// Command sweep times sweeps on GPT-2 small with random weights, compiling included, and prints one line of JSON for each. GOMLX_BACKEND
// chooses the backend.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/metric"
	"github.com/govene/govene/interv/sweep"
	"github.com/govene/govene/interv/transformer"
)

const (
	gpt2Small = `{"model_type": "gpt2", "vocab_size": 50257, "n_positions": 1024, "n_embd": 768, "n_layer": 12, "n_head": 12}`
	length    = 32 // tokens of a prompt
	pairs     = 8
)

// sweeps are what is timed, by name.
var sweeps = map[string]func(s *sweep.Sweep){
	"8_positions": func(s *sweep.Sweep) {
		s.Components, s.Positions = []interv.Component{transformer.BlockOutput}, sweep.At(0, 4, 8, 12, 16, 20, 24, 28)
	},
	"32_positions": func(s *sweep.Sweep) {
		s.Components, s.Positions = []interv.Component{transformer.BlockOutput}, sweep.UpTo(length)
	},
	"144_heads": func(s *sweep.Sweep) {
		s.Components, s.Heads = []interv.Component{transformer.HeadAttentionValueOutput}, interv.Range(0, 12)
	},
}

// order is that in which they are run.
var order = []string{"8_positions", "32_positions", "144_heads"}

// line is one measurement. Seconds include compiling; Limit is what the multiplications alone take at the machine's rate.
type line struct {
	Backend  string  `json:"backend"`
	Sweep    string  `json:"sweep"`
	Cells    int     `json:"cells"`
	Programs int     `json:"programs"`
	Compile  float64 `json:"compile_s"`
	Seconds  float64 `json:"seconds"`
	Limit    float64 `json:"limit_s"`
	Rate     float64 `json:"gflops_per_s"`
	Checksum float64 `json:"checksum"`
}

func main() {
	only := flag.String("only", "", "the one sweep to time")
	explain := flag.Bool("explain", false, "say what is done, and do nothing")
	flag.Parse()
	choice := backend.MustChoose()
	engine, err := choice.New()
	if err != nil {
		panic(err)
	}
	model := transformer.MustNew(transformer.MustParseConfig(gpt2Small), 1)
	for _, name := range order {
		if *only != "" && name != *only {
			continue
		}
		s := sweep.Sweep{Base: tokens(1), Source: tokens(2), Metric: metric.LogitDifference{Right: metric.Each(11), Wrong: metric.Each(13)}}
		sweeps[name](&s)
		if *explain {
			plan, err := s.Plan(engine, model)
			if err != nil {
				panic(err)
			}
			fmt.Printf("%s: %s\n", name, plan)
			continue
		}
		rate := multiplications(engine)
		begun := time.Now()
		result, err := sweep.Run(context.Background(), engine, model, s)
		if err != nil {
			panic(err)
		}
		l := line{Backend: choice.Name, Sweep: name, Cells: len(result.Cells), Programs: result.Stats.Programs, Compile: result.Stats.Compiling.Seconds(),
			Seconds: time.Since(begun).Seconds(), Rate: rate / 1e9}
		l.Limit = result.Stats.Flops / rate
		for _, row := range result.Values {
			for _, value := range row {
				l.Checksum += value
			}
		}
		if err := json.NewEncoder(os.Stdout).Encode(l); err != nil {
			panic(err)
		}
	}
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

// tokens are the prompts of one side of all pairs.
func tokens(seed int) interv.Inputs {
	ids := make([]int32, pairs*length)
	for i := range ids {
		ids[i] = int32((i + seed*1000) * 7919 % 50257)
	}
	return interv.Inputs{interv.InputIDs: tensors.FromFlatDataAndDimensions(ids, pairs, length)}
}
