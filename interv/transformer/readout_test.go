package transformer_test

import (
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/golden"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/transformer"
)

// everyFamily runs check on one model of each golden checkpoint, with inputs of two lengths; where tests are sparing or short on two, of which
// one normalizes what attention and MLPs add and caps its logits.
func everyFamily(t *testing.T, check func(t *testing.T, model *transformer.Model, inputs interv.Inputs)) {
	seen := map[string]bool{}
	for _, c := range golden.Cases(t, goldenFamilies...) {
		if name := filepath.Base(c.Model.Checkpoint); seen[c.Model.Checkpoint] || (testing.Short() || sparing) && name != "gpt2" && name != "gemma2" {
			continue
		}
		seen[c.Model.Checkpoint] = true
		t.Run(c.Model.Checkpoint, func(t *testing.T) {
			check(t, checkpointOf(t, c), padded([][]int32{{3, 1, 4, 1, 5}, {9, 2, 6, 5, 3}}, 5, false))
		})
	}
}

// The lens's last entry is the model's output, the one before that of the model with its last block skipped.
func TestLens(t *testing.T) {
	everyFamily(t, func(t *testing.T, model *transformer.Model, inputs interv.Inputs) {
		layers, vocabulary := model.Config().Layers, model.Config().Vocabulary
		lens := interv.MustNew(engine, model.Lens(), interv.Config{}).MustForward(inputs)
		if got, want := lens.Shape().Dimensions, []int{2, layers + 1, 5, vocabulary}; !slices.Equal(got, want) {
			t.Fatalf("got shape %v, wanted %v", got, want)
		}
		iv := interv.MustNew(engine, model, at(layers-1, transformer.BlockOutput, interv.Skip{}))
		result := iv.MustRun(interv.Call{Base: inputs, Sources: []interv.Inputs{inputs}, Locations: []*interv.Location{interv.Everywhere()}, WithBase: true})
		for example, size := range []int{5 * vocabulary, 5 * vocabulary} {
			entry := func(layer int) []float32 {
				return tensors.MustCopyFlatData[float32](lens)[(example*(layers+1)+layer)*size:][:size]
			}
			wantNear(t, entry(layers), tensors.MustCopyFlatData[float32](result.BaseOutput)[example*size:][:size])
			wantNear(t, entry(layers-1), tensors.MustCopyFlatData[float32](result.Output)[example*size:][:size])
		}
	})
}

// What all components add up to is the logit; heads and the rest add up to attention.
func TestAttributionAddsUp(t *testing.T) {
	everyFamily(t, func(t *testing.T, model *transformer.Model, inputs interv.Inputs) {
		tokens := [][]int{{7, 2, 11}, {0, 5, 30}}
		logits := tensors.MustCopyFlatData[float32](interv.MustNew(engine, model, interv.Config{}).MustForward(inputs))
		vocabulary := model.Config().Vocabulary
		for _, byHead := range []bool{false, true} {
			attribution, err := model.Attribution(byHead)
			if err != nil {
				if !byHead || !model.Config().Norm.After {
					t.Fatal(err)
				}
				continue
			}
			out := interv.MustNew(engine, attribution, interv.Config{}).MustForward(attribution.MustTokens(inputs, tokens))
			count := len(attribution.Components())
			if got, want := out.Shape().Dimensions, []int{2, count, 5, 3}; !slices.Equal(got, want) {
				t.Fatalf("got shape %v, wanted %v", got, want)
			}
			flat := tensors.MustCopyFlatData[float32](out)
			for example := range 2 {
				for position := range 5 {
					for k, token := range tokens[example] {
						var sum float64
						for c := range count {
							sum += float64(flat[((example*count+c)*5+position)*3+k])
						}
						if limit := model.Config().LogitCap; limit > 0 {
							sum = limit * math.Tanh(sum/limit)
						}
						want := float64(logits[(example*5+position)*vocabulary+token])
						if math.Abs(sum-want) > 1e-4 {
							t.Fatalf("by head %v: example %d, position %d, token %d: components add up to %g, wanted %g", byHead, example, position, token, sum, want)
						}
					}
				}
			}
		}
	})
}

// An intervention is seen by the attribution: without a head, the head adds nothing.
func TestAttributionSeesInterventions(t *testing.T) {
	model := tinyGPT2()
	attribution := model.MustAttribution(true)
	iv := interv.MustNew(engine, attribution, interv.Config{Representations: []interv.Representation{
		{Layer: 1, Component: transformer.HeadAttentionValueOutput, Unit: interv.Head, Intervention: interv.Zero{}}}})
	inputs := attribution.MustTokens(padded([][]int32{{3, 1, 4}}, 3, false), [][]int{{7}})
	out := tensors.MustCopyFlatData[float32](iv.MustRun(interv.Call{Base: inputs, Locations: []*interv.Location{interv.At([][]int{{1}})}}).Output)
	for c, name := range attribution.Components() {
		if zero := slices.Equal(out[c*3:][:3], make([]float32, 3)); strings.Contains(name, " head ") && zero != (name == "1 head 1") {
			t.Errorf("%s adds %v", name, out[c*3:][:3])
		}
	}
}

func TestReadoutRefusals(t *testing.T) {
	classifier := transformer.MustNew(transformer.MustParseConfig(`{"model_type": "gpt2", "architectures": ["GPT2ForSequenceClassification"], "vocab_size": 31, "n_positions": 24, "n_embd": 16, "n_layer": 1, "n_head": 2, "pad_token_id": 0}`), 7)
	inputs := padded([][]int32{{3, 1, 4}}, 3, false)
	if _, err := interv.MustNew(engine, classifier.Lens(), interv.Config{}).Forward(inputs); err == nil {
		t.Error("a classifier has a lens")
	}
	if _, err := classifier.Attribution(false); err == nil {
		t.Error("a classifier has an attribution")
	}
	attribution := tinyGPT2().MustAttribution(false)
	if _, err := interv.MustNew(engine, attribution, interv.Config{}).Forward(inputs); err == nil {
		t.Error("attribution without tokens")
	}
	if _, err := attribution.Tokens(inputs, [][]int{{1}, {1, 2}}); err == nil {
		t.Error("tokens of different counts")
	}
	if _, err := interv.MustNew(engine, attribution, interv.Config{}).Forward(attribution.MustTokens(inputs, [][]int{{31}})); err == nil {
		t.Error("a token outside the vocabulary")
	}
}
