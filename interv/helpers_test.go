package interv_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"
	"pgregory.net/rapid"

	"github.com/govene/govene/internal/draw"
	"github.com/govene/govene/interv"
)

// What the tests of this package share.

func must(t rapid.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func random(seed uint64, dimensions ...int) *tensors.Tensor {
	source := rand.New(rand.NewPCG(seed, 1))
	return draw.Tensor(func() float64 { return float64(source.Float32()) }, dimensions...)
}

func flat(t *tensors.Tensor) []float32 { return tensors.MustCopyFlatData[float32](t) }

// wantClose allows for a tolerance, relative to the largest number wanted where that is above 1.
func wantClose(t rapid.TB, what string, got, want []float32, tolerance float32) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: got %d elements, wanted %d", what, len(got), len(want))
	}
	largest := float32(1)
	for _, value := range want {
		largest = max(largest, value, -value)
	}
	tolerance *= largest
	for i := range got {
		if d := got[i] - want[i]; !(d <= tolerance && -d <= tolerance) {
			t.Fatalf("%s: element %d: got %g, wanted %g", what, i, got[i], want[i])
		}
	}
}

func wantSame(t rapid.TB, what string, got, want []float32) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("%s: got %v, wanted the same bits as %v", what, got, want)
	}
}

func wantDifferent(t rapid.TB, a, b []float32) {
	t.Helper()
	for i := range a {
		if a[i] != b[i] {
			return
		}
	}
	t.Fatal("the edit changed nothing")
}

func wantOrthonormal(t *testing.T, r *tensors.Tensor) {
	t.Helper()
	rows, columns := r.Shape().Dim(0), r.Shape().Dim(1)
	values := numbers(r)
	for a := range columns {
		for b := range columns {
			sum, want := 0.0, 0.0
			for i := range rows {
				sum += values[i*columns+a] * values[i*columns+b]
			}
			if a == b {
				want = 1
			}
			if d := sum - want; !(d < 1e-5 && d > -1e-5) {
				t.Fatalf("RᵀR[%d,%d]: got %g, wanted %g", a, b, sum, want)
			}
		}
	}
}

// patch is an Intervenable with one intervention, in layer 0.
func patch(model interv.Model, component interv.Component, intervention interv.Intervention) *interv.Intervenable {
	return interv.MustNew(engine, model, interv.Config{Representations: []interv.Representation{{Component: component, Intervention: intervention}}})
}

func embeds(t *tensors.Tensor) interv.Inputs { return interv.Inputs{"inputs_embeds": t} }

// exchange is a call with one source.
func exchange(base, source *tensors.Tensor, from, to [][]int) interv.Call {
	return interv.Call{Base: embeds(base), Sources: []interv.Inputs{embeds(source)}, Locations: []*interv.Location{interv.FromTo(from, to)}}
}

// readers are the Intervenables of read: one program serves all inputs of a shape.
var readers = map[interv.Model]map[interv.Component]*interv.Intervenable{}

// read collects what a model computes at a site of layer 0, at all positions.
func read(model interv.Model, component interv.Component, inputs *tensors.Tensor) *tensors.Tensor {
	call := interv.Call{Base: embeds(inputs), Locations: []*interv.Location{interv.Everywhere()}}
	if readers[model] == nil {
		readers[model] = map[interv.Component]*interv.Intervenable{}
	}
	if readers[model][component] == nil {
		readers[model][component] = patch(model, component, interv.Collect{})
	}
	return readers[model][component].MustRun(call).Collected[0].Value
}

// after is what is at a site of layer 0 when an intervention has acted there.
func after(model interv.Model, component interv.Component, intervention interv.Intervention, call interv.Call) *tensors.Tensor {
	at := func(i interv.Intervention) interv.Representation {
		return interv.Representation{Component: component, Intervention: i}
	}
	iv := interv.MustNew(engine, model, interv.Config{Representations: []interv.Representation{at(intervention), at(interv.Collect{})}})
	call.Locations = append(slices.Clone(call.Locations), interv.Everywhere())
	if call.Sources != nil {
		call.Sources = append(slices.Clone(call.Sources), nil)
	}
	if call.Subspaces != nil {
		call.Subspaces = append(slices.Clone(call.Subspaces), nil)
	}
	if call.Activations != nil {
		call.Activations = append(slices.Clone(call.Activations), nil)
	}
	return iv.MustRun(call).Collected[0].Value
}

// vectors is a tensor [batch, positions, width] as [batch][position][feature].
func vectors(t *tensors.Tensor) cube {
	positions, width := t.Shape().Dim(1), t.Shape().Dim(2)
	var all cube
	for example := range slices.Chunk(numbers(t), positions*width) {
		all = append(all, rows(example, width))
	}
	return all
}

func wantVectors(t rapid.TB, what string, got, want cube) {
	t.Helper()
	if len(got) != len(want) || len(want) == 0 {
		t.Fatalf("%s: got %d examples, wanted %d", what, len(got), len(want))
	}
	for i := range want {
		for p := range want[i] {
			for k := range want[i][p] {
				if d := got[i][p][k] - want[i][p][k]; !(d < 1e-5 && d > -1e-5) {
					t.Fatalf("%s: example %d, position %d, feature %d: got %g, wanted %g", what, i, p, k, got[i][p][k], want[i][p][k])
				}
			}
		}
	}
}

func tokensOf(ids []int32) interv.Inputs {
	return interv.Inputs{"input_ids": tensors.FromFlatDataAndDimensions(ids, 1, len(ids))}
}

// edited is x with some entries replaced.
func edited(x cube, edit func(x cube)) cube {
	var clone cube
	for i := range x {
		clone = append(clone, nil)
		for p := range x[i] {
			clone[i] = append(clone[i], slices.Clone(x[i][p]))
		}
	}
	edit(clone)
	return clone
}

func reorder(t *tensors.Tensor, order []int) *tensors.Tensor {
	size := t.Size() / t.Shape().Dim(0)
	var values []float32
	for _, i := range order {
		values = append(values, flat(t)[i*size:(i+1)*size]...)
	}
	dimensions := slices.Clone(t.Shape().Dimensions)
	dimensions[0] = len(order)
	return tensors.FromFlatDataAndDimensions(values, dimensions...)
}

func rowsOf(rows [][]int, order []int) (shuffled [][]int) {
	for _, i := range order {
		if rows != nil {
			shuffled = append(shuffled, rows[i])
		}
	}
	return shuffled
}
