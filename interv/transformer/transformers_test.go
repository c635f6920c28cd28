package transformer_test

import (
	"maps"
	"math"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/transformer"
)

// transformersCase is a checkpoint with what transformers computes from it; testdata/generate.py says what.
type transformersCase struct {
	*transformer.Model
	tensors map[string]*tensors.Tensor
}

func (c transformersCase) values(name string) []float32 {
	return tensors.MustCopyFlatData[float32](c.tensors[name])
}

func (c transformersCase) ids(name string) []int32 {
	return tensors.MustCopyFlatData[int32](c.tensors[name])
}

func (c transformersCase) inputs() interv.Inputs {
	return interv.Inputs{"input_ids": c.tensors["input_ids"], "attention_mask": c.tensors["attention_mask"]}
}

// casesOnXLA have every part of a block among them.
var casesOnXLA = []string{"gpt2_bare", "neox_sequential", "llama3", "phi3", "qwen3_yarn", "gemma3", "opt_after", "phi_norms", "falcon_alibi", "cohere_norms",
	"smollm3_windows", "mixtral_windows", "gptj", "gpt_oss"}

// eachTransformersCase runs a test for every case that has a tensor. Where tests are sparing, those of logits take one case a family and others
// those of casesOnXLA.
func eachTransformersCase(t *testing.T, has string, test func(t *testing.T, c transformersCase)) {
	folders, err := filepath.Glob(filepath.Join("testdata", "transformers", "*"))
	if err != nil || len(folders) == 0 {
		t.Fatal("no cases", err)
	}
	seen := map[string]bool{}
	for _, folder := range folders {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			model, err := transformer.Load(folder)
			if err != nil {
				t.Fatal(err)
			}
			file, err := interv.LoadTensors(filepath.Join(folder, "inputs.safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			if file[has] == nil {
				t.Skip("has no " + has)
			}
			family := model.Config().Family
			if sparing && (has == "logits" && seen[family] || has != "logits" && !slices.Contains(casesOnXLA, filepath.Base(folder))) {
				t.Skip("others of its parts have their turn")
			}
			seen[family] = true
			test(t, transformersCase{model, file})
		})
	}
}

// masked are logits [batch, positions, vocabulary] with 0 where there is padding; those of a classifier as they are.
func (c transformersCase) masked(logits []float32) []float32 {
	if mask := c.ids("attention_mask"); c.Config().Labels == 0 {
		for i := range logits {
			logits[i] *= float32(mask[i*len(mask)/len(logits)])
		}
	}
	return logits
}

// rounding is how far logits in float32 may be from transformers': 1e-5 of the largest, and of 1 where all are smaller.
func rounding(want []float32) float32 {
	return 1e-5 * max(1, slices.Max(want), -slices.Min(want))
}

func TestTransformersLogits(t *testing.T) {
	eachTransformersCase(t, "logits", func(t *testing.T, c transformersCase) {
		wantClose(t, "logits", c.masked(forward(t, c.Model, c.inputs(), nil)), c.values("logits"), rounding(c.values("logits")))
	})
}

// Greedy decoding with a cache chooses the tokens that transformers chooses, by the same logits.
func TestTransformersGeneration(t *testing.T) {
	eachTransformersCase(t, "generated", func(t *testing.T, c transformersCase) {
		want := c.ids("generated")
		steps := c.tensors["generated"].Shape().Dim(1)
		iv := interv.MustNew(engine, c.Model, interv.Config{})
		prompts := interv.Inputs{"input_ids": c.tensors["prompts"], "attention_mask": c.tensors["prompts_mask"]}
		generated := iv.MustGenerate(interv.Call{Base: prompts}, interv.Generation{NewTokens: steps, Logits: true})
		wantClose(t, "logits", tensors.MustCopyFlatData[float32](generated.Logits), c.values("generated_logits"), rounding(c.values("generated_logits")))
		for i, token := range slices.Concat(generated.New...) {
			if token != int(want[i]) {
				t.Errorf("example %d, step %d: got token %d, wanted %d", i/steps, i%steps, token, want[i])
			}
		}
	})
}

// noModule are sites of mixtures that are no input or output of any of transformers' modules for all tokens; router_test.go has formulas for them.
var noModule = []interv.Component{transformer.RouterOutput, transformer.ExpertInput, transformer.EachExpertOutput}

// Each site, patched on its own with a source's activations, gives transformers' logits. One call has an example for each site, which the
// representations of all others leave alone.
func TestTransformersSites(t *testing.T) {
	eachTransformersCase(t, "patched", func(t *testing.T, c transformersCase) {
		sites, order := c.Catalogue().All(), map[interv.Component]int{}
		sites = slices.DeleteFunc(sites, func(s interv.Site) bool { return slices.Contains(noModule, s.Component) })
		for i, about := range c.Catalogue().Sites {
			order[about.Component] = i
		}
		slices.SortStableFunc(sites, func(a, b interv.Site) int { return order[a.Component] - order[b.Component] })
		shape := c.tensors["patched"].Shape().Dimensions // [sites, positions, vocabulary]
		if len(sites) != shape[0] {
			t.Fatalf("got %d sites, wanted the %d of transformers", len(sites), shape[0])
		}
		var config interv.Config
		var locations []*interv.Location
		only := func(example int, units ...int) [][]int { // in one example
			rows := make([][]int, len(sites))
			rows[example] = units
			return rows
		}
		for i, site := range sites {
			about, err := c.Catalogue().Find(site)
			if err != nil {
				t.Fatal(err)
			}
			representation := interv.Representation{Layer: site.Layer, Component: site.Component, Intervention: interv.Vanilla{}, Group: "source"}
			location := interv.FromTo(only(i, 4, 0), only(i, 1, 3))
			if about.Heads > 0 {
				representation.Unit = interv.HeadPosition
				location = location.Heads(only(i, about.Heads-1), only(i, about.Heads-1))
			}
			config.Representations, locations = append(config.Representations, representation), append(locations, location)
		}
		repeated := func(name string) interv.Inputs {
			return interv.Inputs{"input_ids": tensors.FromFlatDataAndDimensions(slices.Repeat(c.ids(name), len(sites)), len(sites), 5)}
		}
		result := interv.MustNew(engine, c.Model, config).MustRun(interv.Call{Base: repeated("base"), Sources: []interv.Inputs{repeated("source")}, Locations: locations})
		got, want := tensors.MustCopyFlatData[float32](result.Output), c.values("patched")
		some := shape[1] * shape[2]
		for i, site := range sites {
			wantClose(t, site.String(), got[(i+1)*5*shape[2]-some:(i+1)*5*shape[2]], want[i*some:(i+1)*some], 2e-5)
		}
	})
}

// plain takes away one thing that a config asks for, where that leaves the weights as they are.
var plain = map[string]func(c *transformer.Config){
	"embedding scale": func(c *transformer.Config) { c.EmbeddingScale = 1 },
	"residual scale":  func(c *transformer.Config) { c.ResidualScale = 1 },
	"logit scale": func(c *transformer.Config) {
		if c.Labels == 0 {
			c.LogitScale = 1
		}
	},
	"logit cap": func(c *transformer.Config) {
		if c.Labels == 0 {
			c.LogitCap = 0
		}
	},
	"score cap":   func(c *transformer.Config) { c.Attention.Cap = 0 },
	"score scale": func(c *transformer.Config) { c.Attention.Scale = 1 / math.Sqrt(float64(c.Attention.HeadWidth)) },
	"clip":        func(c *transformer.Config) { c.Attention.Clip = 0 },
	"windows":     func(c *transformer.Config) { c.Attention.Windows = make([]int, c.Layers) },
	"ALiBi":       func(c *transformer.Config) { c.Attention.Alibi = false },
	"unrotated":   func(c *transformer.Config) { c.Attention.Unrotated = nil },
	"base": rotary(func(r *transformer.Rotary) {
		if r.Width > 2 { // else its only frequency is 1
			r.Base = 10000
		}
	}),
	"adjacent": rotary(func(r *transformer.Rotary) { r.Adjacent = false }),
	"scaling": rotary(func(r *transformer.Rotary) {
		if r.Scaling != "" {
			r.Scaling = "default"
		}
	}),
	"rotated share": func(c *transformer.Config) {
		rotary(func(r *transformer.Rotary) { r.Width = c.Attention.HeadWidth })(c)
	},
	"interleaved": func(c *transformer.Config) {
		if c.Attention.KeyValueHeads > 1 { // else it is the same
			c.Attention.Projections = transformer.Consecutive
		}
	},
	"activation": func(c *transformer.Config) {
		if c.Family != "gpt_oss" { // which has one of its own
			c.MLP.Activation = "tanh"
		}
	},
	"parallel":   func(c *transformer.Config) { c.Parallel = c.Norm.Shared },
	"final norm": func(c *transformer.Config) { c.Norm.Centred = false },
	"gain":       func(c *transformer.Config) { c.Norm.GainPlusOne = false },
}

// rotary changes how a model rotates, if it does.
func rotary(change func(r *transformer.Rotary)) func(c *transformer.Config) {
	return func(c *transformer.Config) {
		if !c.LearnedPositions && !c.Attention.Alibi {
			change(&c.Attention.Rotary)
			change(&c.Attention.WindowRotary)
		}
	}
}

// A model without one of the things that its config asks for has other logits: so it is told whether they are there.
func TestWhatAConfigAsksForIsSeen(t *testing.T) {
	if strings.HasPrefix(engine.Name(), "xla") {
		t.Skip("compiles several programs a case")
	}
	eachTransformersCase(t, "logits", func(t *testing.T, c transformersCase) {
		want := c.values("logits")
		for _, name := range slices.Sorted(maps.Keys(plain)) {
			changed := c.Config()
			plain[name](&changed)
			if reflect.DeepEqual(changed, c.Config()) {
				continue
			}
			model, err := transformer.WithWeights(changed, c.Weights().All())
			if err != nil {
				continue // the weights tell it
			}
			got := c.masked(forward(t, model, c.inputs(), nil))
			furthest := 0.0
			for i := range want {
				furthest = max(furthest, math.Abs(float64(got[i]-want[i])))
			}
			if furthest < 1e-4 {
				t.Errorf("without %s the logits are the same", name)
			}
		}
	})
}
