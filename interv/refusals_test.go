package interv_test

import (
	"encoding/json"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/gru"
)

func TestConfigRefusals(t *testing.T) {
	model := gru.MustNewClassifier(gru.Config{Layers: 2, Width: 4}, 1)
	rotation := func(rank int, parts ...[]int) interv.Representation {
		return interv.Representation{Component: gru.CellOutput, Intervention: interv.LowRankRotatedSpace{Rank: rank}, SubspacePartition: parts}
	}
	linked := func(r interv.Representation) interv.Representation { r.Link = "a"; return r }
	for name, c := range map[string]struct {
		representations []interv.Representation
		words           []string
	}{
		"unknown component": {[]interv.Representation{{Component: "cell_outptu", Intervention: interv.Vanilla{}}},
			[]string{"representation 0", `"cell_outptu"`, "reset_gate_output", `did you mean "cell_output"`}},
		"layer out of range": {[]interv.Representation{{Layer: 2, Component: gru.CellOutput, Intervention: interv.Vanilla{}}},
			[]string{"layer of cell_output", "got 2", "0 to 1"}},
		"negative layer": {[]interv.Representation{{Layer: -1, Component: gru.CellOutput, Intervention: interv.Vanilla{}}},
			[]string{"got -1", "0 to 1"}},
		"unknown unit": {[]interv.Representation{{Component: gru.CellOutput, Unit: "pos", Intervention: interv.Vanilla{}}},
			[]string{"unit", `"pos"`, "one of t"}},
		"no intervention":  {[]interv.Representation{{Component: gru.CellOutput}}, []string{"intervention", "none"}},
		"rank 0":           {[]interv.Representation{rotation(0)}, []string{"rank", "got 0", "1 to the width, 4"}},
		"rank too high":    {[]interv.Representation{rotation(5)}, []string{"rank", "got 5", "1 to the width, 4"}},
		"overlapping part": {[]interv.Representation{rotation(3, []int{0, 1}, []int{1, 2})}, []string{"part 1", "feature 1", "part 0", "interv.Range"}},
		"overrunning part": {[]interv.Representation{rotation(3, interv.Range(0, 2), interv.Range(2, 4))}, []string{"part 1", "feature 3", "0 to 2"}},
		"empty part":       {[]interv.Representation{rotation(3, interv.Range(1, 1))}, []string{"part 0", "no features"}},
		"more than fits": {[]interv.Representation{{Component: gru.X2HOutput, MaxUnits: 1 << 40, Intervention: interv.SigmoidMask{}}},
			[]string{"max units", "or fewer"}},
		"name of another": {[]interv.Representation{{Component: gru.CellOutput, Intervention: interv.Collect{}},
			{Layer: 1, Component: gru.CellOutput, Intervention: interv.Collect{}, Name: "layer 0 cell_output"}}, []string{"representation 1", "name", "representation 0"}},
		"units together": {[]interv.Representation{{Component: gru.CellOutput, MaxUnits: 2, Intervention: interv.RotatedSpace{}}},
			[]string{"max units", "got 2", "0 or 1"}},
		"a pointer": {[]interv.Representation{{Component: gru.CellOutput, Intervention: &interv.Collect{}}}, []string{"*interv.Collect", "the value, interv.Collect"}},
		"a constant of a pointer": {[]interv.Representation{{Component: gru.CellOutput, Intervention: interv.Constant{Of: &interv.Addition{}}}},
			[]string{"constant", "*interv.Addition"}},
		"a constant of nothing": {[]interv.Representation{{Component: gru.CellOutput, Intervention: interv.Constant{}}}, []string{"constant", "got none"}},
		"a constant of no function": {[]interv.Representation{{Component: gru.CellOutput, Intervention: interv.Constant{Of: interv.Func{}}}},
			[]string{"constant", "without Build"}},
		"negative noise":                  {[]interv.Representation{{Component: gru.CellOutput, Intervention: interv.Noise{Level: -1}}}, []string{"noise_level", "got -1"}},
		"link of different interventions": {[]interv.Representation{linked(rotation(1)), linked(rotation(2))}, []string{"representation 1", `link "a"`, "Rank:2", "Rank:1"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := interv.New(engine, model, interv.Config{Representations: c.representations})
			wanted.Refusal(t, err, c.words...)
		})
	}
	_, err := interv.RotatedSpace{}.Parameters(1<<15, nil)
	wanted.Refusal(t, err, "rotation", "[32768, 32768]", "entries")
	_, err = interv.New(engine, nil, interv.Config{})
	wanted.Refusal(t, err, "backend and model", "nil")
	_, err = interv.New(engine, (*gru.Model)(nil), interv.Config{}) // what a Load that failed returned
	wanted.Refusal(t, err, "backend and model", "*gru.Model")
	_, err = interv.Load(engine, nil, "testdata/saved_v2")
	wanted.Refusal(t, err, "backend and model", "nil")
}

func TestCallRefusals(t *testing.T) {
	model := gru.MustNewClassifier(gru.Config{Layers: 1, Width: 2}, 1)
	vanilla := interv.MustNew(engine, model, interv.Config{Representations: []interv.Representation{{Component: gru.CellOutput, Intervention: interv.Vanilla{}}}})
	rotated := interv.MustNew(engine, model, interv.Config{Representations: []interv.Representation{{Component: gru.CellOutput,
		Intervention: interv.LowRankRotatedSpace{Rank: 2}, SubspacePartition: [][]int{interv.Range(0, 1), interv.Range(1, 2)}}}})
	zero := interv.MustNew(engine, model, interv.Config{Representations: []interv.Representation{{Component: gru.CellOutput, Intervention: interv.Zero{}}}})
	boundless := interv.MustNew(engine, model, interv.Config{Representations: []interv.Representation{{Component: gru.CellOutput, Intervention: interv.BoundlessRotatedSpace{}}}})
	embeds := func(t *tensors.Tensor) interv.Inputs { return interv.Inputs{"inputs_embeds": t} }
	good := func() interv.Call {
		return interv.Call{Base: embeds(random(1, 10, 6, 2)), Sources: []interv.Inputs{embeds(random(2, 10, 6, 2))},
			Locations: []*interv.Location{interv.FromTo(interv.Repeat(10, 1), interv.Repeat(10, 2))}}
	}
	if _, err := vanilla.Run(good()); err != nil {
		t.Fatal(err)
	}
	ragged := interv.Repeat(10, 1)
	ragged[3] = []int{1, 2}
	bad := random(1, 10, 6, 2)
	tensors.MustMutableFlatData(bad, func(flat []float32) { flat[13] = float32(math.NaN()) })
	for name, c := range map[string]struct {
		iv     *interv.Intervenable
		change func(c *interv.Call)
		words  []string
	}{
		"step out of range":     {vanilla, func(c *interv.Call) { c.Locations[0].Base[4][0] = 6 }, []string{"base locations of example 4", "step 6", "0 to 5"}},
		"step before the first": {vanilla, func(c *interv.Call) { c.Locations[0].Source[4][0] = -7 }, []string{"source locations of example 4", "step -7", "0 to 5, or -1 to -6 from the end"}},
		"step twice": {vanilla, func(c *interv.Call) { c.Locations[0] = interv.FromTo(interv.Repeat(10, 1, 2), interv.Repeat(10, 3, 3)) },
			[]string{"step 3 twice"}},
		"ragged locations": {vanilla, func(c *interv.Call) { c.Locations[0].Base = ragged }, []string{"source locations of example 3", "1 units", "2 units, as many as base locations"}},
		"9 of 10 examples": {vanilla, func(c *interv.Call) { c.Locations[0].Base = interv.Repeat(9, 1) }, []string{"base locations", "9 examples", "10, the batch"}},
		"more units than source": {vanilla, func(c *interv.Call) { c.Locations[0].Source = interv.Repeat(10, 1, 2) },
			[]string{"source locations", "2 units", "1 units, as many"}},
		"no locations":   {vanilla, func(c *interv.Call) { c.Locations = nil }, []string{"locations", "0 entries", "1, one for each"}},
		"wrong width":    {vanilla, func(c *interv.Call) { c.Base = embeds(random(1, 10, 6, 3)) }, []string{"base: inputs_embeds", "[10 6 3]", "2]"}},
		"float64 inputs": {vanilla, func(c *interv.Call) { c.Base = embeds(tensors.FromValue([][][]float64{{{1, 2}}})) }, []string{"Float64", "Float32"}},
		"empty batch": {vanilla, func(c *interv.Call) { c.Base = embeds(tensors.FromFlatDataAndDimensions([]float32{}, 0, 6, 2)) },
			[]string{"[0 6 2]", "≥1"}},
		"NaN input":       {vanilla, func(c *interv.Call) { c.Base = embeds(bad) }, []string{"base, inputs_embeds", "element 13", "NaN"}},
		"unknown input":   {vanilla, func(c *interv.Call) { c.Base["input_embeds"] = bad }, []string{`"input_embeds"`, `did you mean "inputs_embeds"`}},
		"a nil mask":      {vanilla, func(c *interv.Call) { c.Base["attention_mask"] = nil }, []string{"base: attention_mask", "no tensor"}},
		"nil in a source": {vanilla, func(c *interv.Call) { c.Sources[0]["attention_mask"] = nil }, []string{"source 0: attention_mask", "no tensor"}},
		"source missing":  {vanilla, func(c *interv.Call) { c.Sources = nil }, []string{"source", "none", "vanilla reads a source"}},
		"source too many": {vanilla, func(c *interv.Call) { c.Sources = append(c.Sources, c.Sources[0]) }, []string{"sources", "2 entries", "1, one for each"}},
		"source unused":   {zero, func(c *interv.Call) {}, []string{"zero reads no source"}},
		"batch of source": {vanilla, func(c *interv.Call) { c.Sources[0] = embeds(random(2, 3, 6, 2)) }, []string{"batch of 3", "10, the base's"}},
		"subspace id":     {rotated, func(c *interv.Call) { c.Subspaces = [][][]int{interv.Repeat(10, 2)} }, []string{"subspaces of example 0", "part 2", "0 to 1"}},
		"subspace twice":  {rotated, func(c *interv.Call) { c.Subspaces = [][][]int{interv.Repeat(10, 1, 1)} }, []string{"part 1 twice"}},
		"empty subspace":  {rotated, func(c *interv.Call) { c.Subspaces = [][][]int{interv.Repeat(10)} }, []string{"no ids", "at least one"}},
		"no subspaces":    {boundless, func(c *interv.Call) { c.Subspaces = [][][]int{interv.Repeat(10, 1)} }, []string{"takes no subspace"}},
		"activations of the wrong width": {vanilla, func(c *interv.Call) {
			c.Sources, c.Locations[0].Source, c.Activations = nil, nil, []*tensors.Tensor{random(1, 3)}
		}, []string{"activations", "[3]", "[10 1 2], or less of it"}},
	} {
		t.Run(name, func(t *testing.T) {
			call := good()
			c.change(&call)
			_, err := c.iv.Run(call)
			wanted.Refusal(t, err, c.words...)
		})
	}
}

// What only sites with heads, padding or interventions that draw can get wrong.
func TestUnitRefusals(t *testing.T) {
	model := newAttention(1, 4, 2, 3, dtypes.Float32, 1)
	inputs := func(seed uint64) interv.Inputs {
		return interv.Inputs{"inputs_embeds": random(seed, 2, 3, 4), "attention_mask": tensors.FromValue([][]int32{{1, 1, 1}, {0, 1, 0}})}
	}
	run := func(component interv.Component, unit interv.Unit, intervention interv.Intervention, location *interv.Location, source interv.Inputs) error {
		iv := interv.MustNew(engine, model, interv.Config{Representations: []interv.Representation{{Component: component, Unit: unit, Intervention: intervention}}})
		_, err := iv.Run(interv.Call{Base: inputs(1), Sources: []interv.Inputs{source}, Locations: []*interv.Location{location}})
		return err
	}
	both := func(units ...int) [][]int { return interv.Repeat(2, units...) }
	never := [][]int{{}, {0}}
	for name, c := range map[string]struct {
		err   error
		words []string
	}{
		"head out of range":   {run(headMixed, interv.Head, interv.Zero{}, interv.At(both(2)), nil), []string{"base locations of example 0", "head 2", "0 to 1"}},
		"a head from the end": {run(headMixed, interv.Head, interv.Zero{}, interv.At(both(-1)), nil), []string{"head -1", "0 to 1"}},
		"heads and no positions": {run(headMixed, interv.HeadPosition, interv.Zero{}, (&interv.Location{}).Heads(nil, both(0)), nil),
			[]string{"base locations", "none", "a list for each example"}},
		"no units at all":        {run(attends, interv.Position, interv.Zero{}, &interv.Location{}, nil), []string{"base locations", "none"}},
		"nothing read":           {run(attends, interv.Position, interv.Vanilla{}, interv.At(both(1)), inputs(2)), []string{"source locations", "none"}},
		"positions and no heads": {run(headMixed, interv.HeadPosition, interv.Zero{}, interv.At(both(0)), nil), []string{"no heads", "h.pos"}},
		"heads apart for a unit of positions": {run(headMixed, interv.Position, interv.Zero{}, interv.At(both(0)).Heads(nil, both(0)), nil),
			[]string{"heads apart", "none: the unit is pos"}},
		"heads in one example and positions in another": {run(headMixed, interv.HeadPosition, interv.Zero{}, interv.At([][]int{{0}, {}}).Heads(nil, never), nil),
			[]string{"base locations", "no units"}},
		"before the padding": {run(attends, interv.Position, interv.Zero{}, interv.At([][]int{{-3}, {-2}}), nil),
			[]string{"base locations of example 1", "position -2, which is padding", "1 to 1, or -1 to -1 from the end"}},
		"in the padding": {run(attends, interv.Position, interv.Zero{}, interv.At(both(2)), nil),
			[]string{"base locations of example 1", "position 2, which is padding", "1 to 1, or -1 to -1 from the end"}},
		"a source in the padding": {run(attends, interv.Position, interv.Vanilla{}, interv.FromTo(both(0), both(1)), inputs(2)),
			[]string{"source locations of example 1", "position 0, which is padding", "1 to 1"}},
		"everywhere and lists": {run(attends, interv.Position, interv.Zero{}, &interv.Location{Everywhere: true, Base: both(1)}, nil),
			[]string{"base locations", "everywhere"}},
		"everywhere from a shorter run": {run(attends, interv.Position, interv.Vanilla{}, interv.Everywhere(), interv.Inputs{"inputs_embeds": random(2, 2, 2, 4)}),
			[]string{"source locations of example 0", "2 units", "3 units"}},
		"a source for noise": {run(attends, interv.Position, interv.Noise{}, interv.At(both(1)), inputs(2)),
			[]string{"source", "none: noise draws its own source"}},
		"source places for noise": {run(attends, interv.Position, interv.Noise{}, interv.FromTo(both(1), both(1)), nil), []string{"source locations", "noise draws"}},
		"attention weights of runs of different lengths": {run(weighing, interv.HeadPosition, interv.Vanilla{},
			interv.FromTo(both(1), both(1)).Heads(both(0), both(0)), interv.Inputs{"inputs_embeds": random(2, 2, 4, 4)}),
			[]string{"width of what is read", "got 4", "3"}},
		"activations of no width": {func() error {
			_, err := patch(model, weighing, interv.Vanilla{}).Run(interv.Call{Base: inputs(1), Locations: []*interv.Location{interv.At(both(1))},
				Activations: []*tensors.Tensor{tensors.FromFlatDataAndDimensions([]float32{}, 0)}})
			return err
		}(), []string{"activations", "shape [0]"}},
		"a rotation of attention weights": {func() error {
			_, err := interv.New(engine, model, interv.Config{Representations: []interv.Representation{{Component: weighing, Intervention: interv.RotatedSpace{}}}})
			return err
		}(), []string{"attention_weight", "varies with the run", "has parameters"}},
		"skip where nothing is a module's input": {func() error {
			_, err := interv.New(engine, model, interv.Config{Representations: []interv.Representation{{Component: attends, Intervention: interv.Skip{}}}})
			return err
		}(), []string{"attention_output", "whose input has the same width"}},
	} {
		t.Run(name, func(t *testing.T) { wanted.Refusal(t, c.err, c.words...) })
	}
}

// astray is a model that announces the output of a block in a way of its own.
type astray struct {
	*attention
	announce func(tap *interv.Tap, a interv.Activation)
}

func (m astray) Forward(weights, inputs interv.Nodes, tap *interv.Tap) *Node {
	return m.attention.Forward(weights, inputs, interv.NewTap(func(_ *interv.Tap, a interv.Activation) *Node {
		if a.Site.Component == blockOutput {
			m.announce(tap, a)
			return a.Value
		}
		return tap.At(a.Site, a.Value)
	}))
}

// A model that does not announce a site as its catalogue says, each position once and in order, is found out when a program is built.
func TestModelsThatAnnounceOtherwise(t *testing.T) {
	piece := func(a interv.Activation, start, end int) *Node { return SliceAxis(a.Value, 1, AxisRange(start, end)) }
	for name, c := range map[string]struct {
		announce func(tap *interv.Tap, a interv.Activation)
		words    []string
	}{
		"never":           {func(*interv.Tap, interv.Activation) {}, []string{"layer 0 block_output", "got 0", "wanted 3"}},
		"in part":         {func(tap *interv.Tap, a interv.Activation) { tap.At(a.Site, piece(a, 0, 2)) }, []string{"layer 0 block_output", "got 2", "wanted 3"}},
		"twice":           {func(tap *interv.Tap, a interv.Activation) { tap.At(a.Site, a.Value); tap.At(a.Site, a.Value) }, []string{"got 0, wanted 3"}},
		"out of order":    {func(tap *interv.Tap, a interv.Activation) { tap.AtOffset(a.Site, 2, piece(a, 2, 3)) }, []string{"got 2, wanted 0"}},
		"of other widths": {func(tap *interv.Tap, a interv.Activation) { tap.At(a.Site, Concatenate([]*Node{a.Value, a.Value}, -1)) }, []string{"got 8, wanted 4"}},
	} {
		t.Run(name, func(t *testing.T) {
			model := astray{newAttention(1, 4, 2, 3, dtypes.Float32, 1), c.announce}
			for _, config := range []interv.Intervention{interv.Vanilla{}, interv.Collect{}} {
				call := exchange(random(1, 2, 3, 4), random(2, 2, 3, 4), interv.Repeat(2, 0), interv.Repeat(2, 1))
				if config.Name() == "collect" {
					call = unread(call)
				}
				_, err := patch(model, blockOutput, config).Run(call)
				for _, word := range c.words {
					if err == nil || !strings.Contains(err.Error(), word) {
						t.Errorf("%s: got %v, wanted it to say %q", config.Name(), err, word)
					}
				}
			}
		})
	}
}

func TestWeightRefusals(t *testing.T) {
	config := gru.Config{Layers: 1, Width: 2}
	for name, c := range map[string]struct {
		change func(weights map[string]*tensors.Tensor)
		words  []string
	}{
		"NaN": {func(w map[string]*tensors.Tensor) {
			w["score.weight"] = tensors.FromValue([][]float32{{1, 2}, {3, float32(math.NaN())}})
		}, []string{"score.weight", "element 3", "NaN"}},
		"missing":     {func(w map[string]*tensors.Tensor) { delete(w, "score.weight") }, []string{"score.weight", "no such tensor"}},
		"surplus":     {func(w map[string]*tensors.Tensor) { w["score.wieght"] = w["score.weight"] }, []string{"score.wieght", `did you mean "score.weight"`}},
		"wrong shape": {func(w map[string]*tensors.Tensor) { w["score.weight"] = random(1, 2, 3) }, []string{"score.weight", "[2 3]", "[2 2]"}},
	} {
		t.Run(name, func(t *testing.T) {
			weights := gru.MustNewClassifier(config, 1).Weights().All()
			c.change(weights)
			_, err := gru.WithWeights(config, weights)
			wanted.Refusal(t, err, c.words...)
		})
	}
	_, err := gru.NewClassifier(gru.Config{Layers: 1}, 1)
	wanted.Refusal(t, err, "Width", "got 0", "at least 1")
}

func TestParameterRefusals(t *testing.T) {
	model := gru.MustNewClassifier(gru.Config{Layers: 1, Width: 2}, 1)
	iv := interv.MustNew(engine, model, interv.Config{Representations: []interv.Representation{{Component: gru.CellOutput, Intervention: interv.RotatedSpace{}}}})
	before := flat(iv.Parameters()["0.rotation"])
	set := func(name string, value any) error {
		return iv.SetParameters(map[string]*tensors.Tensor{name: tensors.MustFromAnyValue(value)})
	}
	wanted.Refusal(t, set("0.rotatoin", [][]float32{{1, 0}, {0, 1}}), `did you mean "0.rotation"`)
	wanted.Refusal(t, set("0.rotation", [][]float32{{1, 0}}), "shape")
	wanted.Refusal(t, set("0.rotation", [][]float32{{1, 1}, {0, 1}}), "orthonormality", "columns 0 and 1")
	linked := interv.Representation{Component: gru.CellOutput, Intervention: interv.RotatedSpace{}, Link: "a"}
	both := interv.MustNew(engine, model, interv.Config{Representations: []interv.Representation{linked, linked}})
	identity := tensors.FromValue([][]float32{{1, 0}, {0, 1}})
	wanted.Refusal(t, both.SetParameters(map[string]*tensors.Tensor{"0.rotation": identity, "1.rotation": identity}), "1.rotation", "each parameter once")
	wanted.Refusal(t, iv.SetParameters(map[string]*tensors.Tensor{"0.rotation": nil}), "0.rotation", "no tensor")
	wanted.Refusal(t, iv.SetParametersOf(0, map[string]*tensors.Tensor{"rotation": tensors.FromValue([][]int32{{1, 0}, {0, 1}})}), "0.rotation", "Int32", "float32 or float64")
	wantSame(t, "the rotation", flat(iv.Parameters()["0.rotation"]), before)
}

func TestLossRefusals(t *testing.T) {
	model, call := stretch(2, dtypes.Float32)
	call.Labels = embeds(random(3, 2))
	rotated := interv.RotatedSpace{}
	for name, c := range map[string]struct {
		intervention interv.Intervention
		loss         interv.Loss
		words        []string
	}{
		"none":            {rotated, nil, []string{"loss", "none"}},
		"no node":         {rotated, func(interv.Outcome) *Node { return nil }, []string{"loss", "no node"}},
		"not a scalar":    {rotated, func(o interv.Outcome) *Node { return o.Output }, []string{"loss", "a scalar"}},
		"an integer":      {rotated, func(o interv.Outcome) *Node { return ConvertDType(sumOfSquares(o), dtypes.Int32) }, []string{"loss", "Int32"}},
		"nothing trained": {interv.Vanilla{}, sumOfSquares, []string{"trainable parameters", "none"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := patch(model, attends, c.intervention).Gradient(c.loss).Run(call)
			wanted.Refusal(t, err, c.words...)
		})
	}
	call.Labels["none"] = nil
	_, err := patch(model, attends, rotated).Gradient(sumOfSquares).Run(call)
	wanted.Refusal(t, err, "labels: none", "no tensor")
	delete(call.Labels, "none")
	_, err = patch(model, attends, rotated).Trainer(nil, interv.Adam{})
	wanted.Refusal(t, err, "loss", "none")
	for name, loss := range map[string]interv.Loss{ // what panics elsewhere says what there is, call after call
		"a misspelt label": func(o interv.Outcome) *Node { return ReduceAllSum(Sub(o.Output, o.Labels["inputs_embdes"])) },
		"no base output":   func(o interv.Outcome) *Node { return ReduceAllSum(Sub(o.Output, o.BaseOutput)) },
		"a string":         func(interv.Outcome) *Node { panic("oops") },
	} {
		gradient := patch(model, attends, rotated).Gradient(loss)
		for range 2 {
			if _, err := gradient.Run(call); err == nil || !strings.Contains(err.Error(), "labels [inputs_embeds], parameters [0.rotation] and no base output") {
				t.Errorf("%s: got %v, wanted an error that lists what there is", name, err)
			}
		}
	}
}

func TestAGoFunctionRunsButCannotBeSaved(t *testing.T) {
	model := gru.MustNewClassifier(gru.Config{Layers: 1, Width: 2}, 1)
	mean := interv.Func{Title: "mean", Build: func(base, source *Node) *Node { return MulScalar(Add(base, source), 0.5) }}
	config := interv.Config{Representations: []interv.Representation{{Component: gru.CellOutput, Intervention: mean}}}
	base := interv.Inputs{"inputs_embeds": random(1, 1, 2, 2)}
	loc := interv.FromTo(interv.Repeat(1, 1), interv.Repeat(1, 1))
	iv := interv.MustNew(engine, model, config)
	wantClose(t, "mean of itself", flat(iv.MustRun(interv.Call{Base: base, Sources: []interv.Inputs{base}, Locations: []*interv.Location{loc}}).Output),
		flat(iv.MustForward(base)), 1e-6)
	_, err := json.Marshal(config)
	wanted.Refusal(t, err, "layer 0 cell_output", "mean", "a Go function cannot be saved")
	wanted.Refusal(t, iv.Save(filepath.Join(t.TempDir(), "saved")), "a Go function cannot be saved")
}

func TestFunctionsThatFail(t *testing.T) {
	model, call := stretch(2, dtypes.Float32)
	_, err := interv.New(engine, model, interv.Config{Representations: []interv.Representation{{Component: attends, Intervention: interv.Func{}}}})
	wanted.Refusal(t, err, "representation 0", "without Build")
	nothing := patch(model, attends, interv.Func{Title: "f", Build: func(_, _ *Node) *Node { return nil }})
	_, err = nothing.Run(call)
	wanted.Refusal(t, err, "representation 0", "intervention f", "got nothing")
	panics := patch(model, attends, interv.Func{Title: "f", Build: func(_, _ *Node) *Node { panic("oops") }})
	for range 2 {
		if _, err := panics.Run(call); err == nil || !strings.Contains(err.Error(), "intervention f: panic: oops") {
			t.Errorf("got %v, wanted what the function said", err)
		}
	}
}

func TestParseConfig(t *testing.T) {
	config, err := interv.ParseConfig([]byte(` {"representations": [{"layer": 1, "component": "cell_output", "intervention_type": "low_rank_rotated_space", "settings": {"rank": 2}}], "seed": 3}
`))
	must(t, err)
	if want := (interv.LowRankRotatedSpace{Rank: 2}); config.Seed != 3 || config.Representations[0].Intervention != interv.Intervention(want) {
		t.Errorf("got %+v", config)
	}
	for text, word := range map[string]string{
		`{"representation": []}`: `did you mean "representations"`,
		`{"seed": -1}`:           "seed: got number -1, wanted uint64",
		`{"representations": [{"layer": 1, "component": "x", "intervention_type": "low_rank_rotated_space", "settings": {"rnak": 2}}]}`: `did you mean "rank"`,
		`{"representations": [{"layer": 1, "component": "x", "intervention_type": "low_rank_rotated"}]}`:                                "low_rank_rotated_space",
		`{} {}`: "after the value",
		``:      "EOF",
	} {
		_, err := interv.ParseConfig([]byte(text))
		wanted.Refusal(t, err, "config", word)
	}
}
