package attribution_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/attribution"
	"github.com/govene/govene/interv/gru"
	"github.com/govene/govene/interv/metric"
	"github.com/govene/govene/interv/transformer"
)

// attends has queries, keys and values by groups, norms or sinks of the family, and sharp attention. A linear one has one layer, no MLP and no
// final norm: above its softmax, the metric is linear.
func attends(t *testing.T, config string, sharp float64, linear bool) *transformer.Model {
	t.Helper()
	parsed := transformer.MustParseConfig(config)
	parsed.Norm.Final = !linear
	random := rand.New(rand.NewPCG(3, 9))
	weights := transformer.MustNew(parsed, 0).Weights()
	values := map[string]*tensors.Tensor{}
	for _, name := range weights.Names() {
		factor := 0.4
		if strings.Contains(name, "q_proj") || strings.Contains(name, "k_proj") {
			factor *= sharp
		}
		if linear && strings.Contains(name, "mlp") && strings.Contains(name, "down") {
			factor = 0
		}
		flat := make([]float64, weights.Tensor(name).Size())
		for i := range flat {
			if flat[i] = factor * random.NormFloat64(); strings.Contains(name, "norm") {
				flat[i]++
			}
		}
		values[name] = tensors.FromFlatDataAndDimensions(flat, weights.Tensor(name).Shape().Dimensions...)
	}
	m, err := transformer.WithWeights(parsed, values)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

const grouped = `"vocab_size": 11, "max_position_embeddings": 8, "hidden_size": 12, "intermediate_size": 10, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 4`

// skipOnXLA skips what compiles for seconds there; the formulas are the host's.
func skipOnXLA(t *testing.T) {
	t.Helper()
	if engine.Name() == "xla" && os.Getenv("GOVENE_LONG") == "" {
		t.Skip("compiles for seconds; GOVENE_LONG=1 runs it")
	}
}

// exact is what patching each unit of some sites with the source changes.
func exact(t *testing.T, m interv.Model, r *attribution.Result) (estimates, changes []float64) {
	t.Helper()
	for _, e := range r.Effects {
		iv := partly(m, e, 1)
		for pair := range 2 {
			for head := range e.Heads {
				for position := pair; position < 4; position++ {
					estimates, changes = append(estimates, e.Of(pair, head, position)), append(changes, patched(iv, m, e, pair, head, position))
				}
			}
		}
	}
	return estimates, changes
}

// Where the metric is linear in the probabilities, the effects are what patches change, however sharp attention is.
func TestSoftmaxIsExactBelowWhatIsLinear(t *testing.T) {
	skipOnXLA(t)
	for name, config := range map[string]string{
		"llama":   `{"model_type": "llama", "num_hidden_layers": 1, ` + grouped + `}`,
		"qwen3":   `{"model_type": "qwen3", "num_hidden_layers": 1, ` + grouped + `}`,
		"gpt_oss": `{"model_type": "gpt_oss", "num_hidden_layers": 1, "num_local_experts": 2, "num_experts_per_tok": 1, "sliding_window": 2, "layer_types": ["sliding_attention"], ` + grouped + `}`,
	} {
		for _, sharp := range []float64{1, 4, 30} {
			m := attends(t, config, sharp, true)
			sites := sitesOf(m, transformer.HeadQueryOutput, transformer.HeadKeyOutput, transformer.QueryOutput, transformer.KeyOutput)
			a := attribution.Attribution{Base: base, Source: source, Measure: differ, Sites: sites, Softmax: true}
			got, want := exact(t, m, attribution.MustRun(engine, m, a))
			for i := range got {
				if !(math.Abs(got[i]-want[i]) <= 1e-8*max(1, math.Abs(want[i]))) {
					t.Errorf("%s, sharpness %g, unit %d: got %g, wanted %g", name, sharp, i, got[i], want[i])
				}
			}
		}
	}
}

// Where attention is saturated, derivatives say that no key matters, and the estimates are far nearer to what patches change.
func TestSoftmaxWhereAttentionIsSaturated(t *testing.T) {
	m := attends(t, `{"model_type": "llama", "num_hidden_layers": 1, `+grouped+`}`, 8, false)
	a := attribution.Attribution{Base: base, Source: source, Measure: differ, Sites: sitesOf(m, transformer.HeadQueryOutput, transformer.HeadKeyOutput)}
	compare := func(softmax bool) attribution.Agreement {
		a.Softmax = softmax
		return attribution.MustCompare(exact(t, m, attribution.MustRun(engine, m, a)))
	}
	first, star := compare(false), compare(true)
	t.Logf("first order: %v; softmax: %v", first, star)
	if !(star.MeanError < first.MeanError/2 && star.RankCorrelation > first.RankCorrelation) {
		t.Errorf("got %v, wanted less than half the error of the first order's %v", star, first)
	}
}

// A small patch's effect is the derivative's, to second order in the patch.
func TestSoftmaxOfSmallPatches(t *testing.T) {
	skipOnXLA(t)
	m := attends(t, `{"model_type": "llama", "num_hidden_layers": 2, `+grouped+`}`, 2, false)
	random := rand.New(rand.NewPCG(2, 8))
	flat := make([]float64, 2*4*12)
	for i := range flat {
		flat[i] = random.NormFloat64()
	}
	embeds := func(share float64) interv.Inputs {
		moved := make([]float64, len(flat))
		for i := range flat {
			moved[i] = flat[i] + share*math.Sin(float64(7*i))
		}
		return interv.Inputs{interv.InputsEmbeds: tensors.FromFlatDataAndDimensions(moved, 2, 4, 12), interv.AttentionMask: mask}
	}
	sites := sitesOf(m, transformer.HeadQueryOutput, transformer.KeyOutput, transformer.MLPOutput)
	effects := func(share float64, softmax bool) (all []float64) {
		for _, e := range attribution.MustRun(engine, m, attribution.Attribution{Base: embeds(0), Source: embeds(share), Measure: differ, Sites: sites, Softmax: softmax}).Effects {
			all = append(all, e.Values...)
		}
		return all
	}
	const share = 1e-6
	first, star := effects(share, false), effects(share, true)
	for i := range first {
		if math.Abs(star[i]-first[i]) > 100*share*share+1e-3*math.Abs(first[i]) {
			t.Errorf("unit %d: got %g, wanted the derivative's %g", i, star[i], first[i])
		}
	}
	// With gradients that are dropped or integrated, only the gradients are others.
	a := attribution.Attribution{Base: embeds(0), Source: embeds(share), Measure: differ, Sites: sites, Drop: []interv.Component{transformer.MLPOutput}}
	dropped := attribution.MustRun(engine, m, a)
	a.Softmax = true
	for i, e := range attribution.MustRun(engine, m, a).Effects {
		for unit, got := range e.Values {
			if want := dropped.Effects[i].Values[unit]; math.Abs(got-want) > 100*share*share+1e-3*math.Abs(want) {
				t.Errorf("dropping, %s, unit %d: got %g, wanted %g", e.Site, unit, got, want)
			}
		}
	}
}

func TestSoftmaxRefusals(t *testing.T) {
	m := model(t, 1)
	olmo := transformer.MustNew(transformer.MustParseConfig(`{"model_type": "olmo2", "num_hidden_layers": 1, `+grouped+`}`), 1)
	query := []interv.Site{{Component: transformer.HeadQueryOutput}}
	for name, c := range map[string]struct {
		model interv.Model
		sites []interv.Site
		words []string
	}{
		"no queries": {m, []interv.Site{{Component: transformer.MLPOutput}}, []string{"softmax", "no queries and no keys", "head_key_output"}},
		"other norm": {olmo, query, []string{"layer 0 head_query_output", "one vector of all heads"}},
		"layer":      {m, []interv.Site{{Layer: 1, Component: transformer.HeadQueryOutput}}, []string{"layer", "got 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := attribution.Run(context.Background(), engine, c.model, attribution.Attribution{Base: base, Source: source, Measure: differ, Sites: c.sites, Softmax: true})
			wanted.Refusal(t, err, c.words...)
		})
	}
	recurrent := gru.MustNewClassifier(gru.Config{Layers: 1, Width: 2}, 42)
	embeds := interv.Inputs{interv.InputsEmbeds: tensors.FromFlatDataAndDimensions(make([]float32, 12), 2, 3, 2)}
	_, err := attribution.Run(context.Background(), engine, recurrent, attribution.Attribution{Base: embeds, Source: embeds, Sites: []interv.Site{{Component: gru.CellOutput}}, Softmax: true,
		Measure: interv.Measure{Metric: metric.Logit{Tokens: []int{0}}}})
	wanted.Refusal(t, err, "softmax", "a transformer", fmt.Sprintf("%T", recurrent))
}
