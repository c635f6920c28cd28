package gru_test

import (
	"math"
	"slices"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

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
			other, err := model.Redrawn(6)
			if err != nil || other.Catalogue().Model != want || other.Config() != model.Config() || other.Weights().All()[model.Weights().Names()[0]].Equal(model.Weights().All()[model.Weights().Names()[0]]) {
				t.Errorf("drawn again it is %v (%v)", other, err)
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

// Weights are drawn as the documentation says: cells and head uniformly from ±1/√d, embeddings with a standard deviation of 0.02.
func TestDistributions(t *testing.T) {
	model := gru.MustNewClassifier(gru.Config{Layers: 1, Width: 64, Embeddings: true, Vocabulary: 50, MaxPositions: 50}, 3)
	for name, weight := range model.Weights().All() {
		largest, squares := 0.0, 0.0
		values := tensors.MustCopyFlatData[float32](weight)
		for _, value := range values {
			largest, squares = max(largest, math.Abs(float64(value))), squares+float64(value)*float64(value)
		}
		deviation, want := math.Sqrt(squares/float64(len(values))), 1.0/8/math.Sqrt(3)
		if len(values) == 50*64 {
			want = 0.02
		} else if largest > 1.0/8 {
			t.Errorf("%s: got %g, wanted at most 1/8", name, largest)
		}
		if math.Abs(deviation/want-1) > 0.2 {
			t.Errorf("%s: got a standard deviation of %g, wanted %g", name, deviation, want)
		}
	}
}
