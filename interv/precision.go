package interv

import (
	"slices"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
)

// product multiplies x and y over the given axes in full precision. Interventions compute their matrix products with it, because a
// rotation that is trained or retracted in TF32 does not stay orthonormal. No backend lets a single product say its precision, so where
// products of float32 are rounded this one is of float64, which they never are.
func product(x *Node, axes []int, y *Node, yAxes []int) *Node {
	dtype := x.DType()
	rounded := dtype == dtypes.Float32 && roundsProducts(x.Graph().Backend())
	if rounded {
		x, y = ConvertDType(x, dtypes.Float64), ConvertDType(y, dtypes.Float64)
	}
	z := DotGeneral(x, axes, nil, y, yAxes, nil)
	if rounded {
		z = ConvertDType(z, dtype)
	}
	return z
}

// roundsProducts tells whether a backend multiplies matrices of float32 in TF32: go-xla's on CUDA does unless its configuration says
// tf32=false.
func roundsProducts(backend compute.Backend) bool {
	xla, ok := backend.(interface {
		Config() string
		PluginName() string
	})
	if !ok {
		return false
	}
	settings := strings.Split(xla.Config(), ",")
	off := func(setting string) bool {
		return slices.Contains([]string{"notf32", "tf32=0", "tf32=f", "tf32=false"}, strings.ToLower(setting))
	}
	plugin := strings.ToLower(xla.PluginName())
	return (strings.Contains(plugin, "cuda") || strings.Contains(plugin, "nvidia")) && !slices.ContainsFunc(settings, off)
}
