package metric_test

import (
	"context"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/metric"
	"github.com/govene/govene/interv/transformer"
)

// What metrics say of a generation is what they say of the logits from which its tokens were chosen.
func TestMetricsOfAGeneration(t *testing.T) {
	iv := interv.MustNew(engine, model(), interv.Config{Representations: []interv.Representation{
		{Layer: 0, Component: transformer.MLPOutput, Intervention: interv.Zero{}}}})
	call := interv.Call{
		Base: interv.Inputs{
			interv.InputIDs:      tensors.FromValue([][]int32{{1, 2, 3}, {4, 5, 0}}),
			interv.AttentionMask: tensors.FromValue([][]int32{{1, 1, 1}, {1, 1, 0}}),
		},
		Locations: []*interv.Location{interv.At(interv.Repeat(2, 1))},
		Metrics:   []interv.Measure{{Metric: metric.Logit{Tokens: []int{3, 4}}}, {Metric: metric.TopTokens{K: 2}}},
	}
	result := iv.MustGenerate(call, interv.Generation{NewTokens: 4, Steps: interv.EveryStep, Logits: true})
	z := logitsOf(result.Logits)
	var want []float64
	for row := range 8 {
		want = append(want, z[row*11+3+row/4])
	}
	wantNear(t, "logit", logitsOf(result.Metrics[0].Value), want)
	top := result.Metrics[1]
	if shape := top.Value.Shape().String(); shape != "(Float32)[2 4 2 2]" && shape != "(Float32)[2, 4, 2, 2]" {
		t.Fatalf("got %s, wanted the likeliest tokens at each step", shape)
	}
	for example, tokens := range result.New {
		for step, token := range tokens {
			if likeliest := logitsOf(top.Value)[(example*4+step)*4]; int(likeliest) != token {
				t.Errorf("example %d, step %d: the likeliest token is %g, the chosen one %d", example, step, likeliest, token)
			}
		}
	}
	for _, c := range []struct {
		measure interv.Measure
		words   []string
	}{
		{interv.Measure{Metric: metric.KL{}}, []string{"generation", "kl", "clean run"}},
		{interv.Measure{Metric: metric.Logit{Tokens: []int{1}}, At: interv.Repeat(1, -1)}, []string{"generation", "logit", "each new token"}},
		{interv.Measure{Metric: metric.Logit{Tokens: []int{11}}}, []string{"token of example 0", "got 11"}},
		{interv.Measure{}, []string{"got none", "a Metric"}},
	} {
		call.Metrics = []interv.Measure{c.measure}
		_, err := iv.Generate(context.Background(), call, interv.Generation{NewTokens: 2})
		wanted.Refusal(t, err, c.words...)
	}
}
