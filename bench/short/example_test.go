package short_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/attribution"
	"github.com/govene/govene/interv/metric"
	"github.com/govene/govene/interv/paths"
	"github.com/govene/govene/interv/sweep"
	"github.com/govene/govene/interv/tokens"
	"github.com/govene/govene/interv/transformer"
)

// Example_patch puts one activation of one text into another, and reads a logit difference.
func Example_patch() {
	// begin patch
	model := transformer.MustLoad("gpt2")
	text := tokens.MustLoad("gpt2")
	base := text.MustEncode(tokens.Options{}, "The capital of Italy is")
	source := text.MustEncode(tokens.Options{}, "The capital of France is")
	config := interv.Single(1, transformer.BlockOutput, interv.Vanilla{})
	country := interv.FromTo(source.MustFind("France"), base.MustFind("Italy"))
	answer := metric.LogitDifference{Right: text.MustEach(" Paris"), Wrong: text.MustEach(" Rome")}
	call := interv.Interchange(base.Inputs(), source.Inputs(), country, answer)
	result := interv.MustNew(backend.MustNew(), model, config).MustRun(call)
	fmt.Println(result.MustMetric("logit_difference"))
	// end
}

// Example_map patches every layer at every position.
func Example_map() {
	// begin map
	model := transformer.MustLoad("gpt2")
	text := tokens.MustLoad("gpt2")
	base := text.MustEncode(tokens.Options{}, "The capital of Italy is")
	answer := metric.LogitDifference{Right: text.MustEach(" Paris"), Wrong: text.MustEach(" Rome")}
	result := sweep.MustRun(backend.MustNew(), model, sweep.Sweep{
		Base:       base.Inputs(),
		Source:     text.MustInputs("The capital of France is"),
		Components: []interv.Component{transformer.BlockOutput},
		Positions:  sweep.Words(base.Labels()[0]),
		Metric:     answer,
	})
	result.Plot().MustSave("map.svg")
	// end
}

// Example_heads patches every head, at all positions.
func Example_heads() {
	// begin heads
	model := transformer.MustLoad("gpt2")
	text := tokens.MustLoad("gpt2")
	answer := metric.LogitDifference{Right: text.MustEach(" Paris"), Wrong: text.MustEach(" Rome")}
	result := sweep.MustRun(backend.MustNew(), model, sweep.Sweep{
		Base:       text.MustInputs("The capital of Italy is"),
		Source:     text.MustInputs("The capital of France is"),
		Components: []interv.Component{transformer.HeadAttentionValueOutput},
		Heads:      interv.Range(0, model.Config().Attention.Heads),
		Metric:     answer,
	})
	result.Plot().MustSave("heads.svg")
	// end
}

// Example_tracing corrupts the subject with noise, and restores every layer at every position.
func Example_tracing() {
	// begin tracing
	model := transformer.MustLoad("gpt2")
	text := tokens.MustLoad("gpt2")
	prompt := text.MustEncode(tokens.Options{}, "The capital of France is")
	spread := interv.StandardDeviation(model.Weights().Tensor("transformer.wte.weight"))
	result := sweep.MustRun(backend.MustNew(), model, sweep.Sweep{
		Base: prompt.Inputs(),
		Corrupt: &sweep.Corruption{
			Component:    transformer.Embedding,
			Place:        sweep.Place{At: prompt.MustFind("France")},
			Intervention: interv.Noise{Level: 3 * spread},
		},
		Components: []interv.Component{transformer.BlockOutput},
		Positions:  sweep.Words(prompt.Labels()[0]),
		Metric:     metric.Probability{Tokens: []int{text.MustID(" Paris")}},
	})
	result.Plot().MustSave("tracing.svg")
	// end
}

// Example_steering adds the difference between two texts while others are generated.
func Example_steering() {
	// begin steering
	engine := backend.MustNew()
	model := transformer.MustLoad("gpt2")
	text := tokens.MustLoad("gpt2")
	block := interv.Site{Layer: 1, Component: transformer.BlockOutput}
	love, hate := text.MustInputs("I love you"), text.MustInputs("I hate you")
	vector := interv.MustContrast(engine, model, block, 4, love, hate)
	steer := interv.MustNew(engine, model, interv.Single(1, transformer.BlockOutput, interv.Addition{}))
	call := interv.Giving(text.MustInputs("I think that you"), vector, nil)
	result := steer.MustGenerate(call, interv.Generation{NewTokens: 10, Steps: interv.EveryStep})
	fmt.Println(text.Decode(result.New[0]))
	// end
}

// Example_collecting writes the output of every block at every position into a file.
func Example_collecting() {
	// begin collecting
	model := transformer.MustLoad("gpt2")
	text := tokens.MustLoad("gpt2")
	options := tokens.Options{Padding: tokens.Right}
	inputs := text.MustEncode(options, "The capital of France is", "I love you").Inputs()
	blocks := interv.MustCollectAll(backend.MustNew(), model, inputs, transformer.BlockOutput)
	blocks.MustSaveCollected("activations.safetensors")
	// end
}

// Example_attribution estimates what patching every MLP at every position would change, from gradients.
func Example_attribution() {
	// begin attribution
	model := transformer.MustLoad("gpt2")
	text := tokens.MustLoad("gpt2")
	base := text.MustEncode(tokens.Options{}, "The capital of Italy is")
	answer := metric.LogitDifference{Right: text.MustEach(" Paris"), Wrong: text.MustEach(" Rome")}
	result := attribution.MustRun(backend.MustNew(), model, attribution.Attribution{
		Base:    base.Inputs(),
		Source:  text.MustInputs("The capital of France is"),
		Sites:   model.Catalogue().Of(transformer.MLPOutput),
		Measure: interv.Measure{Metric: answer},
	})
	result.MustSweep(sweep.Words(base.Labels()[0])).Plot().MustSave("attribution.svg")
	// end
}

// Example_paths patches the paths from every head into the queries of one, and no other.
func Example_paths() {
	// begin paths
	model := transformer.MustLoad("gpt2")
	text := tokens.MustLoad("gpt2")
	answer := metric.LogitDifference{Right: text.MustEach(" Paris"), Wrong: text.MustEach(" Rome")}
	receiver := paths.Receiver{Layer: 2, Component: transformer.HeadQueryOutput, Heads: []int{0}}
	result := paths.MustRun(backend.MustNew(), model, paths.Paths{
		Base:      text.MustInputs("The capital of Italy is"),
		Source:    text.MustInputs("The capital of France is"),
		Receivers: []paths.Receiver{receiver},
		Metric:    answer,
	})
	result.Plot().MustSave("paths.svg")
	// end
}

// here is the folder of the package.
var here string

// TestMain runs the jobs in a folder that has gpt2: a tiny one with random weights, whose tokens are words.
func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if here, err = os.Getwd(); err != nil {
			panic(err)
		}
		home, err := os.MkdirTemp("", "short")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(home)
		if err := os.Chdir(home); err != nil {
			panic(err)
		}
		words := []string{"The", "capital", "of", "France", "Italy", "is", "Paris", "Rome", "I", "love", "hate", "you", "think", "that", "<end>"}
		config := fmt.Sprintf(`{"model_type": "gpt2", "vocab_size": %d, "n_positions": 64, "n_embd": 24, "n_layer": 3, "n_head": 3}`, len(words))
		if err := transformer.MustNew(transformer.MustParseConfig(config), 1).Save("gpt2"); err != nil {
			panic(err)
		}
		if err := tokens.MustWords(words).Save("gpt2"); err != nil {
			panic(err)
		}
		if err := os.WriteFile("gpt2/tokenizer_config.json", []byte(`{"eos_token": "<end>"}`), 0o644); err != nil {
			panic(err)
		}
		return m.Run()
	}())
}
