package causal_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv/causal"
)

func seeded() *rand.Rand { return rand.New(rand.NewPCG(11, 12)) }

// near wants count of n draws to be what a chance p gives, within five standard deviations.
func near(t *testing.T, what string, count, n int, p float64) {
	t.Helper()
	mean := p * float64(n)
	if math.Abs(float64(count)-mean) > 5*math.Sqrt(mean*(1-p)) {
		t.Errorf("%s: %d of %d, wanted about %.0f", what, count, n, mean)
	}
}

func draw(t *testing.T, sampler causal.Sampler, random *rand.Rand) causal.Setting {
	t.Helper()
	inputs, err := sampler(random)
	if err != nil {
		t.Fatal(err)
	}
	return inputs
}

func TestSampleInput(t *testing.T) {
	m, random, n := causal.MustHierarchicalEquality(4), seeded(), 4000
	count := map[string]int{}
	for range n {
		in := draw(t, m.SampleInput, random)
		if len(in) != 4 {
			t.Fatalf("%v", in)
		}
		count[fmt.Sprint("Z", in["Z"])]++
		if m.MustRun(in)["WX"] == true {
			count["WX"]++
		}
	}
	near(t, "Z = 2", count["Z2"], n, 0.25)
	near(t, "WX", count["WX"], n, 0.25)
}

// Among all inputs WX is true in a quarter; balanced, it is in half, and so are its parents' values within each class.
func TestBalanced(t *testing.T) {
	m, random, n := causal.MustHierarchicalEquality(4), seeded(), 4000
	count := map[string]int{}
	for range n {
		s := m.MustRun(draw(t, m.Balanced("O"), random))
		for _, name := range []string{"WX", "YZ", "O"} {
			if s[name] == true {
				count[name]++
			}
		}
		if s["WX"] == true && s["W"] == 3 {
			count["W3"]++
		}
	}
	near(t, "O", count["O"], n, 0.5)
	near(t, "WX", count["WX"], n, 0.5)
	near(t, "YZ", count["YZ"], n, 0.5)
	near(t, "W = X = 3", count["W3"], n, 0.125)
	for range 100 {
		if s := m.MustRun(draw(t, m.Balanced("YZ", true), random)); s["YZ"] != true {
			t.Fatalf("wanted YZ, got %v", s)
		}
	}
}

// pyvene's balanced sampler lets the second branch overwrite an input that both depend on, and keeps values of earlier draws in a
// default argument: here every draw has the value asked for and is its own.
func TestBalancedOnGraphsThatAreNoTrees(t *testing.T) {
	m, random := causal.MustArithmetic(4, 4), seeded()
	var earlier []causal.Setting
	for range 300 {
		for _, want := range []causal.Value{false, true} {
			in := draw(t, m.Balanced("O", want), random)
			if s := m.MustRun(in); s["O"] != want || len(in) != 3 {
				t.Fatalf("wanted O = %v, got %v from %v", want, s, in)
			}
			earlier = append(earlier, in)
		}
	}
	kinds := map[string]bool{}
	for _, in := range earlier {
		kinds[fmt.Sprint(in)] = true
	}
	if len(kinds) < 50 {
		t.Errorf("only %d of 64 inputs", len(kinds))
	}
	for range 100 {
		m := randomModel(random)
		output := m.Outputs()[0]
		reachable := map[causal.Value]bool{}
		for _, in := range everyInput(m) {
			reachable[m.MustRun(in)[output]] = true
		}
		for _, v := range m.Variables() {
			for _, value := range v.Values {
				if v.Name != output {
					continue
				}
				in, err := m.Balanced(output, value)(random)
				if !reachable[value] {
					wanted.Refusal(t, err, output, "no inputs")
				} else if err != nil {
					t.Fatal(err)
				} else if got := m.MustRun(in)[output]; got != value {
					t.Fatalf("wanted %s = %v, got %v", output, value, got)
				}
			}
		}
	}
}

func TestSamplersRefuse(t *testing.T) {
	m, random := causal.MustHierarchicalEquality(2), seeded()
	_, err := m.Balanced("P")(random)
	wanted.Refusal(t, err, `"P"`, "WX")
	_, err = m.Balanced("WX", 1)(random)
	wanted.Refusal(t, err, "WX", "bool")
	constant := causal.MustNew(causal.Input("A", 1, 2), causal.Variable{Name: "C", Values: []any{0, 1}, Parents: []string{"A"},
		Mechanism: func(int) int { return 0 }})
	_, err = constant.Balanced("C", 1)(random)
	wanted.Refusal(t, err, "C", "no inputs")
	_, err = m.Filtered(m.SampleInput, func(causal.Setting) (bool, error) { return false, nil })(random)
	wanted.Refusal(t, err, "filters", "10000")
	_, err = m.Filtered(m.SampleInput, m.Holds(causal.Setting{"V": true}))(random)
	wanted.Refusal(t, err, "filter", `"V"`)
	_, err = m.Filtered(m.SampleInput, m.Holds(causal.Setting{"O": 1}))(random)
	wanted.Refusal(t, err, "filter", "O")
	_, err = m.Filtered(m.SampleInput, m.LivePath("W", "YZX"))(random)
	wanted.Refusal(t, err, "filter", `"YZ"`)
	_, err = m.SampleValue(random, "")
	wanted.Refusal(t, err, "variable")
}

// pyvene's sampler of interventions never returns where there is no internal variable.
func TestSampleIntervention(t *testing.T) {
	_, err := causal.Conjunction().SampleIntervention(seeded())
	wanted.Refusal(t, err, "internal variables", "0")
	m, random, n := causal.MustArithmetic(3, 4), seeded(), 3500
	count := map[string]int{}
	for range n {
		intervention, err := m.SampleIntervention(random)
		if err != nil {
			t.Fatal(err)
		}
		if len(intervention) == 0 {
			t.Fatal("nothing to intervene on")
		}
		count[fmt.Sprint(len(intervention))]++
		if value, ok := intervention["S"]; ok {
			count["S"]++
			count[fmt.Sprint("S", value)]++
		}
	}
	near(t, "sets of one", count["1"], n, 3.0/7)
	near(t, "all three", count["3"], n, 1.0/7)
	near(t, "S", count["S"], n, 4.0/7)
	near(t, "S = 4", count["S4"], count["S"], 0.2)
}

func TestEquivalence(t *testing.T) {
	m := causal.MustHierarchicalEquality(2)
	classes, err := m.Equivalence("WX")
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(classes); got != "map[false:[map[W:0 X:1] map[W:1 X:0]] true:[map[W:0 X:0] map[W:1 X:1]]]" {
		t.Error(got)
	}
	_, err = m.Equivalence("W")
	wanted.Refusal(t, err, "W", "computed")
	_, err = m.Equivalence("XW")
	wanted.Refusal(t, err, `"XW"`)
}

func TestLivePaths(t *testing.T) {
	m := causal.MustNew(
		causal.Input("A", false, true), causal.Input("B", false, true), causal.Input("C", false, true),
		causal.Computed("AB", func(a, b bool) bool { return a && b }, "A", "B"),
		causal.Computed("O", func(ab, c bool) bool { return ab || c }, "AB", "C"),
	)
	for _, c := range []struct {
		fixed causal.Setting
		want  string
	}{
		{causal.Setting{"A": true, "B": false, "C": false}, "[[B AB] [C O] [AB O] [B AB O]]"},
		{causal.Setting{"A": true, "B": true, "C": false}, "[[A AB] [B AB] [AB O] [A AB O] [B AB O]]"},
		{causal.Setting{"A": false, "B": false, "C": true}, "[[C O]]"},
		{causal.Setting{"A": true, "B": true, "C": true}, "[[A AB] [B AB]]"},
		{causal.Setting{"A": true, "B": true, "C": false, "AB": true}, "[[AB O]]"},
		{causal.Setting{"A": true, "B": true, "C": false, "O": true}, "[[A AB] [B AB]]"},
	} {
		paths, err := m.LivePaths(c.fixed)
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(paths); got != c.want {
			t.Errorf("%v: %s, wanted %s", c.fixed, got, c.want)
		}
	}
	_, err := m.LivePaths(causal.Setting{"A": true})
	wanted.Refusal(t, err, "input B")
}

// An arrow that the mechanism does not read is dead, though its parent reaches the variable on another way.
func TestLivePathsAreDirect(t *testing.T) {
	m := causal.MustNew(causal.Input("A", 0, 1),
		causal.Computed("B", func(a int) int { return a }, "A"),
		causal.Computed("C", func(a, b int) int { return b }, "A", "B"))
	paths, err := m.LivePaths(causal.Setting{"A": 0})
	if got := fmt.Sprint(paths); err != nil || got != "[[A B] [B C] [A B C]]" {
		t.Error(got, err)
	}
}

func TestFilters(t *testing.T) {
	m, random := causal.Conjunction(), seeded()
	// No arrow of A ∧ B is live where both are false: pyvene's filter fails there.
	for arrows, want := range map[int]string{0: "map[A:false B:false]", 1: ""} {
		sampler := m.Filtered(m.SampleInput, m.LongestPath(arrows))
		for range 20 {
			in := draw(t, sampler, random)
			if none := fmt.Sprint(in) == "map[A:false B:false]"; none != (want != "") {
				t.Errorf("longest path %d: %v", arrows, in)
			}
		}
	}
	sampler := m.Filtered(m.SampleInput, m.LivePath("A", "C"), m.Holds(causal.Setting{"C": false}))
	for range 20 {
		if in := draw(t, sampler, random); fmt.Sprint(in) != "map[A:false B:true]" {
			t.Errorf("A matters and C is false: %v", in)
		}
	}
}

// pyvene's default sampler of counterfactual data crashes, and sizes are rounded up to whole batches.
func TestCounterfactuals(t *testing.T) {
	m := causal.MustHierarchicalEquality(4)
	examples, err := m.Counterfactuals(seeded(), causal.Design{Size: 1003, Batch: 10})
	if err != nil {
		t.Fatal(err)
	}
	if len(examples) != 1003 {
		t.Errorf("%d examples", len(examples))
	}
	sets := [][]string{{"WX"}, {"YZ"}, {"WX", "YZ"}}
	count := map[string]int{}
	for i, e := range examples {
		if e.ID != examples[i/10*10].ID {
			t.Fatalf("example %d has intervention %d, its batch %d", i, e.ID, examples[i/10*10].ID)
		}
		if len(e.Sources) != len(sets[e.ID]) {
			t.Fatalf("intervention %d has sources %v", e.ID, e.Sources)
		}
		wx, yz := e.Base["W"] == e.Base["X"], e.Base["Y"] == e.Base["Z"]
		if e.BaseSetting["O"] != (wx == yz) {
			t.Fatalf("base label of %v", e)
		}
		if s, ok := e.Sources["WX"]; ok {
			wx = s["W"] == s["X"]
			count["WX"]++
			if wx {
				count["WX true"]++
			}
		}
		if s, ok := e.Sources["YZ"]; ok {
			yz = s["Y"] == s["Z"]
		}
		if e.Setting["O"] != (wx == yz) || e.Setting["WX"] != wx || e.Setting["YZ"] != yz || e.Setting["W"] != e.Base["W"] {
			t.Fatalf("label of %v", e)
		}
		if i%10 == 0 {
			count[fmt.Sprint("ID", e.ID)]++
		}
	}
	for id := range 3 {
		near(t, fmt.Sprint("intervention ", id), count[fmt.Sprint("ID", id)], 101, 1.0/3)
	}
	near(t, "WX true in its source", count["WX true"], count["WX"], 0.5)
	again, _ := m.Counterfactuals(seeded(), causal.Design{Size: 1003, Batch: 10})
	if fmt.Sprint(again) != fmt.Sprint(examples) {
		t.Error("the same seed gave other examples")
	}
}

func TestDesign(t *testing.T) {
	m := causal.MustArithmetic(3, 2)
	zero := m.Filtered(m.SampleInput, m.Holds(causal.Setting{"X": 0}))
	alone := m.MustCounterfactuals(seeded(), causal.Design{Size: 40, Interventions: [][]string{{}, {"P", "Z"}}, Base: zero})
	if !slices.ContainsFunc(byTwos(alone), func(pair [2]causal.Counterfactual) bool { return len(pair[0].Sources) != len(pair[1].Sources) }) {
		t.Error("without a batch, each two examples share an intervention")
	}
	examples := m.MustCounterfactuals(seeded(), causal.Design{Size: 30, Interventions: [][]string{{}, {"P", "Z"}}, Base: zero})
	kinds := map[int]int{}
	for _, e := range examples {
		kinds[e.ID]++
		if e.Base["X"] != 0 || e.ID == 1 && (e.Sources["P"]["X"] != 0 || e.Setting["Z"] != e.Sources["Z"]["Z"]) {
			t.Fatalf("%v", e)
		}
		if e.ID == 0 && (len(e.Sources) > 0 || fmt.Sprint(e.Setting) != fmt.Sprint(e.BaseSetting)) {
			t.Fatalf("%v", e)
		}
	}
	if kinds[0] == 0 || kinds[1] == 0 {
		t.Errorf("interventions %v", kinds)
	}
	for _, e := range m.MustCounterfactuals(seeded(), causal.Design{Size: 30, Interventions: [][]string{{"S"}}, Base: zero,
		Source: func(variable string) causal.Sampler { return m.Balanced(variable, 4) }}) {
		if e.Setting["S"] != 4 || fmt.Sprint(e.Source("S")) != "map[X:2 Y:2 Z:"+fmt.Sprint(e.Sources["S"]["Z"])+"]" ||
			fmt.Sprint(e.Source("P")) != fmt.Sprint(e.Base) {
			t.Fatalf("%v", e)
		}
	}
	for _, c := range []struct {
		design causal.Design
		words  []string
	}{
		{causal.Design{Size: -1}, []string{"size"}},
		{causal.Design{Batch: -1}, []string{"batch"}},
		{causal.Design{Interventions: [][]string{}}, []string{"interventions", "none"}},
		{causal.Design{Interventions: [][]string{{"P"}, {"PS"}}}, []string{"intervention 1", `"PS"`, `"S"`}},
		{causal.Design{Interventions: [][]string{{"P", "P"}}}, []string{"P twice"}},
		{causal.Design{Size: 1, Base: func(*rand.Rand) (causal.Setting, error) { return causal.Setting{"X": 1}, nil }}, []string{"input Y"}},
	} {
		_, err := m.Counterfactuals(seeded(), c.design)
		wanted.Refusal(t, err, c.words...)
	}
	if _, err := causal.Conjunction().Counterfactuals(seeded(), causal.Design{Size: 1}); err == nil {
		t.Error("a model without internal variables has interventions")
	}
}

func TestFactuals(t *testing.T) {
	m := causal.MustArithmetic(3, 2)
	count := 0
	for _, e := range m.MustFactuals(seeded(), 500, m.Balanced("O")) {
		if want := m.MustRun(e.Input); fmt.Sprint(want) != fmt.Sprint(e.Setting) {
			t.Fatalf("%v", e)
		}
		if e.Setting["O"] == true {
			count++
		}
	}
	near(t, "O", count, 500, 0.5)
	if got := m.MustFactuals(seeded(), 0, nil); len(got) != 0 {
		t.Errorf("%d examples", len(got))
	}
	_, err := m.Factuals(seeded(), -1, nil)
	wanted.Refusal(t, err, "size")
}

// pyvene ignores the functions that its counterfactual data is to be encoded with.
func TestEncode(t *testing.T) {
	m := causal.MustHierarchicalEquality(3)
	examples := m.MustCounterfactuals(seeded(), causal.Design{Size: 5, Interventions: [][]string{{"WX"}}})
	oneHot := func(values ...causal.Value) []float32 {
		row := make([]float32, 3*len(values))
		for i, value := range values {
			row[3*i+value.(int)] = 1
		}
		return row
	}
	source := causal.MustEncode(examples, func(e causal.Counterfactual) ([]float32, error) {
		in := e.Source("WX")
		return oneHot(in["W"], in["X"], in["Y"], in["Z"]), nil
	}, 1, 12)
	if !slices.Equal(source.Dimensions, []int{5, 1, 12}) || len(source.Values) != 60 {
		t.Fatalf("%v", source)
	}
	label := causal.MustEncode(examples, func(e causal.Counterfactual) ([]int32, error) { return causal.Numbers[int32](e.Setting["O"]) })
	if !slices.Equal(label.Dimensions, []int{5, 1}) {
		t.Fatalf("%v", label)
	}
	for i, e := range examples {
		if source.Values[12*i+e.Sources["WX"]["W"].(int)] != 1 || (label.Values[i] == 1) != (e.Setting["O"] == true) {
			t.Errorf("example %d: %v, %v, %v", i, e, source, label)
		}
	}
	ragged := func(e int) ([]float32, error) { return make([]float32, e), nil }
	_, err := causal.Encode([]int{2, 2, 1}, ragged)
	wanted.Refusal(t, err, "example 2", "got 1, wanted 2")
	_, err = causal.Encode([]int{2}, ragged, 3)
	wanted.Refusal(t, err, "example 0", "[3]")
	_, err = causal.Encode([]int{1}, func(int) ([]int32, error) { return causal.Numbers[int32](0.5) })
	wanted.Refusal(t, err, "0.5", "int32")
	if empty := causal.MustEncode(nil, ragged, 2, 2); !slices.Equal(empty.Dimensions, []int{0, 2, 2}) {
		t.Errorf("%v", empty)
	}
}

func TestNumbers(t *testing.T) {
	type degree float64
	got, err := causal.Numbers[float32](true, false, -3, uint8(7), degree(0.5), [2][2]float32{{1, 2}, {3, 4}})
	if err != nil || !slices.Equal(got, []float32{1, 0, -3, 7, 0.5, 1, 2, 3, 4}) {
		t.Error(got, err)
	}
	for _, value := range []causal.Value{"one", nil, struct{}{}, math.NaN(), math.Inf(1), 1e300, [1]string{"x"}} {
		_, err := causal.Numbers[float32](value)
		wanted.Refusal(t, err, "numbers")
	}
	for _, value := range []causal.Value{0.5, 1 << 40, -1 << 40, uint64(1) << 63} {
		_, err := causal.Numbers[int32](value)
		wanted.Refusal(t, err, "int32")
	}
}

// byTwos takes examples by twos.
func byTwos(examples []causal.Counterfactual) (pairs [][2]causal.Counterfactual) {
	for i := 0; i+1 < len(examples); i += 2 {
		pairs = append(pairs, [2]causal.Counterfactual{examples[i], examples[i+1]})
	}
	return pairs
}
