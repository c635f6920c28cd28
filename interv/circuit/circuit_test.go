package circuit_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/internal/host"
	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/attribution"
	"github.com/govene/govene/interv/circuit"
	"github.com/govene/govene/interv/metric"
	"github.com/govene/govene/interv/paths"
	"github.com/govene/govene/interv/sweep"
	"github.com/govene/govene/interv/transformer"
)

var engine = backend.MustNew()

const grouped = `"vocab_size": 23, "max_position_embeddings": 16, "hidden_size": 24, "intermediate_size": 20, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2`

// families differ in the norms of the stream, in groups of heads, in how projections lie, and in whether attention and MLP are beside each other.
var families = map[string]string{
	"gpt2":    `{"model_type": "gpt2", "vocab_size": 23, "n_positions": 16, "n_embd": 12, "n_layer": 2, "n_head": 3}`,
	"llama":   `{"model_type": "llama", ` + grouped + `}`,
	"granite": `{"model_type": "granite", "residual_multiplier": 0.6, "embedding_multiplier": 2.0, "attention_multiplier": 0.5, "logits_scaling": 2.0, ` + grouped + `}`,
	"gptj":    `{"model_type": "gptj", "vocab_size": 23, "n_positions": 16, "n_embd": 24, "n_layer": 2, "n_head": 3, "rotary_dim": 6}`,
	"gptneox": `{"model_type": "gpt_neox", "vocab_size": 23, "max_position_embeddings": 16, "hidden_size": 24, "intermediate_size": 20, "num_hidden_layers": 2, "num_attention_heads": 3, "rotary_pct": 0.25}`,
	"gemma2":  `{"model_type": "gemma2", ` + grouped + `, "head_dim": 6, "sliding_window": 3, "query_pre_attn_scalar": 5, "attn_logit_softcapping": 4.0}`,
}

// edged are the families in which edges can be told apart.
func edged() (list []string) {
	for _, family := range []string{"gpt2", "llama", "granite", "gptj", "gptneox"} {
		if engine.Name() != "xla" || os.Getenv("GOVENE_LONG") != "" || family == "llama" {
			list = append(list, family)
		}
	}
	return list
}

// skipLong skips what takes XLA seconds of compiling.
func skipLong(t *testing.T) {
	t.Helper()
	if engine.Name() == "xla" && os.Getenv("GOVENE_LONG") == "" {
		t.Skip("compiles for seconds; GOVENE_LONG=1 runs it")
	}
}

// model has weights that are far from doing nothing.
func model(t *testing.T, config transformer.Config) *transformer.Model {
	t.Helper()
	random := rand.New(rand.NewPCG(5, 7))
	shapes := transformer.MustNew(config, 0).Weights()
	values := map[string]*tensors.Tensor{}
	for _, name := range shapes.Names() {
		shape := shapes.Tensor(name).Shape()
		flat := make([]float64, shape.Size())
		for i := range flat {
			flat[i] = 0.4 * random.NormFloat64()
			if shape.Rank() == 1 && strings.HasSuffix(name, "weight") {
				flat[i]++
			}
		}
		values[name] = tensors.FromFlatDataAndDimensions(flat, shape.Dimensions...)
	}
	m, err := transformer.WithWeights(config, values)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func family(t *testing.T, name string) *transformer.Model {
	return model(t, transformer.MustParseConfig(families[name]))
}

// inputs are two examples; the second is a token shorter, with padding on the left.
func inputs(ids ...int32) interv.Inputs {
	return interv.Inputs{interv.InputIDs: tensors.FromFlatDataAndDimensions(ids, 2, 5),
		interv.AttentionMask: tensors.FromFlatDataAndDimensions([]int32{1, 1, 1, 1, 1, 0, 1, 1, 1, 1}, 2, 5)}
}

var (
	base, source = inputs(3, 1, 4, 1, 5, 0, 9, 2, 6, 5), inputs(2, 7, 1, 8, 2, 0, 8, 1, 8, 2)
	differ       = metric.LogitDifference{Right: metric.Each(5, 7), Wrong: metric.Each(6)}
)

func near(t *testing.T, what string, got, want []float64, tolerance float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: got %d numbers, wanted %d", what, len(got), len(want))
	}
	for i := range want {
		if !(math.Abs(got[i]-want[i]) <= tolerance*max(1, math.Abs(want[i]))) {
			t.Errorf("%s, pair %d: got %g, wanted %g", what, i, got[i], want[i])
		}
	}
}

func nodesOf(t *testing.T, m interv.Model) []circuit.Node {
	t.Helper()
	nodes, err := circuit.Nodes(m)
	if err != nil {
		t.Fatal(err)
	}
	return nodes
}

func edgesOf(t *testing.T, m interv.Model) []circuit.Edge {
	t.Helper()
	edges, err := circuit.Edges(m)
	if err != nil {
		t.Fatal(err)
	}
	return edges
}

// The whole model is faithful, nothing is the source, and what nodes do is what all their edges do.
func TestEdgesOfNodes(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, name := range edged() {
		m := family(t, name)
		edges := edgesOf(t, m)
		some := circuit.Circuit{Nodes: []circuit.Node{circuit.Embedding}}
		for _, n := range nodesOf(t, m)[1:] {
			if random.IntN(2) == 0 {
				some.Nodes = append(some.Nodes, n)
			}
		}
		of := circuit.Circuit{Edges: slices.DeleteFunc(slices.Clone(edges), func(e circuit.Edge) bool { return !slices.Contains(some.Nodes, e.From) })}
		for _, outside := range []circuit.Ablation{circuit.Resample, circuit.Zero} {
			e := circuit.Evaluation{Base: base, Source: source, Metric: differ, Outside: outside,
				Circuits: []circuit.Circuit{{Nodes: nodesOf(t, m)}, {Edges: edges}, {}, {Edges: []circuit.Edge{}}, some, of}}
			r := circuit.MustEvaluate(engine, m, e)
			clean := sweep.MustRun(engine, m, sweep.Sweep{Base: base, Source: source, Metric: differ, Cells: []sweep.Cell{{Component: transformer.BlockInput}}})
			near(t, name+", the model", r.Model, clean.Base, 1e-9)
			near(t, name+", all nodes", r.Values[0], clean.Base, 1e-9)
			near(t, name+", all edges", r.Values[1], clean.Base, 1e-9)
			if outside == circuit.Resample {
				near(t, name+", nothing", r.Empty, clean.Source, 1e-9)
			}
			near(t, name+", no nodes", r.Values[2], r.Empty, 1e-9)
			near(t, name+", no edges", r.Values[3], r.Empty, 1e-9)
			near(t, name+", edges of nodes", r.Values[5], r.Values[4], 1e-9)
			near(t, name+", faithfulness", []float64{r.Faithfulness(0), r.Faithfulness(1), r.Faithfulness(2)}, []float64{1, 1, 0}, 1e-9)
			if got := r.Faithfulness(4); math.Abs(got) < 1e-6 || math.Abs(got-1) < 1e-6 {
				t.Errorf("%s: half of the nodes have faithfulness %g", name, got)
			}
		}
	}
}

// receiver is a reader as path patching names it.
func receiver(n circuit.Node) paths.Receiver {
	switch n.Component {
	case transformer.FinalNorm, transformer.MLPInput:
		return paths.Receiver{Layer: n.Layer, Component: n.Component}
	}
	return paths.Receiver{Layer: n.Layer, Component: n.Component, Heads: []int{n.Head}}
}

func sender(n circuit.Node) sweep.Cell {
	if n.Component == transformer.HeadAttentionValueOutput {
		return sweep.Cell{Component: n.Component, Layer: n.Layer, Heads: []int{n.Head}}
	}
	return sweep.Cell{Component: n.Component, Layer: n.Layer}
}

// sample are edges to readers of all kinds, from different writers.
func sample(edges []circuit.Edge) (some []circuit.Edge) {
	to := map[circuit.Node]bool{}
	for i, e := range edges {
		if e.To.Head == 1 || e.To.Component == transformer.MLPInput || e.To.Component == transformer.FinalNorm {
			if !to[e.To] || i%7 == 0 {
				some = append(some, e)
			}
			to[e.To] = true
		}
	}
	return some
}

// A circuit that lacks one edge is the model with the path of that edge patched, exactly.
func TestOneEdgeOutsideIsAPath(t *testing.T) {
	skipLong(t)
	for _, name := range edged() {
		m := family(t, name)
		edges := edgesOf(t, m)
		some := sample(edges)
		e := circuit.Evaluation{Base: base, Source: source, Metric: differ}
		for _, cut := range some {
			e.Circuits = append(e.Circuits, circuit.Circuit{Edges: slices.DeleteFunc(slices.Clone(edges), func(e circuit.Edge) bool { return e == cut })})
		}
		r := circuit.MustEvaluate(engine, m, e)
		for i, cut := range some {
			path := paths.MustRun(engine, m, paths.Paths{Base: base, Source: source, Metric: differ, Senders: []sweep.Cell{sender(cut.From)}, Receivers: []paths.Receiver{receiver(cut.To)}})
			near(t, name+", "+cut.String(), r.Values[i], path.Values[0], 1e-9)
		}
	}
}

// embeds are inputs a small way apart.
func embeds(m *transformer.Model, share float64) interv.Inputs {
	random := rand.New(rand.NewPCG(2, 8))
	flat := make([]float64, 2*5*m.Config().Width)
	for i := range flat {
		flat[i] = random.NormFloat64() + share*math.Sin(float64(7*i))
	}
	return interv.Inputs{interv.InputsEmbeds: tensors.FromFlatDataAndDimensions(flat, 2, 5, m.Config().Width), interv.AttentionMask: base[interv.AttentionMask]}
}

// The score of an edge is what its path changes, if inputs are but little apart; with steps, too.
func TestScoresAreDerivativesOfPaths(t *testing.T) {
	skipLong(t)
	const share = 1e-5
	for _, name := range edged() {
		m := family(t, name)
		from, to := embeds(m, 0), embeds(m, share)
		measure := interv.Measure{Metric: differ}
		scores := circuit.MustAttribute(engine, m, circuit.Attribution{Base: from, Source: to, Measure: measure})
		steps := circuit.MustAttribute(engine, m, circuit.Attribution{Base: from, Source: to, Measure: measure, Steps: 3})
		for _, e := range sample(scores.Edges) {
			path := paths.MustRun(engine, m, paths.Paths{Base: from, Source: to, Metric: differ, Senders: []sweep.Cell{sender(e.From)}, Receivers: []paths.Receiver{receiver(e.To)}})
			for pair := range 2 {
				want := (path.Values[0][pair] - path.Base[pair]) / share
				for what, s := range map[string]*circuit.Scores{"": scores, ", 3 steps": steps} {
					if got := s.Each[slices.Index(s.Edges, e)][pair] / share; math.Abs(got-want) > 2e-3*max(1, math.Abs(want)) {
						t.Errorf("%s, %s%s, pair %d: got %g, wanted %g", name, e, what, pair, got, want)
					}
				}
			}
		}
	}
}

// Scores of the edges to one reader add up to the attribution of what it computes where that is linear in what it reads, and always at the
// logits' stream.
func TestScoresAddUpToAttribution(t *testing.T) {
	skipLong(t)
	config := transformer.MustParseConfig(families["llama"])
	config.Norm.Before = false
	m := model(t, config)
	measure := interv.Measure{Metric: differ}
	for _, steps := range []int{0, 3} {
		scores := circuit.MustAttribute(engine, m, circuit.Attribution{Base: base, Source: source, Measure: measure, Steps: steps})
		got := map[circuit.Node][]float64{}
		for i, e := range scores.Edges {
			if got[e.To] == nil {
				got[e.To] = make([]float64, 2)
			}
			for pair, score := range scores.Each[i] {
				got[e.To][pair] += score
			}
		}
		a := attribution.Attribution{Base: base, Source: source, Measure: measure, Sites: []interv.Site{{Layer: 1, Component: transformer.BlockOutput}}}
		for layer := range 2 {
			for _, component := range []interv.Component{transformer.HeadQueryOutput, transformer.HeadKeyOutput, transformer.HeadValueOutput, transformer.MLPInput} {
				a.Sites = append(a.Sites, interv.Site{Layer: layer, Component: component})
			}
		}
		if steps > 0 {
			a.Steps, a.Along = steps, interv.Site{Component: transformer.Embedding}
		}
		readers := 0
		for _, e := range attribution.MustRun(engine, m, a).Effects {
			for head := range e.Heads {
				n := circuit.Node{Layer: e.Site.Layer, Component: e.Site.Component, Head: head}
				if e.Site.Component == transformer.BlockOutput {
					n = circuit.Node{Component: transformer.FinalNorm}
				}
				want := make([]float64, 2)
				for pair := range 2 {
					for position := range e.Positions {
						want[pair] += e.Of(pair, head, position)
					}
				}
				near(t, fmt.Sprintf("%s, %d steps", n, steps), got[n], want, 1e-9)
				readers++
			}
		}
		if len(got) != readers || readers != 2*(4+2+2+1)+1 {
			t.Errorf("got edges to %d readers, wanted %d", len(got), readers)
		}
	}
	scores := circuit.MustAttribute(engine, m, circuit.Attribution{Base: base, Source: source, Measure: measure})
	top := scores.Top(5)
	for _, e := range top.Edges {
		if math.Abs(scores.Mean(e)) < math.Abs(scores.Mean(top.Edges[4])) {
			t.Errorf("%s is not among the first 5", e)
		}
	}
	if len(top.Edges) != 5 || scores.Frame().Len() != len(scores.Edges) || len(scores.Top(1000).Edges) != len(scores.Edges) {
		t.Errorf("got %d edges, a frame of %d rows", len(top.Edges), scores.Frame().Len())
	}
}

// Nodes are ablated in families in which edges cannot be told apart, too: as the sweep does it, node by node.
func TestNodesOutsideArePatches(t *testing.T) {
	skipLong(t)
	m := family(t, "gemma2")
	nodes := nodesOf(t, m)
	var e circuit.Evaluation
	var cells []sweep.Cell
	for _, n := range nodes {
		e.Circuits = append(e.Circuits, circuit.Circuit{Nodes: slices.DeleteFunc(slices.Clone(nodes), func(other circuit.Node) bool { return other == n })})
		cells = append(cells, sender(n))
	}
	e.Base, e.Source, e.Metric = base, source, differ
	r := circuit.MustEvaluate(engine, m, e)
	patched := sweep.MustRun(engine, m, sweep.Sweep{Base: base, Source: source, Metric: differ, Cells: cells})
	for i := range cells {
		near(t, nodes[i].String(), r.Values[i], patched.Values[i], 1e-9)
	}
	near(t, "nothing", r.Empty, patched.Source, 1e-9)

	// The mean of equal sources is the source.
	plain := func(in interv.Inputs) interv.Inputs {
		ids := tensors.MustCopyFlatData[int32](in[interv.InputIDs])[:5]
		return interv.Inputs{interv.InputIDs: tensors.FromFlatDataAndDimensions(slices.Concat(ids, ids), 2, 5)}
	}
	e = circuit.Evaluation{Base: plain(base), Source: plain(source), Metric: differ, Circuits: []circuit.Circuit{{Nodes: nodes[2:5]}}}
	resampled := circuit.MustEvaluate(engine, m, e)
	e.Outside = circuit.Mean
	near(t, "mean", circuit.MustEvaluate(engine, m, e).Values[0], resampled.Values[0], 1e-9)
	e.Base, e.Source = base, source
	_, err := circuit.Evaluate(context.Background(), engine, m, e)
	wanted.Refusal(t, err, "mean over positions of pair 1", "1 to 4", "0 to 4")
}

func TestRefusals(t *testing.T) {
	m, gemma := family(t, "gpt2"), family(t, "gemma2")
	head := circuit.Circuit{Nodes: []circuit.Node{circuit.Head(0, 1)}}
	query := circuit.Node{Layer: 1, Component: transformer.HeadQueryOutput, Head: 2}
	for name, c := range map[string]struct {
		change func(e *circuit.Evaluation)
		model  interv.Model
		words  []string
	}{
		"head":   {func(e *circuit.Evaluation) { e.Circuits[0].Nodes = []circuit.Node{circuit.Head(0, 3)} }, m, []string{"circuit 0", "node 0", "head 0.3", "head 0.0 to head 1.2"}},
		"reader": {func(e *circuit.Evaluation) { e.Circuits[0].Nodes = []circuit.Node{query} }, m, []string{"query 1.2", "mlp 0 to mlp 1"}},
		"both":   {func(e *circuit.Evaluation) { e.Circuits[0].Edges = []circuit.Edge{} }, m, []string{"nodes and edges"}},
		"order": {func(e *circuit.Evaluation) {
			e.Circuits[0] = circuit.Circuit{Edges: []circuit.Edge{{circuit.MLP(1), query}}}
		}, m, []string{"edge 0", "mlp 1 → query 1.2", "after"}},
		"from": {func(e *circuit.Evaluation) { e.Circuits[0] = circuit.Circuit{Edges: []circuit.Edge{{query, query}}} }, m, []string{"from query 1.2"}},
		"to": {func(e *circuit.Evaluation) {
			e.Circuits[0] = circuit.Circuit{Edges: []circuit.Edge{{circuit.MLP(0), circuit.MLP(1)}}}
		}, m, []string{"to mlp 1", "logits"}},
		"family":   {func(e *circuit.Evaluation) { e.Circuits[0] = circuit.Circuit{Edges: []circuit.Edge{}} }, gemma, []string{"edges", "normalized together"}},
		"ablation": {func(e *circuit.Evaluation) { e.Outside = "men" }, m, []string{`did you mean "mean"?`}},
		"none":     {func(e *circuit.Evaluation) { e.Circuits = nil }, m, []string{"circuits", "none"}},
		"metric":   {func(e *circuit.Evaluation) { e.Metric = nil }, m, []string{"metric", "none"}},
		"clean":    {func(e *circuit.Evaluation) { e.Metric = metric.KL{} }, m, []string{"kl", "clean run"}},
		"same":     {func(e *circuit.Evaluation) { e.Source = base }, m, []string{"of the model and of nothing"}},
		"source":   {func(e *circuit.Evaluation) { e.Source = interv.Inputs{interv.InputIDs: source[interv.InputIDs]} }, m, []string{"source of pair 1"}},
		"model":    {func(e *circuit.Evaluation) {}, m.Lens(), []string{"a transformer"}},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "family" || name == "same" {
				skipLong(t) // found out by running
			}
			e := circuit.Evaluation{Base: base, Source: source, Metric: differ, Circuits: []circuit.Circuit{head}}
			c.change(&e)
			_, err := circuit.Evaluate(context.Background(), engine, c.model, e)
			wanted.Refusal(t, err, append(c.words, "circuit")...)
		})
	}
	for name, c := range map[string]struct {
		a     circuit.Attribution
		words []string
	}{
		"steps":  {circuit.Attribution{Base: base, Source: source, Measure: interv.Measure{Metric: differ}, Steps: -1}, []string{"steps", "-1"}},
		"counts": {circuit.Attribution{Base: base, Source: source, Measure: interv.Measure{Metric: metric.Rank{Tokens: []int{1}}}}, []string{"rank", "no gradient"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := circuit.Attribute(context.Background(), engine, m, c.a)
			wanted.Refusal(t, err, append(c.words, "edge attribution")...)
		})
	}
}

// In 16 bits all of it holds, as far as 16 bits go: nodes write what they are told to the bit.
func TestCircuitsIn16Bits(t *testing.T) {
	skipLong(t)
	folder := t.TempDir()
	single := transformer.MustNew(transformer.MustParseConfig(families["llama"]), 3)
	if err := single.Save(folder); err != nil {
		t.Fatal(err)
	}
	m := transformer.MustLoad(folder, transformer.BFloat16)
	nodes, edges := nodesOf(t, m), edgesOf(t, m)
	r := circuit.MustEvaluate(engine, m, circuit.Evaluation{Base: base, Source: source, Metric: differ,
		Circuits: []circuit.Circuit{{Nodes: nodes}, {}, {Edges: edges}, {Edges: []circuit.Edge{}}}})
	clean := sweep.MustRun(engine, m, sweep.Sweep{Base: base, Source: source, Metric: differ, Cells: []sweep.Cell{{Component: transformer.BlockInput}}})
	near(t, "all nodes", r.Values[0], clean.Base, 0)
	near(t, "no nodes", r.Values[1], clean.Source, 0)
	size := math.Abs(clean.Base[0]-clean.Source[0]) + math.Abs(clean.Base[1]-clean.Source[1])
	near(t, "all edges", r.Values[2], clean.Base, 0.02*size)
	near(t, "no edges", r.Values[3], clean.Source, 0.02*size)

	measure := interv.Measure{Metric: differ}
	scores := circuit.MustAttribute(engine, m, circuit.Attribution{Base: base, Source: source, Measure: measure})
	wide := circuit.MustAttribute(engine, single, circuit.Attribution{Base: base, Source: source, Measure: measure})
	largest := wide.Mean(wide.Top(1).Edges[0])
	for i, e := range wide.Edges {
		near(t, e.String(), scores.Each[i], wide.Each[i], 0.05*math.Abs(largest))
	}
}

// However little memory there is, batch by batch scores and metrics are those of all pairs at once, each with its own tokens.
func TestPairsInBatches(t *testing.T) {
	skipLong(t)
	m := family(t, "llama")
	rows := []int{1, 0, 1}
	base, source := host.Examples(base, rows), host.Examples(source, rows)
	measure := interv.Measure{Metric: metric.LogitDifference{Right: metric.Each(5, 7, 2), Wrong: metric.Each(6)}, At: [][]int{{-1}, {-1}, {-2}}}
	a := circuit.Attribution{Base: base, Source: source, Measure: measure, Steps: 2}
	e := circuit.Evaluation{Base: base, Source: source, Metric: measure.Metric, ReadAt: measure.At, Circuits: []circuit.Circuit{{Edges: edgesOf(t, m)[3:9]}}}
	scores, result := circuit.MustAttribute(engine, m, a), circuit.MustEvaluate(engine, m, e)
	memory := circuit.PairBytes(t, engine, m, base, source)
	for batch := range 3 {
		a.Memory, e.Memory = sweep.Bytes(batch*memory)+1, sweep.Bytes(batch*memory)+1
		for i, got := range circuit.MustAttribute(engine, m, a).Each {
			near(t, fmt.Sprintf("%v, batches of %d", scores.Edges[i], batch), got, scores.Each[i], 1e-9)
		}
		near(t, fmt.Sprintf("batches of %d", batch), circuit.MustEvaluate(engine, m, e).Values[0], result.Values[0], 1e-9)
	}
}
