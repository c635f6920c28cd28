package transformer

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// experts is a mixture: each token's output is the sum of the outputs of its best experts, by the router's scores, weighted by their
// shares. All experts are computed for all tokens, and those that do not count have share 0, so that shares and each expert's output can be
// intervened on and gradients reach the router. [batch, positions, d] → [batch, positions, d].
func (l layer) experts(x *Node) *Node {
	m := l.config.Mixture
	scores := l.at(RouterScores, l.linear(router, l.at(RouterInput, x)))
	shares := l.tap.Rows(l.at(RouterOutput, narrow(m.shares(wide(scores)), x))) // [batch, positions, experts]
	x = l.at(ExpertInput, x)
	batch, length, d := x.Shape().Dim(0), x.Shape().Dim(1), x.Shape().Dim(2)
	each := l.expertsLinear(expertDown, l.gated(l.expertsLinear(expertGateUp, Reshape(x, 1, batch*length, d))))
	each = TransposeAllAxes(Reshape(each, m.Experts, d, batch, length), 2, 0, 3, 1)
	each = l.at(EachExpertOutput, each) // [batch, experts, positions, d]
	shares = l.tap.Rows(shares)
	weighted := Mul(wide(each), wide(ExpandDims(TransposeAllAxes(shares, 0, 2, 1), -1)))
	return l.at(ExpertOutput, narrow(ReduceSum(weighted, 1), x))
}

// shares of the experts, from the router's scores, [batch, positions, experts]: 0 for those that do not count.
func (m Mixture) shares(scores *Node) *Node {
	best := largest(scores, m.PerToken)
	if m.SharesOfAll {
		shares := Softmax(scores, -1)
		return Where(best, shares, ZerosLike(shares))
	}
	return Softmax(Where(best, scores, Scalar(scores.Graph(), scores.DType(), -1e30)), -1)
}

// expertsLinear projects with each expert's own weights: x, [1, tokens, in], which all experts read, or [experts, in, tokens] →
// [experts, out, tokens].
func (l layer) expertsLinear(p part, x *Node) *Node {
	weight, bias := l.weight(l.index, p, ""), l.weight(l.index, p, "_bias")
	in := 2
	if l.config.Mixture.Projections == Interleaved { // [experts, in, out]
		in = 1
	}
	var y *Node
	if count := weight.Shape().Dim(0); x.Shape().Dim(0) == 1 && in == 2 {
		y = narrowDot(weight, []int{in}, nil, Squeeze(x, 0), []int{1}, nil)
	} else if x.Shape().Dim(0) == 1 {
		x = BroadcastToDims(x, count, x.Shape().Dim(1), x.Shape().Dim(2))
		y = narrowDot(weight, []int{in}, []int{0}, x, []int{2}, []int{0})
	} else {
		y = narrowDot(weight, []int{in}, []int{0}, x, []int{1}, []int{0})
	}
	if bias != nil {
		y = Add(y, ExpandDims(bias, -1))
	}
	return y
}

// gated is act(gate) ⊙ up, or (clamp(up, ±L) + 1) ⊙ g·σ(1.702g) with g = min(gate, L): [experts, 2n, tokens] → [experts, n, tokens].
func (l layer) gated(x *Node) *Node {
	m, narrowed := l.config.Mixture, x
	x = wide(x)
	count, tokens := x.Shape().Dim(0), x.Shape().Dim(2)
	if m.Projections == Interleaved {
		x = Transpose(Reshape(x, count, m.Width, 2, tokens), 1, 2)
	} else {
		x = Reshape(x, count, 2, m.Width, tokens)
	}
	gate, up := Squeeze(SliceAxis(x, 1, AxisElem(0)), 1), Squeeze(SliceAxis(x, 1, AxisElem(1)), 1)
	if m.Limit == 0 {
		return narrow(Mul(l.config.MLP.Activation.Apply(gate), up), narrowed)
	}
	gate, up = MinScalar(gate, m.Limit), ClipScalar(up, -m.Limit, m.Limit)
	return narrow(Mul(OnePlus(up), Mul(gate, Sigmoid(MulScalar(gate, 1.702)))), narrowed)
}

// largest marks the count largest entries of the last axis, the first of equals.
func largest(x *Node, count int) *Node {
	dimensions := append(x.Shape().Clone().Dimensions, x.Shape().Dim(-1))
	one := BroadcastToDims(ExpandDims(x, -1), dimensions...)
	other := BroadcastToDims(ExpandDims(x, -2), dimensions...)
	index := shapes.Make(dtypes.Int32, dimensions...)
	earlier := LessThan(Iota(x.Graph(), index, x.Rank()), Iota(x.Graph(), index, x.Rank()-1))
	above := LogicalOr(GreaterThan(other, one), LogicalAnd(Equal(other, one), earlier))
	rank := ReduceSum(ConvertDType(above, dtypes.Int32), -1)
	return LessThan(rank, Scalar(x.Graph(), dtypes.Int32, count))
}
