// Command precision times forward passes of a transformer in one precision, up to one logit of each last position, and says how much memory
// they and loading take; one line of JSON for each. GOMLX_BACKEND chooses the backend. bench/precision_pytorch.py is its twin.
//
//	precision -make FOLDER -precision bfloat16     writes a checkpoint with random weights
//	precision -folder FOLDER -precision bfloat16   loads it and times it
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/bench/internal/timing"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/metric"
	"github.com/govene/govene/interv/transformer"
)

// GPT-2 small, or with -llama 1.2 billion parameters.
const (
	gpt2Small = `{"model_type": "gpt2", "vocab_size": 50257, "n_positions": 1024, "n_embd": 768, "n_layer": 12, "n_head": 12}`
	llama     = `{"model_type": "llama", "vocab_size": 128256, "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16,
		"num_attention_heads": 32, "num_key_value_heads": 8, "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "rope_theta": 500000.0,
		"tie_word_embeddings": true}`
)

func main() {
	large := flag.Bool("llama", false, "1.2 billion parameters, in place of GPT-2 small")
	made := flag.String("make", "", "write a checkpoint into this folder, and no more")
	folder := flag.String("folder", "", "load this checkpoint")
	precision := flag.String("precision", "float32", "float32, bfloat16 or float16")
	batch, length := flag.Int("batch", 8, "examples"), flag.Int("length", 32, "tokens of each")
	count := flag.Int("n", 10, "calls to time")
	flag.Parse()
	if *made != "" {
		config := gpt2Small
		if *large {
			config = llama
		}
		if err := transformer.MustNew(transformer.MustParseConfig(config), 1, transformer.Precision(*precision)).Save(*made); err != nil {
			panic(err)
		}
		return
	}
	choice := backend.MustChoose()
	engine, err := choice.New()
	if err != nil {
		panic(err)
	}
	model, err := transformer.Load(*folder, transformer.Precision(*precision))
	if err == nil {
		err = model.Weights().Upload(engine) // reads them
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	ids := make([]int32, *batch**length)
	for i := range ids {
		ids[i] = int32(i * 7919 % model.Config().Vocabulary)
	}
	inputs := interv.Inputs{interv.InputIDs: tensors.FromFlatDataAndDimensions(ids, *batch, *length)}
	iv := interv.MustNew(engine, model, interv.Config{})
	timing.Memory(choice.Name, "loading_"+*precision)
	call := interv.Call{Base: inputs, Metrics: []interv.Measure{{Metric: metric.Logit{Tokens: []int{0}}}}}
	timing.Report(choice.Name, fmt.Sprintf("forward_%s_%dx%d", *precision, *batch, *length), iv, 1, *count, func() {
		tensors.MustCopyFlatData[float32](iv.MustRun(call).Metrics[0].Value)
	})
	timing.Memory(choice.Name, "running_"+*precision)
}
