package metric_test

import (
	"fmt"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/metric"
	"github.com/govene/govene/interv/transformer"
)

// spy is a model that notes the shape of its last output.
type spy struct {
	*transformer.Model
	output *string
}

func (s spy) Forward(weights, inputs interv.Nodes, tap *interv.Tap) *Node {
	output := s.Model.Forward(weights, inputs, tap)
	*s.output = fmt.Sprint(output.Shape().Dimensions)
	return output
}

// Where metrics alone are wanted, the head computes what they read and nothing else, and they say what they say of the whole output.
func TestOnlyWhatIsReadIsComputed(t *testing.T) {
	config := transformer.MustParseConfig(`{"model_type": "gpt2", "vocab_size": 13, "n_positions": 8, "n_embd": 6, "n_layer": 2, "n_head": 2}`)
	var output string
	iv := interv.MustNew(engine, spy{transformer.MustNew(config, 3), &output}, interv.Single(1, transformer.BlockOutput, interv.Vanilla{}))
	ids := func(rows [][]int32) interv.Inputs {
		return interv.Inputs{interv.InputIDs: tensors.FromValue(rows), interv.AttentionMask: tensors.FromValue([][]int32{{1, 1, 1, 1, 1}, {1, 1, 1, 1, 0}})}
	}
	call := interv.Call{
		Base: ids([][]int32{{1, 2, 3, 4, 5}, {6, 7, 8, 9, 0}}), Sources: []interv.Inputs{ids([][]int32{{5, 4, 3, 2, 1}, {9, 8, 7, 6, 0}})},
		Locations: []*interv.Location{interv.FromTo(interv.Repeat(2, 2), interv.Repeat(2, 2))}, WithBase: true,
	}
	difference := metric.LogitDifference{Right: metric.Each(1, 2), Wrong: metric.Each(3)}
	at := func(positions ...[]int) interv.Measure { return interv.Measure{Metric: difference, At: positions} }
	last := interv.Measure{Metric: difference}
	for _, c := range []struct {
		measures []interv.Measure
		output   string
	}{
		{[]interv.Measure{last}, "[2 1 13]"},
		{[]interv.Measure{last, {Metric: metric.KL{}}, {Metric: metric.TopTokens{K: 3}}}, "[2 1 13]"},
		{[]interv.Measure{at([]int{2}), last, at([]int{3}, []int{-2}), {Metric: metric.KL{}}}, "[6 1 13]"},
		{[]interv.Measure{at([]int{0}), at([]int{1}), at([]int{2}), at([]int{3}), last}, "[2 5 13]"}, // as many as there are
	} {
		if engine.Name() == "xla" && c.output != "[6 1 13]" {
			continue // each is two programs to compile
		}
		call.Metrics, call.WithOutput = c.measures, false
		alone := iv.MustRun(call)
		if output != c.output {
			t.Errorf("%d metrics: got an output %s, wanted %s", len(c.measures), output, c.output)
		}
		call.WithOutput = true
		whole := iv.MustRun(call)
		if output != "[2 5 13]" {
			t.Errorf("with the output: got %s", output)
		}
		for i := range c.measures {
			wantNear(t, "metric", logitsOf(alone.Metrics[i].Value), logitsOf(whole.Metrics[i].Value))
			wantNear(t, "metric of the base", logitsOf(alone.Metrics[i].Base), logitsOf(whole.Metrics[i].Base))
		}
	}

	// So does its gradient, which is that of the same metric in a loss.
	call.Metrics, call.WithOutput, call.WithBase = nil, false, false
	site := interv.Site{Component: transformer.MLPOutput}
	got := iv.GradientOf(at([]int{2}, []int{-1})).At(site).MustRun(call)
	if output != "[2 1 13]" {
		t.Errorf("of a gradient: got an output %s", output)
	}
	call.Metrics = []interv.Measure{at([]int{2}, []int{-1})}
	want := iv.Gradient(func(o interv.Outcome) *Node { return ReduceAllSum(o.Metrics["logit_difference"]) }).At(site).MustRun(call)
	if output != "[2 5 13]" {
		t.Errorf("of a loss: got an output %s", output)
	}
	wantNear(t, "gradient", logitsOf(got.Activations[0].Gradient), logitsOf(want.Activations[0].Gradient))

	call.Metrics = []interv.Measure{at([]int{4})}
	_, err := iv.Run(call)
	wanted.Refusal(t, err, "position of example 1", "padding")
}
