package toy_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/tokens"
	"github.com/govene/govene/interv/toy"
	"github.com/govene/govene/interv/transformer"
)

// Words of sentences stand at the same positions, the receiver is the name that comes once, and the swapped sentence differs in the giver alone.
func TestGifts(t *testing.T) {
	gifts := toy.Gifts(20, 1)
	for i, g := range gifts {
		words, swapped := strings.Fields(g.Prompt()), strings.Fields(g.Swapped().Prompt())
		if len(words) != 16 || words[1] != g.First || words[3] != g.Second || words[10] != g.Giver() || g.Giver() == g.Receiver() || g.Swapped().Receiver() != g.Giver() {
			t.Errorf("%q, to %s", g.Prompt(), g.Receiver())
		}
		count := func(name string) int {
			return len(slices.DeleteFunc(slices.Clone(words), func(w string) bool { return w != name }))
		}
		if count(g.Giver()) != 2 || count(g.Receiver()) != 1 || g.FirstGives != (i%2 == 1) {
			t.Errorf("%q: who gives?", g.Prompt())
		}
		words[10] = g.Receiver()
		if !slices.Equal(words, swapped) {
			t.Errorf("got %q, swapped %q", g.Prompt(), g.Swapped().Prompt())
		}
	}
	if again := toy.Gifts(20, 1); !slices.Equal(again, gifts) {
		t.Error("the same seed drew other sentences")
	}
}

// The model says the receiver. The notebook about it runs it as well.
func TestGiversAreLearnt(t *testing.T) {
	if os.Getenv("GOVENE_LONG") == "" {
		t.Skip("trains for a minute; GOVENE_LONG=1 runs it")
	}
	folder := toy.MustMakeGivers(engine, filepath.Join(t.TempDir(), "givers"))
	model, tokenizer := transformer.MustLoad(folder), tokens.MustLoad(folder)
	var prompts []string
	var answers []int
	for _, g := range toy.Gifts(200, 5) {
		prompts, answers = append(prompts, g.Prompt()), append(answers, tokenizer.MustID(" "+g.Receiver()))
	}
	iv := interv.MustNew(engine, model, interv.Config{Representations: []interv.Representation{{Component: transformer.BlockInput, Intervention: interv.Vanilla{}}}})
	right := 0
	for i, got := range likeliest(iv.MustForward(tokenizer.MustEncode(tokens.Options{}, prompts...).Inputs())) {
		if got == answers[i] {
			right++
		}
	}
	if right < 198 {
		t.Errorf("%d of 200 receivers are right", right)
	}
}
