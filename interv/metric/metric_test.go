package metric_test

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"pgregory.net/rapid"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/internal/draw"
	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/gru"
	"github.com/govene/govene/interv/metric"
	"github.com/govene/govene/interv/transformer"
)

var engine = backend.MustNew()

// row is what a formula of a test knows of one example: its logits and those of the clean run.
type row struct{ z, clean []float64 }

// checked is a metric with its formula on the host, for one example's row.
type checked struct {
	metric interv.Metric
	value  func(example int, r row) []float64
}

// every draws one of each metric for a batch, with its formula.
func every(t *rapid.T, batch, logits int) []checked {
	token := rapid.IntRange(0, logits-1)
	tokens := rapid.SliceOfN(token, batch, batch).Draw(t, "tokens")
	lists := func(name string) [][]int { // of up to three tokens, as many as that in the first: lengths are part of the program
		return append([][]int{rapid.SliceOfN(token, 3, 3).Draw(t, name)}, rapid.SliceOfN(rapid.SliceOfN(token, 1, 3), batch-1, batch-1).Draw(t, name)...)
	}
	right, wrong := lists("right"), lists("wrong")
	one := token.Draw(t, "token for all")
	ends := rapid.SliceOfN(rapid.Float64Range(3, 5), batch, batch).Draw(t, "ends")
	recoveredMove := metric.Recovered{Of: moved, Clean: ends, Corrupted: []float64{2}}
	return []checked{
		{metric.LogitDifference{Right: right, Wrong: wrong}, func(i int, r row) []float64 { return []float64{mean(r.z, right[i]) - mean(r.z, wrong[i])} }},
		{metric.Logit{Tokens: tokens}, func(i int, r row) []float64 { return []float64{r.z[tokens[i]]} }},
		{metric.Logit{Tokens: []int{one}}, func(_ int, r row) []float64 { return []float64{r.z[one]} }},
		{metric.LogProbability{Tokens: tokens}, func(i int, r row) []float64 { return []float64{logSoftmax(r.z)[tokens[i]]} }},
		{metric.Probability{Tokens: tokens}, func(i int, r row) []float64 { return []float64{math.Exp(logSoftmax(r.z)[tokens[i]])} }},
		{metric.CrossEntropy{Labels: tokens}, func(i int, r row) []float64 { return []float64{-logSoftmax(r.z)[tokens[i]]} }},
		{metric.Accuracy{Labels: tokens}, func(i int, r row) []float64 {
			if slices.Index(r.z, slices.Max(r.z)) == tokens[i] {
				return []float64{1}
			}
			return []float64{0}
		}},
		{metric.Rank{Tokens: tokens}, func(i int, r row) (out []float64) {
			larger := 0.0
			for _, x := range r.z {
				if x > r.z[tokens[i]] {
					larger++
				}
			}
			return []float64{larger}
		}},
		{metric.KL{}, func(_ int, r row) []float64 {
			sum, q, p := 0.0, logSoftmax(r.clean), logSoftmax(r.z)
			for k := range q {
				sum += math.Exp(q[k]) * (q[k] - p[k])
			}
			return []float64{sum}
		}},
		{metric.TopTokens{K: 3}, func(_ int, r row) (out []float64) {
			order, p := make([]int, len(r.z)), logSoftmax(r.z)
			for k := range order {
				order[k] = k
			}
			slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(r.z[b], r.z[a]) })
			for _, k := range order[:3] {
				out = append(out, float64(k), math.Exp(p[k]))
			}
			return out
		}},
		{metric.Recovered{Of: metric.Logit{Tokens: tokens}, Clean: ends, Corrupted: []float64{-1.5}}, func(i int, r row) []float64 {
			return []float64{(r.z[tokens[i]] + 1.5) / (ends[i] + 1.5)}
		}},
		{recoveredMove, func(i int, r row) []float64 {
			sum := 0.0
			for k := range r.z {
				sum += (r.z[k] - r.clean[k]) * float64(k)
			}
			return []float64{(sum - 2) / (ends[i] - 2)}
		}},
	}
}

// moved is a metric of one's own, Σ k (z_k − clean z_k).
var moved = metric.NewFunc("moved", func(r interv.Rows) *Node {
	k := Iota(r.Logits.Graph(), r.Logits.Shape().Clone(), 1)
	return ReduceSum(Mul(k, Sub(r.Logits, r.Clean)), -1)
}).WithClean()

func mean(z []float64, tokens []int) (sum float64) {
	for _, token := range tokens {
		sum += z[token] / float64(len(tokens))
	}
	return sum
}

func logSoftmax(z []float64) []float64 {
	sum := 0.0
	for _, x := range z {
		sum += math.Exp(x - slices.Max(z))
	}
	out := make([]float64, len(z))
	for i, x := range z {
		out[i] = x - slices.Max(z) - math.Log(sum)
	}
	return out
}

// model is a small transformer whose logits differ much.
func model() *transformer.Model {
	return transformer.MustNew(transformer.MustParseConfig(`{"model_type": "gpt2", "vocab_size": 11, "n_positions": 16, "n_embd": 12, "n_layer": 2, "n_head": 3,
		"initializer_range": 0.5}`), 42)
}

// A metric in a call is its formula of the logits at its position, whatever the padding; and the logits stay where they are.
func TestMetricsOfCallsAreTheirFormulas(t *testing.T) {
	iv := interv.MustNew(engine, model(), interv.Config{Representations: []interv.Representation{
		{Layer: 0, Component: transformer.BlockOutput, Intervention: interv.Zero{}}}})
	rapid.Check(t, func(t *rapid.T) {
		const vocabulary, positions = 11, 5
		batch := rapid.IntRange(1, 3).Draw(t, "batch")
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		ids, mask := make([]int32, batch*positions), make([]int32, batch*positions)
		starts, ends, locations, at := make([]int, batch), make([]int, batch), make([][]int, batch), make([][]int, batch)
		for i := range batch {
			starts[i] = random.IntN(positions)
			ends[i] = starts[i] + 1 + random.IntN(positions-starts[i])
			for p := range positions {
				ids[i*positions+p] = int32(random.IntN(vocabulary))
				if starts[i] <= p && p < ends[i] {
					mask[i*positions+p] = 1
				}
			}
			locations[i] = []int{starts[i]}
			at[i] = []int{starts[i] + random.IntN(ends[i]-starts[i])}
			if random.IntN(2) == 0 {
				at[i][0] -= ends[i]
			}
		}
		call := interv.Call{Base: interv.Inputs{
			interv.InputIDs:      tensors.FromFlatDataAndDimensions(ids, batch, positions),
			interv.AttentionMask: tensors.FromFlatDataAndDimensions(mask, batch, positions),
		}, Locations: []*interv.Location{interv.At(locations)}, WithBase: true}
		plain := iv.MustRun(call)
		list := every(t, batch, vocabulary)
		for _, c := range list {
			call.Metrics = append(call.Metrics, interv.Measure{Metric: c.metric}, interv.Measure{Name: "there", Metric: c.metric, At: at})
		}
		result := iv.MustRun(call)
		if result.Output != nil || result.BaseOutput != nil {
			t.Fatal("outputs came back although the call has metrics")
		}
		output, base := logitsOf(plain.Output), logitsOf(plain.BaseOutput)
		for k, c := range list {
			for j, position := range []func(i int) int{
				func(i int) int { return ends[i] - 1 },
				func(i int) int {
					if at[i][0] < 0 {
						return at[i][0] + ends[i]
					}
					return at[i][0]
				},
			} {
				var values, clean []float64
				for i := range batch {
					from := (i*positions + position(i)) * vocabulary
					r := row{output[from : from+vocabulary], base[from : from+vocabulary]}
					values = append(values, c.value(i, r)...)
					clean = append(clean, c.value(i, row{r.clean, r.clean})...)
				}
				measured := result.Metrics[2*k+j]
				wantNear(t, measured.Name, logitsOf(measured.Value), values)
				wantNear(t, measured.Name+" of the base", logitsOf(measured.Base), clean)
			}
		}
	})
}

func TestOtherTokensAndPositionsCompileNothing(t *testing.T) {
	iv := interv.MustNew(engine, model(), interv.Config{})
	call := interv.Call{Base: interv.Inputs{interv.InputIDs: tensors.FromValue([][]int32{{1, 2, 3}, {4, 5, 6}})}}
	for token := range 11 {
		for position := range 3 {
			call.Metrics = []interv.Measure{{Metric: metric.LogProbability{Tokens: []int{token, 10 - token}}, At: interv.Repeat(2, position)}}
			iv.MustRun(call)
		}
	}
	if stats := iv.Stats(); stats.Programs != 1 || stats.Calls != 33 {
		t.Errorf("got %v, wanted 1 program and 33 calls", stats)
	}
}

func TestMetricsOfAClassifier(t *testing.T) {
	model := gru.MustNewClassifier(gru.Config{Layers: 1, Width: 3}, 42)
	iv := interv.MustNew(engine, model, interv.Config{})
	random := rand.New(rand.NewPCG(1, 1))
	call := interv.Call{Base: interv.Inputs{interv.InputsEmbeds: draw.Tensor(random.NormFloat64, 4, 5, 3)}, WithOutput: true,
		Metrics: []interv.Measure{{Metric: metric.Logit{Tokens: []int{1, 0, 1, 0}}}}}
	result := iv.MustRun(call)
	z := logitsOf(result.Output)
	wantNear(t, "logit", result.MustMetric("logit"), []float64{z[1], z[2], z[5], z[6]})
	call.Metrics[0].At = interv.Repeat(4, 2)
	_, err := iv.Run(call)
	wanted.Refusal(t, err, `metric "logit"`, "has no positions")
}

func TestRefusals(t *testing.T) {
	iv := interv.MustNew(engine, model(), interv.Config{})
	base := interv.Inputs{
		interv.InputIDs:      tensors.FromValue([][]int32{{1, 2, 3}, {4, 5, 6}}),
		interv.AttentionMask: tensors.FromValue([][]int32{{1, 1, 1}, {0, 1, 1}}),
	}
	for name, c := range map[string]struct {
		measure interv.Measure
		words   []string
	}{
		"none":       {interv.Measure{Name: "mine"}, []string{`metric "mine"`, "got none"}},
		"token":      {interv.Measure{Metric: metric.Logit{Tokens: []int{3, 11}}}, []string{`metric "logit"`, "token of example 1", "got 11", "0 to 10"}},
		"side":       {interv.Measure{Metric: metric.LogitDifference{Right: metric.Each(1)}}, []string{"wrong", "0 lists"}},
		"empty side": {interv.Measure{Metric: metric.LogitDifference{Right: [][]int{{1}, {}}, Wrong: metric.Each(1)}}, []string{"right of example 1", "got none"}},
		"batch":      {interv.Measure{Metric: metric.Logit{Tokens: []int{1, 2, 3}}}, []string{"3 lists", "wanted 2, one for each example, or one for all"}},
		"padding":    {interv.Measure{Metric: metric.Logit{Tokens: []int{1}}, At: interv.Repeat(1, 0)}, []string{"position of example 1", "which is padding", "1 to 2"}},
		"far":        {interv.Measure{Metric: metric.Logit{Tokens: []int{1}}, At: interv.Repeat(2, 3)}, []string{"position of example 0", "got position 3"}},
		"two":        {interv.Measure{Metric: metric.Logit{Tokens: []int{1}}, At: interv.Repeat(2, 1, 2)}, []string{"position of example 0", "2 positions", "wanted one"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := iv.Run(interv.Call{Base: base, Metrics: []interv.Measure{c.measure}})
			wanted.Refusal(t, err, c.words...)
		})
	}
	result := iv.MustRun(interv.Call{Base: base, Metrics: []interv.Measure{{Metric: metric.Logit{Tokens: []int{1}}}}})
	_, err := result.Metric("lokit")
	wanted.Refusal(t, err, "metrics", `"lokit"`, `did you mean "logit"?`)
}

func logitsOf(t *tensors.Tensor) (values []float64) {
	for _, x := range tensors.MustCopyFlatData[float32](t) {
		values = append(values, float64(x))
	}
	return values
}

func wantNear(t interface {
	Helper()
	Errorf(string, ...any)
}, what string, got, want []float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: got %d values, wanted %d", what, len(got), len(want))
		return
	}
	for i := range got {
		if !(math.Abs(got[i]-want[i]) <= 2e-5*max(1, math.Abs(want[i]))) {
			t.Errorf("%s: value %d: got %g, wanted %g", what, i, got[i], want[i])
		}
	}
}
