package causal_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"

	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv/causal"
)

// The bulk's examples are what Run and Interchange say, for random models and designs.
func TestDrawEqualsInterchange(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 1))
		model := randomModel(random)
		names := model.Internal()
		if len(names) == 0 || len(names) > 6 {
			continue
		}
		design := causal.Design{Size: 40, Batch: 1 + random.IntN(5)}
		if random.IntN(2) == 0 {
			design.Balance = names[:1+random.IntN(min(2, len(names)))]
		}
		if random.IntN(2) == 0 {
			design.Interventions = [][]string{nil, names[:1], names}
		}
		examples, err := model.Draw(rand.New(rand.NewPCG(seed, 2)), design)
		if err != nil {
			t.Fatalf("seed %d: %v\n%s", seed, err, model)
		}
		output := model.Outputs()[0]
		values := model.Variables()[slices.IndexFunc(model.Variables(), func(v causal.Variable) bool { return v.Name == output })].Values
		after, base, sources, err := examples.Labels(output)
		if err != nil {
			t.Fatal(err)
		}
		for i := range examples.Size() {
			e := examples.Example(i)
			if want := model.MustRun(e.Base); !maps.Equal(e.BaseSetting, want) {
				t.Fatalf("seed %d, example %d: got base %v, wanted %v", seed, i, e.BaseSetting, want)
			}
			if want := model.MustInterchange(e.Base, e.Sources); !maps.Equal(e.Setting, want) {
				t.Fatalf("seed %d, example %d: got %v, wanted %v", seed, i, e.Setting, want)
			}
			if values[after[i]] != e.Setting[output] || values[base[i]] != e.BaseSetting[output] {
				t.Errorf("seed %d, example %d: got labels %v and %v, wanted %v and %v", seed, i, after[i], base[i], e.Setting[output], e.BaseSetting[output])
			}
			for v, name := range examples.Variables {
				source, there := e.Sources[name]
				if !there {
					source = e.Base
				}
				if got, want := values[sources[v][i]], model.MustRun(source)[output]; got != want {
					t.Errorf("seed %d, example %d: got label %v of the source of %s, wanted %v", seed, i, got, name, want)
				}
			}
			if design.Interventions != nil {
				if got, want := slices.Sorted(maps.Keys(e.Sources)), slices.Sorted(slices.Values(design.Interventions[e.ID])); !slices.Equal(got, want) {
					t.Errorf("seed %d, example %d: got sources of %v, wanted %v", seed, i, got, want)
				}
			}
			if i%design.Batch > 0 && examples.IDs[i] != examples.IDs[i-1] {
				t.Errorf("seed %d: examples %d and %d of a batch have IDs %v", seed, i-1, i, examples.IDs[i-1:i+1])
			}
		}
		again := model.MustDraw(rand.New(rand.NewPCG(seed, 2)), design)
		for i := range again.Size() {
			if !reflect.DeepEqual(again.Example(i), examples.Example(i)) {
				t.Fatalf("seed %d: the same seed draws other examples", seed)
			}
		}
	}
}

// Jointly balanced means that each combination of values that there can be is as frequent as the others: in bases and in sources.
func TestJointBalance(t *testing.T) {
	const size = 12_000
	for name, c := range map[string]struct {
		model    *causal.Model
		balance  []string
		possible int // combinations that some inputs lead to
	}{
		"hierarchical equality": {causal.MustHierarchicalEquality(100), []string{"WX", "YZ"}, 4},
		"shared input":          {causal.MustArithmetic(3, 2), []string{"S", "D"}, 19}, // of 25: X ties them
		"output too":            {causal.MustHierarchicalEquality(6), []string{"WX", "YZ", "O"}, 4},
		"an input":              {causal.MustArithmetic(3, 2), []string{"X", "O"}, 5}, // of 6
	} {
		t.Run(name, func(t *testing.T) {
			seen := map[string]bool{} // by trying all inputs out
			if len(c.model.Variables()[0].Values) <= 20 {
				for _, input := range everyInput(c.model) {
					setting := c.model.MustRun(input)
					seen[key(setting, c.balance)] = true
				}
				if len(seen) != c.possible {
					t.Fatalf("%d combinations are possible, not %d", len(seen), c.possible)
				}
			}
			examples := c.model.MustDraw(seeded(), causal.Design{Size: size, Balance: c.balance})
			base, source := map[string]int{}, map[string]int{}
			sources := 0
			for i := range size {
				e := examples.Example(i)
				base[key(e.BaseSetting, c.balance)]++
				for _, inputs := range e.Sources {
					source[key(c.model.MustRun(inputs), c.balance)]++
					sources++
				}
			}
			for _, counts := range []map[string]int{base, source} {
				if len(counts) != c.possible {
					t.Errorf("got %d combinations, wanted %d: %v", len(counts), c.possible, counts)
				}
			}
			for combination, count := range base {
				near(t, "bases with "+combination, count, size, 1/float64(c.possible))
			}
			for combination, count := range source {
				near(t, "sources with "+combination, count, sources, 1/float64(c.possible))
			}
			sampler, slow := c.model.BalancedJointly(c.balance...), map[string]int{}
			random := seeded()
			for range size {
				slow[key(c.model.MustRun(draw(t, sampler, random)), c.balance)]++
			}
			for combination, count := range slow {
				near(t, "inputs with "+combination, count, size, 1/float64(c.possible))
			}
		})
	}
}

func key(setting causal.Setting, variables []string) string {
	text := ""
	for _, name := range variables {
		text += fmt.Sprint(name, "=", setting[name], " ")
	}
	return text
}

// Without balance, bases are uniform and a source has each value of its variable equally often, as with Counterfactuals.
func TestDrawWithoutBalance(t *testing.T) {
	const size = 20_000
	model := causal.MustHierarchicalEquality(10)
	examples := model.MustDraw(seeded(), causal.Design{Size: size, Interventions: [][]string{{"WX"}}})
	equal, fromSource := 0, 0
	for i := range size {
		e := examples.Example(i)
		if e.BaseSetting["WX"] == true {
			equal++
		}
		if model.MustRun(e.Sources["WX"])["WX"] == true {
			fromSource++
		}
	}
	near(t, "bases with equal pairs", equal, size, 0.1)
	near(t, "sources with equal pairs", fromSource, size, 0.5)
}

// A split by values leaves no value to both parts, and no example of one has a value of the other; labels mean the same in both.
func TestSplitByValues(t *testing.T) {
	model := causal.MustHierarchicalEquality(30)
	train, test := model.MustSplit(seeded(), 10)
	values := func(m *causal.Model, name string) []causal.Value {
		for _, v := range m.Variables() {
			if v.Name == name {
				return v.Values
			}
		}
		return nil
	}
	for _, input := range model.Inputs() {
		a, b := values(train, input), values(test, input)
		if len(a) != 20 || len(b) != 10 || !slices.Equal(a, values(train, "W")) {
			t.Errorf("%s: got values %v and %v", input, a, b)
		}
		for _, value := range b {
			if slices.Contains(a, value) {
				t.Errorf("%s: both parts have %v", input, value)
			}
		}
	}
	if !slices.Equal(values(train, "O"), values(model, "O")) || !slices.Equal(values(test, "WX"), values(model, "WX")) {
		t.Error("the values of computed variables have changed")
	}
	examples := test.MustDraw(seeded(), causal.Design{Size: 200, Balance: []string{"WX", "YZ"}})
	for i := range 200 {
		e := examples.Example(i)
		for _, inputs := range []causal.Setting{e.Base, e.Sources["WX"], e.Sources["YZ"]} {
			for name, value := range inputs {
				if slices.Contains(values(train, name), value) {
					t.Fatalf("example %d has %s = %v, which training has", i, name, value)
				}
			}
		}
		if want := model.MustInterchange(e.Base, e.Sources); !maps.Equal(e.Setting, want) {
			t.Errorf("example %d: got %v, wanted %v, as the whole model says", i, e.Setting, want)
		}
	}
	one, other := causal.MustArithmetic(4, 3).MustSplit(seeded(), 1, "X")
	if len(values(one, "X")) != 3 || len(values(other, "X")) != 1 || len(values(one, "Y")) != 4 {
		t.Errorf("got %v and %v", one, other)
	}
	digits := []int{0, 1, 2, 3, 4, 5}
	sums := causal.MustNew(causal.Input("A", digits...), causal.Input("B", digits...), causal.Computed("S", func(a, b int) int { return a + b }, "A", "B"),
		causal.Computed("O", func(s int) bool { return s > 5 }, "S"))
	one, other = sums.MustSplit(seeded(), 2) // neither part has inputs for every sum
	for _, part := range []*causal.Model{one, other} {
		seen := map[causal.Value]bool{}
		for _, e := range part.MustFactuals(seeded(), 300, nil) {
			seen[e.Setting["S"]] = true
		}
		balanced := map[causal.Value]bool{}
		for _, e := range part.MustCounterfactuals(seeded(), causal.Design{Size: 300, Interventions: [][]string{{"S"}}}) {
			balanced[e.Setting["S"]] = true
		}
		if !maps.Equal(seen, balanced) || len(seen) == len(values(part, "S")) {
			t.Errorf("got sources for the sums %v, wanted those that there are, %v", balanced, seen)
		}
	}
	_, _, err := model.Split(seeded(), 30)
	wanted.Refusal(t, err, "held out", "30", "1 to 29")
	_, _, err = causal.MustNew(causal.Input("A", 1, 2), causal.Input("B", 1, 3), causal.Computed("C", is, "A", "B")).Split(seeded(), 1)
	wanted.Refusal(t, err, "values of B")
	_, err = model.Restrict(map[string][]causal.Value{"WX": {true}})
	wanted.Refusal(t, err, "WX", "an input")
	_, err = model.Restrict(map[string][]causal.Value{"W": {77}})
	wanted.Refusal(t, err, "77")
}

// Rows of numbers are those of the values: fixed ones the same everywhere, fresh ones equal exactly where values are.
func TestEncodings(t *testing.T) {
	model := causal.MustHierarchicalEquality(6)
	examples := model.MustDraw(seeded(), causal.Design{Size: 300, Balance: []string{"WX", "YZ"}})
	runs := func(i int) []causal.Setting {
		e := examples.Example(i)
		list := []causal.Setting{e.Base}
		for _, name := range examples.Variables {
			if source, ok := e.Sources[name]; ok {
				list = append(list, source)
			} else {
				list = append(list, e.Base)
			}
		}
		return list
	}
	names := []string{"W", "X", "Y", "Z"}
	t.Run("tokens", func(t *testing.T) {
		ids := map[causal.Value]int32{}
		for i := range 6 {
			ids[i] = int32(10 + i)
		}
		encoding := causal.Tokens(ids)
		encoding.Inputs = []string{"Z", "W"}
		base, sources, err := causal.Arrays(examples, encoding, nil)
		if err != nil || !slices.Equal(base.Dimensions, []int{300, 2}) || len(sources) != 2 {
			t.Fatal(err, base.Dimensions)
		}
		for i := range 300 {
			for k, run := range runs(i) {
				array := append([]causal.Array[int32]{base}, sources...)[k]
				if got, want := array.Values[2*i:2*i+2], []int32{int32(10 + run["Z"].(int)), int32(10 + run["W"].(int))}; !slices.Equal(got, want) {
					t.Fatalf("example %d, run %d: got %v, wanted %v", i, k, got, want)
				}
			}
		}
	})
	t.Run("embeddings", func(t *testing.T) {
		base, sources, err := causal.Arrays(examples, causal.Embeddings(3, 5).With(1, 16), nil)
		if err != nil || !slices.Equal(base.Dimensions, []int{300, 1, 16}) {
			t.Fatal(err, base.Dimensions)
		}
		vectors := map[causal.Value][]float32{}
		for i := range 300 {
			for k, run := range runs(i) {
				row := append([]causal.Array[float32]{base}, sources...)[k].Values[16*i : 16*i+16]
				for n, name := range names {
					vector := row[3*n : 3*n+3]
					if known := vectors[run[name]]; known != nil && !slices.Equal(known, vector) {
						t.Fatalf("example %d: %s = %v has %v, elsewhere %v", i, name, run[name], vector, known)
					}
					vectors[run[name]] = vector
				}
				if !slices.Equal(row[12:], make([]float32, 4)) {
					t.Fatalf("got %v at the end of a row, wanted zeros", row[12:])
				}
			}
		}
		if len(vectors) != 6 || slices.Equal(vectors[0], vectors[1]) {
			t.Errorf("got vectors %v", vectors)
		}
		part, _ := model.MustSplit(seeded(), 2)
		other, _, err := causal.Arrays(part.MustDraw(seeded(), causal.Design{Size: 1}), causal.Embeddings(3, 5), nil)
		if err != nil {
			t.Fatal(err)
		}
		if e := part.MustDraw(seeded(), causal.Design{Size: 1}).Example(0); !slices.Equal(other.Values[:3], vectors[e.Base["W"]]) {
			t.Error("a restricted model has other vectors")
		}
	})
	t.Run("fresh, of inputs with other values in another order", func(t *testing.T) {
		model := causal.MustNew(causal.Input("A", 1, 2, 3), causal.Input("B", 3, 4, 1), causal.Computed("C", func(a, b int) bool { return a == b }, "A", "B"))
		examples := model.MustDraw(seeded(), causal.Design{Size: 50, Balance: []string{"C"}, Interventions: [][]string{{"A"}}})
		base, _, err := causal.Arrays(examples, causal.FreshEmbeddings(1), seeded())
		if err != nil {
			t.Fatal(err)
		}
		for i := range 50 {
			if run := examples.Example(i).Base; (run["A"] == run["B"]) != (base.Values[2*i] == base.Values[2*i+1]) {
				t.Fatalf("%v has %v", run, base.Values[2*i:2*i+2])
			}
		}
	})
	t.Run("fresh", func(t *testing.T) {
		base, sources, err := causal.Arrays(examples, causal.FreshEmbeddings(2), rand.New(rand.NewPCG(1, 1)))
		if err != nil {
			t.Fatal(err)
		}
		again, _, err := causal.Arrays(examples, causal.FreshEmbeddings(2), rand.New(rand.NewPCG(1, 1)))
		if err != nil || !slices.Equal(again.Values, base.Values) {
			t.Error("the same seed draws other numbers")
		}
		all := map[float32]int{}
		for i := range 300 {
			for k, run := range runs(i) {
				row := append([]causal.Array[float32]{base}, sources...)[k].Values[8*i : 8*i+8]
				for a, one := range names {
					for b, other := range names {
						if (run[one] == run[other]) != (row[2*a] == row[2*b]) {
							t.Fatalf("example %d: %s = %v and %s = %v have %v", i, one, run[one], other, run[other], row)
						}
					}
				}
				if e := examples.Example(i); k == 0 || len(e.Sources) == 2 {
					all[row[0]]++
				}
			}
		}
		for number, count := range all {
			if count > 1 {
				t.Errorf("%g came %d times", number, count)
			}
		}
	})
	t.Run("rows", func(t *testing.T) {
		encoding := causal.Encoding[int32]{Dimensions: []int{2}, Row: func(in causal.Setting) ([]int32, error) {
			return []int32{int32(in["W"].(int) + in["X"].(int)), 7}, nil
		}}
		base, _, err := causal.Arrays(examples, encoding, nil)
		if err != nil || base.Values[1] != 7 || int(base.Values[0]) != examples.Example(0).Base["W"].(int)+examples.Example(0).Base["X"].(int) {
			t.Errorf("got %v, %v", base.Values[:2], err)
		}
	})
	for words, encoding := range map[string]causal.Encoding[float32]{
		"0 of them":        {},
		"random":           causal.FreshEmbeddings(2),
		"room for 8":       causal.Embeddings(2, 1).With(7),
		"1 numbers":        {Width: 2, Of: func(causal.Value) ([]float32, error) { return []float32{1}, nil }},
		"a computed":       {Inputs: []string{"WX"}, Of: func(causal.Value) ([]float32, error) { return []float32{1}, nil }},
		"those of a row":   {Row: func(causal.Setting) ([]float32, error) { return nil, nil }},
		"0, wanted 1, as ": {Dimensions: []int{1}, Row: func(causal.Setting) ([]float32, error) { return nil, nil }},
	} {
		_, _, err := causal.Arrays(examples, encoding, nil)
		wanted.Refusal(t, err, words)
	}
	_, _, err := causal.Arrays(examples, causal.Tokens(map[causal.Value]int32{0: 1}), nil)
	wanted.Refusal(t, err, "tokens", "has an id")
}

func TestDrawRefuses(t *testing.T) {
	model := causal.MustHierarchicalEquality(3)
	drawn := causal.MustNew(causal.Drawn("A", func(r *rand.Rand) [2]float32 { return [2]float32{r.Float32()} }), causal.Input("B", 1),
		causal.Computed("C", func(a [2]float32, b int) bool { return a[0] > 0 }, "A", "B"))
	for words, call := range map[string]func() error{
		"samplers": func() error { _, err := model.Draw(seeded(), causal.Design{Base: model.SampleInput}); return err },
		"none listed": func() error {
			_, err := drawn.Draw(seeded(), causal.Design{Size: 1, Interventions: [][]string{nil}})
			return err
		},
		"did you mean \"WX\"": func() error { _, err := model.Draw(seeded(), causal.Design{Balance: []string{"WXY"}}); return err },
		"WX twice":            func() error { _, err := model.Draw(seeded(), causal.Design{Balance: []string{"WX", "WX"}}); return err },
		"0 or more":           func() error { _, err := model.Draw(seeded(), causal.Design{Size: -1}); return err },
		"more than 65536": func() error {
			_, err := causal.MustHierarchicalEquality(260).Draw(seeded(), causal.Design{Balance: []string{"W", "X"}})
			return err
		},
		"one of the two": func() error {
			_, err := model.Counterfactuals(seeded(), causal.Design{Base: model.SampleInput, Balance: []string{"WX"}})
			return err
		},
	} {
		wanted.Refusal(t, call(), words)
	}
	if _, _, _, err := model.MustDraw(seeded(), causal.Design{Size: 1}).Labels("P"); err == nil {
		t.Error("labels of a variable that is not there")
	}
}

// BenchmarkDraw draws counterfactual examples of hierarchical equality: with balanced pairs, and with fresh vectors of four numbers.
func BenchmarkDraw(b *testing.B) {
	const size = 10_000
	model := causal.MustHierarchicalEquality(1000)
	random := seeded()
	design := causal.Design{Size: size, Balance: []string{"WX", "YZ"}}
	model.MustDraw(random, design)
	b.Run("values", func(b *testing.B) {
		for range b.N {
			model.MustDraw(random, design)
		}
		b.ReportMetric(float64(b.N)*size/b.Elapsed().Seconds(), "examples/s")
	})
	b.Run("vectors", func(b *testing.B) {
		for range b.N {
			if _, _, err := causal.Arrays(model.MustDraw(random, design), causal.FreshEmbeddings(4), random); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(b.N)*size/b.Elapsed().Seconds(), "examples/s")
	})
}
