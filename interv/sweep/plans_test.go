package sweep

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/gru"
	"github.com/govene/govene/interv/metric"
	"github.com/govene/govene/interv/transformer"
)

var machine = backend.MustNew()

// few tells tests to take one or two of what they have: each is five programs, which XLA compiles in seconds. GOVENE_LONG has all.
func few() bool {
	return (testing.Short() || machine.Name() == "xla") && os.Getenv("GOVENE_LONG") == ""
}

const checkpoints = "../../internal/golden/testdata/public/checkpoints"

// families are the tiny checkpoints of the golden cases, by name.
func families(t *testing.T) []string {
	t.Helper()
	entries, err := os.ReadDir(checkpoints)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}

// padded is a batch of random tokens with padding on either side; masks has, for each example, where it begins and ends.
func padded(random *rand.Rand, vocabulary, positions int, ends [][2]int) interv.Inputs {
	ids, mask := make([]int32, 0), make([]int32, 0)
	for _, end := range ends {
		for column := range positions {
			ids = append(ids, int32(random.IntN(vocabulary)))
			if column >= end[0] && column < end[1] {
				mask = append(mask, 1)
			} else {
				mask = append(mask, 0)
			}
		}
	}
	return interv.Inputs{interv.InputIDs: tensors.FromFlatDataAndDimensions(ids, len(ends), positions),
		interv.AttentionMask: tensors.FromFlatDataAndDimensions(mask, len(ends), positions)}
}

// both runs a sweep by both plans, the packed one with programs for all, with those of clean runs apart, and as a GPU would, and wants the
// same numbers; of a second run of a plan, too, which compiles nothing.
func both(t *testing.T, model interv.Model, s Sweep) *Result {
	t.Helper()
	results := map[string]*Result{}
	for _, plan := range []string{"packed", "batched", "apart", "gpu"} {
		p, err := s.Plan(machine, model)
		if err != nil {
			t.Fatal(err)
		}
		if p.packed == nil {
			t.Fatalf("cannot be packed: %s", p.why)
		}
		switch plan {
		case "apart":
			apart(t, p)
		case "gpu":
			if p.packed.costs = p.packed.measure(onGPU); !p.packed.layOut() {
				t.Fatalf("no layout for a GPU: %s", p.Explain())
			}
		case "batched":
			p.packed = nil
			if p.batch, err = newBatched(p.job); err != nil {
				t.Fatal(err)
			}
		}
		if results[plan], err = p.Run(context.Background()); err != nil {
			t.Fatalf("%s: %v", plan, err)
		}
		if words := fmt.Sprintf("\n%d programs", results[plan].Stats.Programs); p.packed != nil && s.Corrupt == nil && !strings.Contains(p.Explain(), words) {
			t.Errorf("%s: ran%s, but says %s", plan, words, p.Explain())
		}
		if plan == "packed" && s.File == "" && s.Corrupt == nil {
			again, err := p.Run(context.Background())
			if err != nil || again.Stats.Programs != 0 || !reflect.DeepEqual(again.Values, results[plan].Values) {
				t.Errorf("run again, %d programs are compiled (%v), or the numbers differ:\n%v\n%v", again.Stats.Programs, err, again.Values, results[plan].Values)
			}
		}
	}
	batched := results["batched"]
	for _, plan := range []string{"packed", "apart", "gpu"} {
		packed := results[plan]
		near(t, plan+", base", packed.Base, batched.Base)
		near(t, plan+", source", packed.Source, batched.Source)
		for i, cell := range packed.Cells {
			near(t, fmt.Sprintf("%s, %s at %s heads %v features %v", plan, cell.where(i), cell.Place.String(), cell.Heads, cell.Features), packed.Values[i], batched.Values[i])
		}
	}
	return results["packed"]
}

// apart lays a packed plan out with programs of their own for clean runs, as if these cost nothing and calls as much as a chunk.
func apart(t *testing.T, p *Plan) {
	t.Helper()
	p.packed.costs.programs, p.packed.costs.overhead = -1e12, 1e3
	if !p.packed.layOut() || p.packed.alike(p.extent.Positions) {
		t.Errorf("clean runs are not apart: %s", p.Explain())
	}
}

func near(t *testing.T, what string, got, wanted []float64) {
	t.Helper()
	for i := range got {
		if math.IsNaN(got[i]) && math.IsNaN(wanted[i]) {
			continue
		}
		if !(math.Abs(got[i]-wanted[i]) < 1e-4*(1+math.Abs(wanted[i]))) {
			t.Errorf("%s, pair %d: got %g, wanted %g", what, i, got[i], wanted[i])
		}
	}
}

// Every family gives the same numbers packed and batched, at all its components, layers, positions and heads, whatever the padding.
func TestPlansAgreeInEveryFamily(t *testing.T) {
	for _, name := range families(t) {
		if few() && name != "gemma3" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			model, err := transformer.Load(filepath.Join(checkpoints, name))
			if err != nil {
				t.Fatal(err)
			}
			random := rand.New(rand.NewPCG(1, 2))
			ends := [][2]int{{0, 6}, {1, 6}, {0, 5}}
			vocabulary := model.Config().Vocabulary
			s := Sweep{Base: padded(random, vocabulary, 6, ends), Source: padded(random, vocabulary, 6, ends), Positions: At(1, 3, -1),
				Metric: metric.LogitDifference{Right: metric.Each(1, 2, 3), Wrong: metric.Each(4)}}
			for _, sites := range model.Catalogue().Sites {
				if sites.Width > 0 && sites.Component != transformer.FinalNorm {
					s.Components = append(s.Components, sites.Component)
				}
			}
			r := both(t, model, s)
			if same := slices.Equal(r.Base, r.Source); same {
				t.Error("source and base do not differ")
			}
		})
	}
}

// scene is a small model with inputs of padded examples.
func scene(t *testing.T, name string) (*transformer.Model, Sweep) {
	t.Helper()
	model, err := transformer.Load(filepath.Join(checkpoints, name))
	if err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(3, 4))
	ends := [][2]int{{0, 6}, {1, 6}, {0, 5}}
	return model, Sweep{Base: padded(random, model.Config().Vocabulary, 6, ends), Source: padded(random, model.Config().Vocabulary, 6, ends),
		Metric: metric.LogitDifference{Right: metric.Each(1, 2, 3), Wrong: metric.Each(4)}}
}

// Both plans agree on every kind of sweep.
func TestPlansAgreeOnEverySweep(t *testing.T) {
	model, plain := scene(t, "gpt2")
	c := model.Config()
	width, heads := c.Width, interv.Range(0, c.Attention.Heads)
	direction := make([]float64, width)
	for i := range direction {
		direction[i] = float64(i%5) - 2
	}
	for name, change := range map[string]func(s *Sweep){
		"heads": func(s *Sweep) {
			s.Components, s.Heads = []interv.Component{transformer.HeadAttentionValueOutput}, heads
		},
		"heads at positions": func(s *Sweep) {
			s.Components, s.Heads, s.Positions = []interv.Component{transformer.HeadKeyOutput}, heads, At(1, -1)
		},
		"neurons": func(s *Sweep) {
			s.Components, s.Features, s.Positions = []interv.Component{transformer.MLPActivation}, [][]int{{0}, {1, 3}}, At(-1, 2)
		},
		"rotated": func(s *Sweep) {
			s.Components, s.Intervention, s.Features = []interv.Component{transformer.BlockOutput}, interv.LowRankRotatedSpace{Rank: 2}, [][]int{{0}, {1}}
		},
		"zero": func(s *Sweep) {
			s.Components, s.Intervention, s.Source = []interv.Component{transformer.MLPOutput}, interv.Zero{}, nil
		},
		"mean": func(s *Sweep) {
			s.Components, s.From, s.Positions = []interv.Component{transformer.AttentionOutput, transformer.HeadValueOutput}, FromMean, At(1, -1)
		},
		"other": func(s *Sweep) {
			s.Components, s.From, s.Source = []interv.Component{transformer.BlockInput}, FromOther, nil
			s.Base[interv.AttentionMask] = tensors.FromFlatDataAndDimensions(slices.Repeat([]int32{1}, 18), 3, 6)
		},
		"skip": func(s *Sweep) {
			s.Components, s.Intervention = []interv.Component{transformer.MLPOutput, transformer.BlockOutput}, interv.Skip{}
		},
		"steering": func(s *Sweep) {
			s.Components, s.Directions, s.Scales, s.Source = []interv.Component{transformer.BlockOutput}, [][]float64{direction}, []float64{-1, 0.5}, nil
		},
		"tracing": func(s *Sweep) {
			s.Source, s.Corrupt = nil, &Corruption{Component: transformer.Embedding, Place: Place{At: [][]int{{1, 2}}}, Intervention: interv.Noise{Level: 1}}
			s.Components, s.Window, s.Positions = []interv.Component{transformer.MLPOutput, transformer.BlockOutput}, 2, At(1, 2, -1)
		},
		"divergence": func(s *Sweep) {
			s.Components, s.Metric, s.Positions = []interv.Component{transformer.BlockOutput}, metric.KL{}, At(1, -1)
		},
		"source places": func(s *Sweep) {
			s.Components = []interv.Component{transformer.BlockOutput}
			s.Positions = []Place{{Name: "subject", At: [][]int{{1, 2}}, Source: [][]int{{3, 1}, {2, 1}, {4, 4}}}}
			s.ReadAt = [][]int{{-2}}
		},
	} {
		if few() && name != "tracing" && name != "heads at positions" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			_, s := scene(t, "gpt2")
			s.Metric = plain.Metric
			change(&s)
			r := both(t, model, s)
			same := true
			for _, row := range r.Values {
				same = same && slices.Equal(row, r.Base)
			}
			if same {
				t.Error("nothing changes anything")
			}
		})
	}
}

// A cell equals the single call.
func TestACellIsTheSingleCall(t *testing.T) {
	model, s := scene(t, "gpt2")
	s.Components, s.Positions = []interv.Component{transformer.BlockOutput}, At(1, -1)
	r := MustRun(machine, model, s)
	for i, cell := range r.Cells {
		patch := interv.MustNew(machine, model, interv.Config{Representations: []interv.Representation{{Layer: cell.Layer, Component: cell.Component, Intervention: interv.Vanilla{}}}})
		units := interv.Repeat(3, cell.Place.At[0]...)
		single := patch.MustRun(interv.Call{Base: s.Base, Sources: []interv.Inputs{s.Source}, Locations: []*interv.Location{interv.FromTo(units, units)},
			Metrics: []interv.Measure{{Metric: s.Metric}}})
		near(t, cell.where(i), r.Values[i], single.MustMetric("logit_difference"))
	}
}

// In bfloat16, too, a cell is the single call, but for the rounding of sums that are taken in another order.
func TestACellInBFloat16(t *testing.T) {
	wide, s := scene(t, "gpt2")
	folder := t.TempDir()
	if err := wide.Save(folder); err != nil {
		t.Fatal(err)
	}
	model := transformer.MustLoad(folder, transformer.BFloat16)
	s.Components, s.Positions, s.Metric = []interv.Component{transformer.BlockOutput}, At(1, -1), metric.KL{}
	for name, intervention := range map[string]interv.Intervention{"vanilla": interv.Vanilla{}, "rotation": interv.LowRankRotatedSpace{Rank: 3}} {
		s.Intervention = intervention
		packed := MustRun(machine, model, s)
		exact := MustRun(machine, wide, s)
		differ := false
		for i := range packed.Cells {
			for pair, got := range packed.Values[i] {
				wanted := exact.Values[i][pair]
				differ = differ || got != wanted
				if !(math.Abs(got-wanted) < 0.1*(0.1+math.Abs(wanted))) {
					t.Errorf("%s, %s, pair %d: got %g, wanted about %g", name, packed.Cells[i].where(i), pair, got, wanted)
				}
			}
		}
		if !differ {
			t.Error("nothing is rounded")
		}
	}
}

// Models that are not made of blocks give the numbers of single calls.
func TestARecurrentModelIsSwept(t *testing.T) {
	model := gru.MustNewClassifier(gru.Config{Layers: 2, Width: 3}, 4)
	random := rand.New(rand.NewPCG(8, 9))
	embeds := func() interv.Inputs {
		flat := make([]float32, 2*4*3)
		for i := range flat {
			flat[i] = float32(random.NormFloat64())
		}
		return interv.Inputs{interv.InputsEmbeds: tensors.FromFlatDataAndDimensions(flat, 2, 4, 3)}
	}
	s := Sweep{Base: embeds(), Source: embeds(), Components: []interv.Component{gru.CellOutput, gru.ResetGateOutput}, Positions: UpTo(4), Metric: metric.Logit{Tokens: []int{0}}}
	r := MustRun(machine, model, s)
	for i, cell := range r.Cells {
		patch := interv.MustNew(machine, model, interv.Config{Representations: []interv.Representation{{Layer: cell.Layer, Component: cell.Component, Intervention: interv.Vanilla{}}}})
		units := interv.Repeat(2, cell.Place.At[0]...)
		single := patch.MustRun(interv.Call{Base: s.Base, Sources: []interv.Inputs{s.Source}, Locations: []*interv.Location{interv.FromTo(units, units)}, Metrics: []interv.Measure{{Metric: s.Metric}}})
		near(t, cell.where(i), r.Values[i], single.MustMetric("logit"))
	}
	if r.Stats.Programs != 2 {
		t.Errorf("%d programs", r.Stats.Programs)
	}
}

// elsewhere is a backend that says it is another.
type elsewhere struct {
	compute.Backend
	description string
}

func (e elsewhere) Description() string { return e.description }

// What a layout depends on is that of the device behind a backend.
func TestDeviceOfPlan(t *testing.T) {
	model, s := scene(t, "gpt2")
	s.Components = []interv.Component{transformer.BlockOutput}
	for description, want := range map[string]device{"xla:cuda - PJRT [1 device(s)]": onGPU, "resident: xla:cuda - PJRT [1 device(s)]": onGPU, "xla:cpu - PJRT [1 device(s)]": onCPU} {
		p, err := s.Plan(elsewhere{machine, description}, model)
		if err != nil {
			t.Fatal(err)
		}
		if p.packed == nil || p.packed.costs.device != want {
			t.Errorf("%s: got %+v, wanted %+v", description, p.packed, want)
		}
	}
}
