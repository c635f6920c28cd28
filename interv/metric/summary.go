package metric

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/govene/govene/internal/must"
	"github.com/govene/govene/interv"
)

// Summary is what values of many examples come to.
type Summary struct {
	Count         int
	Mean          float64
	StandardError float64 // of the mean: the values' standard deviation, by n−1, over √n; NaN for a single value
	Low, High     float64 // the bootstrap interval of the mean
}

// String is "0.52 ± 0.04 (0.44 to 0.6, n = 40)".
func (s Summary) String() string {
	return fmt.Sprintf("%.4g ± %.2g (%.4g to %.4g, n = %d)", s.Mean, s.StandardError, s.Low, s.High, s.Count)
}

// Bootstrap says how the interval of a mean is found: the values are drawn again, with replacement, as often as Resamples says, and the
// interval leaves out an equal share of the means of these samples on either side (the percentile interval of Efron, "Bootstrap Methods:
// Another Look at the Jackknife", 1979).
type Bootstrap struct {
	Level     float64 // how much of the means the interval holds; 0 means 0.95
	Resamples int     // 0 means 2000
	Seed      uint64  // the same seed draws the same samples
}

// Summarize is [Bootstrap.Summarize] of the zero Bootstrap.
func Summarize(values []float64) (Summary, error) { return Bootstrap{}.Summarize(values) }

// MustSummarize is Summarize that panics on an error.
func MustSummarize(values []float64) Summary { return must.Of(Summarize(values)) }

// Summarize reduces values, one for each example, to their mean and its spread. No values, and values that are not finite, are an error.
func (b Bootstrap) Summarize(values []float64) (Summary, error) {
	if b.Level == 0 {
		b.Level = 0.95
	}
	if b.Resamples == 0 {
		b.Resamples = 2000
	}
	wrong := func(axis, got, wanted string) (Summary, error) {
		return Summary{}, &interv.Error{Where: "summary", Axis: axis, Got: got, Wanted: wanted}
	}
	switch {
	case !(b.Level > 0 && b.Level < 1):
		return wrong("level", fmt.Sprint(b.Level), "a number between 0 and 1")
	case b.Resamples < 1:
		return wrong("resamples", fmt.Sprint(b.Resamples), "at least 1")
	case len(values) == 0:
		return wrong("values", "none", "at least one")
	}
	s := Summary{Count: len(values)}
	for i, value := range values {
		if math.IsNaN(value) || math.IsInf(value, 0) {
			return wrong(fmt.Sprintf("value of example %d", i), fmt.Sprint(value), "a finite number")
		}
		s.Mean += value / float64(len(values))
	}
	squares := 0.0
	for _, value := range values {
		squares += (value - s.Mean) * (value - s.Mean)
	}
	n := float64(len(values))
	s.StandardError = math.Sqrt(squares / (n - 1) / n)
	random := rand.New(rand.NewPCG(b.Seed, 0))
	means := make([]float64, b.Resamples)
	for k := range means {
		for range values {
			means[k] += values[random.IntN(len(values))] / n
		}
	}
	slices.Sort(means)
	s.Low, s.High = quantile(means, (1-b.Level)/2), quantile(means, (1+b.Level)/2)
	return s, nil
}

// quantile is the value below which a share of sorted values lies, between two of them in proportion.
func quantile(sorted []float64, share float64) float64 {
	at := share * float64(len(sorted)-1)
	below := int(at)
	if below == len(sorted)-1 {
		return sorted[below]
	}
	return sorted[below] + (at-float64(below))*(sorted[below+1]-sorted[below])
}
