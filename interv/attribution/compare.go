package attribution

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/govene/govene/internal/must"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/plotting"
)

// Frame is the effects as a table for plots, one row for each unit of each pair: its component, layer, head, position and pair, and effect.
func (r *Result) Frame() *plotting.Frame {
	var components []string
	var layers, heads, positions, pairs []int
	var effects []float64
	for _, e := range r.Effects {
		for unit, value := range e.Values {
			components, layers = append(components, string(e.Site.Component)), append(layers, e.Site.Layer)
			positions, heads, pairs = append(positions, unit%e.Positions), append(heads, unit/e.Positions%e.Heads), append(pairs, unit/e.Positions/e.Heads)
			effects = append(effects, value)
		}
	}
	return plotting.MustFrame(plotting.NewColumn("component", components), plotting.NewColumn("layer", layers), plotting.NewColumn("head", heads),
		plotting.NewColumn("position", positions), plotting.NewColumn("pair", pairs), plotting.NewColumn("effect", effects))
}

// Agreement is how well estimates say what was measured.
type Agreement struct {
	Count           int
	LargestError    float64 // the largest |estimate − measured|
	MeanError       float64 // the mean of |estimate − measured|
	RankCorrelation float64 // Spearman's: the correlation of both lists' ranks, equal values sharing the mean of theirs; NaN where a list has one value throughout
}

// String is "rank correlation 0.97, error 0.012 on average, 0.3 at most, n = 96".
func (a Agreement) String() string {
	return fmt.Sprintf("rank correlation %.3g, error %.3g on average, %.3g at most, n = %d", a.RankCorrelation, a.MeanError, a.LargestError, a.Count)
}

// Compare compares estimates with what patches really changed, in the same order. Lists of other lengths, or of none, and values that are
// not finite are an error.
func Compare(estimates, measured []float64) (Agreement, error) {
	if len(estimates) != len(measured) || len(measured) == 0 {
		return Agreement{}, &interv.Error{Where: "comparison", Got: fmt.Sprintf("%d estimates", len(estimates)), Wanted: fmt.Sprintf("as many as measured, %d, and at least 1", len(measured))}
	}
	a := Agreement{Count: len(measured)}
	for i, estimate := range estimates {
		off := math.Abs(estimate - measured[i])
		if math.IsNaN(off) || math.IsInf(off, 0) {
			return Agreement{}, &interv.Error{Where: "comparison", Axis: fmt.Sprintf("values %d", i), Got: fmt.Sprintf("%g and %g", estimate, measured[i]), Wanted: "finite numbers"}
		}
		a.LargestError = max(a.LargestError, off)
		a.MeanError += off / float64(len(measured))
	}
	a.RankCorrelation = correlation(ranks(estimates), ranks(measured))
	return a, nil
}

// MustCompare is Compare that panics on an error.
func MustCompare(estimates, measured []float64) Agreement {
	return must.Of(Compare(estimates, measured))
}

// ranks are the places of values when they are sorted, equal ones sharing the mean of theirs.
func ranks(values []float64) []float64 {
	order := interv.Range(0, len(values))
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(values[a], values[b]) })
	ranks := make([]float64, len(values))
	for from := 0; from < len(order); {
		to := from + 1
		for to < len(order) && values[order[to]] == values[order[from]] {
			to++
		}
		for _, i := range order[from:to] {
			ranks[i] = float64(from+to-1) / 2
		}
		from = to
	}
	return ranks
}

// correlation is Pearson's.
func correlation(x, y []float64) float64 {
	meanX, meanY := 0.0, 0.0
	for i := range x {
		meanX, meanY = meanX+x[i]/float64(len(x)), meanY+y[i]/float64(len(y))
	}
	both, squareX, squareY := 0.0, 0.0, 0.0
	for i := range x {
		both += (x[i] - meanX) * (y[i] - meanY)
		squareX += (x[i] - meanX) * (x[i] - meanX)
		squareY += (y[i] - meanY) * (y[i] - meanY)
	}
	return both / math.Sqrt(squareX*squareY)
}
