package attribution_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/internal/draw"
	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/attribution"
	"github.com/govene/govene/interv/gru"
	"github.com/govene/govene/interv/metric"
	"github.com/govene/govene/interv/transformer"
)

var engine = backend.MustNew()

// model is a small transformer of float64 with weights that are far from doing nothing.
func model(t *testing.T, layers int) *transformer.Model {
	t.Helper()
	config := transformer.MustParseConfig(fmt.Sprintf(`{"model_type": "gpt2", "vocab_size": 11, "n_positions": 8, "n_embd": 12, "n_layer": %d, "n_head": 3}`, layers))
	random := rand.New(rand.NewPCG(5, 7))
	weights := transformer.MustNew(config, 0).Weights()
	values := map[string]*tensors.Tensor{}
	for _, name := range weights.Names() {
		flat := make([]float64, weights.Tensor(name).Size())
		for i := range flat {
			if flat[i] = 0.3 * random.NormFloat64(); strings.Contains(name, "ln_") && strings.HasSuffix(name, "weight") {
				flat[i]++
			}
		}
		values[name] = tensors.FromFlatDataAndDimensions(flat, weights.Tensor(name).Shape().Dimensions...)
	}
	m, err := transformer.WithWeights(config, values)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

var (
	mask   = tensors.FromValue([][]int32{{1, 1, 1, 1}, {0, 1, 1, 1}})
	base   = interv.Inputs{interv.InputIDs: tensors.FromValue([][]int32{{1, 2, 3, 4}, {5, 6, 7, 8}}), interv.AttentionMask: mask}
	source = interv.Inputs{interv.InputIDs: tensors.FromValue([][]int32{{1, 9, 3, 4}, {5, 6, 10, 2}}), interv.AttentionMask: mask}
	differ = interv.Measure{Metric: metric.LogitDifference{Right: metric.Each(1, 2), Wrong: metric.Each(3)}}
)

// sitesOf are the sites of some components.
func sitesOf(m interv.Model, components ...interv.Component) []interv.Site {
	return slices.DeleteFunc(m.Catalogue().All(), func(s interv.Site) bool { return !slices.Contains(components, s.Component) })
}

// partly patches a site, a share of the way to the source.
func partly(m interv.Model, e attribution.Effect, share float64) *interv.Intervenable {
	return interv.MustNew(engine, m, interv.Config{Representations: []interv.Representation{{Layer: e.Site.Layer, Component: e.Site.Component,
		Unit: unitOf(m, e.Site), Intervention: interv.Func{Build: func(b, s *Node) *Node { return Add(b, MulScalar(Sub(s, b), share)) }}}}})
}

// patched is what a patch of one unit changes of the metric of its pair.
func patched(iv *interv.Intervenable, m interv.Model, e attribution.Effect, pair, head, position int) float64 {
	at, heads := [][]int{{}, {}}, [][]int{{}, {}}
	at[pair], heads[pair] = []int{position}, []int{head}
	location := interv.FromTo(at, at)
	if unitOf(m, e.Site) == interv.HeadPosition {
		location = location.Heads(heads, heads)
	}
	call := interv.Call{Base: base, Sources: []interv.Inputs{source}, Locations: []*interv.Location{location}, Metrics: []interv.Measure{differ}, WithBase: true}
	result := iv.MustRun(call).Metrics[0]
	return tensors.MustCopyFlatData[float64](result.Value)[pair] - tensors.MustCopyFlatData[float64](result.Base)[pair]
}

func unitOf(m interv.Model, site interv.Site) interv.Unit {
	sites, _ := m.Catalogue().Find(site)
	if sites.Heads > 0 {
		return interv.HeadPosition
	}
	return sites.Units[0]
}

// An effect is what a small part of the patch changes, as much larger as the whole patch is.
func TestEffectsAreDerivativesAlongThePatch(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a program a site")
	}
	m := model(t, 2)
	a := attribution.Attribution{Base: base, Source: source, Measure: differ,
		Sites: sitesOf(m, transformer.BlockInput, transformer.HeadQueryOutput, transformer.HeadAttentionValueOutput, transformer.MLPActivation)[:4]}
	result := attribution.MustRun(engine, m, a)
	moved := 0
	for _, e := range result.Effects {
		const share = 1e-5
		up, down := partly(m, e, share), partly(m, e, -share)
		for pair := range 2 {
			for head := range e.Heads {
				for position := pair; position < 4; position++ {
					want := (patched(up, m, e, pair, head, position) - patched(down, m, e, pair, head, position)) / (2 * share)
					if got := e.Of(pair, head, position); math.Abs(got-want) > 1e-6*max(1, math.Abs(want)) {
						t.Errorf("%s, pair %d, head %d, position %d: got %g, wanted %g", e.Site, pair, head, position, got, want)
					} else if got != 0 {
						moved++
					}
				}
			}
		}
	}
	if moved < 10 {
		t.Errorf("only %d units have an effect", moved)
	}
}

// Where the metric is linear in the activation, the estimate is what the patch changes: here in what the classifier's head reads.
func TestEffectsAreExactWhereTheMetricIsLinear(t *testing.T) {
	m := gru.MustNewClassifier(gru.Config{Layers: 2, Width: 4}, 7)
	random := rand.New(rand.NewPCG(2, 2))
	inputs := func() interv.Inputs {
		return interv.Inputs{interv.InputsEmbeds: draw.Tensor(random.NormFloat64, 3, 5, 4)}
	}
	a := attribution.Attribution{Base: inputs(), Source: inputs(), Sites: []interv.Site{{Layer: 1, Component: gru.CellOutput}}, Measure: differTwo}
	result := attribution.MustRun(engine, m, a)
	iv := interv.MustNew(engine, m, interv.Config{Representations: []interv.Representation{{Layer: 1, Component: gru.CellOutput, Intervention: interv.Vanilla{}}}})
	patch := iv.MustRun(interv.Call{Base: a.Base, Sources: []interv.Inputs{a.Source}, Locations: []*interv.Location{interv.FromTo(interv.Repeat(3, 4), interv.Repeat(3, 4))},
		Metrics: []interv.Measure{differTwo}})
	for pair, value := range patch.MustMetric("logit_difference") {
		if got, want := result.Effects[0].Of(pair, 0, 4), value-result.Base[pair]; math.Abs(got-want) > 1e-5 {
			t.Errorf("pair %d: got %g, wanted %g", pair, got, want)
		}
	}
}

var differTwo = interv.Measure{Metric: metric.LogitDifference{Right: metric.Each(1), Wrong: metric.Each(0)}}

// Integrated gradients along a site add up to what patching all of it changes.
func TestIntegratedGradientsAreComplete(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles for seconds on XLA")
	}
	m := model(t, 2)
	for _, along := range []interv.Site{{Component: transformer.Embedding}, {Layer: 1, Component: transformer.BlockInput}, {Layer: 1, Component: transformer.HeadValueOutput}} {
		a := attribution.Attribution{Base: base, Source: source, Sites: []interv.Site{along, {Layer: 1, Component: transformer.MLPOutput}}, Measure: differ, Steps: 200, Along: along}
		result := attribution.MustRun(engine, m, a)
		iv := interv.MustNew(engine, m, interv.Config{Representations: []interv.Representation{{Layer: along.Layer, Component: along.Component, Intervention: interv.Vanilla{}}}})
		patch := iv.MustRun(interv.Call{Base: base, Sources: []interv.Inputs{source}, Locations: []*interv.Location{interv.Everywhere()}, Metrics: []interv.Measure{differ}})
		e := result.Effects[0]
		for pair, value := range patch.MustMetric("logit_difference") {
			sum := 0.0
			for _, effect := range e.Values[pair*e.Heads*e.Positions : (pair+1)*e.Heads*e.Positions] {
				sum += effect
			}
			if want := value - result.Base[pair]; math.Abs(sum-want) > 1e-4*max(1, math.Abs(want)) {
				t.Errorf("%s, pair %d: effects add up to %g, wanted %g", along, pair, sum, want)
			}
		}
	}
}

// GradDrop is what gradients say that are stopped, by hand, at all that one layer adds.
func TestDroppedGradients(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles for seconds on XLA")
	}
	dropped(t, model(t, 3), []int{0, 1, 2}, transformer.AttentionOutput, transformer.MLPOutput)
	if engine.Name() != "xla" { // a component of some layers
		mixed := `{"model_type": "qwen3_moe", "num_hidden_layers": 3, "mlp_only_layers": [0], "num_experts": 2, "num_experts_per_tok": 1, "moe_intermediate_size": 6, ` + grouped + `}`
		dropped(t, attends(t, mixed, 1, false), []int{1, 2}, transformer.ExpertOutput)
	}
}

func dropped(t *testing.T, m *transformer.Model, layers []int, drop ...interv.Component) {
	t.Helper()
	site := interv.Site{Layer: 0, Component: transformer.BlockInput}
	result := attribution.MustRun(engine, m, attribution.Attribution{Base: base, Source: source, Sites: []interv.Site{site}, Measure: differ, Drop: drop})
	want := make([]float64, 8)
	for _, layer := range layers {
		results := MustExecOnceN(engine, func(baseIDs, sourceIDs, mask *Node) []*Node {
			weights := interv.Nodes{}
			for name, value := range m.Weights().All() {
				weights[name] = ConstTensor(mask.Graph(), value)
			}
			run := func(ids *Node) (value, output *Node) {
				tap := interv.NewTap(func(_ *interv.Tap, a interv.Activation) *Node {
					if a.Site == site {
						value = a.Value
					}
					if a.Site.Layer == layer && slices.Contains(drop, a.Site.Component) {
						return StopGradient(a.Value)
					}
					return a.Value
				})
				output = m.Forward(weights, interv.Nodes{interv.InputIDs: ids, interv.AttentionMask: mask}, tap)
				return value, output
			}
			b, output := run(baseIDs)
			s, _ := run(sourceIDs)
			logit := func(pair, token int) *Node {
				return Reshape(Slice(output, AxisElem(pair), AxisElem(3), AxisElem(token)))
			}
			sum := Sub(Add(logit(0, 1), logit(1, 2)), Add(logit(0, 3), logit(1, 3)))
			return []*Node{ReduceSum(Mul(Gradient(sum, b)[0], Sub(s, b)), -1)}
		}, base[interv.InputIDs], source[interv.InputIDs], mask)
		for i, effect := range tensors.MustCopyFlatData[float64](results[0]) {
			want[i] += math.Abs(effect) / float64(len(layers)-1)
		}
	}
	for i, got := range result.Effects[0].Values {
		if math.Abs(got-want[i]) > 1e-9 {
			t.Errorf("unit %d: got %g, wanted %g", i, got, want[i])
		}
	}
}

// What a plan says it will do is what it does.
func TestPlansSayWhatTheyDo(t *testing.T) {
	m := model(t, 2)
	sites := sitesOf(m, transformer.HeadQueryOutput)
	for says, a := range map[string]attribution.Attribution{
		"1 program: all pairs at once, forward and backward, runs 5 times: base and source, and 3 steps along layer 0 embedding": {Steps: 3,
			Along: interv.Site{Component: transformer.Embedding}},
		"1 program: all pairs at once, forward and backward, runs 4 times: base and source, and 2 layers of which something is dropped": {
			Drop: []interv.Component{transformer.MLPOutput}},
		"1 more program: attention's scores, runs 3 times: as they are, with the source's queries, and with its keys": {Softmax: true},
	} {
		a.Base, a.Source, a.Measure, a.Sites = base, source, differ, sites
		plan, err := a.Plan(engine, m)
		if err != nil {
			t.Fatal(err)
		}
		got := plan.Explain()
		if !strings.Contains(got, "2 sites, 24 units in each of 2 pairs, by logit_difference\n") || !strings.Contains(got, says) || !strings.Contains(got, "MiB besides the weights") {
			t.Errorf("%q is not in %s", says, got)
		}
		if engine.Name() == "xla" {
			continue // compiles for seconds
		}
		if _, err := plan.Run(context.Background()); err != nil {
			t.Fatal(err)
		}
		stats, programs, runs := plan.Stats(), 0, 0
		for _, line := range strings.Split(got, "\n") {
			var times int
			if i := strings.Index(line, "runs "); i > 0 {
				fmt.Sscanf(line[i:], "runs %d times", &times)
				runs, programs = runs+times, programs+1
			}
		}
		if stats.Calls != runs || stats.Programs != programs {
			t.Errorf("%v after %s", stats, got)
		}
	}
}

func TestOneProgramServesAll(t *testing.T) {
	m := model(t, 2)
	result := attribution.MustRun(engine, m, attribution.Attribution{Base: base, Source: source, Measure: differ, Sites: sitesOf(m, transformer.MLPOutput, transformer.HeadAttentionValueOutput)})
	if frame := result.Frame(); frame.Len() != 2*(2*4+2*3*4) {
		t.Errorf("got a frame of %d rows, wanted one for each unit of each pair", frame.Len())
	}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := attribution.Run(cancelled, engine, m, attribution.Attribution{Base: base, Source: source, Measure: differ, Sites: sitesOf(m, transformer.MLPOutput),
		Steps: 4, Along: interv.Site{Component: transformer.Embedding}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, wanted the context's error", err)
	}
}

func TestCompare(t *testing.T) {
	a := attribution.MustCompare([]float64{1, 2, 3, 3}, []float64{2, 4, 6, 5})
	if a.Count != 4 || a.LargestError != 3 || a.MeanError != 2 || math.Abs(a.RankCorrelation-0.9486832980505138) > 1e-12 {
		t.Errorf("got %v", a)
	}
	if a := attribution.MustCompare([]float64{3, 2, 1}, []float64{1, 20, 300}); a.RankCorrelation != -1 {
		t.Errorf("got %v, wanted −1 for the reverse order", a)
	}
	_, err := attribution.Compare([]float64{1}, []float64{1, 2})
	wanted.Refusal(t, err, "1 estimates", "2")
	_, err = attribution.Compare([]float64{math.NaN()}, []float64{1})
	wanted.Refusal(t, err, "values 0", "NaN")
}

func TestRefusals(t *testing.T) {
	m := model(t, 2)
	site := []interv.Site{{Component: transformer.BlockInput}}
	short := interv.Inputs{interv.InputIDs: tensors.FromValue([][]int32{{1, 2, 3}, {4, 5, 6}})}
	late := interv.Inputs{interv.InputIDs: source[interv.InputIDs], interv.AttentionMask: tensors.FromValue([][]int32{{0, 1, 1, 1}, {0, 1, 1, 1}})}
	embedding := interv.Site{Component: transformer.Embedding}
	for name, c := range map[string]struct {
		a     attribution.Attribution
		words []string
	}{
		"no sites":   {attribution.Attribution{Base: base, Source: source, Measure: differ}, []string{"sites", "none"}},
		"length":     {attribution.Attribution{Base: base, Source: short, Measure: differ, Sites: site}, []string{"source of pair 0", "0 to 2 of 3", "0 to 3 of 4"}},
		"begin":      {attribution.Attribution{Base: base, Source: late, Measure: differ, Sites: site}, []string{"source of pair 0", "1 to 3 of 4", "0 to 3 of 4"}},
		"component":  {attribution.Attribution{Base: base, Source: source, Measure: differ, Sites: []interv.Site{{Component: "block_inputt"}}}, []string{`did you mean "block_input"?`}},
		"metric":     {attribution.Attribution{Base: base, Source: source, Sites: site}, []string{"a Metric"}},
		"counting":   {attribution.Attribution{Base: base, Source: source, Sites: site, Measure: interv.Measure{Metric: metric.Rank{Tokens: []int{1}}}}, []string{"rank", "no gradient"}},
		"steps":      {attribution.Attribution{Base: base, Source: source, Measure: differ, Sites: site, Steps: -1}, []string{"steps", "-1"}},
		"no path":    {attribution.Attribution{Base: base, Source: source, Measure: differ, Sites: site, Steps: 2}, []string{"along", "component"}},
		"path":       {attribution.Attribution{Base: base, Source: source, Measure: differ, Sites: site, Along: embedding}, []string{"along", "none without steps"}},
		"width":      {attribution.Attribution{Base: base, Source: source, Measure: differ, Sites: site, Steps: 2, Along: interv.Site{Component: transformer.AttentionWeight}}, []string{"along", "varies with the run"}},
		"both":       {attribution.Attribution{Base: base, Source: source, Measure: differ, Sites: site, Steps: 2, Along: embedding, Drop: []interv.Component{transformer.MLPOutput}}, []string{"one of the two"}},
		"drop":       {attribution.Attribution{Base: base, Source: source, Measure: differ, Sites: site, Drop: []interv.Component{"mlp_outptu"}}, []string{"drop", `did you mean "mlp_output"?`}},
		"no source":  {attribution.Attribution{Base: base, Measure: differ, Sites: site}, []string{"source", "input_ids"}},
		"no backend": {attribution.Attribution{Base: base, Source: source, Measure: differ, Sites: site}, []string{"backend"}},
	} {
		t.Run(name, func(t *testing.T) {
			engine := engine
			if name == "no backend" {
				engine = nil
			}
			_, err := attribution.Run(context.Background(), engine, m, c.a)
			wanted.Refusal(t, err, c.words...)
		})
	}
}

// A plan for other inputs, tokens and a path shares the programs of the first, and comes to what an attribution of its own does.
func TestPlansShareTheirPrograms(t *testing.T) {
	m := model(t, 2)
	other := interv.Inputs{interv.InputIDs: tensors.FromValue([][]int32{{4, 2, 6, 4}, {5, 1, 7, 8}}), interv.AttentionMask: mask}
	measure := interv.Measure{Metric: metric.LogitDifference{Right: metric.Each(7, 1), Wrong: metric.Each(4)}}
	a := attribution.Attribution{Base: base, Source: source, Sites: sitesOf(m, transformer.HeadQueryOutput, transformer.MLPOutput), Measure: differ, Softmax: true}
	p, err := a.Plan(engine, m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	first := p.Stats().Programs
	on, err := p.On(other, base, measure)
	if err != nil {
		t.Fatal(err)
	}
	got, err := on.Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if again := on.Stats().Programs; again != first {
		t.Errorf("got %d programs, wanted the %d of the first run", again, first)
	}
	a.Base, a.Source, a.Measure = other, base, measure
	want := attribution.MustRun(engine, m, a)
	for i, effect := range want.Effects {
		if !slices.Equal(got.Effects[i].Values, effect.Values) {
			t.Errorf("%s: got %v, wanted %v", effect.Site, got.Effects[i].Values, effect.Values)
		}
	}
	if !slices.Equal(got.Base, want.Base) || !slices.Equal(got.Source, want.Source) {
		t.Errorf("got %v and %v, wanted %v and %v", got.Base, got.Source, want.Base, want.Source)
	}
	_, err = p.On(base, interv.Inputs{interv.InputIDs: source[interv.InputIDs]}, differ)
	wanted.Refusal(t, err, "attribution", "pair 1")
	if on, err = p.On(base, source, interv.Measure{Metric: metric.Logit{Tokens: []int{3}}}); err != nil {
		t.Fatal(err)
	}
	if got, err := on.Run(context.Background()); err != nil || got.Metric != "logit" {
		t.Errorf("another metric: %v, %v", got, err)
	}
}
