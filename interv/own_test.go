package interv_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/gru"
)

// Gate is an intervention of one's own: out = b + g ⊙ (s − b) on the selected dimensions, with a gate g [width] to be trained.
type Gate struct {
	Start float64 `json:"start,omitempty"` // every entry of g before training
}

func (Gate) Name() string { return "gate" }

func (Gate) Features(width int) int { return width }

func (g Gate) Parameters(width int, _ *rand.Rand) ([]interv.Owned, error) {
	gate := make([]float64, width)
	for i := range gate {
		gate[i] = g.Start
	}
	return []interv.Owned{{Name: "gate", Kind: interv.Free, Value: tensors.FromFlatDataAndDimensions(gate, width)}}, nil
}

func (Gate) Apply(v interv.Values) *Node {
	gate := ExpandLeftToRank(v.Parameters["gate"], v.Base.Rank())
	if v.Selected != nil {
		gate = Mul(gate, v.Selected)
	}
	return Add(v.Base, Mul(gate, Sub(v.Source, v.Base)))
}

func init() { interv.Register(Gate{}) }

// An intervention of one's own is a type with a name and a formula. Where it says what it owns and what a subspace selects, it is trained,
// linked and saved like any other.
func ExampleIntervention() {
	// type Gate struct{ Start float64 }
	//
	// func (Gate) Name() string { return "gate" }
	//
	// func (Gate) Apply(v interv.Values) *Node {
	// 	gate := ExpandLeftToRank(v.Parameters["gate"], v.Base.Rank())
	// 	return Add(v.Base, Mul(gate, Sub(v.Source, v.Base)))
	// }
	//
	// func init() { interv.Register(Gate{}) }
	model := gru.MustNewClassifier(gru.Config{Layers: 1, Width: 3}, 42)
	iv := interv.MustNew(engine, model, interv.Config{Representations: []interv.Representation{
		{Component: gru.CellOutput, Intervention: Gate{Start: 0.5}},
	}})
	folder, err := os.MkdirTemp("", "gate")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(folder)
	if err := iv.Save(folder); err != nil {
		panic(err)
	}
	fmt.Println(interv.MustLoad(engine, model, folder))
	// Output:
	// gru classifier: 1 intervention, parallel
	//      site                 unit  intervention      parameters
	//   0  layer 0 cell_output  t     gate (start 0.5)  gate [3] free
	// 3 parameters, 3 of them trainable
}

// A gate that is planted is found in training, through links and subspaces, and comes back from a folder.
func TestAnInterventionOfOnesOwn(t *testing.T) {
	model := newAttention(2, 3, 1, 2, dtypes.Float32, 3)
	gate := interv.Representation{Component: attends, Intervention: Gate{Start: 0.5}, Link: "gate", SubspacePartition: [][]int{{0, 2}, {1}}}
	above := gate
	above.Layer = 1
	config := interv.Config{Representations: []interv.Representation{gate, above}}
	iv, planted := interv.MustNew(engine, model, config), interv.MustNew(engine, model, config)
	if names := sorted(iv.Parameters()); len(names) != 1 || names[0] != "0.gate" {
		t.Fatalf("got parameters %v, wanted 0.gate alone", names)
	}
	want := []float32{0.25, -1, 2}
	must(t, planted.SetParameters(map[string]*tensors.Tensor{"0.gate": tensors.FromValue(want)}))

	call := exchange(random(1, 2, 3, 3), random(2, 2, 3, 3), interv.Repeat(2, 0, 1), interv.Repeat(2, 1, 2))
	call.Sources, call.Locations = append(call.Sources, call.Sources[0]), append(call.Locations, call.Locations[0])
	call.Subspaces = [][][]int{{{0}, {1}}, {{1, 0}, {0}}}
	call.Labels = interv.Inputs{"wanted": planted.MustRun(call).Output}
	trainer := iv.MustTrainer(func(o interv.Outcome) *Node { return ReduceAllMean(Square(Sub(o.Output, o.Labels["wanted"]))) }, interv.Adam{Rate: 0.05})
	for range 600 {
		trainer.MustStep(call)
	}
	got := iv.Parameters()["0.gate"]
	wantClose(t, "gate", flat(got), want, 1e-2)

	folder := t.TempDir()
	must(t, iv.Save(folder))
	again := interv.MustLoad(engine, model, folder)
	wantSame(t, "the gate loaded", flat(again.Parameters()["0.gate"]), flat(got))
	wantSame(t, "its output", flat(again.MustRun(call).Output), flat(iv.MustRun(call).Output))
}

// The formula holds, and a subspace selects for each example.
func TestTheFormulaOfAnInterventionOfOnesOwn(t *testing.T) {
	model := newAttention(1, 3, 1, 2, dtypes.Float32, 3)
	base, source := random(1, 2, 3, 3), random(2, 2, 3, 3)
	call := exchange(base, source, interv.Repeat(2, 0), interv.Repeat(2, 2))
	call.Subspaces = [][][]int{{{0, 1}, {2}}}
	s := vectors(read(model, attends, source))
	want := edited(vectors(read(model, attends, base)), func(x cube) {
		for example, features := range call.Subspaces[0] {
			for _, f := range features {
				x[example][2][f] += 0.5 * (s[example][0][f] - x[example][2][f])
			}
		}
	})
	wantVectors(t, "gate of 0.5", vectors(after(model, attends, Gate{Start: 0.5}, call)), want)
}

// secret is a type that no file can name.
type secret struct{ interv.Vanilla }

func (secret) Name() string { return "secret" }

// owner is an intervention that says it owns whatever it is told to.
type owner struct {
	interv.Vanilla
	owned []interv.Owned
}

func (o owner) Parameters(int, *rand.Rand) ([]interv.Owned, error) { return o.owned, nil }

// drawer draws whatever it is told to.
type drawer struct {
	interv.Addition
	drawn *tensors.Tensor
}

func (d drawer) Draw(int, int) *tensors.Tensor { return d.drawn }

func TestWhatAnInterventionOfOnesOwnCannotOwn(t *testing.T) {
	model, call := stretch(3, dtypes.Float32)
	vector := random(1, 3)
	for name, c := range map[string]struct {
		owned []interv.Owned
		words []string
	}{
		"integers":               {[]interv.Owned{{Name: "p", Value: tensors.FromValue([]int32{7})}}, []string{"parameter p", "Int32"}},
		"nothing":                {[]interv.Owned{{Name: "p"}}, []string{"parameter p", "no tensor"}},
		"a name twice":           {[]interv.Owned{{Name: "p", Value: vector}, {Name: "p", Value: vector}}, []string{"parameter p", "name"}},
		"an unknown kind":        {[]interv.Owned{{Name: "p", Kind: 9, Value: vector}}, []string{"parameter p", "kind 9"}},
		"an orthonormal vector":  {[]interv.Owned{{Name: "p", Kind: interv.Orthonormal, Value: vector}}, []string{"parameter p", "[d, r]"}},
		"more columns than rows": {[]interv.Owned{{Name: "p", Kind: interv.Orthonormal, Value: random(1, 2, 3)}}, []string{"parameter p", "[d, r] with d ≥ r"}},
		"temperatures":           {[]interv.Owned{{Name: "temperature", Kind: interv.Fixed, Value: vector}}, []string{"temperature", "a scalar"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := interv.New(engine, model, interv.Config{Representations: []interv.Representation{{Component: attends, Intervention: owner{owned: c.owned}}}})
			wanted.Refusal(t, err, append(c.words, "representation 0 (layer 0 attention_output)")...)
		})
	}
	call.Sources, call.Locations = nil, []*interv.Location{interv.At(call.Locations[0].Base)}
	for name, c := range map[string]struct {
		drawn *tensors.Tensor
		words []string
	}{
		"nothing":  {nil, []string{"no tensor"}},
		"too few":  {random(1, 1, 2), []string{"[1, 2]", "3]"}},
		"integers": {tensors.FromValue([]int32{7}), []string{"Int32"}},
		"NaN":      {tensors.FromValue([][]float32{{float32(math.NaN())}}), []string{"NaN"}},
	} {
		t.Run("draws "+name, func(t *testing.T) {
			_, err := patch(model, attends, drawer{drawn: c.drawn}).Run(call)
			wanted.Refusal(t, err, append(c.words, "representation 0", "addition draws")...)
		})
	}
}

// wrong is an intervention whose result has another shape than the base.
type wrong struct{ interv.Vanilla }

func (wrong) Apply(v interv.Values) *Node { return ReduceAllSum(v.Base) }

func TestRefusalsOfAnInterventionOfOnesOwn(t *testing.T) {
	model, call := stretch(3, dtypes.Float32)
	config := func(i interv.Intervention) interv.Config {
		return interv.Config{Representations: []interv.Representation{{Component: attends, Intervention: i}}}
	}
	_, err := json.Marshal(config(secret{}))
	wanted.Refusal(t, err, "secret", "interv.Register")
	_, err = json.Marshal(config(wrong{}))
	wanted.Refusal(t, err, "vanilla", "interv.Register") // its name belongs to another type
	var back interv.Config
	err = json.Unmarshal([]byte(`{"representations": [{"layer": 0, "component": "x", "intervention_type": "gaet"}], "seed": 0}`), &back)
	wanted.Refusal(t, err, `"gaet"`, `did you mean "gate"`)
	err = json.Unmarshal([]byte(`{"representations": [{"layer": 0, "component": "x", "intervention_type": "gate", "settings": {"strat": 1}}], "seed": 0}`), &back)
	wanted.Refusal(t, err, "gate", `did you mean "start"`)
	_, err = interv.MustNew(engine, model, config(wrong{})).Run(call)
	wanted.Refusal(t, err, "representation 0", "what replaces the base", "(Float32)", "as the base")
	_, err = interv.New(engine, model, config(Gate{Start: math.Inf(1)}))
	wanted.Refusal(t, err, "0 (layer 0 attention_output)", "gate", "+Inf")
	func() {
		defer func() {
			if recover() == nil {
				t.Error("a name was registered twice")
			}
		}()
		interv.Register(Gate{})
	}()
}
