package zoo_test

import (
	"slices"
	"testing"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/ml/layers/activation"
	"github.com/gomlx/gomlx/ml/model"
	"github.com/gomlx/gomlx/ml/zoo/transformer"

	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/foreign"
	"github.com/govene/govene/interv/foreign/zoo"
	names "github.com/govene/govene/interv/transformer"
)

// variants are transformers that differ in what their layers do.
var variants = map[string]zoo.Build{
	"standard": standard,
	"without norms or biases": func(scope *model.Scope) *transformer.Model {
		return base(scope).WithNormalization("none").WithBias(false).WithActivation(activation.TypeRelu)
	},
	"in a scope, with a window": func(scope *model.Scope) *transformer.Model {
		return base(scope.In("encoder")).WithRoPE(100).WithFinalNormalization("layer").WithTokenTypeEmbedding(2).
			WithLayerTypes([]transformer.LayerType{transformer.LocalLayer, transformer.GlobalLayer}).WithSlidingWindow(2)
	},
	"gemma 3": gemma,
	"gemma without norms": func(scope *model.Scope) *transformer.Model {
		return gemma(scope).WithNormalization("none").WithFinalNormalization("none")
	},
	"gemma 4": func(scope *model.Scope) *transformer.Model {
		return gemma(scope).WithArchitecture(transformer.ArchitectureGemma4).WithNumLayers(4).WithNumKVSharedLayers(2).
			WithVocabSizePerLayerInput(vocabulary).WithHiddenSizePerLayerInput(3).WithScoreSoftCap(50)
	},
	"heads of two widths": func(scope *model.Scope) *transformer.Model {
		return gemma(scope).WithGlobalHeadDim(8).WithLayerTypes([]transformer.LayerType{transformer.LocalLayer, transformer.GlobalLayer})
	},
}

func eachVariant(t *testing.T, check func(t *testing.T, m *foreign.Model, store *model.Store, build zoo.Build)) {
	for name, build := range variants {
		t.Run(name, func(t *testing.T) {
			if onXLA && (testing.Short() || name != "standard") {
				t.Skip("XLA compiles for seconds")
			}
			store := filled(t, 1, build)
			check(t, zoo.MustNew(engine, store, build, nil), store, build)
		})
	}
}

// everywhere acts on all sites, each at all units, with the given source.
func everywhere(m *foreign.Model, intervention interv.Intervention, base, source interv.Inputs) (interv.Config, interv.Call) {
	config, call := interv.Config{}, interv.Call{Base: base, WithBase: true}
	for _, site := range m.Catalogue().All() {
		config.Representations = append(config.Representations, interv.Representation{Layer: site.Layer, Component: site.Component, Intervention: intervention})
		call.Locations = append(call.Locations, interv.Everywhere())
		call.Sources = append(call.Sources, source)
	}
	return config, call
}

// What blocks read and return is what the zoo's own AllLayers returns, and so is the output.
func TestBlocksAreAllLayers(t *testing.T) {
	eachVariant(t, func(t *testing.T, m *foreign.Model, store *model.Store, build zoo.Build) {
		inputs := ids(3, vocabulary, 2, 5)
		exec := model.MustNewExec(engine, store, func(scope *model.Scope, tokens *graph.Node) []*graph.Node {
			var options transformer.CallOptions
			if build(scope).SlidingWindow > 0 { // GoMLX sees windows with a mask alone
				options.AttentionMask = graph.GreaterOrEqual(tokens, graph.ScalarZero(tokens.Graph(), tokens.DType()))
			}
			zoo := build(scope.ResetVisited())
			last, all, _ := zoo.AllLayers(tokens, options)
			return append(all, zoo.LogitsFromEmbeddings(last))
		})
		want := exec.MustCall(inputs["input_ids"])
		config, call := everywhere(m, interv.Collect{}, inputs, nil)
		call.Sources = nil
		result := interv.MustNew(engine, m, config).MustRun(call)
		same := func(site string, want *tensors.Tensor) {
			t.Helper()
			if got := result.MustActivation(site); !slices.Equal(flat(got), flat(want)) {
				t.Errorf("%s: got %v, wanted %v", site, got, want)
			}
		}
		sites, err := m.Catalogue().Find(interv.Site{Component: names.BlockOutput})
		if err != nil {
			t.Fatal(err)
		}
		for layer := range sites.Layers {
			same(interv.Site{Layer: layer, Component: names.BlockInput}.String(), want[layer])
			if _, err := m.Catalogue().Find(interv.Site{Component: names.FinalNorm}); layer < sites.Layers-1 || err != nil {
				same(interv.Site{Layer: layer, Component: names.BlockOutput}.String(), want[layer+1])
			} else {
				same("layer 0 final_norm", want[layer+1])
			}
		}
		if !result.Output.Equal(want[len(want)-1]) {
			t.Errorf("got logits %v, wanted %v", result.Output, want[len(want)-1])
		}
	})
}

func flat(t *tensors.Tensor) []float32 { return tensors.MustCopyFlatData[float32](t) }

// Patching every site with its own activation changes nothing, bit for bit; nor do locations that are left out.
func TestPatchingWithItselfChangesNothing(t *testing.T) {
	eachVariant(t, func(t *testing.T, m *foreign.Model, _ *model.Store, _ zoo.Build) {
		inputs := ids(3, vocabulary, 2, 5)
		config, call := everywhere(m, interv.Vanilla{}, inputs, inputs)
		iv := interv.MustNew(engine, m, config)
		if result := iv.MustRun(call); !result.Output.Equal(result.BaseOutput) {
			t.Errorf("got %v, wanted the bits of %v", result.Output, result.BaseOutput)
		}
		call.Locations, call.Sources = make([]*interv.Location, len(call.Locations)), nil
		if result := iv.MustRun(call); !result.Output.Equal(result.BaseOutput) {
			t.Errorf("nothing located: got %v, wanted the bits of %v", result.Output, result.BaseOutput)
		}
	})
}

// Every site is announced once, in an order in which no layer comes before a lower one's output.
func TestEverySiteIsAnnouncedOnce(t *testing.T) {
	eachVariant(t, func(t *testing.T, m *foreign.Model, _ *model.Store, _ zoo.Build) {
		announced, layer := map[interv.Site]int{}, 0
		exec := graph.MustNewExec(engine, func(all []*graph.Node) *graph.Node {
			weights := interv.Nodes{}
			for i, name := range m.Weights().Names() {
				weights[name] = all[i]
			}
			return m.Forward(weights, interv.Nodes{"input_ids": all[len(all)-1]}, interv.NewTap(func(_ *interv.Tap, a interv.Activation) *graph.Node {
				announced[a.Site]++
				if a.Site.Layer < layer && a.Site.Component != names.FinalNorm {
					t.Errorf("%s is announced after layer %d", a.Site, layer)
				}
				layer = a.Site.Layer
				return graph.Neg(graph.Neg(a.Value))
			}))
		})
		var arguments []any
		for _, name := range m.Weights().Names() {
			arguments = append(arguments, m.Weights().Tensor(name))
		}
		inputs := ids(3, vocabulary, 2, 5)
		got := exec.MustCall(append(arguments, inputs["input_ids"])...)[0]
		if want := interv.MustNew(engine, m, interv.Config{}).MustForward(inputs); !got.Equal(want) {
			t.Errorf("replayed: got %v, wanted the bits of %v", got, want)
		}
		for _, site := range m.Catalogue().All() {
			if announced[site] != 1 {
				t.Errorf("%s: got %d announcements, wanted 1", site, announced[site])
			}
		}
	})
}
