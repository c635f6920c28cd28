package causal_test

import (
	"fmt"
	"math/rand/v2"

	"github.com/govene/govene/interv/causal"
)

// Are two pairs alike? The counterfactual: what if the first pair had been equal?
func Example() {
	same := func(a, b int) bool { return a == b }
	model := causal.MustNew(
		causal.Input("W", 0, 1, 2), causal.Input("X", 0, 1, 2), causal.Input("Y", 0, 1, 2), causal.Input("Z", 0, 1, 2),
		causal.Computed("WX", same, "W", "X"),
		causal.Computed("YZ", same, "Y", "Z"),
		causal.Computed("O", func(wx, yz bool) bool { return wx == yz }, "WX", "YZ"),
	)
	base := causal.Setting{"W": 0, "X": 1, "Y": 1, "Z": 2}
	source := causal.Setting{"W": 2, "X": 2, "Y": 0, "Z": 1}
	fmt.Print(model.Table(
		model.MustRun(base),
		model.MustInterchange(base, map[string]causal.Setting{"WX": source}),
	))
	// Output:
	// W  X  Y  Z  WX     YZ     O
	// 0  1  1  2  false  false  true
	// 0  1  1  2  true   false  false
}

func ExampleModel_String() {
	fmt.Print(causal.MustArithmetic(3, 2))
	// Output:
	// step  variable  parents  values
	// 0     X                  0, 1, 2
	// 0     Y                  0, 1, 2
	// 0     Z                  0, 1, 2
	// 1     S         X, Y     0, 1, 2, 3, 4
	// 1     D         X, Z     -2, -1, 0, 1, 2
	// 2     P         S, Z     0, 1, 2, 3, 4, 6, 8
	// 3     O         P, D     false, true
}

// Training data for alignment: batches that share an intervention, as arrays for tensors.
func ExampleModel_Counterfactuals() {
	model := causal.MustHierarchicalEquality(4)
	examples := model.MustCounterfactuals(rand.New(rand.NewPCG(42, 0)), causal.Design{
		Size:          640,
		Batch:         64,
		Interventions: [][]string{{"WX"}, {"YZ"}},
	})
	source := causal.MustEncode(examples, func(e causal.Counterfactual) ([]float32, error) {
		in := e.Source("WX")
		return causal.Numbers[float32](in["W"], in["X"], in["Y"], in["Z"])
	}, 1, 4)
	label := causal.MustEncode(examples, func(e causal.Counterfactual) ([]int32, error) {
		return causal.Numbers[int32](e.Setting["O"])
	})
	fmt.Println(source.Dimensions, label.Dimensions, examples[0].ID == examples[63].ID)
	// Output: [640 1 4] [640 1] true
}

// Inputs on which the first pair decides, as many with equal pairs as with different ones.
func ExampleModel_Filtered() {
	model := causal.MustHierarchicalEquality(4)
	sampler := model.Filtered(model.Balanced("WX"), model.LivePath("WX", "O"), model.Holds(causal.Setting{"YZ": false}))
	random := rand.New(rand.NewPCG(42, 0))
	for range 2 {
		inputs, err := sampler(random)
		if err != nil {
			fmt.Println(err)
		}
		setting := model.MustRun(inputs)
		fmt.Println(setting["YZ"], setting["O"] != setting["WX"])
	}
	// Output:
	// false true
	// false true
}
