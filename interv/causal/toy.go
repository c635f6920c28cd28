package causal

import (
	"fmt"

	"github.com/govene/govene/internal/must"
)

// HierarchicalEquality is the model that says whether two pairs are alike: both equal or both unequal.
//
//	WX = (W = X)   YZ = (Y = Z)   O = (WX = YZ)
//
// Its inputs W, X, Y and Z are one of a number of entities, 0 to entities−1. Geiger, Carstensen, Frank and Potts, "Relational reasoning
// and generalization using non-symbolic neural networks", 2020.
func HierarchicalEquality(entities int) (*Model, error) {
	inputs, err := counts("hierarchical equality", "entities", entities)
	if err != nil {
		return nil, err
	}
	same := func(a, b int) bool { return a == b }
	return New(
		Input("W", inputs...), Input("X", inputs...), Input("Y", inputs...), Input("Z", inputs...),
		Computed("WX", same, "W", "X"),
		Computed("YZ", same, "Y", "Z"),
		Computed("O", func(wx, yz bool) bool { return wx == yz }, "WX", "YZ"),
	)
}

// MustHierarchicalEquality is HierarchicalEquality that panics on an error.
func MustHierarchicalEquality(entities int) *Model { return must.Of(HierarchicalEquality(entities)) }

// Arithmetic is a model in which input Z reaches the output on two ways, so that it is a graph and no tree. X, Y and Z are 0 to
// values−1.
//
//	S = X + Y   P = S · Z   D = X − Z   O = (P + D > threshold)
func Arithmetic(values, threshold int) (*Model, error) {
	inputs, err := counts("arithmetic", "values", values)
	if err != nil {
		return nil, err
	}
	return New(
		Input("X", inputs...), Input("Y", inputs...), Input("Z", inputs...),
		Computed("S", func(x, y int) int { return x + y }, "X", "Y"),
		Computed("P", func(s, z int) int { return s * z }, "S", "Z"),
		Computed("D", func(x, z int) int { return x - z }, "X", "Z"),
		Computed("O", func(p, d int) bool { return p+d > threshold }, "P", "D"),
	)
}

// MustArithmetic is Arithmetic that panics on an error.
func MustArithmetic(values, threshold int) *Model { return must.Of(Arithmetic(values, threshold)) }

// Conjunction is the smallest model: C = A ∧ B, for truth values A and B. It has no internal variables.
func Conjunction() *Model {
	return MustNew(
		Input("A", false, true), Input("B", false, true),
		Computed("C", func(a, b bool) bool { return a && b }, "A", "B"),
	)
}

// counts lists 0 to n−1.
func counts(where, axis string, n int) ([]int, error) {
	if n < 1 {
		return nil, &Error{Where: where, Axis: axis, Got: fmt.Sprint(n), Wanted: "at least 1"}
	}
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list, nil
}
