// Package counterfactual makes examples of a causal model into tensors, in one call: for searches ([das.Run], [das.Check]) and for training
// ([training.Run]).
//
//	pairs := causal.Design{Size: 10_000, Balance: []string{"WX", "YZ"}}
//	data := counterfactual.MustData(algorithm, pairs, causal.FreshEmbeddings(4).With(1, 16), 1)
package counterfactual

import (
	"fmt"
	"math/rand/v2"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/must"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/causal"
	"github.com/govene/govene/interv/das"
	"github.com/govene/govene/interv/training"
)

// Data draws examples of a design: the inputs of bases and of the sources of each variable that is intervened on, [examples, dimensions of the
// encoding's rows], as input_ids, int32, where the encoding makes integers and as inputs_embeds, float32, else; labels, the indices of the
// output's values; and the values of the variables in their sources, as indices, too. The same seed draws the same examples.
//
// A model with several outputs, a design that [causal.Model.Draw] does not take and values that cannot be encoded are errors.
func Data[T float32 | int32](model *causal.Model, design causal.Design, encoding causal.Encoding[T], seed uint64) (das.Data, error) {
	return draw(model, design, encoding, rand.New(rand.NewPCG(seed, 0)))
}

// MustData is Data that panics on an error.
func MustData[T float32 | int32](model *causal.Model, design causal.Design, encoding causal.Encoding[T], seed uint64) das.Data {
	return must.Of(Data(model, design, encoding, seed))
}

func draw[T float32 | int32](model *causal.Model, design causal.Design, encoding causal.Encoding[T], random *rand.Rand) (d das.Data, err error) {
	outputs := model.Outputs()
	if len(outputs) != 1 {
		return d, &interv.Error{Where: "counterfactual data", Axis: "outputs", Got: fmt.Sprint(outputs), Wanted: "one, for the labels"}
	}
	examples, err := model.Draw(random, design)
	if err != nil {
		return d, err
	}
	base, sources, err := causal.Arrays(examples, encoding, random)
	if err != nil {
		return d, err
	}
	d.Base = inputs(base)
	for _, source := range sources {
		d.Sources = append(d.Sources, inputs(source))
	}
	for v, variable := range examples.Variables {
		_, _, values, err := examples.Labels(variable)
		if err != nil {
			return d, err
		}
		d.Values = append(d.Values, values[v])
	}
	d.Labels, d.BaseLabels, d.SourceLabels, err = examples.Labels(outputs[0])
	return d, err
}

// inputs are an array as what a model takes.
func inputs[T float32 | int32](array causal.Array[T]) interv.Inputs {
	name := interv.InputsEmbeds
	if _, whole := any(T(0)).(int32); whole {
		name = interv.InputIDs
	}
	return interv.Inputs{name: tensors.FromFlatDataAndDimensions(array.Values, array.Dimensions...)}
}

// Stream draws the examples of each step anew, and makes a call of them: [Factual], or an [Interchange].
func Stream[T float32 | int32](model *causal.Model, design causal.Design, encoding causal.Encoding[T], seed uint64, call func(das.Data) interv.Call) training.Stream {
	return training.Fresh(seed, func(random *rand.Rand) (interv.Call, error) {
		d, err := draw(model, design, encoding, random)
		if err != nil {
			return interv.Call{}, err
		}
		return call(d), nil
	})
}

// Factual is the call that a classifier learns the causal model's own answers from: the bases, with [training.Label], int32 [examples].
func Factual(d das.Data) interv.Call {
	return interv.Call{Base: d.Base, Labels: training.Labels(d.BaseLabels)}
}

// Interchange is the call with which a classifier learns what the causal model says after an interchange, [training.Label], and its own answers
// beside it, [training.BaseLabel], both int32 [examples]. It is for a config with an intervention for each variable, in the order of the data's
// Sources, which read and write some features at a position: those of the units that are given, a list for each variable, or all.
func Interchange(d das.Data, position int, units ...[]int) interv.Call {
	at := interv.Repeat(len(d.Labels), position)
	call := interv.Call{Base: d.Base, Sources: d.Sources, WithBase: true, Labels: training.Labels(d.Labels)}
	call.Labels[training.BaseLabel] = training.Labels(d.BaseLabels)[training.Label]
	for range d.Sources {
		call.Locations = append(call.Locations, interv.FromTo(at, at))
	}
	for _, features := range units {
		rows := make([][]int, len(d.Labels))
		for i := range rows {
			rows[i] = features
		}
		call.Subspaces = append(call.Subspaces, rows)
	}
	return call
}
