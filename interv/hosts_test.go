package interv_test

import (
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/gru"
)

// The two test models once more, in plain loops over float64 and one example at a time, from their equations. What they announce is
// edited out of place, by oracle_test.go.

// host is a model that runs one example, with the positions x and of them those from start to before end real, and returns its output
// as one list. It hands each activation to at, as [head][position][feature], together with the first position that it covers.
type host interface {
	run(x [][]float64, start, end int, at announce) []float64
}

type (
	cube     [][][]float64
	announce func(site interv.Site, offset int, x cube) cube
)

// matrix is a tensor of rank 2.
func matrix(t *tensors.Tensor) [][]float64 { return rows(numbers(t), t.Shape().Dim(1)) }

func rows(flat []float64, width int) (all [][]float64) {
	for row := range slices.Chunk(flat, width) {
		all = append(all, row)
	}
	return all
}

// times is x m for each row of x.
func times(x, m [][]float64) [][]float64 {
	y := make([][]float64, len(x))
	for i := range x {
		y[i] = make([]float64, len(m[0]))
		for k, value := range x[i] {
			for j := range m[k] {
				y[i][j] += value * m[k][j]
			}
		}
	}
	return y
}

func turned(m [][]float64) [][]float64 {
	y := make([][]float64, len(m[0]))
	for j := range y {
		for i := range m {
			y[j] = append(y[j], m[i][j])
		}
	}
	return y
}

// plus is x + y.
func plus(x, y [][]float64) [][]float64 {
	sum := make([][]float64, len(x))
	for i := range x {
		for j := range x[i] {
			sum[i] = append(sum[i], x[i][j]+y[i][j])
		}
	}
	return sum
}

// each applies f to every number.
func each(x [][]float64, f func(float64) float64) [][]float64 {
	y := make([][]float64, len(x))
	for i := range x {
		for _, value := range x[i] {
			y[i] = append(y[i], f(value))
		}
	}
	return y
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func (m *attention) run(x [][]float64, start, end int, at announce) []float64 {
	for l := range m.layers {
		weight := func(name string) [][]float64 { return matrix(m.weights.Tensor(fmt.Sprint(name, l))) }
		plain := func(component interv.Component, x [][]float64) [][]float64 {
			return at(interv.Site{Layer: l, Component: component}, 0, cube{x})[0]
		}
		byHead := func(component interv.Component, x [][]float64) cube {
			split := make(cube, m.heads)
			for h := range split {
				for _, row := range x {
					split[h] = append(split[h], slices.Clone(row[h*m.head:(h+1)*m.head]))
				}
			}
			return at(interv.Site{Layer: l, Component: component}, 0, split)
		}
		x = plain(blockInput, x)
		q := byHead(headQueries, plain(queries, times(x, weight("query"))))
		k, v := byHead(headKeys, times(x, weight("key"))), byHead(headValues, times(x, weight("value")))
		probabilities := make(cube, m.heads)
		for h := range probabilities {
			scores := times(q[h], turned(k[h]))
			for i := range scores {
				for j := range scores[i] {
					if scores[i][j] /= math.Sqrt(float64(m.head)); j > i || j < start || j >= end {
						scores[i][j] = -1e9
					}
				}
				probabilities[h] = append(probabilities[h], softmax(scores[i]))
			}
		}
		probabilities = at(interv.Site{Layer: l, Component: weighing}, 0, probabilities)
		z := make(cube, m.heads)
		for h := range z {
			z[h] = times(probabilities[h], v[h])
		}
		z = at(interv.Site{Layer: l, Component: headMixed}, 0, z)
		side := make([][]float64, len(x))
		for i := range side {
			for h := range z {
				side[i] = append(side[i], z[h][i]...)
			}
		}
		x = plus(x, plain(attends, times(plain(mixed, side), weight("output"))))
		hidden := plain(mlpHidden, each(times(plain(mlpInput, x), weight("up")), math.Tanh))
		x = plain(blockOutput, plus(x, plain(mlpOutput, times(hidden, weight("down")))))
	}
	return slices.Concat(times(x, matrix(m.weights.Tensor("score")))...)
}

func softmax(x []float64) []float64 {
	y, sum := make([]float64, len(x)), 0.0
	for i := range x {
		y[i] = math.Exp(x[i] - slices.Max(x))
		sum += y[i]
	}
	for i := range y {
		y[i] /= sum
	}
	return y
}

// hostGRU is a gru.Model without a mask on the left.
type hostGRU struct{ *gru.Model }

func (m hostGRU) run(x [][]float64, _, end int, at announce) []float64 {
	d := m.Config().Width
	thirds := func(x []float64) [3][]float64 { return [3][]float64{x[:d], x[d : 2*d], x[2*d:]} }
	for l := range m.Config().Layers {
		site := func(component interv.Component) interv.Site { return interv.Site{Layer: l, Component: component} }
		linear := func(x [][]float64, name string) [][]float64 {
			name = fmt.Sprintf("gru.cells.%d.%s.", l, name)
			y := times(x, turned(matrix(m.Weights().Tensor(name+"weight"))))
			if bias := m.Weights().Tensor(name + "bias"); bias != nil {
				y = plus(y, slices.Repeat([][]float64{numbers(bias)}, len(y)))
			}
			return y
		}
		x = at(site(gru.CellInput), 0, cube{x})[0]
		x2h := at(site(gru.X2HOutput), 0, cube{linear(x, "x2h")})[0]
		var parts [3][][]float64
		for _, row := range x2h {
			for i, third := range thirds(row) {
				parts[i] = append(parts[i], third)
			}
		}
		for i, component := range []interv.Component{gru.ResetX2HOutput, gru.UpdateX2HOutput, gru.NewX2HOutput} {
			parts[i] = at(site(component), 0, cube{parts[i]})[0]
		}
		h := make([]float64, d)
		var states [][]float64
		for t := range x {
			step := func(component interv.Component, x []float64) []float64 {
				return at(site(component), t, cube{{x}})[0][0]
			}
			h2h := thirds(step(gru.H2HOutput, linear([][]float64{h}, "h2h")[0]))
			hr, hu, hn := step(gru.ResetH2HOutput, h2h[0]), step(gru.UpdateH2HOutput, h2h[1]), step(gru.NewH2HOutput, h2h[2])
			gate := func(in, out interv.Component, f func(k int) float64, squash func(float64) float64) []float64 {
				argument := make([]float64, d)
				for k := range argument {
					argument[k] = f(k)
				}
				return step(out, each([][]float64{step(in, argument)}, squash)[0])
			}
			r := gate(gru.ResetGateInput, gru.ResetGateOutput, func(k int) float64 { return parts[0][t][k] + hr[k] }, sigmoid)
			u := gate(gru.UpdateGateInput, gru.UpdateGateOutput, func(k int) float64 { return parts[1][t][k] + hu[k] }, sigmoid)
			n := gate(gru.NewGateInput, gru.NewGateOutput, func(k int) float64 { return parts[2][t][k] + r[k]*hn[k] }, math.Tanh)
			state := make([]float64, d)
			for k := range state {
				state[k] = u[k]*h[k] + (1-u[k])*n[k]
			}
			h = step(gru.CellOutput, state)
			states = append(states, h)
		}
		x = states
	}
	return times(x[end-1:end], turned(matrix(m.Weights().Tensor("score.weight"))))[0]
}

// numbers are a tensor's elements, of any type, in float64.
func numbers(t *tensors.Tensor) (all []float64) {
	switch t.DType() {
	case dtypes.Float64:
		return tensors.MustCopyFlatData[float64](t)
	case dtypes.Int32:
		for _, value := range tensors.MustCopyFlatData[int32](t) {
			all = append(all, float64(value))
		}
	default:
		for _, value := range flat(t) {
			all = append(all, float64(value))
		}
	}
	return all
}

// as is a tensor of float64 or float32 with elements of another of the two types.
func as(dtype dtypes.DType, t *tensors.Tensor) *tensors.Tensor {
	if t.DType() == dtype {
		return t
	}
	if dtype == dtypes.Float64 {
		return tensors.FromFlatDataAndDimensions(numbers(t), t.Shape().Dimensions...)
	}
	narrow := make([]float32, t.Size())
	for i, value := range numbers(t) {
		narrow[i] = float32(value)
	}
	return tensors.FromFlatDataAndDimensions(narrow, t.Shape().Dimensions...)
}

func shapeOf(dtype dtypes.DType, dimensions ...int) shapes.Shape {
	return shapes.Make(dtype, dimensions...)
}

// mapped applies f to every element of a tensor.
func mapped(t *tensors.Tensor, f func(float64) float64) *tensors.Tensor {
	values := each([][]float64{numbers(t)}, f)[0]
	return as(t.DType(), tensors.FromFlatDataAndDimensions(values, t.Shape().Dimensions...))
}

func sorted[Value any](m map[string]Value) []string { return slices.Sorted(maps.Keys(m)) }
