package transformer_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/transformer"
)

// tinyGPT2 has two layers and room for 24 positions.
func tinyGPT2() *transformer.Model {
	return transformer.MustNew(transformer.MustParseConfig(`{"model_type": "gpt2", "vocab_size": 31, "n_positions": 24, "n_embd": 16, "n_layer": 2, "n_head": 2}`), 7)
}

func at(layer int, component interv.Component, intervention interv.Intervention) interv.Config {
	return interv.Config{Representations: []interv.Representation{{Layer: layer, Component: component, Intervention: intervention}}}
}

// logitsOf are the logits of one example at one step.
func logitsOf(g *interv.Generated, example, step int) []float32 {
	steps, vocabulary := g.Logits.Shape().Dim(1), g.Logits.Shape().Dim(2)
	return tensors.MustCopyFlatData[float32](g.Logits)[(example*steps+step)*vocabulary:][:vocabulary]
}

// A write at one step changes what follows from it and nothing before; where it puts the source's last block output, the next token's
// logits are the source's there.
func TestInterventionsAtSteps(t *testing.T) {
	model := tinyGPT2()
	prompts := padded([][]int32{{3, 1, 4, 1, 5}, {9, 2, 6}}, 5, false)
	source := padded([][]int32{{7, 7, 2}, {8, 1}}, 3, false)
	iv := interv.MustNew(engine, model, at(1, transformer.BlockOutput, interv.Vanilla{}))
	clean := iv.MustGenerate(interv.Call{Base: prompts, Locations: []*interv.Location{nil}}, interv.Generation{NewTokens: 4, Logits: true})
	call := interv.Call{Base: prompts, Sources: []interv.Inputs{source},
		Locations: []*interv.Location{interv.FromTo([][]int{{0, -1}, {0, -1}}, [][]int{{0, 1}, {0, 1}})}}
	edited := iv.MustGenerate(call, interv.Generation{NewTokens: 4, Logits: true, Steps: func(step, _ int) bool { return step == 1 }})
	want := tensors.MustCopyFlatData[float32](iv.MustForward(source))
	for example, last := range []int{2, 1} {
		for step := range 2 { // the prompt's edits are in the last layer, so they reach no later token
			wantNear(t, logitsOf(edited, example, step), logitsOf(clean, example, step))
		}
		wantNear(t, logitsOf(edited, example, 2), want[(example*3+last)*31:][:31])
	}
}

// What a prompt's locations change stays in the keys and values, wherever the prompt is padded.
func TestPromptsAreEditedWhereverTheyArePadded(t *testing.T) {
	model := tinyGPT2()
	iv := interv.MustNew(engine, model, at(0, transformer.BlockOutput, interv.Addition{}))
	steer := tensors.FromFlatDataAndDimensions(slices.Repeat([]float32{1, -2}, 8), 16)
	generate := func(base interv.Inputs, location *interv.Location) *interv.Generated {
		return iv.MustGenerate(interv.Call{Base: base, Locations: []*interv.Location{location}, Activations: []*tensors.Tensor{steer}},
			interv.Generation{NewTokens: 3, Logits: true})
	}
	right := generate(padded([][]int32{{3, 1, 4, 1, 5}, {9, 2, 6}}, 5, false), interv.At([][]int{{1, 4}, {0, 2}}))
	left := generate(padded([][]int32{{3, 1, 4, 1, 5}, {9, 2, 6}}, 5, true), interv.At([][]int{{1, 4}, {2, 4}}))
	fromEnd := generate(padded([][]int32{{3, 1, 4, 1, 5}, {9, 2, 6}}, 5, true), interv.At([][]int{{-4, -1}, {-3, -1}}))
	clean := generate(padded([][]int32{{3, 1, 4, 1, 5}, {9, 2, 6}}, 5, true), nil)
	for example := range 2 {
		for step := range 3 {
			wantNear(t, logitsOf(right, example, step), logitsOf(left, example, step))
			wantNear(t, logitsOf(fromEnd, example, step), logitsOf(left, example, step))
		}
		if slices.Equal(logitsOf(left, example, 0), logitsOf(clean, example, 0)) {
			t.Errorf("example %d: the edit changed nothing", example)
		}
	}
}

func TestStopStreamAndPrograms(t *testing.T) {
	iv := interv.MustNew(engine, tinyGPT2(), interv.Config{})
	base := padded([][]int32{{3, 1, 4}, {9, 2, 6}}, 3, false)
	free := iv.MustGenerate(interv.Call{Base: base}, interv.Generation{NewTokens: 6})
	stop := free.New[0][2]
	var streamed []string
	how := interv.Generation{NewTokens: 6, Stop: []int{stop}, OnToken: func(step int, chosen []int) { streamed = append(streamed, fmt.Sprint(step, chosen)) }}
	stopped := iv.MustGenerate(interv.Call{Base: base}, how)
	first := slices.Index(free.New[0], stop)
	if got := stopped.New[0]; !slices.Equal(got[:first+1], free.New[0][:first+1]) || slices.ContainsFunc(got[first:], func(token int) bool { return token != stop }) {
		t.Errorf("got %v, wanted %v up to %d and then only that", got, free.New[0], stop)
	}
	if len(streamed) != len(stopped.New[0]) {
		t.Errorf("streamed %v, wanted one entry for each of %d steps", streamed, len(stopped.New[0]))
	}
	everything := iv.MustGenerate(interv.Call{Base: base}, interv.Generation{NewTokens: 6, Stop: []int{free.New[0][0], free.New[1][0]}})
	if got := everything.Tokens.Shape().Dim(1); got != 4 {
		t.Errorf("both stopped at once, and yet there are %d columns, wanted 4", got)
	}
	before := iv.Stats().Programs
	iv.MustGenerate(interv.Call{Base: padded([][]int32{{5, 5, 5}, {2, 6}}, 3, true)}, interv.Generation{NewTokens: 20})
	if after := iv.Stats().Programs; before < 2 || after != before {
		t.Errorf("got %d programs and then %d, wanted that other prompts of the same shape compile none", before, after)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := iv.Generate(canceled, interv.Call{Base: base}, how); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, wanted that the context ended", err)
	}
}

func TestSampling(t *testing.T) {
	iv := interv.MustNew(engine, tinyGPT2(), interv.Config{})
	base := padded([][]int32{{3, 1, 4}}, 3, false)
	draw := func(how interv.Generation) []int {
		how.NewTokens = 12
		return iv.MustGenerate(interv.Call{Base: base}, how).New[0]
	}
	greedy := draw(interv.Generation{})
	for name, how := range map[string]interv.Generation{
		"top k 1": {Temperature: 1, TopK: 1, Seed: 5}, "tiny top p": {Temperature: 1, TopP: 1e-6, Seed: 6}, "cold": {Temperature: 1e-4, Seed: 7},
	} {
		if got := draw(how); !slices.Equal(got, greedy) {
			t.Errorf("%s: got %v, wanted the likeliest tokens %v", name, got, greedy)
		}
	}
	hot := draw(interv.Generation{Temperature: 3, Seed: 1})
	if !slices.Equal(hot, draw(interv.Generation{Temperature: 3, Seed: 1})) {
		t.Error("the same seed drew other tokens")
	}
	if slices.Equal(hot, draw(interv.Generation{Temperature: 3, Seed: 2})) {
		t.Error("another seed drew the same tokens")
	}
	for _, token := range draw(interv.Generation{Temperature: 100, TopK: 2, Seed: 3})[:1] {
		logits := tensors.MustCopyFlatData[float32](iv.MustForward(base))[2*31:]
		larger := 0
		for _, logit := range logits {
			if logit > logits[token] {
				larger++
			}
		}
		if larger > 1 {
			t.Errorf("top k 2 drew a token that %d others exceed", larger)
		}
	}
}

// With longrope, a generation that stays on one side of the border is as any other.
func TestGenerationOnOneSideOfTheBorder(t *testing.T) {
	iv := interv.MustNew(engine, tinyModel[float32](t, "phi3, long"), interv.Config{})
	for _, prompt := range [][]int32{{1, 2}, {3, 1, 4, 1, 5}} {
		generated := iv.MustGenerate(interv.Call{Base: padded([][]int32{prompt}, len(prompt), false)}, interv.Generation{NewTokens: 3, Logits: true})
		whole := slices.Clone(prompt)
		for _, token := range generated.New[0][:2] {
			whole = append(whole, int32(token))
		}
		want := tensors.MustCopyFlatData[float32](iv.MustForward(padded([][]int32{whole}, len(whole), false)))
		wantNear(t, logitsOf(generated, 0, 2), want[(len(whole)-1)*23:])
	}
}

func TestGenerationRefusals(t *testing.T) {
	model := tinyGPT2()
	classifier := transformer.MustNew(transformer.MustParseConfig(`{"model_type": "gpt2", "architectures": ["GPT2ForSequenceClassification"], "vocab_size": 31, "n_positions": 24, "n_embd": 16, "n_layer": 1, "n_head": 2, "pad_token_id": 0}`), 7)
	base := interv.Inputs{"input_ids": tensors.FromValue([][]int32{{1, 2, 3}})}
	longer := tinyModel[float32](t, "phi3, long") // rotates otherwise beyond 4 positions
	serial := at(0, transformer.BlockOutput, interv.Vanilla{})
	serial.Mode = interv.Serial
	for name, c := range map[string]struct {
		model  *transformer.Model
		config interv.Config
		call   interv.Call
		how    interv.Generation
		word   string
	}{
		"no tokens":          {model, interv.Config{}, interv.Call{Base: base}, interv.Generation{}, "new tokens"},
		"too long":           {model, interv.Config{}, interv.Call{Base: base}, interv.Generation{NewTokens: 22}, "25 positions, wanted at most 24"},
		"across a border":    {longer, interv.Config{}, interv.Call{Base: base}, interv.Generation{NewTokens: 3}, "example 0, phi3 language model: length: got 3 to 5 tokens, wanted at most 4"},
		"a classifier":       {classifier, interv.Config{}, interv.Call{Base: base}, interv.Generation{NewTokens: 2}, "classifier"},
		"serial":             {model, serial, interv.Call{Base: base, Locations: []*interv.Location{nil}}, interv.Generation{NewTokens: 2}, "serial"},
		"temperature":        {model, interv.Config{}, interv.Call{Base: base}, interv.Generation{NewTokens: 2, Temperature: math.NaN()}, "temperature"},
		"cold top k":         {model, interv.Config{}, interv.Call{Base: base}, interv.Generation{NewTokens: 2, TopK: 3}, "temperature"},
		"top p":              {model, interv.Config{}, interv.Call{Base: base}, interv.Generation{NewTokens: 2, Temperature: 1, TopP: 2}, "top p"},
		"nothing to read":    {model, at(0, transformer.BlockOutput, interv.Vanilla{}), interv.Call{Base: base, Locations: []*interv.Location{nil}}, interv.Generation{NewTokens: 2, Steps: interv.EveryStep}, "source at steps"},
		"without token ids":  {model, interv.Config{}, interv.Call{Base: interv.Inputs{"inputs_embeds": tensors.FromScalarAndDimensions(float32(1), 1, 3, 16)}}, interv.Generation{NewTokens: 2}, "input_ids"},
		"labels":             {model, interv.Config{}, interv.Call{Base: base, Labels: base}, interv.Generation{NewTokens: 2}, "labels"},
		"no tensor":          {model, interv.Config{}, interv.Call{Base: interv.Inputs{"input_ids": base["input_ids"], "position_ids": nil}}, interv.Generation{NewTokens: 2}, "position_ids"},
		"stop at no token":   {model, interv.Config{}, interv.Call{Base: base}, interv.Generation{NewTokens: 2, Stop: []int{3, 31}}, "stop: input_ids of example 0, position 0: got 31"},
		"stop far away":      {model, interv.Config{}, interv.Call{Base: base}, interv.Generation{NewTokens: 2, Stop: []int{1 << 32}}, "stop: got 4294967296"},
		"clean output asked": {model, interv.Config{}, interv.Call{Base: base, WithBase: true}, interv.Generation{NewTokens: 2}, "with base"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := interv.MustNew(engine, c.model, c.config).Generate(t.Context(), c.call, c.how)
			wanted.Refusal(t, err, c.word)
		})
	}
}
