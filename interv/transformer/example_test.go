package transformer_test

import (
	"fmt"
	"os"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/transformer"
)

// What one position's MLP adds is taken from another sequence: it reaches the logits of that position and of later ones.
func Example() {
	model := transformer.MustNew(transformer.MustParseConfig(`{"model_type": "gpt2",
		"vocab_size": 50, "n_positions": 8, "n_embd": 12, "n_layer": 2, "n_head": 3}`), 42)
	patch := interv.MustNew(backend.MustNew(), model, interv.Config{Representations: []interv.Representation{
		{Layer: 0, Component: transformer.MLPOutput, Unit: interv.Position, Intervention: interv.Vanilla{}},
	}})
	ids := func(tokens ...int32) interv.Inputs {
		return interv.Inputs{"input_ids": tensors.FromFlatDataAndDimensions(tokens, 1, len(tokens))}
	}
	result := patch.MustRun(interv.Call{
		Base:      ids(7, 8, 9, 10),
		Sources:   []interv.Inputs{ids(20, 30, 40)},
		Locations: []*interv.Location{interv.FromTo([][]int{{1}}, [][]int{{2}})},
		WithBase:  true,
	})
	before, after := tensors.MustCopyFlatData[float32](result.BaseOutput), tensors.MustCopyFlatData[float32](result.Output)
	fmt.Println(result.Output.Shape().Dimensions)
	for position := range 4 {
		fmt.Println(position, before[position*50] != after[position*50])
	}
	// Output:
	// [1 4 50]
	// 0 false
	// 1 false
	// 2 true
	// 3 true
}

// A catalogue tells what a model of a config can be intervened on, before there is any model.
func ExampleConfig_Catalogue() {
	config := transformer.MustParseConfig(`{"model_type": "qwen3", "vocab_size": 50, "max_position_embeddings": 8, "hidden_size": 12,
		"num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 6, "intermediate_size": 20}`)
	for _, component := range []interv.Component{transformer.QueryOutput, transformer.HeadKeyOutput, transformer.AttentionWeight} {
		sites, err := config.Catalogue().Find(interv.Site{Layer: 1, Component: component})
		fmt.Println(sites.Component, sites.Heads, sites.Width, sites.Units, err)
	}
	_, err := config.Catalogue().Find(interv.Site{Layer: 1, Component: "mlp_outptu"})
	fmt.Println(err)
	// Output:
	// query_output 0 24 [pos] <nil>
	// head_key_output 2 6 [h h.pos] <nil>
	// attention_weight 4 0 [h h.pos] <nil>
	// qwen3 language model: component: got "mlp_outptu", wanted one of embedding, block_input, attention_input, query_output, head_query_output, key_output, head_key_output, value_output, head_value_output, attention_weight, head_attention_value_output, attention_value_output, attention_output, residual_middle, mlp_input, mlp_activation, mlp_output, block_output, final_norm; did you mean "mlp_output"?
}

// A bar on the terminal, if the checkpoint takes long to fetch and to read.
func ExampleLoad() {
	folder, err := os.MkdirTemp("", "model")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(folder)
	model := transformer.MustNew(transformer.MustParseConfig(`{"model_type": "gpt2",
		"vocab_size": 50, "n_positions": 8, "n_embd": 12, "n_layer": 2, "n_head": 3}`), 42)
	if err := model.Save(folder); err != nil {
		panic(err)
	}
	loaded, err := transformer.Load(folder, transformer.Bar(os.Stderr))
	if err != nil {
		panic(err)
	}
	fmt.Println(loaded.Weights().Size(), "parameters")
	// Output: 4488 parameters
}

func ExampleParseConfig() {
	_, err := transformer.ParseConfig([]byte(`{"model_type": "llama", "vocab_size": 32000, "hiden_size": 4096}`))
	fmt.Println(err)
	// Output:
	// config.json: hidden_size: got no such field, wanted a value of type int; did you mean "hiden_size"?
}
