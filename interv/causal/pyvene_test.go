package causal_test

import (
	"slices"
	"testing"

	"github.com/govene/govene/interv/causal"
)

// What pyvene gets wrong about causal models, by the number that docs/pyvene.md lists it under, is right here. Each test says what pyvene did.
func TestPyvene14CounterfactualData(t *testing.T) {
	// The default sampler was called with an argument that it does not take.
	t.Run("14 default samplers", func(t *testing.T) {
		examples, err := causal.MustHierarchicalEquality(3).Counterfactuals(seeded(), causal.Design{Size: 10, Batch: 3})
		if err != nil {
			t.Fatal(err)
		}
		if len(examples) != 10 {
			t.Errorf("got %d examples, wanted 10", len(examples))
		}
	})

	// Functions that inputs and outputs were to be encoded with were not called.
	t.Run("14 own encodings", func(t *testing.T) {
		examples := []causal.Counterfactual{{Base: causal.Setting{"W": 2}}, {Base: causal.Setting{"W": 5}}}
		got := causal.MustEncode(examples, func(e causal.Counterfactual) ([]int32, error) {
			return causal.Numbers[int32](e.Base["W"], -7)
		})
		if want := []int32{2, -7, 5, -7}; !slices.Equal(got.Values, want) {
			t.Errorf("got %v, wanted %v", got.Values, want)
		}
	})

	// Positions were a default argument that all models shared: one had the places that another of the same names had left there.
	t.Run("14 a model of its own", func(t *testing.T) {
		line := func(names ...string) *causal.Model {
			next := func(v int) int { return v }
			return causal.MustNew(causal.Input(names[0], 0, 1), causal.Computed(names[1], next, names[0]), causal.Computed(names[2], next, names[1]))
		}
		for _, names := range [][]string{{"A", "B", "C"}, {"C", "B", "A"}} {
			nodes, _ := line(names...).Graph()
			for i, node := range nodes {
				if want := (causal.Node{Variable: names[i], Step: i}); node != want {
					t.Errorf("%v: got %v, wanted %v", names, node, want)
				}
			}
		}
	})
}
