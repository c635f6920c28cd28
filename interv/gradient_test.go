package interv_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/gru"
)

// Gradients against central differences, with model and parameters in float64. A rotation is moved along the manifold, so the
// slope is that of its tangent part; other parameters one entry at a time.
func TestGradientsAgainstFiniteDifferences(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	single := gru.MustNewClassifier(gru.Config{Layers: 2, Width: 4}, 9)
	weights := map[string]*tensors.Tensor{}
	for name, value := range single.Weights().All() {
		weights[name] = wide(value)
	}
	model, err := gru.WithWeights(single.Config(), weights)
	if err != nil {
		t.Fatal(err)
	}
	at := func(layer int, i interv.Intervention, link string) interv.Representation {
		return interv.Representation{Layer: layer, Component: gru.CellOutput, Intervention: i, Link: link}
	}
	low := interv.LowRankRotatedSpace{Rank: 2}
	for name, c := range map[string]struct {
		representations []interv.Representation
		subspaces       [][][]int
	}{
		"rotated space":                {[]interv.Representation{at(0, interv.RotatedSpace{}, "")}, [][][]int{{{0, 2}, {1}, {3}}}},
		"low rank":                     {[]interv.Representation{at(1, low, "")}, nil},
		"low rank, subspaces":          {[]interv.Representation{at(0, low, "")}, [][][]int{{{0}, {1}, {0, 1}}}},
		"boundless":                    {[]interv.Representation{at(0, interv.BoundlessRotatedSpace{}, "")}, nil},
		"two layers linked, subspaces": {[]interv.Representation{at(0, low, "a"), at(1, low, "a")}, [][][]int{{{0}, {1}, {0}}, {{1}, {1}, {0}}}},
	} {
		t.Run(name, func(t *testing.T) {
			iv := interv.MustNew(engine, model, interv.Config{Seed: 5, Representations: c.representations})
			if iv.Parameters()["0.temperature"] != nil { // a temperature at which the boundary is felt
				must(t, iv.SetParameters(map[string]*tensors.Tensor{"0.temperature": tensors.FromScalar(2.0)}))
			}
			call := interv.Call{Base: interv.Inputs{"inputs_embeds": wide(random(1, 3, 4, 4))}, Subspaces: c.subspaces}
			for i := range c.representations {
				call.Sources = append(call.Sources, interv.Inputs{"inputs_embeds": wide(random(uint64(i)+2, 3, 4, 4))})
				call.Locations = append(call.Locations, interv.FromTo(interv.Repeat(3, 0, 2), interv.Repeat(3, 3, 1)))
			}
			gradient := iv.Gradient(func(o interv.Outcome) *Node { return ReduceAllSum(Square(o.Output)) })
			result := gradient.MustRun(call)
			for parameter, g := range result.Gradients {
				start := iv.Parameters()[parameter]
				if tangent, ok := result.Tangents[parameter]; ok {
					g = tangent
				}
				for range 3 {
					direction := make([]float64, g.Size())
					for i := range direction {
						direction[i] = r.NormFloat64()
					}
					var predicted float64
					loss := func(step float64) float64 {
						moved := slices.Clone(tensors.MustCopyFlatData[float64](start))
						along := direction
						if _, ok := result.Tangents[parameter]; ok {
							along = tangentOf(moved, direction, g.Shape().Dim(0), g.Shape().Dim(1))
						}
						predicted = 0
						for i := range moved {
							predicted += along[i] * tensors.MustCopyFlatData[float64](g)[i]
							moved[i] += step * along[i]
						}
						must(t, iv.SetParameters(map[string]*tensors.Tensor{parameter: tensors.FromFlatDataAndDimensions(moved, g.Shape().Dimensions...)}))
						return gradient.MustRun(call).Loss
					}
					const step = 1e-5
					measured := (loss(step) - loss(-step)) / (2 * step)
					must(t, iv.SetParameters(map[string]*tensors.Tensor{parameter: start}))
					wantClose(t, parameter, []float32{float32(measured)}, []float32{float32(predicted)}, 1e-6)
				}
			}
		})
	}
}

// tangentOf projects a direction on those in which the orthonormal r, [d, k], can move: D − R (RᵀD + DᵀR)/2.
func tangentOf(r, direction []float64, d, k int) []float64 {
	along := slices.Clone(direction)
	for a := range k {
		for b := range k {
			symmetric := 0.0
			for i := range d {
				symmetric += (r[i*k+a]*direction[i*k+b] + direction[i*k+a]*r[i*k+b]) / 2
			}
			for i := range d {
				along[i*k+b] -= r[i*k+a] * symmetric
			}
		}
	}
	return along
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wide(t *tensors.Tensor) *tensors.Tensor {
	var values []float64
	for _, value := range flat(t) {
		values = append(values, float64(value))
	}
	return tensors.FromFlatDataAndDimensions(values, t.Shape().Dimensions...)
}
