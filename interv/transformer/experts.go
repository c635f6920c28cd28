package transformer

import (
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// experts is a mixture: each token's output is the sum of the outputs of its best ExpertsPerToken experts, by the router's scores,
// weighted by the softmax of these scores. All experts are computed for all tokens, and those that do not count have weight 0, so that
// the weights can be intervened on and gradients reach the router. [batch, positions, d] → [batch, positions, d].
func (l layer) experts(x *Node) *Node {
	scores := l.linear(router, l.at(RouterInput, x))
	best := largest(scores, l.config.MLP.ExpertsPerToken)
	shares := Softmax(Where(best, scores, Scalar(scores.Graph(), scores.DType(), -1e30)), -1)
	shares = l.at(RouterOutput, shares) // [batch, positions, experts]
	x = l.at(ExpertInput, x)
	shares = l.tap.Rows(shares)

	batch, length, d, count := x.Shape().Dim(0), x.Shape().Dim(1), x.Shape().Dim(2), shares.Shape().Dim(2)
	each := BroadcastToDims(Reshape(x, 1, batch*length, d), count, batch*length, d)
	each = l.expertsLinear(expertDown, l.clampedSwiglu(l.expertsLinear(expertGateUp, each)))
	weighted := Mul(each, ExpandDims(Transpose(Reshape(shares, batch*length, count), 0, 1), -1))
	return l.at(ExpertOutput, Reshape(ReduceSum(weighted, 0), batch, length, d))
}

// expertsLinear projects with each expert's own weights: [experts, tokens, in] → [experts, tokens, out].
func (l layer) expertsLinear(p part, x *Node) *Node {
	y := DotGeneral(x, []int{-1}, []int{0}, l.weight(l.index, p, ""), []int{1}, []int{0})
	return Add(y, ExpandDims(l.weight(l.index, p, "_bias"), 1))
}

// clampedSwiglu is (clamp(up, ±L) + 1) ⊙ g·σ(1.702g) with g = min(gate, L); gate and up alternate: [experts, tokens, 2n] → [.., n].
func (l layer) clampedSwiglu(x *Node) *Node {
	limit := l.config.MLP.Limit
	pairs := Reshape(x, x.Shape().Dim(0), x.Shape().Dim(1), -1, 2)
	g := MinScalar(Squeeze(features(pairs, 0, 1), -1), limit)
	y := ClipScalar(Squeeze(features(pairs, 1, 2), -1), -limit, limit)
	return Mul(OnePlus(y), Mul(g, Sigmoid(MulScalar(g, 1.702))))
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
