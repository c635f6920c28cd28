package interv

import (
	"math/rand/v2"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// The interventions of this file exchange each coordinate by as much as a learned mask says. The lower the temperature T, the closer
// the mask is to a choice; schedules lower it during training (Adam.Temperature). They take no subspace: the mask is theirs.

const mask = "mask"

// SigmoidMask exchanges the dimensions that a mask selects: out = (1 − m) ⊙ b + m ⊙ s, m = σ(mask/T). mask [width] starts at 0, the
// temperature T at 0.01. With a penalty on m in the loss it finds the few dimensions that matter: De Cao et al., "Sparse Interventions
// in Language Models with Differentiable Masking" (2022).
type SigmoidMask struct{}

// Name is "sigmoid_mask".
func (SigmoidMask) Name() string { return "sigmoid_mask" }

// Parameters are the mask and the temperature, which is not trained.
func (SigmoidMask) Parameters(width int, _ *rand.Rand) ([]Owned, error) {
	return []Owned{{mask, Free, filled(0, width)}, {temperature, Fixed, tensors.FromScalar(float32(0.01))}}, nil
}

// Apply builds (1 − m) ⊙ b + m ⊙ s.
func (SigmoidMask) Apply(v Values) *Node {
	return mix(Sigmoid(Div(v.Parameters[mask], v.Parameters[temperature])), v.Base, v.Source)
}

// SigmoidMaskRotatedSpace is [SigmoidMask] in a rotated space: out = ((1 − m) ⊙ b R + m ⊙ s R) Rᵀ, m = σ(mask/T). R is [width, width],
// mask [width] starts at 100 and the temperature T at 50.
type SigmoidMaskRotatedSpace struct{}

// Name is "sigmoid_mask_rotated_space".
func (SigmoidMaskRotatedSpace) Name() string { return "sigmoid_mask_rotated_space" }

// Parameters are a random rotation, the mask, and the temperature, which is not trained.
func (SigmoidMaskRotatedSpace) Parameters(width int, random *rand.Rand) ([]Owned, error) {
	r, err := randomRotation(width, width, random)
	return []Owned{r, {mask, Free, filled(100, width)}, {temperature, Fixed, tensors.FromScalar(float32(50))}}, err
}

// Apply builds ((1 − m) ⊙ b R + m ⊙ s R) Rᵀ.
func (SigmoidMaskRotatedSpace) Apply(v Values) *Node {
	r := v.Parameters[rotation]
	return mixRotated(Sigmoid(Div(v.Parameters[mask], v.Parameters[temperature])), r, v)
}

// mix is (1 − m) ⊙ b + m ⊙ s, with m [width].
func mix(m, base, source *Node) *Node {
	m = ExpandLeftToRank(m, base.Rank())
	return Add(Mul(OneMinus(m), base), Mul(m, source))
}

// mixRotated mixes the coordinates in a rotated space.
func mixRotated(m, r *Node, v Values) *Node {
	return unproject(mix(m, project(v.Base, r), project(v.Source, r)), r)
}

func init() {
	Register(SigmoidMask{})
	Register(SigmoidMaskRotatedSpace{})
}
