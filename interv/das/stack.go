package das

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/govene/govene/internal/adam"
	"github.com/govene/govene/interv"
)

// A stack is the alignments of one place that are trained together: rotations [alignments, d, columns], as many columns as the largest
// needs. Columns that an alignment lacks are 0 and stay so: their gradient is 0, and a retraction leaves them alone. Rows of the model are
// those of each example for all alignments, one example after the other, so that nothing large is ever transposed.

// change is what alignments add to the base [batch, alignments, d]: Σ_v (m_v ⊙ (s_v − b) R) Rᵀ, from the differences s_v − b [batch,
// variables, d] and the m [variables, alignments, columns]. It takes the way of fewer multiplications: Σ_v (s_v − b) R diag(m_v) Rᵀ is one
// product for all alignments, but one of d² for each.
func change(rotations, selected, differences *Node) *Node {
	count, width, columns := rotations.Shape().Dim(0), rotations.Shape().Dim(1), rotations.Shape().Dim(2)
	batch, variables := differences.Shape().Dim(0), differences.Shape().Dim(1)
	if variables*width <= (variables+1)*columns {
		masked := Mul(BroadcastToDims(ExpandDims(rotations, 0), variables, count, width, columns), BroadcastToDims(ExpandDims(selected, 2), variables, count, width, columns))
		projections := Transpose(Einsum("vadk,ajk->vadj", masked, rotations), 1, 2)
		all := MatMul(Reshape(differences, batch, variables*width), Reshape(projections, variables*width, count*width))
		return Reshape(all, batch, count, width)
	}
	var coordinates *Node // [batch, alignments, columns]
	for v := range variables {
		part := DotGeneral(Squeeze(SliceAxis(differences, 1, AxisElem(v)), 1), []int{1}, nil, rotations, []int{1}, nil)
		part = Mul(part, BroadcastToDims(SliceAxis(selected, 0, AxisElem(v)), part.Shape().Dimensions...))
		if coordinates == nil {
			coordinates = part
		} else {
			coordinates = Add(coordinates, part)
		}
	}
	return Einsum("bak,adk->bad", coordinates, rotations)
}

// intervened is the model's logits [batch · alignments, classes] with a change [batch, alignments, d] of the base's activations [batch,
// positions, d] at the place. From the place on the model runs on batch · alignments rows; what it computes up to there is not needed, as the
// base's activation is given.
func intervened(model interv.Model, weights, inputs interv.Nodes, place Place, base, change *Node) *Node {
	count, batch, positions, width := change.Shape().Dim(1), base.Shape().Dim(0), base.Shape().Dim(1), base.Shape().Dim(2)
	delta := Reshape(change, batch*count, 1, width)
	value := repeated(base, count)
	if positions > 1 {
		at := ConvertDType(Equal(Iota(value.Graph(), value.Shape(), 1), Scalar(value.Graph(), value.DType(), float64(place.Position))), value.DType())
		delta = Mul(at, BroadcastToDims(delta, value.Shape().Dimensions...))
	}
	value = Add(value, delta)
	rows := interv.Nodes{}
	for name, node := range inputs {
		rows[name] = repeated(node, count)
	}
	tap := interv.NewTap(func(_ *interv.Tap, a interv.Activation) *Node {
		if a.Site != place.Site {
			return a.Value
		}
		if a.Value.Rank() == 2 && a.Value.Shape().Dim(0) == count*batch { // a step, of which only one is edited
			if a.Offset != place.Position {
				return a.Value
			}
			return Squeeze(SliceAxis(value, 1, AxisElem(place.Position)), 1)
		}
		if !a.Value.Shape().Equal(value.Shape()) {
			panic(&interv.Error{Where: place.String(), Axis: "shape announced by the model", Got: a.Value.Shape().String(), Wanted: value.Shape().String()})
		}
		return value
	})
	g := value.Graph()
	tap.Wants(AddScalar(MulScalar(Iota(g, shapes.Make(dtypes.Int32, count*batch), 0), positions), positions-1))
	logits := model.Forward(weights, rows, tap)
	if logits.Rank() == 3 { // of the last position alone, or of all
		logits = Squeeze(SliceAxis(logits, 1, AxisElem(-1)), 1)
	}
	return logits
}

// repeated is x with each row so many times below itself.
func repeated(x *Node, count int) *Node {
	dimensions := x.Shape().Dimensions
	all := BroadcastToDims(ExpandDims(x, 1), slices.Insert(slices.Clone(dimensions), 1, count)...)
	return Reshape(all, append([]int{dimensions[0] * count}, dimensions[1:]...)...)
}

// crossEntropies are −log p of the labels [batch], [batch, alignments].
func crossEntropies(logits, labels *Node) *Node {
	wanted := BroadcastToDims(ExpandDims(OneHot(labels, logits.Shape().Dim(2), logits.DType()), 1), logits.Shape().Dimensions...)
	return Neg(ReduceSum(Mul(wanted, LogSoftmax(logits, -1)), -1))
}

// losses is each alignment's mean of −log p of the labels [batch].
func losses(logits, labels *Node) *Node { return ReduceMean(crossEntropies(logits, labels), 0) }

// right is 1 where the label has the largest logit, [batch, alignments].
func right(logits, labels *Node) *Node {
	best := ArgMax(logits, -1, dtypes.Int32)
	return ConvertDType(Equal(best, BroadcastToDims(ExpandDims(labels, 1), best.Shape().Dimensions...)), dtypes.Float32)
}

// tangents projects gradients of a stack on the directions in which rotations can move: G − R (RᵀG + GᵀR)/2.
func tangents(r, g *Node) *Node {
	both := Einsum("adk,adj->akj", r, g)
	return Sub(g, Einsum("adk,akj->adj", r, MulScalar(Add(both, Transpose(both, 1, 2)), 0.5)))
}

// retracts is the stack of matrices with orthonormal columns nearest to x; there [alignments, columns] is 1 for the columns that an
// alignment has. It is the iteration of package interv on all matrices at once, which ends when the last of them is near enough: so a matrix
// may be iterated more often than alone, which changes its last bits. sound is 1 if all are.
func retracts(x, there *Node) (retracted, sound *Node) {
	const bound, rounds = 2.5e-7, 40 // of the sum of squares of XᵀX − I, which one more iteration squares
	g := x.Graph()
	count, columns := x.Shape().Dim(0), x.Shape().Dim(2)
	gramOf := func(x *Node) *Node { return DotGeneral(x, []int{1}, []int{0}, x, []int{1}, []int{0}) }
	iterate := func(x, gram, a, b *Node) *Node {
		return Sub(Mul(x, a), Mul(DotGeneral(x, []int{2}, []int{0}, gram, []int{1}, []int{0}), b))
	}
	gram := gramOf(x)
	largest := Reshape(ReduceMax(ReduceSum(Abs(gram), 2), 1), count, 1, 1)
	x, gram = Div(x, BroadcastToDims(Sqrt(largest), x.Shape().Dimensions...)), Div(gram, BroadcastToDims(largest, gram.Shape().Dimensions...))
	square := []int{count, columns, columns}
	identity := Mul(BroadcastToDims(ExpandDims(ConvertDType(Diagonal(g, columns), x.DType()), 0), square...), BroadcastToDims(ExpandDims(there, 2), square...))
	state := []*Node{Scalar(g, dtypes.Int32, 0), Scalar(g, dtypes.Int32, 1), Scalar(g, dtypes.Int32, rounds), x, gram, identity,
		Scalar(g, x.DType(), 1.5), Scalar(g, x.DType(), 0.5), Scalar(g, x.DType(), bound)}
	within := func(build func(n []*Node) []*Node) *Function {
		return NewClosure(g, func(g *Graph) []*Node {
			n := make([]*Node, len(state))
			for i, node := range state {
				n[i] = Parameter(g, fmt.Sprint("state", i), node.Shape())
			}
			return build(n)
		})
	}
	goOn := within(func(n []*Node) []*Node {
		off := Sub(n[4], n[5])
		return []*Node{LogicalAnd(GreaterThan(DotGeneral(off, []int{0, 1, 2}, nil, off, []int{0, 1, 2}, nil), n[8]), LessThan(n[0], n[2]))}
	})
	once := within(func(n []*Node) []*Node {
		next := iterate(n[3], n[4], n[6], n[7])
		return []*Node{Add(n[0], n[1]), n[1], n[2], next, gramOf(next), n[5], n[6], n[7], n[8]}
	})
	near := While(goOn, once, state...)
	sound = LessOrEqual(ReduceAllSum(Square(Sub(near[4], identity))), Scalar(g, x.DType(), 4*bound))
	return iterate(near[3], near[4], state[6], state[7]), ConvertDType(sound, x.DType())
}

// moving is a parameter of a stack in a step, and Adam's running means.
type moving struct{ value, mean, square *Node }

// adam moves the means by a gradient, and says by how much the value is to change at a rate of 1.
func (m *moving) adam(gradient, unbiasMean, unbiasSquare *Node) (update *Node) {
	update, m.mean, m.square = adam.Usual.Update(gradient, m.mean, m.square, unbiasMean, unbiasSquare)
	return update
}

// perAlignment is x [alignments] for every element of what is shaped like like.
func perAlignment(x, like *Node) *Node {
	dimensions := slices.Repeat([]int{1}, like.Rank())
	dimensions[0] = -1
	return BroadcastToDims(Reshape(x, dimensions...), like.Shape().Dimensions...)
}

// settings of a step: which columns there are, the rates of each alignment and of masks by these, and what corrects Adam's bias.
type settings struct{ there, rates, maskRate, unbiasMean, unbiasSquare *Node }

// trainingStep is one step of Adam on a stack, for a loss that is the sum of all alignments': the new value and means of the rotations and of
// the masks, where they are learned, and 1 if all is finite.
func trainingStep(loss *Node, rotations, mask *moving, kind Kind, s settings) []*Node {
	var list []*Node
	if rotations != nil {
		list = append(list, rotations.value)
	}
	if mask != nil {
		list = append(list, mask.value)
	}
	gradients := Gradient(loss, list...)
	sound := Scalar(loss.Graph(), loss.DType(), 1)
	finite := func(m *moving) {
		sound = Mul(sound, ConvertDType(LogicalAnd(LogicalAll(IsFinite(m.value)), LogicalAll(IsFinite(m.square))), loss.DType()))
	}
	stopped := func(x *Node) *Node { return perAlignment(Equal(s.rates, ZerosLike(s.rates)), x) }
	var results []*Node
	if rotations != nil {
		r := rotations.value
		update := tangents(r, rotations.adam(tangents(r, gradients[0]), s.unbiasMean, s.unbiasSquare))
		next := Sub(r, Mul(perAlignment(s.rates, r), update))
		rotations.value = next
		finite(rotations)
		retracted, near := retracts(next, s.there)
		sound = Mul(sound, near)
		results = append(results, Where(stopped(r), r, retracted), rotations.mean, rotations.square)
	}
	if mask != nil {
		x := mask.value
		update := mask.adam(gradients[len(gradients)-1], s.unbiasMean, s.unbiasSquare)
		next := Sub(x, Mul(Mul(perAlignment(s.rates, x), s.maskRate), update))
		mask.value = next
		finite(mask)
		if kind == Boundless {
			next = ClipScalar(next, leastBoundary, 1)
		}
		results = append(results, Where(stopped(x), x, next), mask.mean, mask.square)
	}
	return append(results, sound)
}
