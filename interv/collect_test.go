package interv_test

import (
	"math"
	"path/filepath"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/gru"
	"github.com/govene/govene/interv/metric"
	"github.com/govene/govene/interv/transformer"
)

// What is collected everywhere is what a Collect at each site returns, and is found again in its file.
func TestCollectAll(t *testing.T) {
	model := gru.MustNewClassifier(gru.Config{Layers: 2, Width: 3}, 1)
	inputs := random(2, 2, 4, 3)
	result := interv.MustCollectAll(engine, model, embeds(inputs), gru.CellOutput, gru.UpdateGateOutput)
	if len(result.Collected) != 4 {
		t.Fatalf("got %d activations, wanted those of 2 components in 2 layers", len(result.Collected))
	}
	for _, component := range []interv.Component{gru.CellOutput, gru.UpdateGateOutput} {
		name := interv.Site{Component: component}.String()
		wantSame(t, name, flat(result.MustActivation(name)), flat(read(model, component, inputs)))
	}
	path := filepath.Join(t.TempDir(), "activations.safetensors")
	result.MustSaveCollected(path)
	saved, err := interv.LoadTensors(path)
	must(t, err)
	for _, c := range result.Collected {
		wantSame(t, c.Name, flat(saved[c.Name]), flat(c.Value))
	}

	_, err = interv.CollectAll(engine, model, embeds(inputs), "cell_outptu")
	wanted.Refusal(t, err, `did you mean "cell_output"?`)
	_, err = interv.CollectAll(engine, model, embeds(inputs))
	wanted.Refusal(t, err, "components", "at least one")
	_, err = interv.CollectAll(nil, model, embeds(inputs), gru.CellOutput)
	wanted.Refusal(t, err, "backend and model")
	err = new(interv.Result).SaveCollected(path)
	wanted.Refusal(t, err, "nothing")
	if again, err := interv.LoadTensors(path); err != nil || len(again) != 4 {
		t.Errorf("the file is not as it was: %v", err)
	}
}

// A contrast is the difference of the means at the last positions that are not padding.
func TestContrast(t *testing.T) {
	config := transformer.MustParseConfig(`{"model_type": "gpt2", "vocab_size": 11, "n_positions": 8, "n_embd": 6, "n_layer": 2, "n_head": 2}`)
	model := transformer.MustNew(config, 3)
	ids := func(rows ...[]int32) interv.Inputs { return interv.Inputs{interv.InputIDs: tensors.FromValue(rows)} }
	these, those := ids([]int32{1, 2, 3, 0}, []int32{4, 5, 6, 7}), ids([]int32{8, 9})
	these[interv.AttentionMask] = tensors.FromValue([][]int32{{1, 1, 1, 0}, {1, 1, 1, 1}})
	site := interv.Site{Layer: 1, Component: transformer.BlockOutput}
	last := func(inputs interv.Inputs, at ...int) (rows [][]float32) {
		all := interv.MustCollectAll(engine, model, inputs, transformer.BlockOutput).MustActivation(site.String()).Value().([][][]float32)
		for i, position := range at {
			rows = append(rows, all[i][position])
		}
		return rows
	}
	a, b := last(these, 2, 3), last(those, 1)
	want := make([]float32, 6)
	for k := range want {
		want[k] = 4 * ((a[0][k]+a[1][k])/2 - b[0][k])
	}
	got := interv.MustContrast(engine, model, site, 4, these, those)
	wantClose(t, "contrast", flat(got), want, 1e-5)

	// A call that is given it adds it, as one that says all of it.
	steer := interv.MustNew(engine, model, interv.Single(1, transformer.BlockOutput, interv.Addition{}))
	token := metric.Logit{Tokens: []int{3}}
	short := steer.MustRun(interv.Giving(those, got, interv.Everywhere(), token))
	long := steer.MustRun(interv.Call{Base: those, Activations: []*tensors.Tensor{got}, Locations: []*interv.Location{interv.Everywhere()},
		Metrics: []interv.Measure{{Metric: token}}})
	wantSame(t, "logit", flat(short.Metrics[0].Value), flat(long.Metrics[0].Value))
	clean := steer.MustMeasure(those, interv.Measure{Metric: token})
	wantDifferent(t, flat(short.Metrics[0].Value), flat(clean.Metrics[0].Value))

	for words, c := range map[string]struct {
		site   interv.Site
		factor float64
		those  interv.Inputs
	}{
		"without heads":  {interv.Site{Component: transformer.HeadQueryOutput}, 1, those},
		"finite":         {site, math.NaN(), those},
		"those: ":        {site, 1, interv.Inputs{}},
		"layer of block": {interv.Site{Layer: 2, Component: transformer.BlockOutput}, 1, those},
	} {
		_, err := interv.Contrast(engine, model, c.site, c.factor, these, c.those)
		wanted.Refusal(t, err, words)
	}
}

// An interchange is the call that says all of it.
func TestInterchange(t *testing.T) {
	model := gru.MustNewClassifier(gru.Config{Layers: 1, Width: 3}, 1)
	base, source := random(1, 2, 4, 3), random(2, 2, 4, 3)
	at := interv.FromTo(interv.Repeat(2, 1), interv.Repeat(2, -1))
	iv := interv.MustNew(engine, model, interv.Single(0, gru.CellOutput, interv.Vanilla{}))
	token := metric.Logit{Tokens: []int{1}}
	short := iv.MustRun(interv.Interchange(embeds(base), embeds(source), at, token))
	long := iv.MustRun(interv.Call{Base: embeds(base), Sources: []interv.Inputs{embeds(source)}, Locations: []*interv.Location{at}, Metrics: []interv.Measure{{Metric: token}}})
	wantSame(t, "logit", flat(short.Metrics[0].Value), flat(long.Metrics[0].Value))
	wantClose(t, "everywhere", flat(iv.MustRun(interv.Interchange(embeds(base), embeds(source), nil)).Output), flat(iv.MustForward(embeds(source))), 1e-5)
	if sites := model.Catalogue().Of(gru.CellOutput, "nothing"); len(sites) != 1 || sites[0] != (interv.Site{Component: gru.CellOutput}) {
		t.Errorf("got sites %v", sites)
	}
}

func TestStandardDeviation(t *testing.T) {
	for _, x := range []*tensors.Tensor{tensors.FromValue([]float32{1, 2, 3, 4}), tensors.FromValue([][]float64{{1, 2}, {3, 4}})} {
		if got := interv.StandardDeviation(x); math.Abs(got-math.Sqrt(1.25)) > 1e-12 {
			t.Errorf("got %g, wanted √1.25", got)
		}
	}
	half := transformer.MustNew(transformer.MustParseConfig(`{"model_type": "gpt2", "vocab_size": 500, "n_positions": 8, "n_embd": 6, "n_layer": 1, "n_head": 2}`), 3, transformer.BFloat16)
	if got := interv.StandardDeviation(half.Weights().Tensor("transformer.wte.weight")); math.Abs(got-0.02) > 0.001 {
		t.Errorf("got %g of embeddings in bfloat16, wanted 0.02, from which they were drawn", got)
	}
	defer func() { wanted.Refusal(t, recover().(error), "no tensor") }()
	interv.StandardDeviation(half.Weights().Tensor("wte"))
}

// Sources are pairs with bases where they are as many, and begin and end at the same positions.
func TestCheckSource(t *testing.T) {
	base := interv.Extent{Batch: 2, Positions: 5, Starts: []int{0, 1}, Ends: []int{5, 4}}
	for words, source := range map[string]interv.Extent{
		"":                                     base,
		"source: got 1 examples":               {Batch: 1, Positions: 5},
		"of pair 0: got positions 0 to 5 of 6": {Batch: 2, Positions: 6, Starts: []int{0, 1}, Ends: []int{6, 4}},
		"of pair 0: got positions 1 to 4 of 5": {Batch: 2, Positions: 5, Starts: []int{1, 1}, Ends: []int{5, 4}},
		"of pair 1: got positions 0 to 3 of 5": {Batch: 2, Positions: 5, Ends: []int{5, 4}},
		"of pair 1: got positions 1 to 4 of 5": {Batch: 2, Positions: 5, Starts: []int{0, 1}},
	} {
		if err := base.CheckSource(source); words != "" || err != nil {
			wanted.Refusal(t, err, words)
		}
	}
}

// To ask for the base's output changes no bit, and it has those of a run alone. (It would not have them if the clean run shared a batch with the
// sources': on XLA, matrix products of other sizes round in other ways.)
func TestAskingForTheBaseChangesNothing(t *testing.T) {
	const width, batch = 64, 3
	model := gru.MustNewClassifier(gru.Config{Layers: 2, Width: width}, 4)
	iv := interv.MustNew(engine, model, interv.Single(1, gru.CellOutput, interv.Vanilla{}))
	call := interv.Interchange(embeds(random(1, batch, 5, width)), embeds(random(2, batch, 5, width)), interv.FromTo(interv.Repeat(batch, 0, 3), interv.Repeat(batch, 1, 2)))
	apart := iv.MustRun(call)
	call.WithBase = true
	together := iv.MustRun(call)
	wantSame(t, "output", flat(together.Output), flat(apart.Output))
	wantSame(t, "base output", flat(together.BaseOutput), flat(iv.MustForward(call.Base)))
	wantDifferent(t, flat(together.Output), flat(together.BaseOutput))
}
