package das

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/backend"
)

// Both ways to the change that alignments make, by coordinates and by projections, are the formula; both come up among these shapes.
func TestChangesAreTheFormula(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 0))
	draw := func(dimensions ...int) *tensors.Tensor {
		size := 1
		for _, d := range dimensions {
			size *= d
		}
		flat := make([]float32, size)
		for i := range flat {
			flat[i] = float32(random.NormFloat64())
		}
		return tensors.FromFlatDataAndDimensions(flat, dimensions...)
	}
	engine := backend.MustNew()
	for n, shape := range [][]int{{3, 6, 1, 5, 1}, {2, 7, 7, 4, 2}, {1, 5, 2, 3, 3}, {4, 3, 3, 2, 1}} {
		count, width, columns, batch, variables := shape[0], shape[1], shape[2], shape[3], shape[4]
		rotations, selected, differences := draw(count, width, columns), draw(variables, count, columns), draw(batch, variables, width)
		got := tensors.MustCopyFlatData[float32](MustNewExec(engine, change).MustCall1(rotations, selected, differences))
		r, m, s := tensors.MustCopyFlatData[float32](rotations), tensors.MustCopyFlatData[float32](selected), tensors.MustCopyFlatData[float32](differences)
		for i := range got {
			d, a, b := i%width, i/width%count, i/width/count
			want := 0.0
			for v := range variables {
				for k := range columns {
					coordinate := 0.0
					for j := range width {
						coordinate += float64(s[(b*variables+v)*width+j]) * float64(r[(a*width+j)*columns+k])
					}
					want += float64(m[(v*count+a)*columns+k]) * coordinate * float64(r[(a*width+d)*columns+k])
				}
			}
			if math.Abs(float64(got[i])-want) > 1e-4*(1+math.Abs(want)) {
				t.Fatalf("case %d, %s: got %g, wanted %g", n, fmt.Sprint(b, a, d), got[i], want)
			}
		}
	}
}
