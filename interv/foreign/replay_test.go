package foreign_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/layers/attention"
	"github.com/gomlx/gomlx/ml/nn"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/govene/govene/internal/draw"
	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/foreign/internal/twin"
)

func random(seed uint64, dimensions ...int) *tensors.Tensor {
	return draw.Tensor(rand.New(rand.NewPCG(seed, 1)).NormFloat64, dimensions...)
}

const width = 4

// toy is a model with taps over x, [batch, positions, width], with one weight w, [width, width]. Its components exist in one layer.
type toy struct {
	components []interv.Component
	forward    func(x, w *Node, at func(component interv.Component, x *Node) *Node) *Node
}

func (m toy) Catalogue() interv.Catalogue {
	c := interv.Catalogue{Model: "toy"}
	for _, component := range m.components {
		c.Sites = append(c.Sites, interv.Sites{Component: component, Layers: 1, Width: width, Units: []interv.Unit{interv.Position}})
	}
	return c
}

var toyWeights = func() *interv.Weights {
	w, err := interv.NewWeights([]interv.WeightShape{{Name: "w", Dimensions: []int{width, width}}},
		map[string]*tensors.Tensor{"w": random(3, width, width)})
	if err != nil {
		panic(err)
	}
	return w
}()

func (m toy) Weights() *interv.Weights { return toyWeights }

func (m toy) Check(inputs interv.Inputs) (interv.Extent, error) {
	x, err := inputs.Require("x", dtypes.Float32, interv.Any, interv.Any, width)
	if err != nil {
		return interv.Extent{}, err
	}
	return interv.Extent{Batch: x.Shape().Dim(0), Positions: x.Shape().Dim(1)}, nil
}

func (m toy) Forward(weights, inputs interv.Nodes, tap *interv.Tap) *Node {
	return m.forward(inputs["x"], weights["w"], func(component interv.Component, x *Node) *Node {
		return tap.At(interv.Site{Component: component}, x)
	})
}

var base, source = interv.Inputs{"x": random(1, 3, 5, width)}, interv.Inputs{"x": random(2, 3, 5, width)}

// patch is a config of one vanilla intervention at a site of a toy, and a call that swaps positions.
func patch(component interv.Component) (interv.Config, interv.Call) {
	return interv.Config{Representations: []interv.Representation{{Component: component, Intervention: interv.Vanilla{}}}},
		interv.Call{Base: base, Sources: []interv.Inputs{source}, WithBase: true,
			Locations: []*interv.Location{interv.FromTo(interv.Repeat(3, 0, 1), interv.Repeat(3, 3, 1))}}
}

// mixed is x, of which each position has seen those before it.
func mixed(x *Node) *Node { return Add(x, CumSum(x, 1)) }

// Fused operations, and what is written by hand with gradients of its own, compute and differentiate in a replay as they do in a graph
// with taps.
func TestFusedOperationsAndTheirGradients(t *testing.T) {
	m := toy{[]interv.Component{"in", "dense", "norm", "gelu", "bias", "attention", "custom", "out"},
		func(x, w *Node, at func(component interv.Component, x *Node) *Node) *Node {
			x = at("in", x)
			y := at("dense", nn.Dense(x, w, nil, 0))
			y = at("norm", nn.LayerNorm(y, []int{-1}, 1e-5, nil, nil, nil))
			y = at("gelu", activation.Gelu(y)).Checkpoint()
			heads := func(x *Node) *Node { return Reshape(x, x.Shape().Dim(0), x.Shape().Dim(1), 2, width/2) }
			scores := Einsum("bqd,bkd->bqk", at("bias", MulScalar(x, 0.5)), x)
			batch, positions := x.Shape().Dim(0), x.Shape().Dim(1)
			bias := BroadcastToDims(ExpandDims(scores, 1), batch, 2, positions, positions)
			z, _ := attention.Core(heads(y), heads(x), heads(y), attention.LayoutBSHD, attention.CoreOptions{AttentionBias: bias})
			y = at("attention", Add(y, Reshape(z, x.Shape().Dimensions...))).StopCheckpoint()
			y = IdentityWithCustomGradient(at("custom", y), func(x, v *Node) *Node { return Mul(v, Sigmoid(x)) })
			return at("out", Softmax(Add(y, StopGradient(x)), -1))
		}}
	twin.Pair{Backend: engine, Got: aliased(t, m, base), Want: m, Base: base, Source: source, Tolerance: 1e-5}.Compare(t)
}

// A fused operation may read a node that is not among its inputs, as fused attention does with a mask: then its plain twin is replayed. Here
// such an operation is played by an identity of y, which is right as long as h is 0.
func TestFusedOperationThatHidesAnInput(t *testing.T) {
	hiding := func(hides bool) toy {
		return toy{[]interv.Component{"a"}, func(x, w *Node, at func(component interv.Component, x *Node) *Node) *Node {
			y, a := Sin(x), at("a", Tanh(x))
			h := Sub(a, Tanh(x))
			fused := func() *Node { return Identity(y) }
			if !hides {
				fused = func() *Node { return Add(y, h) }
			}
			sum, _ := InternalFusedOpCaller(fused, func() *Node { return Add(y, h) }, true)
			return Add(a, sum)
		}}
	}
	config, call := patch("a")
	got := interv.MustNew(engine, aliased(t, hiding(true), base), config).MustRun(call)
	want := interv.MustNew(engine, hiding(false), config).MustRun(call)
	if !got.Output.Equal(want.Output) || got.Output.Equal(got.BaseOutput) {
		t.Errorf("got %v, wanted %v", got.Output, want.Output)
	}
}

// control has a loop, a function with two outputs, a branch and a sort.
func control(captures bool) toy {
	return toy{[]interv.Component{"before", "between", "after"},
		func(x, w *Node, at func(component interv.Component, x *Node) *Node) *Node {
			g := x.Graph()
			h := at("before", Tanh(x))
			shape := h.Shape()
			counter := shapes.Make(dtypes.Int32)
			condition := NewClosure(g, func(g *Graph) []*Node {
				i := Parameter(g, "i", counter)
				Parameter(g, "h", shape)
				return []*Node{LessThan(i, Const(g, int32(3)))}
			})
			body := NewClosure(g, func(g *Graph) []*Node {
				i, state := Parameter(g, "i", counter), Parameter(g, "h", shape)
				next := Tanh(Mul(state, Const(g, float32(2)))) // scalars are cached, whichever function made them
				if captures {
					next = Add(next, h)
				}
				return []*Node{Add(i, Const(g, int32(1))), next}
			})
			h = at("between", While(condition, body, Const(g, int32(0)), h)[1])
			f := NewFunction(g, g.UniqueName("two"), func(g *Graph) []*Node {
				x := Parameter(g, "x", shape)
				return []*Node{Mul(x, x), Sin(x)}
			})
			both := f.Call(h)
			h = Sub(both[0], both[1])
			constant := func(value float32) *Function {
				return NewClosure(g, func(g *Graph) []*Node {
					return []*Node{Const(g, value), Const(g, -value)}
				})
			}
			chosen := If(GreaterThan(ReduceAllSum(h), Scalar(g, dtypes.Float32, 0)), constant(1), constant(2))
			h = Add(Mul(h, chosen[0]), chosen[1])
			return at("after", Sort(h, -1, true))
		}}
}

func TestLoopsBranchesAndFunctions(t *testing.T) {
	m := control(false)
	got := aliased(t, m, base)
	for _, component := range m.components {
		config, call := patch(component)
		a, b := interv.MustNew(engine, got, config).MustRun(call), interv.MustNew(engine, m, config).MustRun(call)
		if !a.Output.Equal(b.Output) || !a.BaseOutput.Equal(b.BaseOutput) || a.Output.Equal(a.BaseOutput) {
			t.Errorf("%s: got %v, wanted %v", component, a.Output, b.Output)
		}
	}
}

// What a loop captures is past its inputs, and would stay as it is in the clean run.
func TestLoopThatCapturesAnEditedValue(t *testing.T) {
	if onXLA {
		t.Skip("GoMLX's XLA backend has no captures")
	}
	m := aliased(t, control(true), base)
	config, call := patch("before")
	_, err := interv.MustNew(engine, m, config).Run(call)
	wanted.Refusal(t, err, "captures", "state")
	config, call = patch("between")
	if _, err := interv.MustNew(engine, m, config).Run(call); err != nil {
		t.Error(err)
	}
}

// build makes a graph of one run, and counts its nodes.
func build(m interv.Model, tap *interv.Tap) (output *Node, nodes int) {
	g := NewGraph(engine, "test")
	weights, inputs := interv.Nodes{}, interv.Nodes{}
	for _, name := range m.Weights().Names() {
		weights[name] = Parameter(g, "weight "+name, m.Weights().Tensor(name).Shape())
	}
	for name, value := range base {
		inputs[name] = Parameter(g, name, value.Shape())
	}
	output = m.Forward(weights, inputs, tap)
	return output, len(g.Nodes())
}

// Announcing costs nothing: without an edit the run is the clean one.
func TestWithoutEditsNothingIsReplayed(t *testing.T) {
	m := aliased(t, toy{[]interv.Component{"a", "b"}, func(x, w *Node, at func(component interv.Component, x *Node) *Node) *Node {
		return at("b", mixed(at("a", Tanh(x))))
	}}, base)
	announced := 0
	_, plain := build(m, nil)
	_, tapped := build(m, interv.NewTap(func(_ *interv.Tap, a interv.Activation) *Node {
		announced++
		return a.Value
	}))
	if tapped != plain {
		t.Errorf("got %d nodes, wanted %d, those of the clean run", tapped, plain)
	}
	if announced != 2 {
		t.Errorf("got %d announcements, wanted one a site", announced)
	}
}

// An edit in mid-graph leaves what is above it alone, and nothing is computed twice.
func TestOnlyWhatAnEditReachesIsReplayed(t *testing.T) {
	m := aliased(t, toy{[]interv.Component{"a"}, func(x, w *Node, at func(component interv.Component, x *Node) *Node) *Node {
		side := Sin(x)
		y := Tanh(at("a", Tanh(Tanh(x))))
		return Add(Mul(y, y), Add(side, y))
	}}, base)
	_, plain := build(m, nil)
	_, edited := build(m, interv.NewTap(func(_ *interv.Tap, a interv.Activation) *Node { return Neg(a.Value) }))
	if added := edited - plain; added != 1+4 { // Neg; Tanh, Mul, two Adds
		t.Errorf("got %d nodes more than in the clean run, wanted 5", added)
	}
}

// A source run ends with the deepest site that is read, by a panic that must come through.
func TestTapMayEndTheRun(t *testing.T) {
	m := aliased(t, toy{[]interv.Component{"a", "b"}, func(x, w *Node, at func(component interv.Component, x *Node) *Node) *Node {
		return at("b", Tanh(at("a", Tanh(x))))
	}}, base)
	stop := fmt.Errorf("stop")
	err := exceptions.TryCatch[error](func() {
		build(m, interv.NewTap(func(_ *interv.Tap, a interv.Activation) *Node { panic(stop) }))
	})
	if err != stop {
		t.Errorf("got %v, wanted what the tap panicked with", err)
	}
}

func TestRowsCannotJoin(t *testing.T) {
	m := aliased(t, toy{[]interv.Component{"a"}, func(x, w *Node, at func(component interv.Component, x *Node) *Node) *Node {
		return Tanh(at("a", Tanh(x)))
	}}, base)
	err := exceptions.TryCatch[error](func() {
		build(m, interv.NewTap(func(tap *interv.Tap, a interv.Activation) *Node { return tap.Join(a.Value, 0) }))
	})
	wanted.Refusal(t, err, "layer 0 a", "[4, 5, 4]", "[3, 5, 4]")
}

// Programs of one model may be compiled by many goroutines at once, but its function is never called by two.
func TestConcurrentCalls(t *testing.T) {
	building := false
	m := aliased(t, toy{[]interv.Component{"a"}, func(x, w *Node, at func(component interv.Component, x *Node) *Node) *Node {
		if building {
			t.Error("two goroutines build at once")
		}
		building = true
		runtime.Gosched()
		building = false
		return mixed(at("a", Tanh(x)))
	}}, base)
	config, call := patch("a")
	want := interv.MustNew(engine, m, config).MustRun(call).Output
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if got := interv.MustNew(engine, m, config).MustRun(call).Output; !got.Equal(want) {
				t.Error("another output")
			}
		})
	}
	all.Wait()
}

// At one node, edits of its readers follow edits of the node itself, and sites keep the catalogue's order.
func TestSeveralSitesAtOneNode(t *testing.T) {
	m := aliased(t, toy{[]interv.Component{"a", "b"}, func(x, w *Node, at func(component interv.Component, x *Node) *Node) *Node {
		return mixed(at("b", at("a", Tanh(x))))
	}}, base)
	var order []interv.Component
	output, _ := build(m, interv.NewTap(func(_ *interv.Tap, a interv.Activation) *Node {
		order = append(order, a.Site.Component)
		if a.Site.Component == "b" && a.Value.Type() != NodeTypeNeg {
			t.Errorf("b got %s, wanted what a was changed to", a.Value)
		}
		return Neg(a.Value)
	}))
	if !slices.Equal(order, []interv.Component{"a", "b"}) || output == nil {
		t.Errorf("got the order %v, wanted a, b", order)
	}
}
