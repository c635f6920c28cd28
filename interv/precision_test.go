package interv_test

import (
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/interv"
)

// rounding is a backend that multiplies matrices of float32 as CUDA's tensor cores do in TF32: of each factor 10 bits of the fraction
// count.
type rounding struct {
	compute.Backend
	config string
}

func (r rounding) Config() string     { return r.config }
func (r rounding) PluginName() string { return "cuda" }

func (r rounding) Builder(name string) compute.Builder {
	return roundingBuilder{r.Backend.Builder(name)}
}

type roundingBuilder struct{ compute.Builder }

func (b roundingBuilder) Main() compute.Function { return roundingFunction{b.Builder.Main()} }

type roundingFunction struct{ compute.Function }

func (f roundingFunction) Closure() (compute.Function, error) {
	inner, err := f.Function.Closure()
	return roundingFunction{inner}, err
}

func (f roundingFunction) While(cond, body compute.Function, state ...compute.Value) ([]compute.Value, error) {
	return f.Function.While(cond.(roundingFunction).Function, body.(roundingFunction).Function, state...)
}

func (f roundingFunction) DotGeneral(x compute.Value, xAxes, xBatch []int, y compute.Value, yAxes, yBatch []int, config compute.DotGeneralConfig) (compute.Value, error) {
	if shape, err := f.Shape(x); err == nil && shape.DType == dtypes.Float32 {
		x, y = f.rounded(x), f.rounded(y)
	}
	return f.Function.DotGeneral(x, xAxes, xBatch, y, yAxes, yBatch, config)
}

// rounded keeps the high bits of float32: with c = (2¹³ + 1) x, they are c − (c − x) (Dekker, 1971).
func (f roundingFunction) rounded(x compute.Value) compute.Value {
	of := func(value compute.Value, err error) compute.Value {
		if err != nil {
			panic(err)
		}
		return value
	}
	c := of(f.Mul(x, of(f.Constant([]float32{1<<13 + 1}))))
	return of(f.Sub(c, of(f.Sub(c, x))))
}

// A rotation is trained where the model is computed in TF32 as where it is not. Each step is the first of a new Intervenable, because
// GoMLX does not take a result of a wrapped backend for an input.
func TestRotationsAreExactUnderTF32(t *testing.T) {
	const width, rank, steps = 32, 16, 2
	train := func(engine compute.Backend) (r *tensors.Tensor, err error) {
		for step := range steps {
			model, call := stretch(width, dtypes.Float32)
			iv := interv.MustNew(engine, model, interv.Config{Representations: []interv.Representation{{Component: attends, Intervention: interv.LowRankRotatedSpace{Rank: rank}}}})
			if step > 0 {
				if err := iv.SetParameters(map[string]*tensors.Tensor{"0.rotation": r}); err != nil {
					return r, err
				}
			}
			trainer := iv.MustTrainer(func(o interv.Outcome) *Node { return ReduceAllSum(Square(o.Output)) }, interv.Adam{Rate: 0.05})
			if _, err := trainer.Step(call); err != nil {
				return r, err
			}
			r = iv.Parameters()["0.rotation"]
		}
		return r, nil
	}
	one, err := CallOnce(rounding{engine, "cuda"}, func(x *Node) *Node { return DotGeneral(x, []int{0}, nil, x, []int{0}, nil) }, []float32{1 + 0x1p-12})
	must(t, err)
	if got := tensors.ToScalar[float32](one); got != 1 {
		t.Fatalf("got %.8g, wanted a product that rounds", got)
	}
	r, err := train(rounding{engine, "cuda"}) // go-xla's default is TF32
	must(t, err)
	wantOrthonormal(t, r)
	if _, err := train(rounding{engine, "cuda,tf32=false"}); err == nil { // as if products were exact, when they are not
		t.Error("got rotations retracted in TF32, wanted this test to see that they are not orthonormal")
	}
}
