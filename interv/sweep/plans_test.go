package sweep

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/metric"
	"github.com/govene/govene/interv/transformer"
)

var machine = backend.MustNew()

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

// both runs a sweep by both plans and wants the same numbers.
func both(t *testing.T, model interv.Model, s Sweep) *Result {
	t.Helper()
	results := map[string]*Result{}
	for _, plan := range []string{"packed", "batched"} {
		p, err := s.Plan(machine, model)
		if err != nil {
			t.Fatal(err)
		}
		if p.packed == nil {
			t.Fatalf("cannot be packed: %s", p.why)
		}
		if plan == "batched" {
			p.packed = nil
			if p.batch, err = newBatched(p.job); err != nil {
				t.Fatal(err)
			}
		}
		if results[plan], err = p.Run(context.Background()); err != nil {
			t.Fatalf("%s: %v", plan, err)
		}
	}
	packed, batched := results["packed"], results["batched"]
	close(t, "base", packed.Base, batched.Base)
	close(t, "source", packed.Source, batched.Source)
	for i, cell := range packed.Cells {
		close(t, fmt.Sprintf("%s at %s heads %v features %v", cell.where(i), cell.Place.name(), cell.Heads, cell.Features), packed.Values[i], batched.Values[i])
	}
	return packed
}

func close(t *testing.T, what string, got, wanted []float64) {
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
