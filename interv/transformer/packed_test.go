package transformer_test

import (
	"context"
	"math"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/metric"
	"github.com/govene/govene/interv/sweep"
	"github.com/govene/govene/interv/transformer"
)

// Blocks on columns compute what the whole model does: in every family, a sweep that restores a position has the numbers of single calls.
func TestBlocksOnColumns(t *testing.T) {
	for name := range tiny {
		t.Run(name, func(t *testing.T) {
			if (testing.Short() || engine.Name() == "xla") && !strings.Contains(name, "alibi") {
				t.Skip("seven programs for every family, which XLA compiles in seconds")
			}
			model := tinyModel[float32](t, name)
			mask := tensors.FromFlatDataAndDimensions([]int32{1, 1, 1, 1, 1, 0, 1, 1, 1, 1}, 2, 5)
			inputs := func(ids ...int32) interv.Inputs {
				return interv.Inputs{interv.InputIDs: tensors.FromFlatDataAndDimensions(ids, 2, 5), interv.AttentionMask: mask}
			}
			s := sweep.Sweep{Base: inputs(1, 2, 3, 4, 5, 6, 7, 8, 9, 10), Source: inputs(11, 12, 3, 14, 5, 6, 17, 18, 9, 20),
				Components: []interv.Component{transformer.BlockOutput}, Positions: sweep.At(1, 3), Metric: metric.Logit{Tokens: []int{3}}}
			r, err := sweep.Run(context.Background(), engine, model, s)
			if err != nil {
				t.Fatal(err)
			}
			for i, cell := range r.Cells {
				patch := interv.MustNew(engine, model, interv.Config{Representations: []interv.Representation{{Layer: cell.Layer, Component: cell.Component, Intervention: interv.Vanilla{}}}})
				units := interv.Repeat(2, cell.Place.At[0]...)
				single := patch.MustRun(interv.Call{Base: s.Base, Sources: []interv.Inputs{s.Source}, Locations: []*interv.Location{interv.FromTo(units, units)},
					Metrics: []interv.Measure{{Metric: s.Metric}}}).MustMetric("logit")
				for pair := range single {
					if math.Abs(single[pair]-r.Values[i][pair]) > 1e-4*(1+math.Abs(single[pair])) {
						t.Errorf("layer %d, position %v, pair %d: got %g, wanted %g", cell.Layer, cell.Place.At, pair, r.Values[i][pair], single[pair])
					}
				}
			}
		})
	}
}
