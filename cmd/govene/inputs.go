package main

import (
	"fmt"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/tokens"
)

// inputs are those of some runs of a model: one of text, ids and embeds.
type inputs struct {
	Text   []string      `json:"text,omitempty"`
	IDs    [][]int32     `json:"ids,omitempty"`    // [example][position]
	Embeds [][][]float32 `json:"embeds,omitempty"` // [example][position][feature]: what stands in for embeddings

	AddSpecial bool   `json:"add_special,omitempty"` // put the tokenizer's special tokens around texts
	Padding    string `json:"padding,omitempty"`     // of shorter texts or ids: "left" or "right"; without it, all are equally long
	Pad        string `json:"pad,omitempty"`         // the token to pad texts with; the tokenizer's own where it is left out

	encoded *tokens.Batch // the text, once it has been asked for
}

// sides are the words for where is padded.
var sides = map[string]tokens.Side{"": tokens.NoPadding, "left": tokens.Left, "right": tokens.Right}

// tensors are the model's inputs.
func (in *inputs) tensors(j *job) (interv.Inputs, error) {
	side, known := sides[in.Padding]
	given := 0
	for _, there := range []bool{in.Text != nil, in.IDs != nil, in.Embeds != nil} {
		if there {
			given++
		}
	}
	switch {
	case !known:
		return nil, interv.UnknownName("", "padding", in.Padding, []string{"left", "right"})
	case given != 1:
		return nil, &interv.Error{Axis: "text, ids and embeds", Got: fmt.Sprintf("%d of them", given), Wanted: "one"}
	case in.Text == nil && (in.AddSpecial || in.Pad != ""):
		return nil, &interv.Error{Axis: "add_special and pad", Got: "one of them, without text", Wanted: "text: they say how it becomes tokens"}
	case in.IDs != nil:
		return in.ids(side)
	case in.Embeds != nil:
		return in.embeds()
	}
	batch, err := in.batch(j)
	if err != nil {
		return nil, err
	}
	return batch.Inputs(), nil
}

// batch is the text as tokens.
func (in *inputs) batch(j *job) (*tokens.Batch, error) {
	if in.encoded != nil {
		return in.encoded, nil
	}
	tokenizer, err := j.texts()
	if err != nil {
		return nil, err
	}
	in.encoded, err = tokenizer.Encode(tokens.Options{AddSpecial: in.AddSpecial, Padding: sides[in.Padding], Pad: in.Pad}, in.Text...)
	return in.encoded, err
}

// ids are given tokens. Only with padding is there a mask: models without attention take none.
func (in *inputs) ids(side tokens.Side) (interv.Inputs, error) {
	longest := 0
	for _, row := range in.IDs {
		longest = max(longest, len(row))
	}
	var ids, mask []int32
	for i, row := range in.IDs {
		missing := longest - len(row)
		if len(row) == 0 || missing > 0 && side == tokens.NoPadding {
			return nil, &interv.Error{Axis: fmt.Sprintf("ids of example %d", i), Got: fmt.Sprintf("%d tokens", len(row)), Wanted: fmt.Sprintf("%d, as there is no padding", longest)}
		}
		padding, ones := make([]int32, missing), make([]int32, len(row))
		for k := range ones {
			ones[k] = 1
		}
		if side == tokens.Left {
			ids, mask = append(append(ids, padding...), row...), append(append(mask, padding...), ones...)
		} else {
			ids, mask = append(append(ids, row...), padding...), append(append(mask, ones...), padding...)
		}
	}
	if longest == 0 {
		return nil, &interv.Error{Axis: "ids", Got: "no examples", Wanted: "at least one"}
	}
	list := interv.Inputs{interv.InputIDs: tensors.FromFlatDataAndDimensions(ids, len(in.IDs), longest)}
	if side != tokens.NoPadding {
		list[interv.AttentionMask] = tensors.FromFlatDataAndDimensions(mask, len(in.IDs), longest)
	}
	return list, nil
}

func (in *inputs) embeds() (interv.Inputs, error) {
	if len(in.Embeds) == 0 || len(in.Embeds[0]) == 0 || len(in.Embeds[0][0]) == 0 {
		return nil, &interv.Error{Axis: "embeds", Got: "none", Wanted: "numbers for each example, position and feature"}
	}
	positions, width := len(in.Embeds[0]), len(in.Embeds[0][0])
	var flat []float32
	for i, example := range in.Embeds {
		if len(example) != positions {
			return nil, &interv.Error{Axis: fmt.Sprintf("embeds of example %d", i), Got: fmt.Sprintf("%d positions", len(example)), Wanted: fmt.Sprintf("%d, as in example 0", positions)}
		}
		for k, vector := range example {
			if len(vector) != width {
				return nil, &interv.Error{Axis: fmt.Sprintf("embeds of example %d, position %d", i, k), Got: fmt.Sprintf("%d features", len(vector)), Wanted: fmt.Sprint(width)}
			}
			flat = append(flat, vector...)
		}
	}
	if in.Padding != "" {
		return nil, &interv.Error{Axis: "padding", Got: in.Padding, Wanted: "none: embeds are equally long"}
	}
	return interv.Inputs{interv.InputsEmbeds: tensors.FromFlatDataAndDimensions(flat, len(in.Embeds), positions, width)}, nil
}
