package transformer_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/transformer"
)

// What pyvene gets wrong about the sizes in transformers, by the numbers that docs/pyvene.md lists it under, is right here. Each test says
// what pyvene did. The sizes wanted are those of the weights, and the values what the model announces to a tap.

// Where head size · heads is not the width, sizes were mis-mapped: 32 of 64 features of query_output were touched.
func TestPyvene9ProjectionsWiderThanTheStream(t *testing.T) {
	model := tinyModel[float32](t, "qwen3") // 4 query heads of 6, 2 of keys and of values, and a stream of 16
	base, source := baseAndSource()
	components := []interv.Component{transformer.QueryOutput, transformer.KeyOutput, transformer.ValueOutput, transformer.AttentionValueOutput}
	all, from := announced(t, model, base, components...), announced(t, model, source, components...)
	for i, weight := range []string{"q_proj", "k_proj", "v_proj", "o_proj"} {
		width := model.Weights().Tensor("model.layers.0.self_attn."+weight+".weight").Size() / model.Config().Width
		component, want := components[i], all[i]
		for example := range 2 {
			copy(want[(4*example+3)*width:][:width], from[i][(4*example+1)*width:])
		}
		got := patched(model, base, source, interv.FromTo(interv.Repeat(2, 1), interv.Repeat(2, 3)), component)[0]
		wantClose(t, string(component), tensors.MustCopyFlatData[float32](got), want, 1e-5)
		if got.Shape().Dim(-1) != width {
			t.Errorf("%s: got a width of %d, wanted %d", component, got.Shape().Dim(-1), width)
		}
	}
}

// Tables written by hand had wrong sizes of keys and values in two families.
func TestPyvene15SizesOfHeads(t *testing.T) {
	const single = oneKeyHead
	tiny[single] = strings.Replace(tiny["llama"], `"num_key_value_heads": 2`, `"num_key_value_heads": 1`, 1)
	t.Cleanup(func() { delete(tiny, single) })
	projections := regexp.MustCompile(`\.0\..*\b(q_proj|k_proj|v_proj|qkv_proj|c_attn|query_key_value)\.weight$`)
	whole := []interv.Component{transformer.QueryOutput, transformer.KeyOutput, transformer.ValueOutput}
	byHead := []interv.Component{transformer.HeadQueryOutput, transformer.HeadKeyOutput, transformer.HeadValueOutput,
		transformer.AttentionWeight, transformer.HeadAttentionValueOutput}
	base, source := baseAndSource()
	eachFamily(t, onXLA, func(t *testing.T, name string) {
		if strings.HasPrefix(engine.Name(), "xla") && !slices.Contains([]string{"qwen3", "phi3", single}, name) {
			t.Skip("compiling takes a second")
		}
		model := tinyModel[float32](t, name)
		projected := 0
		for name, weight := range model.Weights().All() {
			if projections.MatchString(name) {
				projected += weight.Size() / model.Config().Width
			}
		}
		components := slices.Concat(whole, byHead)
		got, want := patched(model, base, source, interv.Everywhere(), components...), announced(t, model, source, components...)
		widths := 0
		for i, component := range components {
			wantClose(t, string(component), tensors.MustCopyFlatData[float32](got[i]), want[i], 1e-5)
			if i < len(whole) {
				width, heads := got[i].Shape().Dim(-1), got[i+len(whole)].Shape()
				widths += width
				if width != heads.Dim(1)*heads.Dim(3) {
					t.Errorf("%s: got heads %s of a width of %d", component, heads, width)
				}
			}
		}
		if widths != projected {
			t.Errorf("queries, keys and values: got %d features, wanted the weights' %d", widths, projected)
		}
	})
}

// baseAndSource are inputs of two examples of four tokens.
func baseAndSource() (base, source interv.Inputs) {
	return tokens(2, 4), padded([][]int32{{3, 1, 4, 1}, {9, 2, 6, 5}}, 4, false)
}

// patched is what is at components of layer 0 when each of them has taken a source's activation.
func patched(model interv.Model, base, source interv.Inputs, location *interv.Location, components ...interv.Component) (values []*tensors.Tensor) {
	var config interv.Config
	call := interv.Call{Base: base, Sources: []interv.Inputs{source}}
	for _, component := range components {
		for _, intervention := range []interv.Intervention{interv.Vanilla{}, interv.Collect{}} {
			config.Representations = append(config.Representations,
				interv.Representation{Component: component, Group: "source", Intervention: intervention})
		}
		call.Locations = append(call.Locations, location, interv.Everywhere())
	}
	for _, collected := range interv.MustNew(engine, model, config).MustRun(call).Collected {
		values = append(values, collected.Value)
	}
	return values
}

// announced is what a model has at components of layer 0 by itself.
func announced(t *testing.T, model *transformer.Model, inputs interv.Inputs, components ...interv.Component) [][]float32 {
	t.Helper()
	values := make([][]float32, len(components))
	for i, value := range build(t, model, inputs, func(weights, inputs interv.Nodes) []*Node {
		nodes := make([]*Node, len(components))
		model.Forward(weights, inputs, interv.NewTap(func(_ *interv.Tap, a interv.Activation) *Node {
			if i := slices.Index(components, a.Site.Component); i >= 0 && a.Site.Layer == 0 {
				nodes[i] = a.Value
			}
			return a.Value
		}))
		return nodes
	}) {
		values[i] = tensors.MustCopyFlatData[float32](value)
	}
	return values
}
