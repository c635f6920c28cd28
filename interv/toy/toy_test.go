package toy_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/tokens"
	"github.com/govene/govene/interv/toy"
	"github.com/govene/govene/interv/transformer"
)

var engine = backend.MustNew()

// likeliest is the likeliest token after each prompt.
func likeliest(logits *tensors.Tensor) []int {
	batch, positions, vocabulary := logits.Shape().Dim(0), logits.Shape().Dim(1), logits.Shape().Dim(2)
	flat := tensors.MustCopyFlatData[float32](logits)
	list := make([]int, batch)
	for example := range list {
		row := flat[(example*positions+positions-1)*vocabulary:][:vocabulary]
		list[example] = slices.Index(row, slices.Max(row))
	}
	return list
}

// The model knows all facts, loads again from its folder, and its answer follows the country that is patched in.
func TestTheModelKnowsItsFacts(t *testing.T) {
	if testing.Short() {
		t.Skip("trains for some seconds")
	}
	start := time.Now()
	folder := filepath.Join(t.TempDir(), "facts")
	toy.MustMake(engine, folder)
	t.Logf("trained in %v", time.Since(start))
	before, err := os.ReadFile(filepath.Join(folder, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	toy.MustMake(engine, folder)
	if after, err := os.ReadFile(filepath.Join(folder, "model.safetensors")); err != nil || !slices.Equal(before, after) {
		t.Errorf("a model that was there has been made anew (%v)", err)
	}

	model, tokenizer := transformer.MustLoad(folder), tokens.MustLoad(folder)
	var prompts []string
	var answers []int
	for _, fact := range toy.Facts {
		prompts = append(prompts, "The capital of "+fact.Country+" is", "The language of "+fact.Country+" is")
		answers = append(answers, tokenizer.MustID(" "+fact.Capital), tokenizer.MustID(" "+fact.Language))
	}
	base := tokenizer.MustEncode(tokens.Options{}, prompts...)
	iv := interv.MustNew(engine, model, interv.Config{Representations: []interv.Representation{{Layer: 0, Component: transformer.BlockInput, Intervention: interv.Vanilla{}}}})
	if got := likeliest(iv.MustForward(base.Inputs())); !slices.Equal(got, answers) {
		t.Errorf("got answers %v, wanted %v", got, answers)
	}
	shifted := append(slices.Clone(prompts[2:]), prompts[:2]...) // the same question about the next country
	source := tokenizer.MustEncode(tokens.Options{}, shifted...)
	country := interv.Repeat(len(prompts), 3)
	result := iv.MustRun(interv.Call{Base: base.Inputs(), Sources: []interv.Inputs{source.Inputs()}, Locations: []*interv.Location{interv.FromTo(country, country)}})
	if got, want := likeliest(result.Output), append(slices.Clone(answers[2:]), answers[:2]...); !slices.Equal(got, want) {
		t.Errorf("with the country patched: got answers %v, wanted %v", got, want)
	}
}
