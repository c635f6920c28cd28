package paths_test

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/metric"
	"github.com/govene/govene/interv/paths"
	"github.com/govene/govene/interv/sweep"
	"github.com/govene/govene/interv/transformer"
)

var engine = backend.MustNew()

const grouped = `"vocab_size": 23, "max_position_embeddings": 16, "hidden_size": 16, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 20`

var families = map[string]string{
	"gpt2":   `{"model_type": "gpt2", "vocab_size": 23, "n_positions": 16, "n_embd": 12, "n_layer": 3, "n_head": 3}`,
	"llama":  `{"model_type": "llama", ` + grouped + `}`,
	"gemma2": `{"model_type": "gemma2", ` + grouped + `, "head_dim": 6, "sliding_window": 3, "query_pre_attn_scalar": 5, "attn_logit_softcapping": 4.0}`,
	"gptj":   `{"model_type": "gptj", "vocab_size": 23, "n_positions": 16, "n_embd": 24, "n_layer": 3, "n_head": 3, "rotary_dim": 6}`,
	"falcon": `{"model_type": "falcon", "vocab_size": 23, "hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 3, "alibi": true,
		"multi_query": false, "parallel_attn": false}`,
}

// model has weights that are far from doing nothing.
func model(t *testing.T, family string) *transformer.Model {
	t.Helper()
	config := transformer.MustParseConfig(families[family])
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

// inputs are two examples; the second is a token shorter, with padding on the left.
func inputs(ids ...int32) interv.Inputs {
	return interv.Inputs{interv.InputIDs: tensors.FromFlatDataAndDimensions(ids, 2, 5),
		interv.AttentionMask: tensors.FromFlatDataAndDimensions([]int32{1, 1, 1, 1, 1, 0, 1, 1, 1, 1}, 2, 5)}
}

func asked() paths.Paths {
	return paths.Paths{Base: inputs(3, 1, 4, 1, 5, 0, 9, 2, 6, 5), Source: inputs(2, 7, 1, 8, 2, 0, 8, 1, 8, 2),
		Metric: metric.LogitDifference{Right: metric.Each(5, 7), Wrong: metric.Each(6)}}
}

// skipLong skips what takes XLA seconds of compiling, which another family has covered or -short leaves out.
func skipLong(t *testing.T, covered bool) {
	t.Helper()
	if engine.Name() == "xla" && (covered || testing.Short()) && os.Getenv("GOVENE_LONG") == "" {
		t.Skip("compiles for seconds; GOVENE_LONG=1 runs it")
	}
}

// same wants the values of two results, cell by cell.
func same(t *testing.T, what string, got, want [][]float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: got %d cells, wanted %d", what, len(got), len(want))
	}
	for i := range want {
		for pair := range want[i] {
			if d := math.Abs(got[i][pair] - want[i][pair]); !(d <= 1e-9) {
				t.Errorf("%s: cell %d, pair %d: got %g, wanted %g", what, i, pair, got[i][pair], want[i][pair])
			}
		}
	}
}

// A path is what it is by the sum that the stream is: what a head's module writes in two runs, their difference added to the clean stream below
// the receiver, and the receiver computed from that.
func TestPathsAreDifferencesOfTheStream(t *testing.T) {
	for family := range families {
		t.Run(family, func(t *testing.T) {
			skipLong(t, family != "gptj")
			m, p, steps := model(t, family), asked(), steps{}
			after := transformer.ResidualMiddle
			if family == "gptj" {
				after = transformer.BlockOutput // the MLP beside does not read what the head writes
			}
			for _, end := range []paths.Receiver{{Layer: 2, Component: transformer.HeadQueryOutput, Heads: []int{1}}, {Layer: 2, Component: transformer.HeadKeyOutput},
				{Component: transformer.FinalNorm}} {
				p.Receivers, p.Senders = []paths.Receiver{end}, []sweep.Cell{{Component: transformer.HeadAttentionValueOutput, Heads: []int{2}},
					{Component: transformer.HeadAttentionValueOutput, Layer: 1, Heads: []int{0, 1}}, {Component: transformer.HeadAttentionValueOutput, Layer: 1, Heads: []int{2}, Place: sweep.At(-2)[0]}}
				result := paths.MustRun(engine, m, p)
				var want [][]float64
				for _, cell := range p.Senders {
					want = append(want, steps.byHand(t, m, p, cell, after))
				}
				same(t, string(end.Component), result.Values, want)
			}
		})
	}
}

// steps are the programs of byHand, by what they do.
type steps map[string]*interv.Intervenable

// byHand is the number of a path, with a run for each step.
func (s steps) byHand(t *testing.T, m *transformer.Model, p paths.Paths, cell sweep.Cell, after interv.Component) []float64 {
	t.Helper()
	end := p.Receivers[0]
	collect := func(layer int, component interv.Component, unit interv.Unit) interv.Representation {
		return interv.Representation{Name: "read", Layer: layer, Component: component, Unit: unit, Intervention: interv.Collect{}}
	}
	run := func(call interv.Call, representations ...interv.Representation) *interv.Result {
		t.Helper()
		key := fmt.Sprint(representations)
		if s[key] == nil {
			s[key] = interv.MustNew(engine, m, interv.Config{Representations: representations})
		}
		result, err := s[key].Run(call)
		if err != nil {
			t.Fatal(err)
		}
		return result
	}
	rows := [][]int{interv.Range(0, 5), interv.Range(1, 5)}
	if cell.Place.At != nil {
		rows = interv.Repeat(2, cell.Place.At[0]...)
	}
	heads := interv.Repeat(2, cell.Heads...)
	clean := run(interv.Call{Base: p.Base, Locations: []*interv.Location{interv.Everywhere()}}, collect(cell.Layer, after, interv.Position)).Collected[0].Value
	patched := run(interv.Call{Base: p.Base, Sources: []interv.Inputs{p.Source, nil}, Locations: []*interv.Location{interv.FromTo(rows, rows).Heads(heads, heads), interv.Everywhere()}},
		interv.Representation{Layer: cell.Layer, Component: cell.Component, Unit: interv.HeadPosition, Intervention: interv.Vanilla{}}, collect(cell.Layer, after, interv.Position)).Collected[0].Value
	written := tensors.MustCopyFlatData[float64](patched)
	for i, x := range tensors.MustCopyFlatData[float64](clean) {
		written[i] -= x
	}
	stream, layer := transformer.BlockInput, end.Layer
	if end.Component == transformer.FinalNorm {
		stream, layer = transformer.BlockOutput, 2
	}
	unit := interv.Position
	if end.Component != transformer.FinalNorm {
		unit = interv.HeadPosition
	}
	read := run(interv.Call{Base: p.Base, Activations: []*tensors.Tensor{tensors.FromFlatDataAndDimensions(written, clean.Shape().Dimensions...), nil},
		Locations: []*interv.Location{interv.Everywhere(), interv.Everywhere()}},
		interv.Representation{Layer: layer, Component: stream, Unit: interv.Position, Intervention: interv.Addition{}}, collect(end.Layer, end.Component, unit)).Collected[0].Value
	put := interv.Call{Base: p.Base, Activations: []*tensors.Tensor{read}, Metrics: []interv.Measure{{Metric: p.Metric}}, Locations: []*interv.Location{interv.Everywhere()}}
	if end.Heads != nil { // that head alone, at the positions of both examples
		all, width := tensors.MustCopyFlatData[float64](read), read.Shape().Dim(3)
		var some []float64
		for example := range 2 {
			from := ((example*read.Shape().Dim(1) + end.Heads[0]) * 5) * width
			some = append(some, all[from+example*width:from+5*width]...)
			some = append(some, make([]float64, example*width)...)
		}
		put.Activations[0] = tensors.FromFlatDataAndDimensions(some, 2, 1, 5, width)
		put.Locations[0] = interv.At([][]int{interv.Range(0, 5), interv.Range(1, 5)}).Heads(nil, interv.Repeat(2, end.Heads...))
	}
	result := run(put, interv.Representation{Layer: end.Layer, Component: end.Component, Unit: unit, Intervention: interv.Vanilla{}})
	return tensors.MustCopyFlatData[float64](result.Metrics[0].Value)
}

// Where the receiver has all that a sender's output goes into, and nothing between is kept, a path is the plain patch.
func TestPathsToAllReadersArePatches(t *testing.T) {
	for family := range families {
		t.Run(family, func(t *testing.T) {
			skipLong(t, family != "gemma2")
			m, p := model(t, family), asked()
			for name, c := range map[string]struct {
				sender  sweep.Cell
				end     paths.Receiver
				through bool
			}{
				"embedding":        {sweep.Cell{Component: transformer.Embedding}, paths.Receiver{Component: transformer.BlockInput}, false},
				"MLP":              {sweep.Cell{Component: transformer.MLPOutput, Place: sweep.At(2)[0]}, paths.Receiver{Layer: 1, Component: transformer.BlockInput}, false},
				"head":             {sweep.Cell{Component: transformer.HeadAttentionValueOutput, Layer: 1, Heads: []int{1}}, paths.Receiver{Layer: 2, Component: transformer.BlockInput}, true},
				"attention output": {sweep.Cell{Component: transformer.AttentionOutput, Layer: 2}, paths.Receiver{Component: transformer.FinalNorm}, true},
			} {
				p.Senders, p.Receivers, p.ThroughMLPs = []sweep.Cell{c.sender}, []paths.Receiver{c.end}, c.through
				got, want := paths.MustRun(engine, m, p), sweep.MustRun(engine, m, sweep.Sweep{Base: p.Base, Source: p.Source, Metric: p.Metric, Cells: p.Senders})
				same(t, name, got.Values, want.Values)
				same(t, name+", clean", [][]float64{got.Base, got.Source}, [][]float64{want.Base, want.Source})
			}
		})
	}
}

// Senders that are not listed are all heads below the receivers, in the order of layers and heads; as many programs do them all as a block has parts.
func TestAllHeads(t *testing.T) {
	m, p := model(t, "gpt2"), asked()
	p.Receivers = []paths.Receiver{{Layer: 2, Component: transformer.HeadValueOutput, Heads: []int{0}}, {Layer: 1, Component: transformer.MLPInput}}
	result := paths.MustRun(engine, m, p)
	if len(result.Values) != 6 || result.Cells[4].Layer != 1 || result.Cells[4].Heads[0] != 1 || result.Stats.Programs != 5 {
		t.Errorf("got %d cells in %d programs: %v", len(result.Values), result.Stats.Programs, result.Cells)
	}
	for _, i := range []int{0, 4} {
		p.Senders = result.Cells[i : i+1]
		same(t, "alone", paths.MustRun(engine, m, p).Values, result.Values[i:i+1])
	}
}

// A model's blocks, run one by one with all that is kept put in, come to the numbers of whole runs in which it is patched, whatever sends and
// receives.
func TestPlansAgree(t *testing.T) {
	senders := []interv.Component{transformer.HeadAttentionValueOutput, transformer.AttentionValueOutput, transformer.AttentionOutput, transformer.MLPOutput, transformer.Embedding}
	receivers := []interv.Component{transformer.BlockInput, transformer.AttentionInput, transformer.QueryOutput, transformer.HeadQueryOutput, transformer.HeadKeyOutput,
		transformer.ValueOutput, transformer.ResidualMiddle, transformer.MLPInput, transformer.BlockOutput, transformer.FinalNorm}
	for family := range families {
		t.Run(family, func(t *testing.T) {
			skipLong(t, true)
			m, random, tried := model(t, family), rand.New(rand.NewPCG(3, 9)), 0
			for range 12 {
				p := asked()
				p.ThroughMLPs = random.IntN(2) == 0
				if random.IntN(3) == 0 {
					p.Metric, p.ReadAt = metric.KL{}, [][]int{{3}}
				}
				for _, at := range random.Perm(len(receivers))[:1+random.IntN(2)] {
					r := paths.Receiver{Component: receivers[at], Layer: 1 + random.IntN(2)}
					if r.Component == transformer.FinalNorm {
						r.Layer = 0
					}
					if r.Component == transformer.HeadKeyOutput {
						r.Heads = []int{1}
					}
					p.Receivers = append(p.Receivers, r)
				}
				for range 1 + random.IntN(4) {
					cell := sweep.Cell{Component: senders[random.IntN(len(senders))], Layer: random.IntN(2) * random.IntN(2)}
					switch {
					case cell.Component == transformer.Embedding:
						cell.Layer = 0
					case cell.Component == transformer.HeadAttentionValueOutput:
						cell.Heads = []int{random.IntN(3)}
					}
					if random.IntN(2) == 0 {
						cell.Place = sweep.At(-1 - random.IntN(4))[0]
					}
					p.Senders = append(p.Senders, cell)
				}
				got, err := paths.Run(context.Background(), engine, m, p)
				want, refused := paths.RunInBatches(engine, m, p)
				if (err == nil) != (refused == nil) {
					t.Fatalf("%+v: got error %v, wanted %v", p, err, refused)
				}
				if err == nil {
					tried++
					same(t, fmt.Sprintf("from %v to %v", p.Senders, p.Receivers), got.Values, want.Values)
					same(t, "clean", [][]float64{got.Base, got.Source}, [][]float64{want.Base, want.Source})
				}
			}
			if tried < 5 {
				t.Errorf("only %d were possible", tried)
			}
		})
	}
}

// What a plan says it will do is what it does: programs, and runs of the model in each.
func TestPlansSayWhatTheyDo(t *testing.T) {
	skipLong(t, true)
	p := asked()
	p.Receivers = []paths.Receiver{{Layer: 1, Component: transformer.HeadKeyOutput, Heads: []int{1}}, {Layer: 2, Component: transformer.MLPInput}}
	plan, err := p.Plan(engine, model(t, "gpt2"))
	if err != nil {
		t.Fatal(err)
	}
	// 9 heads in 2 pairs, and rows for all of these: both pairs' clean runs are 3 blocks; one chunk runs layers 0 to 2 from the senders to the receivers,
	// and 1 from the lowest receiver on, before the finish.
	says := plan.Explain()
	for _, words := range []string{"9 senders × 2 pairs = 18 paths, each read by logit_difference", "  into layer 1 head_key_output, heads [1]\n  into layer 2 mlp_input\n",
		"whole blocks run 4 times, parts of them 3 times, the finish 2 times", "MiB besides the weights"} {
		if !strings.Contains(says, words) {
			t.Errorf("%q is not in %s", words, says)
		}
	}
	result, err := plan.Run(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if words := fmt.Sprintf("\n%d programs", result.Stats.Programs); !strings.Contains(says, words) {
		t.Errorf("%q is not in %s", words, says)
	}
}

func TestRefusals(t *testing.T) {
	m := model(t, "gpt2")
	for name, c := range map[string]struct {
		change func(p *paths.Paths)
		words  []string
	}{
		"above":       {func(p *paths.Paths) { p.Senders = []sweep.Cell{{Component: transformer.MLPOutput, Layer: 2}} }, []string{"layer 2 mlp_output", "layer 1 head_query_output"}},
		"sender":      {func(p *paths.Paths) { p.Senders = []sweep.Cell{{Component: transformer.BlockOutput}} }, []string{"sender 0", "mlp_output"}},
		"receiver":    {func(p *paths.Paths) { p.Receivers[0].Component = transformer.AttentionWeight }, []string{"receiver 0", "head_query_output"}},
		"head":        {func(p *paths.Paths) { p.Receivers[0].Heads = []int{3} }, []string{"heads", "0 to 2"}},
		"again":       {func(p *paths.Paths) { p.Receivers = append(p.Receivers, p.Receivers[0]) }, []string{"receiver 1", "again"}},
		"no receiver": {func(p *paths.Paths) { p.Receivers = nil }, []string{"receivers", "none"}},
		"padding": {func(p *paths.Paths) {
			p.Senders = []sweep.Cell{{Component: transformer.MLPOutput, Place: sweep.At(0)[0]}}
		}, []string{"pair 1", "1 to 4"}},
		"no metric":    {func(p *paths.Paths) { p.Metric = nil }, []string{"metric"}},
		"other source": {func(p *paths.Paths) { p.Source = interv.Inputs{interv.InputIDs: p.Source[interv.InputIDs]} }, []string{"source of pair 1"}},
		"embeds": {func(p *paths.Paths) {
			ids := p.Base[interv.InputIDs].Shape()
			p.Source = interv.Inputs{interv.AttentionMask: p.Source[interv.AttentionMask],
				interv.InputsEmbeds: tensors.FromShape(shapes.Make(dtypes.Float64, ids.Dim(0), ids.Dim(1), m.Config().Width))}
		}, []string{"source", "inputs_embeds", "as in the base"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := asked()
			p.Receivers = []paths.Receiver{{Layer: 1, Component: transformer.HeadQueryOutput, Heads: []int{1}}}
			c.change(&p)
			_, err := paths.Run(context.Background(), engine, m, p)
			wanted.Refusal(t, err, append(c.words, "paths")...)
		})
	}
}
