package interv

import (
	"fmt"
	"math/rand/v2"

	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// The interventions of this file rotate activations before they exchange them: with R a matrix of orthonormal columns, x R are
// the coordinates of x in the rotated space. R is trainable; finding it is distributed alignment search (DAS): Geiger et al.,
// "Finding Alignments Between Interpretable Causal Variables and Distributed Neural Representations" (2023).

// rotation is the parameter's name in all of them.
const rotation = "rotation"

// randomRotation draws a rotation [width, rank], and refuses one that no memory holds.
func randomRotation(width, rank int, random *rand.Rand) (Owned, error) {
	const most = 1 << 28
	if rank > most/width {
		return Owned{}, &Error{Axis: rotation, Got: fmt.Sprintf("[%d, %d]", width, rank), Wanted: fmt.Sprintf("at most %d entries", most)}
	}
	return Owned{rotation, Orthonormal, RandomOrthonormal(width, rank, random)}, nil
}

// RotatedSpace exchanges coordinates in a rotated space of full rank: out = z Rᵀ, where z = s R on the selected columns and b R
// elsewhere. R is [width, width]; a subspace selects columns of R. With all columns it is [Vanilla] up to rounding.
type RotatedSpace struct{}

// Name is "rotated_space".
func (RotatedSpace) Name() string { return "rotated_space" }

// Features is the width: a subspace selects columns of the rotation.
func (RotatedSpace) Features(width int) int { return width }

// Parameters is a random rotation [width, width].
func (RotatedSpace) Parameters(width int, random *rand.Rand) ([]Owned, error) {
	r, err := randomRotation(width, width, random)
	return []Owned{r}, err
}

// Apply builds z Rᵀ.
func (RotatedSpace) Apply(v Values) *Node {
	r := v.Parameters[rotation]
	return unproject(blend(v.Selected, project(v.Base, r), project(v.Source, r)), r)
}

// LowRankRotatedSpace exchanges the part of the activation that lies in a subspace of a low rank:
//
//	out = b + (m ⊙ (s R − b R)) Rᵀ
//
// R is [width, Rank], and m is 1 on the selected columns of R (all, if the call selects no subspace) and 0 elsewhere. What is
// orthogonal to the columns keeps the base's value.
type LowRankRotatedSpace struct {
	Rank int `json:"rank"` // 1 to the width of the site
}

// Name is "low_rank_rotated_space".
func (LowRankRotatedSpace) Name() string { return "low_rank_rotated_space" }

// Features is the rank: a subspace selects columns of the rotation.
func (l LowRankRotatedSpace) Features(int) int { return l.Rank }

// Parameters is a random rotation [width, Rank]; a rank below 1 or above the width is an error.
func (l LowRankRotatedSpace) Parameters(width int, random *rand.Rand) ([]Owned, error) {
	if l.Rank < 1 || l.Rank > width {
		return nil, &Error{Axis: "rank", Got: fmt.Sprint(l.Rank), Wanted: fmt.Sprintf("1 to the width, %d", width)}
	}
	r, err := randomRotation(width, l.Rank, random)
	return []Owned{r}, err
}

// Apply builds b + (m ⊙ (s R − b R)) Rᵀ.
func (l LowRankRotatedSpace) Apply(v Values) *Node {
	r := v.Parameters[rotation]
	change := Sub(project(v.Source, r), project(v.Base, r))
	return Add(v.Base, unproject(blend(v.Selected, ZerosLike(change), change), r))
}

// BoundlessRotatedSpace exchanges the first coordinates of a rotated space, up to a boundary that is learned:
//
//	out = ((1 − m) ⊙ b R + m ⊙ s R) Rᵀ,   m_k = σ(k/T) · σ((β·width − k)/T),   k = 0 … width−1,   β = clamp(boundary, 0.001, 1)
//
// R is [width, width], boundary [1] starts at 0.5 and the temperature T at 50; a low T makes the boundary sharp. It takes no
// subspace. Wu et al., "Interpretability at Scale: Identifying Causal Mechanisms in Alpaca" (2023).
type BoundlessRotatedSpace struct{}

// Name is "boundless_rotated_space".
func (BoundlessRotatedSpace) Name() string { return "boundless_rotated_space" }

// Parameters is a random rotation [width, width], the boundary [1], and the temperature, which is not trained.
func (BoundlessRotatedSpace) Parameters(width int, random *rand.Rand) ([]Owned, error) {
	r, err := randomRotation(width, width, random)
	return []Owned{r, {"boundary", Free, tensors.FromValue([]float32{0.5})}, {temperature, Fixed, tensors.FromScalar(float32(50))}}, err
}

// Apply builds ((1 − m) ⊙ b R + m ⊙ s R) Rᵀ.
func (BoundlessRotatedSpace) Apply(v Values) *Node {
	r, t := v.Parameters[rotation], v.Parameters[temperature]
	width := r.Shape().Dim(0)
	k := ConvertDType(Iota(r.Graph(), shapes.Make(r.DType(), width), 0), r.DType())
	boundary := MulScalar(ClipScalar(v.Parameters["boundary"], 0.001, 1), width)
	return mixRotated(Mul(Sigmoid(Div(k, t)), Sigmoid(Div(Sub(boundary, k), t))), r, v)
}

func init() {
	Register(RotatedSpace{})
	Register(LowRankRotatedSpace{})
	Register(BoundlessRotatedSpace{})
}
