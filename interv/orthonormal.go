package interv

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/host"
)

// Rotations are kept orthonormal by moving on the manifold of orthonormal matrices, not by a map from free parameters: R itself
// is the parameter, a step follows the tangent part of the gradient, and a retraction takes the result back (Absil, Mahony and
// Sepulchre, "Optimization Algorithms on Matrix Manifolds", 2008, chapters 3 and 4). A forward pass thus costs nothing for it.

// orthonormalTolerance is how far an entry of RᵀR may be from that of I in a matrix that is handed in.
const orthonormalTolerance = 1e-4

// RandomOrthonormal draws a float32 matrix [rows, columns] with orthonormal columns, uniformly among such matrices: a matrix of
// standard normal entries, orthonormalized in float64. columns is at most rows.
func RandomOrthonormal(rows, columns int, random *rand.Rand) *tensors.Tensor {
	matrix := make([]float64, rows*columns)
	for i := range matrix {
		matrix[i] = random.NormFloat64()
	}
	orthonormalize(matrix, rows, columns)
	return host.Tensor(matrix, dtypes.Float32, rows, columns)
}

// orthonormalize turns the columns of matrix, row by row [rows, columns], into orthonormal ones that span the same subspaces, by
// modified Gram–Schmidt, twice for accuracy. It keeps the sign of the projection of each column on its old self.
func orthonormalize(matrix []float64, rows, columns int) {
	transposed := transpose(matrix, rows, columns) // columns lie side by side in memory
	column := func(j int) []float64 { return transposed[j*rows : (j+1)*rows] }
	for j := range columns {
		x := column(j)
		for range 2 {
			for earlier := range j {
				addScaled(x, -dot(column(earlier), x), column(earlier))
			}
			norm := math.Sqrt(dot(x, x))
			for i := range x {
				x[i] /= norm
			}
		}
	}
	copy(matrix, transpose(transposed, columns, rows))
}

// checkOrthonormal refuses a matrix whose columns are not orthonormal.
func checkOrthonormal(matrix []float64, rows, columns int) error {
	transposed := transpose(matrix, rows, columns)
	for a := range columns {
		for b := range a + 1 {
			want := 0.0
			if a == b {
				want = 1
			}
			if product := dot(transposed[a*rows:(a+1)*rows], transposed[b*rows:(b+1)*rows]); math.Abs(product-want) > orthonormalTolerance {
				return &Error{Axis: "orthonormality", Got: fmt.Sprintf("columns %d and %d with a product of %.6g", b, a, product),
					Wanted: fmt.Sprintf("%g within %g", want, orthonormalTolerance)}
			}
		}
	}
	return nil
}

// dot is the inner product, in four sums that the processor adds at the same time.
func dot(a, b []float64) float64 {
	b = b[:len(a)]
	var sums [4]float64
	i := 0
	for ; i+4 <= len(a); i += 4 {
		sums[0] += a[i] * b[i]
		sums[1] += a[i+1] * b[i+1]
		sums[2] += a[i+2] * b[i+2]
		sums[3] += a[i+3] * b[i+3]
	}
	for ; i < len(a); i++ {
		sums[0] += a[i] * b[i]
	}
	return sums[0] + sums[1] + sums[2] + sums[3]
}

// addScaled adds factor · y to x.
func addScaled(x []float64, factor float64, y []float64) {
	y = y[:len(x)]
	for i := range x {
		x[i] += factor * y[i]
	}
}

// tangent projects the gradient g of an orthonormal r, both [d, k], on the directions in which r can move:
// G − R (RᵀG + GᵀR)/2.
func tangent(r, g *Node) *Node {
	both := product(r, []int{0}, g, []int{0})
	symmetric := MulScalar(Add(both, Transpose(both, 0, 1)), 0.5)
	return Sub(g, project(r, symmetric))
}

// retract returns the matrix with orthonormal columns nearest to x = R + Δ, [d, k], for orthonormal R and Δ tangent at R: its polar
// factor X (XᵀX)^(-1/2). As XᵀX = I + ΔᵀΔ, the singular values of X are at least 1; divided by a bound on the largest they lie in
// (0, 1], where the Newton–Schulz iteration X ← X (3 I − XᵀX)/2 takes them to 1 (Higham, "Functions of Matrices", 2008, section 8.3).
// The bound is the root of the largest row sum of |XᵀX|. An ordinary step of training needs three or four iterations; a Δ so large that
// the iteration ends before the columns are orthonormal has not converged. It has no gradient.
func retract(x *Node) (retracted, converged *Node) {
	g, size := x.Graph(), x.Shape().Dim(1)
	gramOf := func(x *Node) *Node { return product(x, []int{0}, x, []int{0}) }
	iterate := func(x, gram, a, b *Node) *Node { return Sub(Mul(x, a), Mul(project(x, gram), b)) }
	gram := gramOf(x)
	largest := ReduceAllMax(ReduceSum(Abs(gram), 1)) // at least the square of each singular value
	x, gram = Div(x, Sqrt(largest)), Div(gram, largest)
	// The closures of a While can neither use nodes of the graph around them (XLA) nor share its cached scalars (GoMLX), so that what
	// they need is part of the state. They have no Reduce either.
	bound := max(retractionError, float64(size)*retractionRounding)
	state := []*Node{
		Scalar(g, dtypes.Int32, 0), Scalar(g, dtypes.Int32, 1), Scalar(g, dtypes.Int32, retractionRounds), x, gram,
		ConvertDType(Diagonal(g, size), x.DType()), Scalar(g, x.DType(), 1.5), Scalar(g, x.DType(), 0.5), Scalar(g, x.DType(), bound*bound),
	}
	within := func(build func(round, one, rounds, x, gram, identity, a, b, bound *Node) []*Node) *Function {
		return NewClosure(g, func(g *Graph) []*Node {
			n := make([]*Node, len(state))
			for i, node := range state {
				n[i] = Parameter(g, fmt.Sprint("state", i), node.Shape())
			}
			return build(n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8])
		})
	}
	goOn := within(func(round, _, rounds, _, gram, identity, _, _, bound *Node) []*Node {
		error := Sub(gram, identity)
		squares := product(error, []int{0, 1}, error, []int{0, 1})
		return []*Node{LogicalAnd(GreaterThan(squares, bound), LessThan(round, rounds))}
	})
	once := within(func(round, one, rounds, x, gram, identity, a, b, bound *Node) []*Node {
		next := iterate(x, gram, a, b)
		return []*Node{Add(round, one), one, rounds, next, gramOf(next), identity, a, b, bound}
	})
	near := While(goOn, once, state...)
	converged = LessOrEqual(ReduceAllSum(Square(Sub(near[4], state[5]))), MulScalar(state[8], 4)) // not a matter of rounding
	return iterate(near[3], near[4], state[6], state[7]), converged
}

// The iteration ends when the Frobenius norm of XᵀX − I is so small that one more, which squares it, leaves rounding alone; the norm
// that rounding itself has grows with the number of columns.
const (
	retractionError    = 5e-4
	retractionRounding = 5e-7
	retractionRounds   = 40 // bring a singular value of 1e-6 to 1
)
