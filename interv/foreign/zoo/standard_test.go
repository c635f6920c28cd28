package zoo_test

import (
	"fmt"
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/govene/govene/interv"
	names "github.com/govene/govene/interv/transformer"
)

// bert is the zoo's standard block once more, in plain operations and with taps: attention and MLP, each followed by the residual sum and
// a norm. It shares sizes and weights with a foreign model, and no code.
type bert struct {
	interv.Model
	layers, heads, head int
}

func (m bert) Forward(weights, inputs interv.Nodes, tap *interv.Tap) *Node {
	ids := inputs["input_ids"]
	batch, positions := ids.Shape().Dim(0), ids.Shape().Dim(1)
	linear := func(path string, x *Node) *Node {
		y := Einsum("bti,io->bto", x, weights[path+"/dense/weights"])
		if bias := weights[path+"/dense/biases"]; bias != nil {
			y = Add(y, ExpandLeftToRank(bias, 3))
		}
		return y
	}
	norm := func(path string, x *Node) *Node {
		x = Sub(x, ReduceAndKeep(x, ReduceMean, -1))
		x = Div(x, Sqrt(AddScalar(ReduceAndKeep(Square(x), ReduceMean, -1), 1e-5)))
		path += "/layer_normalization/"
		return Add(Mul(x, ExpandLeftToRank(weights[path+"gain"], 3)), ExpandLeftToRank(weights[path+"offset"], 3))
	}
	x := Gather(weights["/token_embed/embeddings"], ExpandDims(ids, -1))
	x = tap.At(interv.Site{Component: names.Embedding}, x)
	x = Add(x, ExpandDims(SliceAxis(weights["/pos_embed/embeddings"], 0, AxisRange(0, positions)), 0))
	x = norm("/embed_norm", x)
	for l := range m.layers {
		at := func(component interv.Component, x *Node) *Node {
			return tap.At(interv.Site{Layer: l, Component: component}, x)
		}
		path := fmt.Sprintf("/layer_%d/", l)
		byHeads := func(component interv.Component, x *Node) *Node {
			return at(component, TransposeAllAxes(Reshape(x, batch, positions, m.heads, m.head), 0, 2, 1, 3))
		}
		x = at(names.BlockInput, x)
		read := at(names.AttentionInput, x)
		project := func(name string, plain, headed interv.Component) *Node {
			return byHeads(headed, at(plain, linear(path+"attn/MultiHeadAttention/"+name, read)))
		}
		q := project("query", names.QueryOutput, names.HeadQueryOutput)
		k := project("key", names.KeyOutput, names.HeadKeyOutput)
		v := project("value", names.ValueOutput, names.HeadValueOutput)
		scores := DivScalar(Einsum("bhqd,bhkd->bhqk", q, k), math.Sqrt(float64(m.head)))
		row := Iota(x.Graph(), shapes.Make(dtypes.Int32, scores.Shape().Dimensions...), 2)
		column := Iota(x.Graph(), shapes.Make(dtypes.Int32, scores.Shape().Dimensions...), 3)
		scores = Where(GreaterOrEqual(row, column), scores, AddScalar(ZerosLike(scores), -1e9))
		mixed := at(names.HeadAttentionValueOutput, Einsum("bhqk,bhkd->bhqd", Softmax(scores, -1), v))
		mixed = at(names.AttentionValueOutput, Reshape(TransposeAllAxes(mixed, 0, 2, 1, 3), batch, positions, -1))
		attended := at(names.AttentionOutput, linear(path+"attn/MultiHeadAttention/output", mixed))
		x = norm(path+"norm1", at(names.ResidualMiddle, Add(x, attended)))
		hidden := linear(path+"ff1", at(names.MLPInput, x))
		hidden = Mul(hidden, MulScalar(OnePlus(Erf(DivScalar(hidden, math.Sqrt2))), 0.5))
		y := at(names.MLPOutput, linear(path+"ff2", at(names.MLPActivation, hidden)))
		x = at(names.BlockOutput, norm(path+"norm2", Add(x, y)))
	}
	return linear("/output", x)
}
