package interv

import (
	"slices"
	"strings"
	"sync"

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

// A model may hold its weights and activations in 16 bits, bfloat16 or float16. Edits then read and write activations of that type; what
// has parameters computes in float32, parameters are trained in float32, and what is handed in and out is float32.

// widened is x, in float32 if it has 16 bits; nil for nil.
func widened(x *Node) *Node {
	if x == nil || !half(x.DType()) {
		return x
	}
	return ConvertDType(x, dtypes.Float32)
}

// converted is x with elements of a type.
func converted(x *Node, dtype dtypes.DType) *Node {
	if x.DType() == dtype {
		return x
	}
	return ConvertDType(x, dtype)
}

func half(dtype dtypes.DType) bool { return dtype == dtypes.BFloat16 || dtype == dtypes.Float16 }

// typeNames is what messages call element types.
func typeNames(list ...dtypes.DType) string {
	names := make([]string, len(list))
	for i, dtype := range list {
		names[i] = strings.ToLower(dtype.String())
	}
	return strings.Join(names, ", ")
}

// checkComputes refuses a backend that cannot compute in the type of a model's weights.
func checkComputes(backend compute.Backend, dtype dtypes.DType) error {
	if computes(backend, dtype) {
		return nil
	}
	able := slices.DeleteFunc([]dtypes.DType{dtypes.Float32, dtypes.Float64, dtypes.BFloat16, dtypes.Float16}, func(d dtypes.DType) bool { return !computes(backend, d) })
	return &Error{Where: "backend " + backend.Name(), Axis: "element type of the model", Got: typeNames(dtype), Wanted: "one that it computes in: " + typeNames(able...)}
}

// tried remembers what computes has tried, by backend and type.
var tried sync.Map

// computes tells whether a backend computes in a type: if it says so or, since go-xla leaves out of its list what plugins compute all the
// same, if a small program runs.
func computes(backend compute.Backend, dtype dtypes.DType) bool {
	if backend.Capabilities().DTypes[dtype] {
		return true
	}
	type trial struct {
		compute.Backend
		dtypes.DType
	}
	key := trial{backend, dtype}
	if result, ok := tried.Load(key); ok {
		return result.(bool)
	}
	err := guard(func() {
		g := NewGraph(backend, "trial")
		x := ConvertDType(Const(g, [][]float32{{1, 2}, {3, 4}}), dtype)
		if err := g.Compile(ConvertDType(Add(DotGeneral(x, []int{1}, nil, x, []int{0}, nil), x), dtypes.Float32)); err != nil {
			panic(err)
		}
		g.Run()
	})
	tried.Store(key, err == nil)
	return err == nil
}
