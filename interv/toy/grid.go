package toy

import (
	"math"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/transformer"
)

// Long training is chaotic: a difference in the last digit of a sum, as processors and backends have, grows until other heads do the work. So the
// model runs with weights that are rounded to a grid, and steps follow the gradient at the rounded weights (the straight-through estimator of
// Bengio et al., "Estimating or Propagating Gradients Through Stochastic Neurons", 2013). What differs stays far below the grid and does not grow:
// XLA and pure Go come to the same bits.
const grid = 1.0 / (1 << 12)

// onGrid is a transformer that runs with rounded weights.
type onGrid struct{ *transformer.Model }

// WithWeights are the model's.
func (m onGrid) WithWeights(weights map[string]*tensors.Tensor) (onGrid, error) {
	with, err := m.Model.WithWeights(weights)
	return onGrid{with}, err
}

// Forward runs with rounded weights, whose gradients are those of the weights.
func (m onGrid) Forward(weights, inputs interv.Nodes, tap *interv.Tap) *Node {
	rounded := interv.Nodes{}
	for name, w := range weights {
		rounded[name] = Add(w, StopGradient(Sub(nearest(w), w)))
	}
	return m.Model.Forward(rounded, inputs, tap)
}

// nearest is w on the grid.
func nearest(w *Node) *Node { return MulScalar(Floor(AddScalar(MulScalar(w, 1/grid), 0.5)), grid) }

// rounded are the weights with which it runs.
func (m onGrid) rounded() map[string]*tensors.Tensor {
	weights := map[string]*tensors.Tensor{}
	for name, t := range m.Weights().All() {
		values := tensors.MustCopyFlatData[float64](t)
		for i, w := range values {
			values[i] = math.Floor(w/grid+0.5) * grid
		}
		weights[name] = tensors.FromFlatDataAndDimensions(values, t.Shape().Dimensions...)
	}
	return weights
}
