package interv_test

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/draw"
	"github.com/govene/govene/interv"
)

// attention is a small transformer for tests of sites with heads. In each layer, with x the stream [batch, positions, width],
//
//	x ← x + W_o [A_1 v_1, …, A_H v_H]    q, k, v = x W_q, x W_k, x W_v    A_h = softmax(q_h k_hᵀ / √head)
//	x ← x + W_2 tanh(W_1 x)
//
// where a position sees those up to itself that are not padding, and heads · head need not be the width. The output is x W, [batch,
// positions, classes]. Inputs are inputs_embeds and, for padding on both sides, attention_mask.
type attention struct {
	layers, width, heads, head, classes int
	weights                             *interv.Weights
}

const (
	blockInput  interv.Component = "block_input"
	queries     interv.Component = "query_output" // [batch, positions, heads · head]
	headQueries interv.Component = "head_query_output"
	headKeys    interv.Component = "head_key_output"
	headValues  interv.Component = "head_value_output"
	weighing    interv.Component = "attention_weight" // [batch, heads, positions, positions]
	headMixed   interv.Component = "head_attention_value_output"
	mixed       interv.Component = "attention_value_output" // [batch, positions, heads · head]
	attends     interv.Component = "attention_output"
	mlpInput    interv.Component = "mlp_input"
	mlpHidden   interv.Component = "mlp_activation"
	mlpOutput   interv.Component = "mlp_output"
	blockOutput interv.Component = "block_output"
)

// newAttention draws a model's weights from the seed.
func newAttention(layers, width, heads, head int, dtype dtypes.DType, seed uint64) *attention {
	m := &attention{layers: layers, width: width, heads: heads, head: head, classes: 3}
	r := rand.New(rand.NewPCG(seed, 7))
	var shapes []interv.WeightShape
	add := func(name string, in, out int) {
		shapes = append(shapes, interv.WeightShape{Name: name, Dimensions: []int{in, out}})
	}
	for l := range layers {
		for _, name := range []string{"query", "key", "value"} {
			add(fmt.Sprint(name, l), width, heads*head)
		}
		add(fmt.Sprint("output", l), heads*head, width)
		add(fmt.Sprint("up", l), width, width+1)
		add(fmt.Sprint("down", l), width+1, width)
	}
	add("score", width, m.classes)
	values := map[string]*tensors.Tensor{}
	for _, s := range shapes {
		values[s.Name] = normal(r, dtype, s.Dimensions...)
	}
	weights, err := interv.NewWeights(shapes, values)
	if err != nil {
		panic(err)
	}
	m.weights = weights
	return m
}

// normal draws standard normal numbers.
func normal(r *rand.Rand, dtype dtypes.DType, dimensions ...int) *tensors.Tensor {
	return as(dtype, draw.Tensor(r.NormFloat64, dimensions...))
}

func (m *attention) Weights() *interv.Weights { return m.weights }

func (m *attention) Catalogue() interv.Catalogue {
	positions, heads := []interv.Unit{interv.Position}, []interv.Unit{interv.Head, interv.HeadPosition, interv.Position}
	sites := []interv.Sites{
		{Component: blockInput, Width: m.width, Units: positions},
		{Component: queries, Width: m.heads * m.head, Units: positions},
		{Component: headQueries, Width: m.head, Heads: m.heads, Units: heads},
		{Component: headKeys, Width: m.head, Heads: m.heads, Units: heads},
		{Component: headValues, Width: m.head, Heads: m.heads, Units: heads},
		{Component: weighing, Heads: m.heads, Units: heads},
		{Component: headMixed, Width: m.head, Heads: m.heads, Units: heads},
		{Component: mixed, Width: m.heads * m.head, Units: positions},
		{Component: attends, Width: m.width, Units: positions},
		{Component: mlpInput, Width: m.width, Units: positions},
		{Component: mlpHidden, Width: m.width + 1, Units: positions},
		{Component: mlpOutput, Width: m.width, Units: positions, Input: mlpInput},
		{Component: blockOutput, Width: m.width, Units: positions, Input: blockInput},
	}
	for i := range sites {
		sites[i].Layers = m.layers
	}
	return interv.Catalogue{Model: "attention", Sites: sites}
}

func (m *attention) Check(inputs interv.Inputs) (interv.Extent, error) {
	if err := inputs.Only("inputs_embeds", "attention_mask"); err != nil {
		return interv.Extent{}, err
	}
	return inputs.RequireSequence(0, m.width, m.weights.DType())
}

// realPositions finds where the ones of each row of a mask begin and end.
func realPositions(mask *tensors.Tensor) (starts, ends []int) {
	positions := mask.Shape().Dim(1)
	for i, value := range tensors.MustCopyFlatData[int32](mask) {
		if i%positions == 0 {
			starts, ends = append(starts, -1), append(ends, 0)
		}
		if example := i / positions; value == 1 {
			if starts[example] < 0 {
				starts[example] = i % positions
			}
			ends[example] = i%positions + 1
		}
	}
	return starts, ends
}

func (m *attention) Forward(weights, inputs interv.Nodes, tap *interv.Tap) *Node {
	x := inputs["inputs_embeds"]
	g, positions := x.Graph(), x.Shape().Dim(1)
	sees := ExpandDims(LowerTriangular(g, positions), 0, 0)
	if mask := inputs["attention_mask"]; mask != nil {
		real := ExpandDims(ConvertDType(mask, dtypes.Bool), 1, 1)
		dimensions := []int{mask.Shape().Dim(0), 1, positions, positions}
		sees = LogicalAnd(BroadcastToDims(sees, dimensions...), BroadcastToDims(real, dimensions...))
	}
	for l := range m.layers {
		at := func(component interv.Component, x *Node) *Node {
			return tap.At(interv.Site{Layer: l, Component: component}, x)
		}
		project := func(x *Node, name string) *Node {
			return DotGeneral(x, []int{-1}, nil, weights[fmt.Sprint(name, l)], []int{0}, nil)
		}
		split := func(x *Node) *Node { return Transpose(Reshape(x, x.Shape().Dim(0), positions, m.heads, m.head), 1, 2) }
		x = at(blockInput, x)
		q := at(headQueries, split(at(queries, project(x, "query"))))
		k, v := at(headKeys, split(project(x, "key"))), at(headValues, split(project(x, "value")))
		scores := MulScalar(Einsum("bhqd,bhkd->bhqk", q, k), 1/math.Sqrt(float64(m.head)))
		scores = Where(BroadcastToDims(sees, scores.Shape().Dimensions...), scores, AddScalar(ZerosLike(scores), -1e9))
		z := at(headMixed, Einsum("bhqk,bhkd->bhqd", at(weighing, Softmax(scores, -1)), v))
		z = at(mixed, Reshape(Transpose(z, 1, 2), z.Shape().Dim(0), positions, -1))
		x = Add(x, at(attends, project(z, "output")))
		x = at(blockOutput, Add(x, at(mlpOutput, project(at(mlpHidden, Tanh(project(at(mlpInput, x), "up"))), "down"))))
	}
	return DotGeneral(x, []int{-1}, nil, weights["score"], []int{0}, nil)
}
