// Package paths patches paths: what one component of a transformer writes is changed for some of the components that read it, and for
// nothing else. Which heads' output the queries of a later head depend on, say, is one call:
//
//	result, err := paths.Run(ctx, engine, model, paths.Paths{
//		Base: corrupted, Source: clean,
//		Receivers: []paths.Receiver{{Layer: 9, Component: transformer.HeadQueryOutput, Heads: []int{6}}},
//		Metric:    metric.LogitDifference{Right: metric.Each(paris), Wrong: metric.Each(rome)},
//	})
//	nb.Show(result.Plot())
//
// # What a path is
//
// Let b be a base and s its source. A sender c is patched with its activation in the run on s, while every attention output and every MLP
// output after it stays what it is in the clean run on b. In a model whose residual stream x is a sum, the stream before a receiver is then
//
//	x(b) + w(c(s)) − w(c(b))
//
// with w what the rest of the sender's own module makes of it: the output projection, and the norm after it in families that have one.
// From this stream a receiver r is computed, through its own norm and projection: r*. The number of a path is the metric of the run on b
// in which the receivers are r*, all of them, and everything else follows from them. With ThroughMLPs, MLPs after the sender are not kept but
// computed anew.
//
// That is path patching as in Wang et al., "Interpretability in the Wild" (2022), who compute MLPs anew, and Goldowsky-Dill et al.,
// "Localizing Model Behavior with Path Patching" (2023), who do not. It is exact, in models with norms of the sum, too: nothing is
// linearized.
//
// # How it is computed
//
// A model that is made of blocks ([interv.Blocks]) runs base and source once. What is kept is put in the place of what would compute it, so that
// from a sender to the receivers no more is computed than what it sends and what they read; the run that receivers are put into begins at the
// lowest of them. Of each part of a block that this takes there is one compiled program, whatever the layer. Other models run twice for each path,
// patched.
package paths

import (
	"context"

	"github.com/gomlx/compute"

	"github.com/govene/govene/internal/must"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/sweep"
	"github.com/govene/govene/interv/transformer"
)

// Paths says which paths are patched, from each of some senders to all receivers together, and what is read of each.
type Paths struct {
	// Base holds the runs that are patched, Source those that senders are read from: pair i is example i of both, which must begin and end at
	// the same positions.
	Base, Source interv.Inputs

	// Senders are patched one at a time: a component that writes into the residual stream (head_attention_value_output, of some heads or all,
	// attention_value_output, attention_output, mlp_output, embedding) at some positions or all. Nil stands for every head of the layers
	// below the last receiver, one by one.
	Senders []sweep.Cell

	// Receivers read what a sender writes, at all positions. Those of a layer and component are one receiver.
	Receivers []Receiver

	// ThroughMLPs computes the MLPs between a sender and the receivers anew, in place of keeping them as they are in the clean run.
	ThroughMLPs bool

	// Metric is what is read of each run, one number. It is read at the positions ReadAt, [pair][1] or [1][1] for all pairs; nil for the
	// last that is not padding.
	Metric interv.Metric
	ReadAt [][]int
}

// Receiver is where a path ends: what is computed there from the residual stream. That is block_input, residual_middle or block_output, the
// stream itself; attention_input or mlp_input; queries, keys or values (head_query_output and so on, of some heads, or query_output and so on);
// final_norm, at layer 0, for what goes to the logits directly.
type Receiver struct {
	Layer     int
	Component interv.Component
	Heads     []int // key and value heads at head_key_output and head_value_output; nil for all
}

func (r Receiver) site() interv.Site { return interv.Site{Layer: r.Layer, Component: r.Component} }

// Run patches all paths. The cells of the result are the senders. Cancelled by its context, it returns an error alone.
func Run(ctx context.Context, backend compute.Backend, model interv.Model, p Paths) (*sweep.Result, error) {
	plan, err := p.Plan(backend, model)
	if err != nil {
		return nil, err
	}
	return plan.Run(ctx)
}

// MustRun is Run, never cancelled, that panics on an error.
func MustRun(backend compute.Backend, model interv.Model, p Paths) *sweep.Result {
	return must.Of(Run(context.Background(), backend, model, p))
}

// step is how far a model has come when it computes something: 16 · layer + the stage within the layer.
type step int

// written are the stages of layers at which senders are in the residual stream.
var written = map[interv.Component]step{
	transformer.Embedding:                -1,
	transformer.HeadAttentionValueOutput: 4,
	transformer.AttentionValueOutput:     4,
	transformer.AttentionOutput:          4,
	transformer.MLPOutput:                8,
}

// read are the stages of layers at which receivers read the stream.
var read = map[interv.Component]step{
	transformer.BlockInput:      0,
	transformer.AttentionInput:  1,
	transformer.QueryOutput:     2,
	transformer.HeadQueryOutput: 2,
	transformer.KeyOutput:       2,
	transformer.HeadKeyOutput:   2,
	transformer.ValueOutput:     2,
	transformer.HeadValueOutput: 2,
	transformer.ResidualMiddle:  5,
	transformer.MLPInput:        6,
	transformer.BlockOutput:     9,
	transformer.FinalNorm:       0, // of a layer after the last
}

// inLayer is the step of a stage of a layer.
func inLayer(layer int, stage step) step { return step(16*layer) + stage }

// readAt is when a receiver is computed.
func (j *job) readAt(r Receiver) step {
	switch {
	case r.Component == transformer.FinalNorm:
		return inLayer(j.layers, 0)
	case r.Component == transformer.MLPInput && j.parallel:
		return inLayer(r.Layer, 1)
	}
	return inLayer(r.Layer, read[r.Component])
}

// writtenAt is when a sender is in the stream.
func writtenAt(cell sweep.Cell) step { return inLayer(cell.Layer, written[cell.Component]) }
