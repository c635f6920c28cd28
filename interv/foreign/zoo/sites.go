package zoo

import (
	"slices"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/ml/layers"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/zoo/transformer"

	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/foreign"
	names "github.com/govene/govene/interv/transformer"
)

// architecture says where in the graph of a transformer its activations are.
type architecture struct {
	*transformer.Model
	layer     string // path of a layer's weights
	attention string // path of its attention's weights
	gated     bool   // Gemma's block: norms before modules and after them, gated MLP; else BERT's: norms after each sum
}

func architectureOf(m *transformer.Model) architecture {
	a := architecture{Model: m, layer: model.JoinPath(m.Scope.Scope(), "layer_%d"), gated: m.Architecture != transformer.ArchitectureStandard}
	a.attention = a.layer + "/attn/MultiHeadAttention/"
	if a.gated {
		a.attention = a.layer + "/self_attn/MultiHeadAttention/"
	}
	return a
}

// sites are all sites of a transformer. With GlobalHeadDim, layers differ in the width of their heads, and what is as wide as heads is left
// out. Attention weights are left out, as fused attention does not have them.
func sites(m *transformer.Model) (all []foreign.Sites) {
	a := architectureOf(m)
	add := func(layers, width int, component, input interv.Component, find foreign.Selector) {
		all = append(all, foreign.Sites{Sites: interv.Sites{Component: component, Layers: layers, Width: width, Input: input}, Find: find})
	}
	// addHeads adds sites by heads, whose nodes have these side by side.
	addHeads := func(layers, heads int, component interv.Component, find foreign.Selector) {
		all = append(all, foreign.Sites{Sites: interv.Sites{Component: component, Layers: layers, Width: m.HeadDim, Heads: heads}, Find: find,
			Dims: []int{foreign.Batch, foreign.Positions, heads * m.HeadDim}})
	}
	keys := m.NumKVHeads
	if keys == 0 {
		keys = m.NumHeads
	}
	hidden := m.FFNDim
	if hidden == 0 {
		hidden = 4 * m.EmbedDim // as the zoo does when it builds
	}
	d, l := m.EmbedDim, m.NumLayers
	add(1, d, names.Embedding, "", a.embedding())
	add(l, d, names.BlockInput, "", a.blockInput)
	add(l, d, names.AttentionInput, "", foreign.Reads(a.attention+"query/dense", a.attention+"key/dense", a.attention+"value/dense"))
	if m.GlobalHeadDim == 0 || m.GlobalHeadDim == m.HeadDim {
		for _, projection := range []struct {
			name               string
			layers, heads      int
			component, byHeads interv.Component
		}{
			{"query", l, m.NumHeads, names.QueryOutput, names.HeadQueryOutput},
			{"key", l - m.NumKVSharedLayers, keys, names.KeyOutput, names.HeadKeyOutput},
			{"value", l - m.NumKVSharedLayers, keys, names.ValueOutput, names.HeadValueOutput},
		} {
			find := foreign.Module(a.attention + projection.name + "/dense")
			add(projection.layers, projection.heads*m.HeadDim, projection.component, "", find)
			addHeads(projection.layers, projection.heads, projection.byHeads, find)
		}
		mixed := foreign.Reads(a.attention + "output")
		addHeads(l, m.NumHeads, names.HeadAttentionValueOutput, mixed)
		add(l, m.NumHeads*m.HeadDim, names.AttentionValueOutput, "", mixed)
	}
	add(l, d, names.AttentionOutput, names.AttentionInput, foreign.Module(a.attention+"output"))
	add(l, d, names.ResidualMiddle, "", a.residualMiddle())
	add(l, d, names.MLPInput, "", a.mlpInput())
	add(l, hidden, names.MLPActivation, "", a.mlpActivation())
	add(l, d, names.MLPOutput, names.MLPInput, foreign.Module(a.mlp("ff2", "mlp/down_proj")))
	add(l, d, names.BlockOutput, names.BlockInput, a.blockOutput())
	if m.FinalNormalization != layers.NormalizationNone {
		add(1, d, names.FinalNorm, "", foreign.Module(model.JoinPath(m.Scope.Scope(), "final_norm")))
	}
	return all
}

// mlp is the path of one of the MLP's weights.
func (a architecture) mlp(plain, gated string) string {
	if a.gated {
		return a.layer + "/" + gated
	}
	return a.layer + "/" + plain
}

// embedding is that of the tokens, scaled.
func (a architecture) embedding() foreign.Selector {
	found := foreign.Module(model.JoinPath(a.Scope.Scope(), "token_embed"))
	if a.ScaleTokenEmbeddings {
		found = foreign.Then(found)
	}
	return found
}

// blockInput is the output of the block before; at the first block, the embedding after all that is added to it and its norm.
func (a architecture) blockInput(run *foreign.Run, want foreign.Want) []foreign.Place {
	if want.Layer == 0 {
		return foreign.Places(run.Alias(firstInput))
	}
	want.Layer--
	return a.blockOutput()(run, want)
}

// normalized is a module's output after the norm that may follow it.
func (a architecture) normalized(module, norm string) foreign.Selector {
	if a.Normalization == layers.NormalizationNone {
		return foreign.Module(module)
	}
	return foreign.Module(a.layer + "/" + norm)
}

// residualMiddle is the sum of the block's input and attention.
func (a architecture) residualMiddle() foreign.Selector {
	if a.gated {
		return foreign.Then(a.normalized(a.attention+"output", "post_attention_norm"))
	}
	return foreign.Then(foreign.Module(a.attention + "output"))
}

func (a architecture) mlpInput() foreign.Selector {
	if a.gated {
		return foreign.Reads(a.layer+"/mlp/gate_proj", a.layer+"/mlp/up_proj")
	}
	return foreign.Reads(a.layer + "/ff1")
}

// mlpActivation is the output of the activation function; in a gated MLP, what is multiplied with the other projection.
func (a architecture) mlpActivation() foreign.Selector {
	if !a.gated {
		return foreign.Reads(a.layer + "/ff2")
	}
	up := foreign.Module(a.layer + "/mlp/up_proj")
	product := foreign.Then(up)
	return func(run *foreign.Run, want foreign.Want) []foreign.Place {
		var factors []*graph.Node
		for _, place := range product(run, want) {
			factors = append(factors, place.Node.Inputs()...)
		}
		return foreign.Places(slices.DeleteFunc(factors, func(n *graph.Node) bool { return n == up(run, want)[0].Node })...)
	}
}

// blockOutput is the sum of the residual path and the MLP, after the norm that may follow it.
func (a architecture) blockOutput() foreign.Selector {
	if !a.gated {
		if a.Normalization == layers.NormalizationNone {
			return foreign.Then(foreign.Module(a.layer + "/ff2"))
		}
		return foreign.Module(a.layer + "/norm2")
	}
	output := foreign.Then(a.normalized(a.layer+"/mlp/down_proj", "post_feedforward_norm"))
	if a.HiddenSizePerLayerInput > 0 {
		output = foreign.Then(foreign.Then(foreign.Module(a.layer + "/post_per_layer_input_norm"))) // plus the residual path, times layer_scalar
	}
	return output
}
