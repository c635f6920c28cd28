package interv

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// Model is a network whose activations can be intervened on.
type Model interface {
	// Catalogue lists the model's sites.
	Catalogue() Catalogue

	// Weights are the model's tensors.
	Weights() *Weights

	// Check validates the inputs of one run, and tells its extent.
	Check(inputs Inputs) (Extent, error)

	// Forward adds one run to a graph and returns the model's output, [batch, …]. It announces every activation of the
	// catalogue to tap, once for each position, and reads nothing but its arguments: so the same function makes clean,
	// collecting and intervened runs. A nil tap makes a clean one.
	Forward(weights, inputs Nodes, tap *Tap) *Node
}

// Any stands for a dimension of any positive size in [Inputs.Require].
const Any = -1

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
