package metric_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv/metric"
)

func TestSummaryOfNormalValues(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 3))
	held := 0
	for range 200 {
		values := make([]float64, 40)
		for i := range values {
			values[i] = 2 + 3*random.NormFloat64()
		}
		s := metric.MustSummarize(values)
		if s.Low <= 2 && 2 <= s.High {
			held++
		}
		// The bootstrap's interval of a mean is that of the normal distribution, nearly.
		if normal := 1.96 * s.StandardError; math.Abs(s.High-s.Mean-normal) > 0.25*normal || math.Abs(s.Mean-s.Low-normal) > 0.25*normal {
			t.Errorf("got %v, wanted an interval of about ±%.3g", s, normal)
		}
	}
	if held < 175 || held > 199 {
		t.Errorf("%d of 200 intervals held the mean, wanted about 190", held)
	}
}

func TestSummary(t *testing.T) {
	s := metric.MustSummarize([]float64{1, 2, 3, 6})
	if s.Count != 4 || s.Mean != 3 || math.Abs(s.StandardError-math.Sqrt(14.0/3/4)) > 1e-12 {
		t.Errorf("got %+v, wanted 4 values of mean 3", s)
	}
	if again := metric.MustSummarize([]float64{1, 2, 3, 6}); again != s {
		t.Errorf("got %v, then %v, from the same seed", s, again)
	}
	other, err := metric.Bootstrap{Seed: 1, Level: 0.5}.Summarize([]float64{1, 2, 3, 6})
	if err != nil || other.Low <= s.Low || other.High >= s.High {
		t.Errorf("got %v, %v, wanted a narrower interval than %v", other, err, s)
	}
	one := metric.MustSummarize([]float64{5})
	if one.Mean != 5 || one.Low != 5 || one.High != 5 || !math.IsNaN(one.StandardError) {
		t.Errorf("got %+v, wanted 5 throughout and no standard error", one)
	}
	for _, c := range []struct {
		bootstrap metric.Bootstrap
		values    []float64
		words     []string
	}{
		{metric.Bootstrap{}, nil, []string{"values", "none"}},
		{metric.Bootstrap{}, []float64{1, math.NaN()}, []string{"value of example 1", "NaN"}},
		{metric.Bootstrap{Level: 95}, []float64{1}, []string{"level", "95"}},
		{metric.Bootstrap{Resamples: -1}, []float64{1}, []string{"resamples", "-1"}},
	} {
		_, err := c.bootstrap.Summarize(c.values)
		wanted.Refusal(t, err, c.words...)
	}
}
