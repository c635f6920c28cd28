package interv

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/eigen"
	"github.com/govene/govene/internal/host"
)

// PCARotatedSpace exchanges principal components of standardized activations: out = (z C) ⊙ std + mean, z = ((s − mean)/std) Cᵀ on the
// selected components and ((b − mean)/std) Cᵀ elsewhere. components C is [Components, width], mean and std [width]; a subspace selects
// components. Where Components is less than the width, what lies outside of them is lost. None is trained: they come from [FitPCA], and
// until then C is the first rows of the identity. A standard deviation that is not above 0 is refused.
type PCARotatedSpace struct {
	Components int `json:"components,omitempty"` // 1 to the width of the site; 0 means the width
}

// deviation is what a parameter is called that activations are divided by.
const deviation = "std"

// Name is "pca_rotated_space".
func (PCARotatedSpace) Name() string { return "pca_rotated_space" }

// Features is the number of components.
func (p PCARotatedSpace) Features(width int) int {
	if p.Components == 0 {
		return width
	}
	return p.Components
}

// Parameters are the components, the mean and the standard deviation.
func (p PCARotatedSpace) Parameters(width int, _ *rand.Rand) ([]Owned, error) {
	count := p.Features(width)
	if count < 1 || count > width {
		return nil, &Error{Axis: "components", Got: fmt.Sprint(p.Components), Wanted: fmt.Sprintf("1 to the width, %d", width)}
	}
	const most = 1 << 28
	if count > most/width {
		return nil, &Error{Axis: "components", Got: fmt.Sprintf("[%d, %d]", count, width), Wanted: fmt.Sprintf("at most %d entries", most)}
	}
	identity := make([]float64, count*width)
	for i := range count {
		identity[i*width+i] = 1
	}
	return []Owned{
		{"components", Fixed, host.Tensor(identity, dtypes.Float32, count, width)}, {"mean", Fixed, filled(0, width)}, {deviation, Fixed, filled(1, width)},
	}, nil
}

// Apply builds (z C) ⊙ std + mean.
func (p PCARotatedSpace) Apply(v Values) *Node {
	components := v.Parameters["components"]
	mean, std := ExpandLeftToRank(v.Parameters["mean"], v.Base.Rank()), ExpandLeftToRank(v.Parameters[deviation], v.Base.Rank())
	coordinates := func(x *Node) *Node { return unproject(Div(Sub(x, mean), std), components) }
	z := blend(v.Selected, coordinates(v.Base), coordinates(v.Source))
	return Add(Mul(project(z, components), std), mean)
}

// FitPCA computes the parameters of a [PCARotatedSpace] of so many components from n activations […, width], such as
// [Collected.Vectors]: the mean and the standard deviation √(Σ (x − mean)²/n) of every dimension (1 for one that never changes, as far as
// float32 tells), and the eigenvectors of the covariance of the standardized activations with the largest eigenvalues, largest first, each
// with its largest entry positive. It takes of the order of width³ operations. Activations are float32 or float64, and so small that
// float32 holds their mean and standard deviation. [Intervenable.SetParametersOf] takes the result.
func FitPCA(activations *tensors.Tensor, components int) (map[string]*tensors.Tensor, error) {
	const where = "fitting PCA"
	if err := checkNumbers(where, activations); err != nil {
		return nil, err
	}
	if activations.Rank() < 2 || activations.Size() == 0 {
		return nil, &Error{Where: where, Axis: "activations", Got: activations.Shape().String(), Wanted: "[…, width], not empty"}
	}
	width := activations.Shape().Dim(-1)
	count := activations.Size() / width
	if components < 1 || components > width {
		return nil, &Error{Where: where, Axis: "components", Got: fmt.Sprint(components), Wanted: fmt.Sprintf("1 to the width, %d", width)}
	}
	if count < 2 {
		return nil, &Error{Where: where, Axis: "activations", Got: fmt.Sprintf("%d vectors", count), Wanted: "at least 2"}
	}
	x := host.Floats(activations)
	mean, std := standardize(x, width)
	fitted := map[string]*tensors.Tensor{"mean": host.Tensor(mean, dtypes.Float32, width), deviation: host.Tensor(std, dtypes.Float32, width)}
	for _, name := range sortedKeys(fitted) {
		if err := CheckFinite(where+", "+name, fitted[name]); err != nil {
			return nil, err
		}
	}
	vectors, err := eigen.Vectors(eigen.Covariance(x, width), width)
	if err != nil {
		return nil, Within(where, err)
	}
	fitted["components"] = host.Tensor(vectors[:components*width], dtypes.Float32, components, width)
	return fitted, nil
}

// standardize subtracts from each column of x, [rows, width], its mean and divides by its standard deviation, or by 1 if that is as good as
// 0 in float32.
func standardize(x []float64, width int) (mean, std []float64) {
	const least = 0x1p-126 // the smallest normal float32: some processors take what is smaller for 0
	mean, std = make([]float64, width), make([]float64, width)
	rows := float64(len(x) / width)
	for i, value := range x {
		mean[i%width] += value / rows
	}
	varies := make([]bool, width) // its deviation from a rounded mean would not tell
	for i, value := range x {
		std[i%width] += (value - mean[i%width]) * (value - mean[i%width]) / rows
		varies[i%width] = varies[i%width] || value != x[i%width]
	}
	for j := range std {
		if std[j] = math.Sqrt(std[j]); !varies[j] || std[j] < least {
			mean[j], std[j] = x[j], 1
		}
	}
	for i := range x {
		x[i] = (x[i] - mean[i%width]) / std[i%width]
	}
	return mean, std
}

func init() { Register(PCARotatedSpace{}) }
