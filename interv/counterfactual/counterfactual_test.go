package counterfactual_test

import (
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/causal"
	"github.com/govene/govene/interv/counterfactual"
)

// Inputs and labels belong together: read back from the tensors, the model says what the labels say.
func TestDataIsWhatTheModelSays(t *testing.T) {
	model := causal.MustArithmetic(4, 5)
	itself := causal.Encoding[int32]{Of: func(value causal.Value) ([]int32, error) { return []int32{int32(value.(int))}, nil }}
	d := counterfactual.MustData(model, causal.Design{Size: 200, Interventions: [][]string{{"S"}, {"D", "P"}, nil}}, itself, 3)
	setting := func(in interv.Inputs, i int) causal.Setting {
		row := tensors.MustCopyFlatData[int32](in[interv.InputIDs])[3*i : 3*i+3]
		return causal.Setting{"X": int(row[0]), "Y": int(row[1]), "Z": int(row[2])}
	}
	number := func(setting causal.Setting) int {
		if setting["O"] == true {
			return 1
		}
		return 0
	}
	variables := []string{"S", "D", "P"} // in network order
	for i := range d.Labels {
		base := setting(d.Base, i)
		sources := map[string]causal.Setting{}
		for v, name := range variables {
			sources[name] = setting(d.Sources[v], i)
			if got, want := d.SourceLabels[v][i], number(model.MustRun(sources[name])); got != want {
				t.Errorf("example %d: got label %d of the source of %s, wanted %d", i, got, name, want)
			}
		}
		if got, want := d.BaseLabels[i], number(model.MustRun(base)); got != want {
			t.Errorf("example %d: got the base's label %d, wanted %d", i, got, want)
		}
		// What is not intervened on has the base as source, which for P below S would undo an intervention on S: so S alone is interchanged then.
		if same(sources["D"], base) && same(sources["P"], base) {
			sources = map[string]causal.Setting{"S": sources["S"]}
		}
		if got, want := d.Labels[i], number(model.MustInterchange(base, sources)); got != want {
			t.Errorf("example %d: got label %d, wanted %d", i, got, want)
		}
	}
	two := causal.MustNew(causal.Input("A", 1, 2), causal.Computed("B", func(a int) int { return a }, "A"), causal.Computed("C", func(a int) int { return a }, "A"))
	_, err := counterfactual.Data(two, causal.Design{Size: 1, Interventions: [][]string{nil}}, itself, 1)
	wanted.Refusal(t, err, "outputs", "one")
	_, err = counterfactual.Data(model, causal.Design{Size: 1, Interventions: [][]string{{"Q"}}}, itself, 1)
	wanted.Refusal(t, err, "Q")
}

func same(a, b causal.Setting) bool { return a["X"] == b["X"] && a["Y"] == b["Y"] && a["Z"] == b["Z"] }

// A stream's batches follow from the seed and the step, and differ from one another.
func TestStreamsFollowTheirSeed(t *testing.T) {
	of := func(seed uint64, step int) []float32 {
		stream := counterfactual.Stream(causal.MustHierarchicalEquality(20), causal.Design{Size: 50, Balance: []string{"WX", "YZ"}}, causal.FreshEmbeddings(2), seed, counterfactual.Factual)
		call, err := stream(step)
		if err != nil {
			t.Fatal(err)
		}
		return tensors.MustCopyFlatData[float32](call.Base[interv.InputsEmbeds])
	}
	seen := map[float32]bool{}
	for seed := range uint64(3) {
		for step := range 20 {
			batch := of(seed, step)
			again := of(seed, step)
			for i, number := range batch {
				if again[i] != number {
					t.Fatalf("seed %d, step %d: a second stream has another batch", seed, step)
				}
			}
			if seen[batch[0]] {
				t.Errorf("seed %d, step %d: a batch has come before", seed, step)
			}
			seen[batch[0]] = true
		}
	}
}
