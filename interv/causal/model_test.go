package causal_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv/causal"
)

func is(a, b int) bool { return a == b }

func TestNewRefuses(t *testing.T) {
	a, b := causal.Input("A", 0, 1), causal.Input("B", 0, 1)
	one := func(*rand.Rand) causal.Value { return 1 }
	sum := causal.Computed("S", func(a, b int) int { return a + b }, "A", "B")
	for name, c := range map[string]struct {
		variables []causal.Variable
		words     []string
	}{
		"nothing":      {nil, []string{"outputs"}},
		"inputs alone": {[]causal.Variable{a, b}, []string{"outputs", "none computed"}},
		"unknown parent": {[]causal.Variable{causal.Input("Alpha", 1), causal.Computed("S", is, "Alpha", "Alpa")},
			[]string{"variable S", `did you mean "Alpha"?`}},
		"no name":   {[]causal.Variable{a, b, causal.Computed("", is, "A", "B")}, []string{"variable 2", "name"}},
		"duplicate": {[]causal.Variable{a, b, sum, b}, []string{`"B"`, "no other variable"}},
		"no values": {[]causal.Variable{a, causal.Input[int]("B"), sum}, []string{"variable B", "values", "none"}},
		"empty list of computed": {[]causal.Variable{a, b, {Name: "S", Values: []causal.Value{}, Parents: []string{"A", "B"}, Mechanism: is}},
			[]string{"values", "none"}},
		"values and Draw": {[]causal.Variable{{Name: "A", Values: []any{1}, Draw: one}, b, sum},
			[]string{"variable A", "one of the two"}},
		"value twice": {[]causal.Variable{causal.Input("A", 1, 2, 1), b, sum}, []string{"variable A", "1 twice"}},
		"nil":         {[]causal.Variable{{Name: "A", Values: []any{nil}}, b, sum}, []string{"variable A", "nil"}},
		"NaN":         {[]causal.Variable{causal.Input("A", math.NaN()), b, sum}, []string{"variable A", "NaN"}},
		"NaN in an array": {[]causal.Variable{causal.Input("A", [2]float64{0, math.NaN()}), b, sum},
			[]string{"variable A", "NaN"}},
		"slice": {[]causal.Variable{{Name: "A", Values: []any{[]int{1}}}, b, sum},
			[]string{"variable A", "[]int", "array"}},
		"no mechanism": {[]causal.Variable{a, b, causal.Computed("S", nil, "A", "B")}, []string{"variable S", "mechanism"}},
		"nil function": {[]causal.Variable{a, b, causal.Computed("S", (func(a, b int) int)(nil), "A", "B")},
			[]string{"variable S", "mechanism"}},
		"not a function": {[]causal.Variable{a, b, causal.Computed("S", 3, "A", "B")},
			[]string{"variable S", "mechanism", "int"}},
		"too few arguments": {[]causal.Variable{a, b, causal.Computed("S", func(a int) int { return a }, "A", "B")},
			[]string{"2 arguments (A, B)"}},
		"two results": {[]causal.Variable{a, b, causal.Computed("S", func(a, b int) (int, error) { return a, nil }, "A", "B")},
			[]string{"one result"}},
		"argument's type": {[]causal.Variable{a, b, causal.Computed("S", func(a int, b string) int { return a }, "A", "B")},
			[]string{"mechanism of S", "argument B", "string"}},
		"mechanism of an input": {[]causal.Variable{a, causal.Computed("B", is), sum}, []string{"variable B", "parents"}},
		"Draw of computed": {[]causal.Variable{a, b, {Name: "S", Parents: []string{"A", "B"}, Mechanism: is, Draw: one}},
			[]string{"variable S", "Draw"}},
		"parent twice": {[]causal.Variable{a, b, causal.Computed("S", is, "A", "A")}, []string{"A twice"}},
		"result not listed": {[]causal.Variable{a, b, {Name: "S", Values: []any{0, 1}, Parents: []string{"A", "B"}, Mechanism: sum.Mechanism}},
			[]string{"mechanism of S on [1 1]", "one of 0, 1"}},
		"cycle": {[]causal.Variable{a, causal.Computed("P", is, "A", "Q"), causal.Computed("Q", is, "A", "R"),
			causal.Computed("R", is, "A", "P")},
			[]string{"P ← Q ← R ← P"}},
		"own parent": {[]causal.Variable{a, causal.Computed("P", is, "A", "P")}, []string{"P ← P"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := causal.New(c.variables...)
			wanted.Refusal(t, err, c.words...)
		})
	}
}

func TestStructure(t *testing.T) {
	// Listed from the end to the beginning; E is an output that a short path leads to.
	m := causal.MustNew(
		causal.Computed("O", is, "P", "D"),
		causal.Computed("E", func(values ...int) bool { return values[0] == values[1] }, "X", "Z"),
		causal.Computed("D", func(x, z int) int { return x - z }, "X", "Z"),
		causal.Computed("P", func(s, z int) int { return s * z }, "S", "Z"),
		causal.Computed("S", func(x int) any { return 2 * x }, "X"),
		causal.Input("X", 2, 1), causal.Input("Z", 1, 2),
	)
	if got := fmt.Sprint(m.Inputs(), m.Internal(), m.Outputs()); got != "[X Z] [D S P] [O E]" {
		t.Errorf("inputs, internal, outputs: %s", got)
	}
	const want = `step  variable  parents  values
0     X                  2, 1
0     Z                  1, 2
1     D         X, Z     -1, 0, 1
1     S         X        2, 4
2     P         S, Z     2, 4, 8
3     O         P, D     false
3     E         X, Z     false, true
`
	if got := m.String(); got != want {
		t.Errorf("got\n%swanted\n%s", got, want)
	}
	nodes, edges := m.Graph()
	if got := fmt.Sprint(nodes); got != "[{X 0 0} {Z 0 1} {D 1 0} {S 1 1} {P 2 0} {O 3 0} {E 3 1}]" {
		t.Errorf("nodes %s", got)
	}
	if len(edges) != 9 || edges[0] != (causal.Edge{From: nodes[0], To: nodes[2]}) {
		t.Errorf("edges %v", edges)
	}
	table := m.Table(causal.Setting{"X": 1, "Z": 2}, m.MustRun(causal.Setting{"X": 1, "Z": 2}))
	const wantTable = `X  Z  D   S  P  O      E
1  2  ·   ·  ·  ·      ·
1  2  -1  2  4  false  false
`
	if table != wantTable {
		t.Errorf("got\n%swanted\n%s", table, wantTable)
	}
}

// A computed variable with a parent that is drawn has no list of values, unless it is a truth value.
func TestDrawnInputs(t *testing.T) {
	vector := func(random *rand.Rand) [2]float32 { return [2]float32{random.Float32(), random.Float32()} }
	m := causal.MustNew(
		causal.Drawn("W", vector), causal.Drawn("X", vector),
		causal.Computed("WX", func(w, x [2]float32) bool { return w == x }, "W", "X"),
		causal.Computed("sum", func(w [2]float32) float32 { return w[0] + w[1] }, "W"),
		causal.Computed("O", func(wx bool, sum float32) bool { return wx && sum > 1 }, "WX", "sum"),
	)
	lists := map[string]int{}
	for _, v := range m.Variables() {
		lists[v.Name] = len(v.Values)
	}
	if lists["W"] != 0 || lists["WX"] != 2 || lists["sum"] != 0 || lists["O"] != 2 {
		t.Errorf("numbers of listed values %v", lists)
	}
	a, b := [2]float32{0.5, 0.75}, [2]float32{0.5, 0.25}
	setting := m.MustInterchange(causal.Setting{"W": a, "X": b}, map[string]causal.Setting{"WX": {"W": b, "X": b}})
	if setting["WX"] != true || setting["sum"] != float32(1.25) || setting["O"] != true {
		t.Errorf("setting %v", setting)
	}
	_, err := m.Run(causal.Setting{"W": 3, "X": b})
	wanted.Refusal(t, err, "mechanism of WX", "argument W")
	_, err = m.LivePaths(causal.Setting{"W": a, "X": b})
	wanted.Refusal(t, err, "values of W")
	_, err = m.Balanced("O")(rand.New(rand.NewPCG(1, 1)))
	wanted.Refusal(t, err, "parents of")
	_, err = m.Equivalence("WX")
	wanted.Refusal(t, err, "WX")
	_, err = m.SampleValue(rand.New(rand.NewPCG(1, 1)), "sum")
	wanted.Refusal(t, err, "values of sum")
}

func TestRunRefuses(t *testing.T) {
	m := causal.MustHierarchicalEquality(3)
	base := causal.Setting{"W": 0, "X": 0, "Y": 1, "Z": 2}
	with := func(name string, value causal.Value) causal.Setting {
		s := causal.Setting{name: value}
		for k, v := range base {
			if k != name {
				s[k] = v
			}
		}
		return s
	}
	for _, c := range []struct {
		fixed causal.Setting
		words []string
	}{
		{causal.Setting{"W": 0, "X": 0, "Y": 1}, []string{"input Z", "one of 0, 1, 2"}},
		{nil, []string{"input W"}},
		{with("WXY", true), []string{`"WXY"`, `"WX"`}},
		{with("W", 3), []string{"W", "3 (int)", "0, 1, 2 (int)"}},
		{with("W", int32(1)), []string{"W", "int32"}},
		{with("WX", 1), []string{"WX", "false, true (bool)"}},
		{with("X", nil), []string{"X", "nil"}},
		{with("X", []int{1}), []string{"X", "[]int"}},
	} {
		_, err := m.Run(c.fixed)
		wanted.Refusal(t, err, c.words...)
	}
	_, err := m.Interchange(base, map[string]causal.Setting{"WXX": base})
	wanted.Refusal(t, err, "interchange", `"WX"`)
	_, err = m.Interchange(base, map[string]causal.Setting{"WX": {"W": 1}})
	wanted.Refusal(t, err, "source of WX", "input X")
}

// All 256 inputs against the definition, and every interchange of one variable against the value put in by hand.
func TestHierarchicalEquality(t *testing.T) {
	m := causal.MustHierarchicalEquality(4)
	all := everyInput(m)
	if len(all) != 256 {
		t.Fatalf("%d inputs", len(all))
	}
	for _, in := range all {
		s := m.MustRun(in)
		if wx, yz := in["W"] == in["X"], in["Y"] == in["Z"]; s["WX"] != wx || s["YZ"] != yz || s["O"] != (wx == yz) {
			t.Fatalf("%v gives %v", in, s)
		}
	}
	for i, base := range all {
		source := all[(i*101+7)%len(all)]
		both := m.MustInterchange(base, map[string]causal.Setting{"WX": source, "YZ": base})
		if wx := source["W"] == source["X"]; both["WX"] != wx || both["O"] != (wx == (base["Y"] == base["Z"])) || both["W"] != base["W"] {
			t.Fatalf("%v with WX of %v gives %v", base, source, both)
		}
	}
}

func TestConjunction(t *testing.T) {
	m := causal.Conjunction()
	for _, in := range everyInput(m) {
		if m.MustRun(in)["C"] != (in["A"].(bool) && in["B"].(bool)) {
			t.Errorf("%v", in)
		}
	}
	got := m.MustInterchange(causal.Setting{"A": false, "B": true}, map[string]causal.Setting{"A": {"A": true, "B": false}})
	if got["C"] != true || got["A"] != true {
		t.Errorf("A from the source: %v", got)
	}
}

// Changing what goes in or comes out changes no model, and models share nothing.
func TestModelsDoNotChange(t *testing.T) {
	variables := []causal.Variable{causal.Computed("O", is, "B", "A"), causal.Input("B", 1, 0), causal.Input("A", 0, 1)}
	m := causal.MustNew(variables...)
	if variables[0].Name != "O" || variables[0].Parents[0] != "B" || variables[1].Values[0] != 1 || variables[0].Values != nil {
		t.Errorf("the caller's variables are now %v", variables)
	}
	before := m.String()
	variables[1].Values[0] = 7
	variables[0].Parents[0] = "A"
	listed := m.Variables()
	listed[0].Values[0] = 9
	m.Inputs()[0] = "?"
	m.Outputs()[0] = "?"
	if after := m.String(); after != before || m.Inputs()[0] != "B" || m.Outputs()[0] != "O" {
		t.Errorf("the model was\n%sand is now\n%s", before, after)
	}
}

func TestConcurrentUse(t *testing.T) {
	m := causal.MustArithmetic(4, 4)
	want := fmt.Sprint(m.MustCounterfactuals(rand.New(rand.NewPCG(1, 2)), causal.Design{Size: 50, Batch: 7}))
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if got := fmt.Sprint(m.MustCounterfactuals(rand.New(rand.NewPCG(1, 2)), causal.Design{Size: 50, Batch: 7})); got != want {
				t.Error("the same seed gave other examples")
			}
		})
	}
	group.Wait()
}

// everyInput lists all inputs of a model with listed values.
func everyInput(m *causal.Model) []causal.Setting {
	all := []causal.Setting{{}}
	for _, v := range m.Variables() {
		if len(v.Parents) > 0 {
			continue
		}
		var longer []causal.Setting
		for _, setting := range all {
			for _, value := range v.Values {
				next := causal.Setting{v.Name: value}
				for name, other := range setting {
					next[name] = other
				}
				longer = append(longer, next)
			}
		}
		all = longer
	}
	return all
}

// randomModel is a random graph over small integers, with sums modulo 3 as mechanisms.
func randomModel(random *rand.Rand) *causal.Model {
	var variables []causal.Variable
	for i := range 2 + random.IntN(3) {
		variables = append(variables, causal.Input(fmt.Sprintf("I%d", i), 0, 1, 2))
	}
	for i := range 1 + random.IntN(4) {
		var parents []string
		for _, k := range random.Perm(len(variables))[:1+random.IntN(min(3, len(variables)))] {
			parents = append(parents, variables[k].Name)
		}
		weights := [3]int{random.IntN(3), 1 + random.IntN(2), random.IntN(3)}
		variables = append(variables, causal.Computed(fmt.Sprintf("V%d", i), func(values ...int) int {
			sum := 0
			for k, value := range values {
				sum += weights[k] * value * value
			}
			return sum % 3
		}, parents...))
	}
	random.Shuffle(len(variables), func(i, k int) { variables[i], variables[k] = variables[k], variables[i] })
	return causal.MustNew(variables...)
}

// Over random models: parents come before children; a run fixed at its own values, or with a variable interchanged with its own
// input, does not change; all fixed values stand.
func TestRunProperties(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		m := randomModel(random)
		place := map[string]int{}
		for i, v := range m.Variables() {
			place[v.Name] = i
			if slices.ContainsFunc(v.Parents, func(parent string) bool { _, before := place[parent]; return !before }) {
				t.Fatalf("%s before one of its parents %v", v.Name, v.Parents)
			}
		}
		input, err := m.SampleInput(random)
		if err != nil {
			t.Fatal(err)
		}
		setting := m.MustRun(input)
		if again := m.MustRun(setting); fmt.Sprint(again) != fmt.Sprint(setting) {
			t.Fatalf("fixed at its own values %v gives %v", setting, again)
		}
		for name := range setting {
			if same := m.MustInterchange(input, map[string]causal.Setting{name: input}); fmt.Sprint(same) != fmt.Sprint(setting) {
				t.Fatalf("%s with its own value: %v, wanted %v", name, same, setting)
			}
		}
		if len(m.Internal()) == 0 {
			continue
		}
		intervention, err := m.SampleIntervention(random)
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range input {
			intervention[name] = value
		}
		for name, value := range m.MustRun(intervention) {
			if fixed, ok := intervention[name]; ok && fixed != value {
				t.Fatalf("%s fixed at %v is %v", name, fixed, value)
			}
		}
	}
}
