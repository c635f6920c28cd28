package interv

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
)

// Inputs are the tensors of one run of a model, by name.
type Inputs map[string]*tensors.Tensor

// The names of inputs, those of transformers (Hugging Face).
const (
	InputIDs      = "input_ids"      // tokens, int32 [batch, positions]
	InputsEmbeds  = "inputs_embeds"  // what stands in for the tokens' embeddings, [batch, positions, d]
	AttentionMask = "attention_mask" // 1 for tokens and 0 for padding, int32 [batch, positions]
	PositionIDs   = "position_ids"   // of the tokens, where they do not count from 0, int32 [batch, positions]
)

// Extent is the size of one run: how many examples, and how many positions each has. Starts and Ends say where the examples of a
// padded batch begin and end: example i has the positions Starts[i] to Ends[i]-1; nil for 0 and Positions throughout.
type Extent struct {
	Batch, Positions int
	Starts, Ends     []int
}

// Real is the range of an example's positions that are not padding.
func (e Extent) Real(example int) (start, end int) {
	end = e.Positions
	if e.Starts != nil {
		start = e.Starts[example]
	}
	if e.Ends != nil {
		end = e.Ends[example]
	}
	return start, end
}

// CheckSource refuses the extent of sources that are no pairs with bases of extent e: another number of examples, or a pair whose examples do
// not begin and end at the same positions.
func (e Extent) CheckSource(source Extent) error {
	if source.Batch != e.Batch {
		return &Error{Axis: "source", Got: fmt.Sprintf("%d examples", source.Batch), Wanted: fmt.Sprintf("%d, one for each of the base's", e.Batch)}
	}
	for pair := range e.Batch {
		start, end := source.Real(pair)
		baseStart, baseEnd := e.Real(pair)
		if source.Positions != e.Positions || start != baseStart || end != baseEnd {
			return &Error{Axis: fmt.Sprintf("source of pair %d", pair), Got: fmt.Sprintf("positions %d to %d of %d", start, end-1, source.Positions),
				Wanted: fmt.Sprintf("%d to %d of %d, as in the base: the inputs of a pair are equally long", baseStart, baseEnd-1, e.Positions)}
		}
	}
	return nil
}

// Any stands for a dimension of any positive size in [Inputs.Require].
const Any = -1

// checkThere refuses names without a tensor.
func (in Inputs) checkThere(where string) error {
	for name, t := range in {
		if t == nil {
			return &Error{Where: where, Axis: name, Got: "no tensor", Wanted: "one, or no such name"}
		}
	}
	return nil
}

// Only refuses inputs of other names than those given.
func (in Inputs) Only(names ...string) error {
	for _, got := range sortedKeys(in) {
		known := false
		for _, name := range names {
			known = known || name == got
		}
		if !known {
			return UnknownName("", "input", got, names)
		}
	}
	return nil
}

// Require checks that there is an input of the given name, element type and dimensions, finite throughout, and returns it.
func (in Inputs) Require(name string, dtype dtypes.DType, dimensions ...int) (*tensors.Tensor, error) {
	t, ok := in[name]
	if !ok || t == nil {
		return nil, &Error{Axis: name, Got: fmt.Sprintf("inputs %v", sortedKeys(in)), Wanted: "an input of that name"}
	}
	if t.DType() != dtype {
		return nil, &Error{Axis: name, Got: t.DType().String(), Wanted: dtype.String()}
	}
	got := t.Shape().Dimensions
	fits := len(got) == len(dimensions)
	for i := 0; fits && i < len(got); i++ {
		fits = got[i] == dimensions[i] || dimensions[i] == Any && got[i] > 0
	}
	if !fits {
		return nil, &Error{Axis: name, Got: fmt.Sprintf("shape %v", got), Wanted: describe(dimensions)}
	}
	return t, CheckFinite(name, t)
}

// RequireIDs is Require of int32 ids, [batch, positions], all of them from 0 to below-1.
func (in Inputs) RequireIDs(name string, below, batch, positions int) (*tensors.Tensor, error) {
	t, err := in.Require(name, dtypes.Int32, batch, positions)
	if err != nil {
		return nil, err
	}
	positions = t.Shape().Dim(1)
	tensors.MustConstFlatData(t, func(flat []int32) {
		for i, id := range flat {
			if err == nil && (id < 0 || int(id) >= below) {
				err = &Error{Axis: fmt.Sprintf("%s of example %d, position %d", name, i/positions, i%positions),
					Got: fmt.Sprint(id), Wanted: fmt.Sprintf("0 to %d", below-1)}
			}
		}
	})
	return t, err
}

// RequireSequence checks the inputs of a model of sequences and returns their extent: either input_ids below the vocabulary (0 for a
// model that has none) or inputs_embeds of a width and element type, and attention_mask if there is one.
func (in Inputs) RequireSequence(vocabulary, width int, dtype dtypes.DType) (extent Extent, err error) {
	var x *tensors.Tensor
	switch {
	case in[InputIDs] != nil && in[InputsEmbeds] != nil:
		return extent, &Error{Axis: InputIDs, Got: "both it and " + InputsEmbeds, Wanted: "one of the two"}
	case in[InputsEmbeds] == nil && vocabulary > 0:
		x, err = in.RequireIDs(InputIDs, vocabulary, Any, Any)
	default:
		x, err = in.Require(InputsEmbeds, dtype, Any, Any, width)
	}
	if err != nil {
		return extent, err
	}
	extent = Extent{Batch: x.Shape().Dim(0), Positions: x.Shape().Dim(1)}
	if in[AttentionMask] != nil {
		extent.Starts, extent.Ends, err = in.requireMask(extent)
	}
	return extent, err
}

// requireMask wants each row of the mask to be ones with only padding before and after, and returns where these ones begin and end.
func (in Inputs) requireMask(extent Extent) (starts, ends []int, err error) {
	mask, err := in.Require(AttentionMask, dtypes.Int32, extent.Batch, extent.Positions)
	if err != nil {
		return nil, nil, err
	}
	starts, ends = make([]int, extent.Batch), make([]int, extent.Batch)
	tensors.MustConstFlatData(mask, func(flat []int32) {
		for example := range extent.Batch {
			row := flat[example*extent.Positions : (example+1)*extent.Positions]
			starts[example], ends[example] = -1, -1
			for position, value := range row {
				wrong := value != 0 && value != 1
				switch {
				case value == 1 && starts[example] < 0:
					starts[example] = position
				case value == 0 && starts[example] >= 0 && ends[example] < 0:
					ends[example] = position
				case value == 1 && ends[example] >= 0:
					wrong = true
				}
				if wrong && err == nil {
					err = &Error{Axis: fmt.Sprintf("%s of example %d, position %d", AttentionMask, example, position),
						Got: fmt.Sprint(value), Wanted: "a row of ones, with zeros for padding only before the first and after the last of them"}
				}
			}
			if starts[example] < 0 && err == nil {
				err = &Error{Axis: fmt.Sprintf("%s of example %d", AttentionMask, example), Got: "no ones", Wanted: "at least one token"}
			}
			if ends[example] < 0 {
				ends[example] = extent.Positions
			}
		}
	})
	return starts, ends, err
}

func describe(dimensions []int) string {
	text := "shape ["
	for i, d := range dimensions {
		if i > 0 {
			text += " "
		}
		if d == Any {
			text += "≥1"
		} else {
			text += fmt.Sprint(d)
		}
	}
	return text + "]"
}
