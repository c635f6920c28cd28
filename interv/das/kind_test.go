package das_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/das"
	"github.com/govene/govene/interv/mlp"
)

// withValues adds the values that variables have in their sources: the sign of the planted direction.
func withValues(d das.Data) das.Data {
	for v, labels := range d.SourceLabels {
		values := make([]int, len(labels))
		for i, label := range labels {
			values[i] = label >> v & 1
		}
		d.Values = append(d.Values, values)
	}
	return d
}

// share is how much of the planted direction of variable v lies in the columns that an alignment gives to it: the squared cosine.
func (p planted) share(a das.Alignment, v int, turned bool) (sum float64) {
	first, columns := 0, a.Rotation.Shape().Dim(1)
	for _, rank := range a.Ranks[:v] {
		first += rank
	}
	flat := tensors.MustCopyFlatData[float32](a.Rotation)
	for k := first; k < first+a.Ranks[v]; k++ {
		cosine := 0.0
		for d := range width {
			direction := float64(p.turn[v*width+d])
			if turned {
				direction = 0
				if d == v {
					direction = 1
				}
			}
			cosine += float64(flat[d*columns+k]) * direction
		}
		sum += cosine * cosine
	}
	return sum
}

// Each kind finds what is planted, with few dimensions, and nothing where nothing is.
func TestKindsFindWhatIsPlanted(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	p := plant(t, 6)
	for _, variables := range []int{1, 2} {
		if slow && variables == 1 {
			continue
		}
		train, held := withValues(p.examples(10, 2048, variables)), p.examples(11, 512, variables)
		for _, c := range []struct {
			search das.Search
			place  interv.Component
		}{
			{das.Search{Kind: das.Boundless, Steps: 600, Rate: 0.03, MaskRate: 0.02, Penalty: 1, Seeds: 2}, mlp.BlockInput},
			{das.Search{Kind: das.Masks, Steps: 300, Penalty: 0.2}, mlp.BlockOutput},
			{das.Search{Kind: das.Means, Ranks: []int{1}}, mlp.BlockInput},
			{das.Search{Kind: das.Means, Ranks: []int{1}}, mlp.BlockOutput},
		} {
			t.Run(fmt.Sprintf("%s, %s, %d variables", c.search.Kind, c.place, variables), func(t *testing.T) {
				c.search.Places = []das.Place{in(c.place)}
				best := das.MustRun(t.Context(), engine, p.model, c.search, train, held).Best()
				// Several boundaries may come to rest where a dimension too many is one that nothing reads.
				most := 1
				if c.search.Kind == das.Boundless {
					most = variables
				}
				if best.Accuracy < 0.95 || slices.Min(best.Ranks) < 1 || slices.Max(best.Ranks) > most {
					t.Fatalf("got an accuracy of %.3f with %v dimensions, wanted about 1 with 1 to %d for each variable", best.Accuracy, best.Ranks, most)
				}
				for v := range variables {
					if share := p.share(best, v, c.place == mlp.BlockOutput); share < 0.98 {
						t.Errorf("variable %d: got %.3f of the planted direction, wanted about 1", v, share)
					}
				}
				// It is an Intervenable as any.
				iv, err := best.Intervenable(engine, p.model)
				must(t, err)
				logits, right := tensors.MustCopyFlatData[float32](iv.MustRun(best.Call(held)).Output), 0
				for i, label := range held.Labels {
					if row := logits[4*i : 4*i+4]; row[label] == slices.Max(row) {
						right++
					}
				}
				if got := float64(right) / float64(len(held.Labels)); math.Abs(got-best.Accuracy) > 0.01 {
					t.Errorf("got an accuracy of %.3f as an Intervenable, wanted %.3f", got, best.Accuracy)
				}
			})
		}
	}

	// Where the output is always the same there is nothing to exchange: the penalty takes all dimensions away.
	weights := p.model.Weights().All()
	weights["score.weight"] = tensors.FromFlatDataAndDimensions(make([]float32, 4*width), 4, width)
	absent, err := mlp.WithWeights(p.model.Config(), weights)
	must(t, err)
	none := das.Search{Places: []das.Place{in(mlp.BlockOutput)}, Kind: das.Masks, Steps: 50, Every: 50, Penalty: 0.2}
	train, held := p.examples(10, 512, 1), p.examples(11, 512, 1)
	best := das.MustRun(t.Context(), engine, absent, none, train, held).Best()
	if best.Rotation != nil || best.Ranks[0] != 0 {
		t.Errorf("got %v dimensions where nothing is, wanted none", best.Ranks)
	}
	_, err = best.Intervenable(engine, absent)
	wanted.Refusal(t, err, "dimensions of variable 0", "0", "at least 1")
	r, err := das.Check(t.Context(), engine, absent, mlp.MustNewClassifier(p.model.Config(), 3), none, das.Samples{Train: train, Held: held, Test: held})
	must(t, err)
	if found, floor := find(t, r, das.Found), find(t, r, das.None); found.Accuracy != floor.Accuracy {
		t.Errorf("got %.3f where nothing is, wanted the floor, %.3f", found.Accuracy, floor.Accuracy)
	}
}

// Alignments of one stack are what each of them is alone, for every kind that learns, over random shapes.
func TestStacksOfKindsEqualSingleSearches(t *testing.T) {
	cases := 6
	if testing.Short() || slow {
		cases = 2
	}
	random := rand.New(rand.NewPCG(20, 0))
	for n := range cases {
		p := plant(t, uint64(n))
		variables := 1 + random.IntN(2)
		train, held := p.examples(10, 256, variables), p.examples(11, 128, variables)
		s := das.Search{Places: []das.Place{in(mlp.BlockInput)}, Kind: das.Boundless, Seeds: 1 + random.IntN(3), Steps: 20 + random.IntN(20), Batch: 32 + random.IntN(64),
			Penalty: random.Float64(), Every: 10, Rate: 0.02}
		if n%2 == 1 {
			s.Kind, s.Places = das.Masks, []das.Place{in(mlp.BlockOutput)}
		}
		stacked := das.MustRun(t.Context(), engine, p.model, s, train, held)
		s.MaxRows = 1
		single := das.MustRun(t.Context(), engine, p.model, s, train, held)
		for i, a := range stacked.Alignments {
			b := single.Alignments[i]
			if a.Seed != b.Seed || !slices.Equal(a.Ranks, b.Ranks) || math.Abs(a.Accuracy-b.Accuracy) > 0.01 || math.Abs(a.Loss-b.Loss) > 1e-3 {
				t.Errorf("case %d, alignment %d: got %v %v %v, wanted %v %v %v", n, i, a.Ranks, a.Accuracy, a.Loss, b.Ranks, b.Accuracy, b.Loss)
				continue
			}
			if a.Rotation != nil {
				wantClose(t, fmt.Sprintf("case %d, rotation %d", n, i), tensors.MustCopyFlatData[float32](a.Rotation), tensors.MustCopyFlatData[float32](b.Rotation), 1e-4)
			}
		}
	}
}

// Of equally accurate alignments the one of the lower loss is kept.
func TestTiesAreBrokenByTheLoss(t *testing.T) {
	a, b := das.Alignment{Seed: 1, Accuracy: 0.5, Loss: 2}, das.Alignment{Seed: 2, Accuracy: 0.5, Loss: 1}
	for _, list := range [][]das.Alignment{{a, b}, {b, a}, {{Accuracy: 0.4}, b}} {
		if best := (&das.Result{Alignments: list}).Best(); best.Seed != 2 {
			t.Errorf("got %+v, wanted that of the lower loss", best)
		}
	}
	p := plant(t, 1)
	train, held := p.examples(10, 1024, 1), p.examples(11, 4, 1) // so few that many rotations are equally accurate
	for held.Labels[0] == held.Labels[1] {
		t.Fatal("wanted labels that change")
	}
	s := das.Search{Places: []das.Place{in(mlp.BlockInput)}, Ranks: []int{1}, Steps: 300, Every: 10, Rate: 0.03}
	best := das.MustRun(t.Context(), engine, p.model, s, train, held).Best()
	if best.Accuracy != 1 || best.Steps < 100 || best.Loss > 0.2 {
		t.Errorf("got an accuracy of %.2f and a loss of %.3f after %d steps, wanted a late one of a low loss", best.Accuracy, best.Loss, best.Steps)
	}
}

func TestKindsHaveNames(t *testing.T) {
	for kind := das.Trained; kind <= das.Masks; kind++ {
		text, err := json.Marshal(kind)
		must(t, err)
		var back das.Kind
		if err := json.Unmarshal(text, &back); err != nil || back != kind || fmt.Sprintf("%q", kind) != string(text) {
			t.Errorf("got %v from %s, wanted %v", back, text, kind)
		}
	}
	var kind das.Kind
	wanted.Refusal(t, json.Unmarshal([]byte(`"boundles"`), &kind), "kind", "boundles", "boundless")
}
