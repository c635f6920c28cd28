package interv

import (
	. "github.com/gomlx/gomlx/core/graph"
)

// The interventions of this file own no parameters. Their features, for subspaces, are the dimensions of the activation;
// dimensions outside the subspace keep the base's value.

// Vanilla puts the source's activation in the place of the base's: out = s. It is the interchange intervention of Geiger et al.,
// "Causal Abstractions of Neural Networks" (2021).
type Vanilla struct{}

// Name is "vanilla".
func (Vanilla) Name() string { return "vanilla" }

// Features is the width: a subspace selects dimensions.
func (Vanilla) Features(width int) int { return width }

// Apply builds s on the selected dimensions.
func (Vanilla) Apply(v Values) *Node { return blend(v.Selected, v.Base, v.Source) }

// Addition adds the source's activation: out = b + s.
type Addition struct{}

// Name is "addition".
func (Addition) Name() string { return "addition" }

// Features is the width: a subspace selects dimensions.
func (Addition) Features(width int) int { return width }

// Apply builds b + s on the selected dimensions.
func (Addition) Apply(v Values) *Node { return blend(v.Selected, v.Base, Add(v.Base, v.Source)) }

// Subtraction subtracts the source's activation: out = b − s.
type Subtraction struct{}

// Name is "subtraction".
func (Subtraction) Name() string { return "subtraction" }

// Features is the width: a subspace selects dimensions.
func (Subtraction) Features(width int) int { return width }

// Apply builds b − s on the selected dimensions.
func (Subtraction) Apply(v Values) *Node { return blend(v.Selected, v.Base, Sub(v.Base, v.Source)) }

// Zero puts zeros in the place of the base's activation: out = 0. It reads no source.
type Zero struct{}

// Name is "zero".
func (Zero) Name() string { return "zero" }

// Sourceless says that Zero reads no source.
func (Zero) Sourceless() {}

// Features is the width: a subspace selects dimensions.
func (Zero) Features(width int) int { return width }

// Apply builds 0 on the selected dimensions.
func (Zero) Apply(v Values) *Node { return blend(v.Selected, v.Base, ZerosLike(v.Base)) }

// Collect changes nothing: out = b. The base's activations at the located units, with the edits made before it, are returned
// in the result's Collected: [batch, units, width], or [batch, units, features] in the listed order where the call selects a
// subspace. It reads no source.
type Collect struct{}

// Name is "collect".
func (Collect) Name() string { return "collect" }

// Sourceless says that Collect reads no source.
func (Collect) Sourceless() {}

// Features is the width: a subspace selects dimensions.
func (Collect) Features(width int) int { return width }

// Apply returns the base.
func (Collect) Apply(v Values) *Node { return v.Base }

func init() {
	Register(Vanilla{})
	Register(Addition{})
	Register(Subtraction{})
	Register(Zero{})
	Register(Collect{})
}
