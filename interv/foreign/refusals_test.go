package foreign_test

import (
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/foreign"
)

// plain is a model of two layers x ← x + tanh(x w), with aliases, and its description.
func plain() (foreign.Description, foreign.Build) {
	return foreign.Description{
			Name:   "plain",
			Inputs: []foreign.Input{{Name: "x", DType: dtypes.Float32, Dims: []int{foreign.Batch, foreign.Positions, width}}},
			Sites: []foreign.Sites{
				{Sites: interv.Sites{Component: "tanh", Layers: 2, Width: width}, Find: foreign.Alias("layer_%d/tanh")},
				{Sites: interv.Sites{Component: "sum", Layers: 2, Width: width}, Find: foreign.Nth(NodeTypeAdd, 0, 1)},
			},
		}, func(weights, inputs interv.Nodes) *Node {
			x := inputs["x"]
			g := x.Graph()
			for _, scope := range []string{"layer_0", "layer_1"} {
				g.PushAliasScope(scope)
				y := Tanh(Einsum("bpi,io->bpo", x, weights["w"])).WithAlias("tanh")
				g.PopAliasScope()
				Neg(y).WithAlias(scope + "/dead")
				x = Add(x, y)
			}
			return Mul(x, ConvertDType(ConvertDType(x, dtypes.Int32), dtypes.Float32))
		}
}

func TestDescriptionRefused(t *testing.T) {
	site := func(change func(s *foreign.Sites)) func(d *foreign.Description) {
		return func(d *foreign.Description) { change(&d.Sites[0]) }
	}
	for name, c := range map[string]struct {
		change func(d *foreign.Description)
		words  []string
	}{
		"no batch":         {func(d *foreign.Description) { d.Inputs = nil }, []string{"plain", "Batch"}},
		"no name":          {site(func(s *foreign.Sites) { s.Component = "" }), []string{"site 0", "component"}},
		"no selector":      {site(func(s *foreign.Sites) { s.Find = nil }), []string{"Find"}},
		"no layers":        {site(func(s *foreign.Sites) { s.Layers = 0 }), []string{"Layers", "at least 1"}},
		"no such layer":    {site(func(s *foreign.Sites) { s.Only = []int{1, 2} }), []string{"Only", "[1 2]", "0 to 1"}},
		"no order":         {site(func(s *foreign.Sites) { s.Only = []int{1, 0} }), []string{"Only", "ascending"}},
		"none of them":     {site(func(s *foreign.Sites) { s.Only = []int{} }), []string{"Only"}},
		"negative":         {site(func(s *foreign.Sites) { s.Heads = -1 }), []string{"-1"}},
		"no width":         {site(func(s *foreign.Sites) { s.Width = 0 }), []string{"Dims"}},
		"twice":            {site(func(s *foreign.Sites) { s.Component = "sum" }), []string{"sum twice"}},
		"dims":             {site(func(s *foreign.Sites) { s.Dims = []int{foreign.Batch, width} }), []string{"[batch 4]", "[batch positions 4]"}},
		"no batch in dims": {site(func(s *foreign.Sites) { s.Dims = []int{foreign.Positions, foreign.Batch, width} }), []string{"[positions batch 4]"}},
		"another width":    {site(func(s *foreign.Sites) { s.Width = 5 }), []string{"layer 0 tanh", "shape", "[batch positions 5]"}},
		"more layers":      {site(func(s *foreign.Sites) { s.Layers = 3 }), []string{"layer 2 tanh", "no node"}},
		"unknown alias":    {site(func(s *foreign.Sites) { s.Find = foreign.Alias("tanh") }), []string{"layer 0 tanh", "no node"}},
		"dead":             {site(func(s *foreign.Sites) { s.Find = foreign.Alias("layer_%d/dead") }), []string{"does not depend on"}},
		"too few nodes":    {site(func(s *foreign.Sites) { s.Find = foreign.Nth(NodeTypeTanh, 1, 1) }), []string{"layer 1 tanh", "no node"}},
		"unknown module":   {site(func(s *foreign.Sites) { s.Find = foreign.Module("/mlp") }), []string{"no node"}},
		"nothing reads":    {site(func(s *foreign.Sites) { s.Find = foreign.Reads("/mlp") }), []string{"no node"}},
		"two nodes": {site(func(s *foreign.Sites) {
			s.Find = foreign.Then(foreign.Alias("layer_0/tanh"))
			s.Layers = 1
			s.Find = two
		}), []string{"2 nodes", "Tanh", "Add"}},
		"stepwise with one": {site(func(s *foreign.Sites) { s.Stepwise, s.Dims = true, nil }), []string{"1 nodes", "of shape [5 4]"}},
		"integers":          {site(func(s *foreign.Sites) { s.Find = whole }), []string{"Int32", "Float32"}},
	} {
		t.Run(name, func(t *testing.T) {
			d, build := plain()
			c.change(&d)
			_, err := foreign.New(engine, d, toyWeights.All(), build)
			wanted.Refusal(t, err, c.words...)
		})
	}
}

// two finds both nodes of a layer.
func two(run *foreign.Run, want foreign.Want) []foreign.Place {
	tanh := run.Alias("layer_0/tanh")
	return foreign.Places(tanh, run.Readers(tanh)[0])
}

func whole(run *foreign.Run, want foreign.Want) []foreign.Place {
	for _, n := range run.Nodes() {
		if n.DType() == dtypes.Int32 {
			return foreign.Places(n)
		}
	}
	return nil
}

func TestGraphRefused(t *testing.T) {
	for name, c := range map[string]struct {
		build foreign.Build
		words []string
	}{
		"stray parameter": {func(weights, inputs interv.Nodes) *Node {
			return Add(inputs["x"], Parameter(inputs["x"].Graph(), "stray", inputs["x"].Shape()))
		}, []string{`"stray"`, "nothing feeds"}},
		"no batch": {func(weights, inputs interv.Nodes) *Node { return ReduceAllSum(inputs["x"]) }, []string{"output", "batch"}},
		"nil":      {func(weights, inputs interv.Nodes) *Node { return nil }, []string{"output"}},
	} {
		t.Run(name, func(t *testing.T) {
			d, _ := plain()
			d.Sites = nil
			_, err := foreign.New(engine, d, toyWeights.All(), c.build)
			wanted.Refusal(t, err, append(c.words, "plain")...)
		})
	}
	d, _ := plain()
	if _, err := foreign.New(engine, d, toyWeights.All(), func(weights, inputs interv.Nodes) *Node {
		return Add(inputs["x"], weights["missing"])
	}); err == nil {
		t.Error("a function that fails was accepted")
	}
}

func TestInputsRefused(t *testing.T) {
	d, build := plain()
	d.Inputs = append(d.Inputs, foreign.Input{Name: "ids", DType: dtypes.Int32, Dims: []int{foreign.Batch, foreign.Positions}, Below: 7},
		foreign.Input{Name: "wide", DType: dtypes.Int64, Dims: []int{foreign.Batch}, Below: 2})
	m := foreign.MustNew(engine, d, toyWeights.All(), build)
	ids := func(dims []int, values ...int32) *tensors.Tensor {
		return tensors.FromFlatDataAndDimensions(values, dims...)
	}
	good := interv.Inputs{"x": random(1, 1, 2, width), "ids": ids([]int{1, 2}, 0, 6), "wide": tensors.FromFlatDataAndDimensions([]int64{1}, 1)}
	if extent, err := m.Check(good); err != nil || extent.Batch != 1 || extent.Positions != 2 {
		t.Errorf("got %+v, %v, wanted a batch of 1 with 2 positions", extent, err)
	}
	for name, c := range map[string]struct {
		value *tensors.Tensor
		words []string
	}{
		"ids":  {ids([]int{1, 2}, 0, 7), []string{"ids", "element 1", "7", "0 to 6"}},
		"x":    {random(1, 1, 3, width), []string{"ids", "[1 3]"}},
		"y":    {random(1, 1), []string{`"y"`}},
		"wide": {tensors.FromFlatDataAndDimensions([]int64{-1}, 1), []string{"-1", "0 to 1"}},
	} {
		inputs := interv.Inputs{}
		for key, value := range good {
			inputs[key] = value
		}
		inputs[name] = c.value
		_, err := m.Check(inputs)
		wanted.Refusal(t, err, c.words...)
	}
}
