package metric_test

import (
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/metric"
	"github.com/govene/govene/interv/transformer"
)

// A patch of all that the output depends on recovers all; one with the corrupted run's own activations nothing.
func TestRecoveryOfWholePatches(t *testing.T) {
	clean := interv.Inputs{interv.InputIDs: tensors.FromValue([][]int32{{1, 2, 3}, {4, 5, 6}})}
	corrupted := interv.Inputs{interv.InputIDs: tensors.FromValue([][]int32{{7, 2, 3}, {4, 8, 9}})}
	iv := interv.MustNew(engine, model(), interv.Config{Representations: []interv.Representation{
		{Layer: 1, Component: transformer.BlockOutput, Intervention: interv.Vanilla{}}}})
	measure := metric.MustRecovery(iv, interv.Measure{Metric: metric.LogitDifference{Right: metric.Each(1), Wrong: metric.Each(2)}}, clean, corrupted)
	for source, want := range map[*interv.Inputs]float64{&clean: 1, &corrupted: 0} {
		result := iv.MustRun(interv.Call{Base: corrupted, Sources: []interv.Inputs{*source}, Locations: []*interv.Location{interv.Everywhere()},
			Metrics: []interv.Measure{measure}, WithBase: true})
		wantNear(t, "recovered share", result.MustMetric("recovered logit_difference"), []float64{want, want})
		wantNear(t, "of the base", logitsOf(result.Metrics[0].Base), []float64{0, 0})
	}
	if stats := iv.Stats(); stats.Programs != 2 {
		t.Errorf("got %v, wanted a program for both ends and one for the patches", stats)
	}
}

func TestRefusalsOfRecovered(t *testing.T) {
	iv := interv.MustNew(engine, model(), interv.Config{})
	base := interv.Inputs{interv.InputIDs: tensors.FromValue([][]int32{{1, 2, 3}, {4, 5, 6}})}
	logit := metric.Logit{Tokens: []int{1}}
	for name, c := range map[string]struct {
		metric interv.Metric
		words  []string
	}{
		"no metric":  {metric.Recovered{}, []string{`metric "recovered"`, "got none"}},
		"token":      {metric.Recovered{Of: metric.Logit{Tokens: []int{-1}}}, []string{"recovered logit", "token of example 0"}},
		"no end":     {metric.Recovered{Of: logit, Clean: []float64{1}}, []string{"corrupted", "0 values"}},
		"equal ends": {metric.Recovered{Of: logit, Clean: []float64{1, 2}, Corrupted: []float64{0, 2.0001}}, []string{"ends of example 1", "nothing to recover"}},
		"several":    {metric.Recovered{Of: metric.TopTokens{K: 2}, Clean: []float64{1}, Corrupted: []float64{0}}, []string{"one number for each row"}},
		"k":          {metric.TopTokens{K: 12}, []string{"top_tokens", "k: got 12", "1 to 11"}},
		"label":      {metric.Accuracy{Labels: []int{11}}, []string{"accuracy", "label of example 0", "got 11"}},
		"function":   {metric.NewFunc("f", nil), []string{`"f"`, "function", "NewFunc"}},
		"scalar":     {metric.NewFunc("f", func(r interv.Rows) *Node { return ReduceAllSum(r.Logits) }), []string{`"f"`, "numbers for each of the 2 rows"}},
		"data":       {metric.NewFunc("f", moved.Measure).WithData(interv.Inputs{"x": tensors.FromValue([]float32{1})}), []string{"x", "first axis is the batch, 2"}},
		"pointer":    {(*metric.Logit)(nil), []string{"got none"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := iv.Measure(base, interv.Measure{Metric: c.metric})
			wanted.Refusal(t, err, c.words...)
		})
	}
	_, err := iv.Measure(base)
	wanted.Refusal(t, err, "metrics", "at least one")
	_, err = metric.Tops(tensors.FromValue([]float32{1}))
	wanted.Refusal(t, err, "Tops", "[batch, K, 2]")
}

func TestTops(t *testing.T) {
	iv := interv.MustNew(engine, model(), interv.Config{})
	result := iv.MustMeasure(interv.Inputs{interv.InputIDs: tensors.FromValue([][]int32{{1, 2, 3}, {4, 5, 6}})}, interv.Measure{Metric: metric.TopTokens{K: 11}})
	tops := metric.MustTops(result.Metrics[0].Value)
	if len(tops) != 2 || len(tops[1]) != 11 {
		t.Fatalf("got %v, wanted 2 lists of 11", tops)
	}
	for _, list := range tops {
		sum := 0.0
		for k, top := range list {
			sum += top.Probability
			if k > 0 && top.Probability > list[k-1].Probability {
				t.Errorf("got %v, wanted falling probabilities", list)
			}
		}
		wantNear(t, "sum of all probabilities", []float64{sum}, []float64{1})
	}
}
