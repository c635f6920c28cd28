// Package adam is the optimizer of everything that is trained here: Kingma and Ba, "Adam: A Method for Stochastic Optimization" (2015),
// algorithm 1. GoMLX's own optimizer keeps its state in a Store and moves a parameter by itself; a rotation needs the update, which it
// follows along its manifold.
package adam

import (
	"math"

	. "github.com/gomlx/gomlx/core/graph"
)

// Decays are β₁ and β₂, of the running means of gradients and of their squares.
type Decays struct{ Mean, Square float64 }

// Usual are the paper's decays.
var Usual = Decays{0.9, 0.999}

const epsilon = 1e-8

// Unbias are the factors that undo the means' bias towards 0 at a step, which counts from 0: 1/(1−β₁^(step+1)) and 1/(1−β₂^(step+1)).
func (d Decays) Unbias(step int) (mean, square float64) {
	n := float64(step + 1)
	return 1 / (1 - math.Pow(d.Mean, n)), 1 / (1 - math.Pow(d.Square, n))
}

// Update adds a step to a graph. It returns what, times the learning rate, is to be subtracted from the parameter, and the new means:
//
//	m ← β₁ m + (1 − β₁) g   v ← β₂ v + (1 − β₂) g²   update = m̂ / (√v̂ + 1e-8), with m̂ and v̂ unbiased
func (d Decays) Update(gradient, mean, square, unbiasMean, unbiasSquare *Node) (update, newMean, newSquare *Node) {
	mean = Add(MulScalar(mean, d.Mean), MulScalar(gradient, 1-d.Mean))
	square = Add(MulScalar(square, d.Square), MulScalar(Square(gradient), 1-d.Square))
	return Div(Mul(mean, unbiasMean), AddScalar(Sqrt(Mul(square, unbiasSquare)), epsilon)), mean, square
}
