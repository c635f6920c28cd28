package transformer_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/notimplemented"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"pgregory.net/rapid"

	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/transformer"
)

// halved is a tiny model loaded in 16 bits, from the folder of one in float32 whose weights are far from doing nothing.
func halved(t testing.TB, name string, precision transformer.Precision) *transformer.Model {
	t.Helper()
	folder := t.TempDir()
	if err := tinyModel[float32](t, name).Save(folder); err != nil {
		t.Fatal(err)
	}
	model, err := transformer.Load(folder, precision)
	if err != nil {
		t.Fatal(err)
	}
	return model
}

// Whatever the precision, logits are float32 and near those in float32 of the same weights.
func TestPrecisions(t *testing.T) {
	eachFamily(t, onXLA, func(t *testing.T, name string) {
		if sparing && name != "gpt2" && name != "mixtral" {
			t.Skip("compiles three programs")
		}
		want := forward(t, tinyModel[float32](t, name), tokens(2, 6), nil)
		for precision, tolerance := range map[transformer.Precision]float64{transformer.BFloat16: 0.25, transformer.Float16: 0.03} {
			got := forward(t, halved(t, name, precision), tokens(2, 6), nil)
			scale := rms(want, make([]float32, len(want)))
			if d := rms(got, want) / scale; !(d > 0 && d < tolerance) {
				t.Errorf("%s: got logits %.3g of their size away from those in float32, wanted up to %g", precision, d, tolerance)
			}
		}
	})
}

// What holds in float32, to the bit, holds in bfloat16: invariants 1, 2, 4 and 7 of ARCHITECTURE.md.
func TestInvariantsInBFloat16(t *testing.T) {
	const batch, length = 3, 5
	for _, name := range []string{"gpt2", "llama", "gemma3_text"} {
		model := halved(t, name, transformer.BFloat16)
		t.Run(name, func(t *testing.T) {
			if sparing && name != "gpt2" {
				t.Skip("takes half a minute")
			}
			clean := interv.MustNew(engine, model, interv.Config{})
			patches := map[string]*interv.Intervenable{}
			rapid.Check(t, func(t *rapid.T) {
				layer := rapid.IntRange(0, 1).Draw(t, "layer")
				component := rapid.SampledFrom([]interv.Component{transformer.BlockInput, transformer.AttentionOutput, transformer.MLPActivation, transformer.BlockOutput}).Draw(t, "component")
				key := string(component) + string(rune('0'+layer))
				if patches[key] == nil {
					patches[key] = interv.MustNew(engine, model, at(layer, component, interv.Vanilla{}))
				}
				iv := patches[key]
				base, source := drawTokens(t, "base", batch, length), drawTokens(t, "source", batch, length)
				run := func(base, source interv.Inputs, at *interv.Location) []float32 {
					return flat(iv.MustRun(interv.Call{Base: base, Sources: []interv.Inputs{source}, Locations: []*interv.Location{at}}).Output)
				}
				same := func(what string, got, want []float32) {
					if !slices.Equal(got, want) {
						t.Fatalf("%s: got other bits", what)
					}
				}
				own := flat(clean.MustForward(base))
				same("1, its own activation", run(base, base, interv.Everywhere()), own)
				if component == transformer.BlockOutput && layer == 1 {
					same("2, all of the source's", run(base, source, interv.Everywhere()), flat(clean.MustForward(source)))
				}
				units := make([][]int, batch)
				for i := range units {
					units[i] = []int{rapid.IntRange(0, length-1).Draw(t, "unit")}
				}
				there := interv.FromTo(units, units)
				patched := run(base, source, there)
				order := rapid.Permutation([]int{0, 1, 2}).Draw(t, "order")
				shuffled := run(shuffle(base, order), shuffle(source, order), interv.FromTo(pick(units, order), pick(units, order)))
				same("4, examples in another order", shuffled, pickRows(patched, order))
				units[1] = []int{}
				left := run(base, source, interv.FromTo(units, units))
				row := len(left) / batch
				same("7, an example that is not located", left[row:2*row], own[row:2*row])
			})
		})
	}
}

func drawTokens(t *rapid.T, label string, batch, length int) interv.Inputs {
	ids := rapid.SliceOfN(rapid.Int32Range(0, 22), batch*length, batch*length).Draw(t, label)
	return interv.Inputs{"input_ids": tensors.FromFlatDataAndDimensions(ids, batch, length)}
}

func shuffle(in interv.Inputs, order []int) interv.Inputs {
	ids := in["input_ids"]
	return interv.Inputs{"input_ids": tensors.FromFlatDataAndDimensions(pickRows(tensors.MustCopyFlatData[int32](ids), order), ids.Shape().Dimensions...)}
}

func pick[T any](rows []T, order []int) (picked []T) {
	for _, i := range order {
		picked = append(picked, rows[i])
	}
	return picked
}

func pickRows[T any](flat []T, order []int) (picked []T) {
	row := len(flat) / len(order)
	for _, i := range order {
		picked = append(picked, flat[i*row:(i+1)*row]...)
	}
	return picked
}

// Rotations on a model in bfloat16 are held, and trained, in float32; what is collected is float32 and can be given back.
func TestRotationsOnBFloat16(t *testing.T) {
	model := halved(t, "llama", transformer.BFloat16)
	base, source := tokens(2, 6), interv.Inputs{"input_ids": tensors.FromValue([][]int32{{1, 2, 3, 4, 5, 6}, {6, 5, 4, 3, 2, 1}})}
	units := interv.Repeat(2, 3)
	call := interv.Call{Base: base, Sources: []interv.Inputs{source}, Locations: []*interv.Location{interv.FromTo(units, units)}}

	full := flat(interv.MustNew(engine, model, at(0, transformer.BlockOutput, interv.LowRankRotatedSpace{Rank: 16})).MustRun(call).Output)
	vanilla := flat(interv.MustNew(engine, model, at(0, transformer.BlockOutput, interv.Vanilla{})).MustRun(call).Output)
	if d := rms(full, vanilla) / rms(vanilla, make([]float32, len(vanilla))); !(d < 0.01) {
		t.Errorf("got a rotation of full rank %.3g away from vanilla", d)
	}
	das := interv.MustNew(engine, model, at(0, transformer.BlockOutput, interv.LowRankRotatedSpace{Rank: 4}))
	trainer := das.MustTrainer(func(o interv.Outcome) *Node { return ReduceAllMean(Square(o.Output)) }, interv.Adam{Rate: 0.01})
	first := trainer.MustStep(call)
	last := first
	for range 20 {
		last = trainer.MustStep(call)
	}
	if !(last < first) {
		t.Errorf("got a loss of %g after 20 steps, wanted less than %g", last, first)
	}
	r := das.Parameters()["0.rotation"]
	if r.DType() != dtypes.Float32 {
		t.Errorf("got a rotation of %s, wanted float32", r.DType())
	}
	if err := das.SetParameters(map[string]*tensors.Tensor{"0.rotation": r}); err != nil {
		t.Error(err)
	}

	collect := interv.MustNew(engine, model, at(0, transformer.BlockOutput, interv.Collect{}))
	result := collect.MustRun(interv.Call{Base: source, Locations: []*interv.Location{interv.At(units)}})
	given := result.Collected[0].Value
	again := interv.MustNew(engine, model, at(0, transformer.BlockOutput, interv.Vanilla{})).MustRun(interv.Call{Base: base,
		Activations: []*tensors.Tensor{given}, Locations: []*interv.Location{interv.At(units)}})
	if !slices.Equal(flat(again.Output), vanilla) {
		t.Error("an activation that was collected and given back is not the source's")
	}
	gradients := das.Gradient(func(o interv.Outcome) *Node { return ReduceAllMean(Square(o.Output)) }).OfModel().MustRun(call)
	for name, g := range gradients.Model {
		if g.DType() != dtypes.Float32 {
			t.Errorf("gradient of %s: got %s, wanted float32", name, g.DType())
		}
	}
	clean := interv.MustNew(engine, model, interv.Config{})
	generated := clean.MustGenerate(interv.Call{Base: base}, interv.Generation{NewTokens: 3, Logits: true})
	if generated.Logits.DType() != dtypes.Float32 {
		t.Errorf("got logits of %s", generated.Logits.DType())
	}
}

// Saving and loading keeps the bits, whatever the precision; a new model is the rounded one in float32.
func TestPrecisionsAreSaved(t *testing.T) {
	for _, precision := range []transformer.Precision{transformer.Float32, transformer.BFloat16, transformer.Float16} {
		model := transformer.MustNew(tinyConfig("qwen2"), 3, precision)
		folder, other := t.TempDir(), t.TempDir()
		for _, step := range []error{model.Save(folder), transformer.MustNew(tinyConfig("qwen2"), 3).Save(other)} {
			if step != nil {
				t.Fatal(step)
			}
		}
		loaded, rounded := transformer.MustLoad(folder, precision), transformer.MustLoad(other, precision)
		for name, want := range model.Weights().All() {
			for _, got := range []*transformer.Model{loaded, rounded} {
				if !got.Weights().Tensor(name).Equal(want) {
					t.Errorf("%s, %s: got other bits", precision, name)
				}
			}
		}
	}
}

// without is a backend that has some types alone.
type without struct{ compute.Backend }

func (without) Capabilities() compute.Capabilities {
	return compute.Capabilities{DTypes: map[dtypes.DType]bool{dtypes.Float32: true, dtypes.Float64: true}}
}

func (without) Builder(string) compute.Builder { return notimplemented.Builder{} }

func TestPrecisionRefusals(t *testing.T) {
	_, err := interv.New(without{engine}, halved(t, "gpt2", transformer.BFloat16), interv.Config{})
	if err == nil || !strings.Contains(err.Error(), "got bfloat16, wanted one that it computes in: float32, float64") {
		t.Errorf("got %v", err)
	}
	folder := t.TempDir()
	if err := tinyModel[float32](t, "gpt2").Save(folder); err != nil {
		t.Fatal(err)
	}
	for wanted, options := range map[string][]transformer.Option{
		`got "bfloat61", wanted one of float32, bfloat16, float16; did you mean "bfloat16"?`: {transformer.Precision("bfloat61")},
		"wanted one": {transformer.BFloat16, transformer.Float16},
	} {
		if _, err := transformer.Load(folder, options...); err == nil || !strings.Contains(err.Error(), wanted) {
			t.Errorf("got %v, wanted %q", err, wanted)
		}
	}
	model := transformer.MustNew(tinyConfig("gpt2"), 1)
	weights := model.Weights().All()
	name := model.Weights().Names()[0]
	large := make([]float32, weights[name].Size())
	large[3] = 1e6 * float32(rand.New(rand.NewPCG(1, 1)).Float64()+1)
	weights[name] = tensors.FromFlatDataAndDimensions(large, weights[name].Shape().Dimensions...)
	if model, err = transformer.WithWeights(tinyConfig("gpt2"), weights); err != nil {
		t.Fatal(err)
	}
	if err := model.Save(folder); err != nil {
		t.Fatal(err)
	}
	if model, err = transformer.Load(folder, transformer.Float16); err != nil {
		t.Fatal(err)
	}
	if err := model.Weights().Upload(engine); err == nil || !strings.Contains(err.Error(), name+": element 3") {
		t.Errorf("got %v, wanted a refusal of a weight that float16 does not hold", err)
	}
}
