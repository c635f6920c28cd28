package foreign_test

import (
	"slices"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/foreign"
	"github.com/govene/govene/interv/foreign/internal/twin"
)

// two projections of the same x, and a residual path that reads it too.
var projections = map[string]*tensors.Tensor{"layer_0/up/w": random(5, width, width), "layer_0/up/b": random(6, width), "layer_0/down/w": random(7, width, width)}

func project(weights interv.Nodes, path string, x *Node) *Node {
	flat := Reshape(x, -1, width) // as dense layers do
	y := Reshape(Dot(flat, weights[path+"/w"]).Product(), x.Shape().Dimensions...)
	if bias := weights[path+"/b"]; bias != nil {
		y = Add(y, ExpandLeftToRank(bias, 3))
	}
	return y
}

// projecting is the model with taps.
type projecting struct{ toy }

func (m projecting) Weights() *interv.Weights {
	var shapes []interv.WeightShape
	for name, value := range projections {
		shapes = append(shapes, interv.WeightShape{Name: name, Dimensions: value.Shape().Dimensions})
	}
	w, err := interv.NewWeights(shapes, projections)
	if err != nil {
		panic(err)
	}
	return w
}

func (m projecting) Forward(weights, inputs interv.Nodes, tap *interv.Tap) *Node {
	at := func(component interv.Component, x *Node) *Node { return tap.At(interv.Site{Component: component}, x) }
	x := at("tanh", Tanh(inputs["x"]))
	up := at("up", project(weights, "layer_0/up", at("into_up", x)))
	both := at("product", Mul(up, at("down", project(weights, "layer_0/down", x))))
	return Add(at("sum", Add(both, x)), x)
}

// Each selector finds what a tap announces.
func TestSelectors(t *testing.T) {
	want := projecting{toy{components: []interv.Component{"tanh", "into_up", "up", "down", "product", "sum"}}}
	find := map[interv.Component]foreign.Selector{
		"tanh":    foreign.Nth(NodeTypeTanh, 0, 1),
		"into_up": foreign.Reads("layer_%d/up"),
		"up":      foreign.Module("layer_%d/up"),
		"down":    foreign.Module("layer_0/down/"),
		"product": foreign.Then(foreign.Module("layer_0/down/w")),
		"sum":     foreign.Alias("layer_%d/sum"),
	}
	d := describe(want, find)
	got := foreign.MustNew(engine, d, projections, func(weights, inputs interv.Nodes) *Node {
		return want.Forward(weights, inputs, interv.NewTap(func(_ *interv.Tap, a interv.Activation) *Node {
			if a.Site.Component == "sum" {
				a.Value.Graph().PushAliasScope("layer_0")
				defer a.Value.Graph().PopAliasScope()
				a.Value.WithAlias("sum")
			}
			return a.Value
		}))
	})
	twin.Pair{Backend: engine, Got: got, Want: want, Base: base, Source: source, Tolerance: 1e-5}.Compare(t)
}

// describe is a toy's description.
func describe(m interv.Model, find map[interv.Component]foreign.Selector) foreign.Description {
	d := foreign.Description{Inputs: []foreign.Input{{Name: "x", DType: dtypes.Float32, Dims: []int{foreign.Batch, foreign.Positions, width}}}}
	for _, sites := range m.Catalogue().Sites {
		d.Sites = append(d.Sites, foreign.Sites{Sites: sites, Find: find[sites.Component]})
	}
	return d
}

// Sites at one node may share the readers that their edits reach, or have none in common; else an edit of one would be lost in the other.
func TestSitesThatShareReaders(t *testing.T) {
	m := projecting{toy{components: []interv.Component{"up", "both"}}}
	zeroed := func(find map[interv.Component]foreign.Selector) (*tensors.Tensor, error) {
		got, err := foreign.New(engine, describe(m, find), projections, func(weights, inputs interv.Nodes) *Node { return m.Forward(weights, inputs, nil) })
		if err != nil {
			return nil, err
		}
		config, call := interv.Config{}, interv.Call{Base: base}
		for component := range find {
			config.Representations = append(config.Representations, interv.Representation{Component: component, Intervention: interv.Zero{}})
			call.Locations = append(call.Locations, interv.Everywhere())
		}
		return interv.MustNew(engine, got, config).MustRun(call).Output, nil
	}
	up, down, both := foreign.Reads("layer_0/up"), foreign.Reads("layer_0/down"), foreign.Reads("layer_0/up", "layer_0/down")
	_, err := zeroed(map[interv.Component]foreign.Selector{"up": up, "both": both})
	wanted.Refusal(t, err, "layer 0 both", "readers", "layer 0 up has")
	apart, err := zeroed(map[interv.Component]foreign.Selector{"up": up, "both": down})
	if err != nil {
		t.Fatal(err)
	}
	together, err := zeroed(map[interv.Component]foreign.Selector{"up": both, "both": both})
	if err != nil {
		t.Fatal(err)
	}
	if !apart.Equal(together) {
		t.Errorf("both readers apart gave %v, together %v", apart, together)
	}
}

// Positions may lie in rows and columns. Here position 4 is row 1, column 1 of two rows and three columns.
func TestPositionsOfAGrid(t *testing.T) {
	m := foreign.MustNew(engine, foreign.Description{Positions: 6,
		Inputs: []foreign.Input{{Name: "x", DType: dtypes.Float32, Dims: []int{foreign.Batch, 2, 3, width}}},
		Sites: []foreign.Sites{{Sites: interv.Sites{Component: "a", Layers: 1, Width: width}, Dims: []int{foreign.Batch, 2, 3, width},
			Find: foreign.Nth(NodeTypeNeg, 0, 1)}},
	}, toyWeights.All(), func(_, inputs interv.Nodes) *Node { return Neg(Neg(inputs["x"])) })
	x, y := random(1, 2, 2, 3, width), random(2, 2, 2, 3, width)
	result := interv.MustNew(engine, m, interv.Config{Representations: []interv.Representation{{Component: "a", Intervention: interv.Vanilla{}}}}).
		MustRun(interv.Call{Base: interv.Inputs{"x": x}, Sources: []interv.Inputs{{"x": y}},
			Locations: []*interv.Location{interv.FromTo(interv.Repeat(2, 1), interv.Repeat(2, 4))}})
	got, want := tensors.MustCopyFlatData[float32](result.Output), tensors.MustCopyFlatData[float32](x)
	for example := range 2 {
		copy(want[(example*6+4)*width:][:width], tensors.MustCopyFlatData[float32](y)[(example*6+1)*width:])
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, wanted %v", got, want)
	}
}
