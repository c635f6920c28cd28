package interv_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv"
)

// Two dimensions that move together, a third on its own and a fourth that never moves: the components are known.
func TestFitPCA(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	const count = 2000
	var values []float32
	for range count {
		both, own := r.NormFloat64(), r.NormFloat64()
		values = append(values, float32(5+3*(both+0.1*r.NormFloat64())), float32(7*(-both+0.1*r.NormFloat64())), float32(own), 2)
	}
	fitted, err := interv.FitPCA(tensors.FromFlatDataAndDimensions(values, 2, count/2, 4), 2)
	must(t, err)
	half := float32(math.Sqrt2 / 2)
	got := flat(fitted["components"])
	if got[0] < 0 { // which of two equal entries is the largest is a matter of rounding
		got[0], got[1] = -got[0], -got[1]
	}
	wantClose(t, "components", got, []float32{half, -half, 0, 0, 0, 0, 1, 0}, 0.05)
	mean, std := make([]float32, 4), make([]float32, 4)
	for k := range 4 {
		sum, squares := 0.0, 0.0
		for i := k; i < len(values); i += 4 {
			sum += float64(values[i]) / count
		}
		for i := k; i < len(values); i += 4 {
			squares += (float64(values[i]) - sum) * (float64(values[i]) - sum) / count
		}
		mean[k], std[k] = float32(sum), float32(math.Sqrt(squares))
	}
	std[3] = 1
	wantClose(t, "mean", flat(fitted["mean"]), mean, 1e-5)
	wantClose(t, "standard deviation", flat(fitted["std"]), std, 1e-5)
}

// What changes by less than float32 tells apart counts as a dimension that never changes.
func TestFitPCAWithoutDeviation(t *testing.T) {
	for _, tiny := range []float64{1e-200, 1e-50, 1e-40, 0} {
		fitted, err := interv.FitPCA(tensors.FromValue([][]float64{{tiny, 2}, {-tiny, 9}, {0, 1}}), 2)
		must(t, err)
		wantClose(t, "components", flat(fitted["components"]), []float32{0, 1, 1, 0}, 1e-6)
		wantClose(t, "mean", flat(fitted["mean"]), []float32{0, 4}, 1e-6)
		wantClose(t, "standard deviation", flat(fitted["std"]), []float32{1, float32(math.Sqrt(38. / 3))}, 1e-6)
	}
}

// Components are orthonormal and carry what they say: along them standardized activations do not vary together, the first vary most.
func TestPrincipalComponentsAreUncorrelated(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	const count, width = 300, 7
	x := times(rows(numbers(normal(r, dtypes.Float64, count, width)), width), rows(numbers(normal(r, dtypes.Float64, width, width)), width))
	fitted, err := interv.FitPCA(tensors.FromFlatDataAndDimensions(slices.Concat(x...), count, width), width)
	must(t, err)
	components := matrix(fitted["components"])
	wantOrthonormal(t, tensors.FromFlatDataAndDimensions(slices.Concat(turned(components)...), width, width))
	var z [][]float64
	for _, row := range x {
		z = append(z, both(both(row, numbers(fitted["mean"]), subtract), numbers(fitted["std"]), divide))
	}
	z = times(z, turned(components))
	covariance := times(turned(z), z)
	for i := range covariance {
		for j := range i {
			if math.Abs(covariance[i][j]) > 1e-3*covariance[0][0] {
				t.Errorf("components %d and %d vary together: %g", i, j, covariance[i][j]/count)
			}
		}
		if i > 0 && covariance[i][i] > covariance[i-1][i-1] {
			t.Errorf("component %d varies more than the one before", i)
		}
	}
}

// Fitted to what a Collect returns, all components exchanged are the source.
func TestFittedComponentsExchange(t *testing.T) {
	model := newAttention(1, 3, 1, 2, dtypes.Float32, 1)
	base, source := random(1, 4, 3, 3), random(2, 4, 3, 3)
	iv := patch(model, attends, interv.PCARotatedSpace{})
	fitted, err := interv.FitPCA(read(model, attends, source), 3)
	must(t, err)
	must(t, iv.SetParametersOf(0, fitted))
	call := exchange(base, source, interv.Repeat(4, 0), interv.Repeat(4, 2))
	wantClose(t, "all components", flat(iv.MustRun(call).Output), flat(patch(model, attends, interv.Vanilla{}).MustRun(call).Output), 1e-4)
	wanted.Refusal(t, patch(model, attends, interv.RotatedSpace{}).SetParametersOf(0, fitted), "name", "components", "rotation")
	_, err = interv.New(engine, model, interv.Config{Representations: []interv.Representation{
		{Component: attends, Intervention: interv.PCARotatedSpace{}, MaxUnits: 1 << 20}}})
	wanted.Refusal(t, err, "components", "[3145728, 3145728]", "268435456")
	for _, std := range []float64{0, -1, 1e-50, 1e50, math.NaN()} {
		wanted.Refusal(t, iv.SetParametersOf(0, map[string]*tensors.Tensor{"std": tensors.FromValue([]float64{1, std, 2})}), "0.std", "element 1", "wanted a")
	}
	for name, c := range map[string]struct {
		activations *tensors.Tensor
		components  int
		words       []string
	}{
		"too many components": {source, 4, []string{"components", "got 4", "1 to the width, 3"}},
		"no components":       {source, 0, []string{"components", "got 0"}},
		"one vector":          {random(1, 1, 3), 2, []string{"1 vectors", "at least 2"}},
		"no vectors":          {random(1, 3), 2, []string{"(Float32)[3]", "[…, width]"}},
		"nothing":             {nil, 2, []string{"got no tensor", "float32 or float64"}},
		"empty":               {random(1, 3, 0), 2, []string{"(Float32)[3, 0]", "not empty"}},
		"integers":            {tensors.FromValue([][]int32{{1, 2}, {3, 5}}), 1, []string{"(Int32)[2, 2]", "float32 or float64"}},
		"half precision":      {tensors.FromShape(shapes.Make(dtypes.BFloat16, 2, 2)), 1, []string{"BFloat16", "float32 or float64"}},
		"too large mean":      {tensors.FromValue([][]float64{{1e39, 1}, {1e39, 2}}), 1, []string{"mean", "+Inf", "finite"}},
		"too large deviation": {tensors.FromValue([][]float64{{1e200, 2}, {-1e200, 9}, {0, 1}}), 1, []string{"std", "+Inf", "finite"}},
		"not numbers":         {tensors.FromValue([][]float32{{1, float32(math.Inf(1))}, {1, 2}}), 1, []string{"+Inf"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := interv.FitPCA(c.activations, c.components)
			wanted.Refusal(t, err, c.words...)
		})
	}
}
