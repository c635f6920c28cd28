package gru_test

import (
	"slices"
	"testing"

	"github.com/govene/govene/interv/gru"
)

// A model made again, of its weights or from its files, is the same, head included.
func TestMadeAgain(t *testing.T) {
	config := gru.Config{Layers: 2, Width: 3, Embeddings: true, Vocabulary: 7, MaxPositions: 5}
	for want, model := range map[string]*gru.Model{
		"gru classifier":     gru.MustNewClassifier(config, 5),
		"gru language model": gru.MustNewLanguageModel(config, 5),
	} {
		t.Run(want, func(t *testing.T) {
			folder := t.TempDir()
			if err := model.Save(folder); err != nil {
				t.Fatal(err)
			}
			remade, err := gru.WithWeights(model.Config(), model.Weights().All())
			if err != nil {
				t.Fatal(err)
			}
			for _, again := range []*gru.Model{remade, gru.MustLoad(folder)} {
				if got := again.Catalogue().Model; got != want || again.Config() != model.Config() {
					t.Errorf("got a %s, %+v, wanted a %s, %+v", got, again.Config(), want, model.Config())
				}
				if !slices.Equal(again.Weights().Names(), model.Weights().Names()) {
					t.Errorf("got weights %v, wanted %v", again.Weights().Names(), model.Weights().Names())
				}
				for name, weight := range model.Weights().All() {
					if !again.Weights().Tensor(name).Equal(weight) {
						t.Errorf("%s changed", name)
					}
				}
			}
		})
	}
}
