package interv

import (
	"fmt"
	"math/rand/v2"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/host"
)

// The interventions of this file train nothing. Their features, for subspaces, are the dimensions of the activation; dimensions
// outside the subspace keep the base's value.

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

// Skip takes a module out: out = s, where s is what the source run has at the *input* of the module whose output this is. With the base
// as its own source, at the same units, the module is replaced by the identity. A subspace selects dimensions.
type Skip struct{ Vanilla }

// Name is "skip".
func (Skip) Name() string { return "skip" }

// ReadsInput says that Skip reads the module's input.
func (Skip) ReadsInput() {}

// Noise adds normal noise: out = b + noise level · ε, ε ~ N(0, 1) drawn from Seed for each unit and dimension, the same for every example
// and call, as in causal tracing: Meng et al., "Locating and Editing Factual Associations in GPT" (2022). Activations of a call, where
// given, are taken for ε: what a Noise of another seed draws is another draw in the same program. It takes no subspace.
type Noise struct {
	Level float64 `json:"level,omitempty"` // 0 means pyvene's 0.13462981581687927; the parameter noise_level, not trained, changes it
	Seed  uint64  `json:"seed,omitempty"`
}

// Name is "noise".
func (Noise) Name() string { return "noise" }

// Parameters is the noise level, a scalar.
func (n Noise) Parameters(int, *rand.Rand) ([]Owned, error) {
	if n.Level < 0 {
		return nil, &Error{Axis: noiseLevel, Got: fmt.Sprint(n.Level), Wanted: "a number above 0, or 0 for pyvene's"}
	}
	if n.Level == 0 {
		n.Level = 0.13462981581687927
	}
	return []Owned{{noiseLevel, Fixed, tensors.FromScalar(float32(n.Level))}}, nil
}

const noiseLevel = "noise_level"

// Draw draws ε, [units, width].
func (n Noise) Draw(units, width int) *tensors.Tensor {
	random := rand.New(rand.NewPCG(n.Seed, 0))
	values := make([]float64, units*width)
	for i := range values {
		values[i] = random.NormFloat64()
	}
	return host.Tensor(values, dtypes.Float32, units, width)
}

// Apply builds b + noise level · ε.
func (n Noise) Apply(v Values) *Node { return Add(v.Base, Mul(v.Parameters[noiseLevel], v.Source)) }

func init() {
	Register(Vanilla{})
	Register(Addition{})
	Register(Subtraction{})
	Register(Zero{})
	Register(Collect{})
	Register(Skip{})
	Register(Noise{})
}
