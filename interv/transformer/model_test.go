package transformer_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/transformer"
)

// A model announces each of its catalogue's sites once, in the shape that the catalogue says, and nothing else.
func TestAnnouncementsAreTheCatalogue(t *testing.T) {
	eachFamily(t, onXLA, func(t *testing.T, name string) {
		model := tinyModel[float32](t, name)
		announced := map[interv.Site][]int{}
		forward(t, model, tokens(2, 5), interv.NewTap(func(_ *interv.Tap, a interv.Activation) *Node {
			if announced[a.Site] != nil {
				t.Errorf("%s: announced twice", a.Site)
			}
			announced[a.Site] = a.Value.Shape().Dimensions
			return a.Value
		}))
		for _, site := range model.Catalogue().All() {
			sites, err := model.Catalogue().Find(site)
			if err != nil {
				t.Fatal(err)
			}
			want := []int{2, 5, sites.Width}
			if sites.Heads > 0 {
				want = []int{2, sites.Heads, 5, sites.Width}
			}
			if site.Component == transformer.AttentionWeight {
				want[3] = 5
			}
			if !slices.Equal(announced[site], want) {
				t.Errorf("%s: got shape %v, wanted %v", site, announced[site], want)
			}
			delete(announced, site)
		}
		for site := range announced {
			t.Errorf("%s: announced, not in the catalogue", site)
		}
	})
}

// Copies of a batch that join at a site, and are edited there, come out as a run of their own does.
func TestJoinedRowsEqualSeparateRuns(t *testing.T) {
	inputs := withMask(tokens(2, 4), []int{0, 1}, []int{3, 4})
	for name, layer := range map[string]int{"llama": 0, "gpt_neox": 0, "gpt2": 1, "gpt_oss": 1, "olmo2": 1, "qwen3_moe": 1} {
		model := tinyModel[float32](t, name)
		for i, sites := range model.Catalogue().Sites {
			site := interv.Site{Layer: min(layer, sites.Layers-1), Component: sites.Component}
			if sites.Only != nil {
				site.Layer = sites.Only[0]
			}
			t.Run(fmt.Sprint(name, " ", site), func(t *testing.T) {
				if strings.HasPrefix(engine.Name(), "xla") && (name != "llama" || i%3 != 0) {
					t.Skip("compiling takes a second")
				}
				outputs := build(t, model, inputs, func(weights, inputs interv.Nodes) []*Node {
					edited := func(edit func(tap *interv.Tap, x *Node) *Node) *Node {
						return model.Forward(weights, inputs, interv.NewTap(func(tap *interv.Tap, a interv.Activation) *Node {
							if a.Site == site {
								return edit(tap, a.Value)
							}
							return a.Value
						}))
					}
					joined := edited(func(tap *interv.Tap, x *Node) *Node {
						all := tap.Join(x, 1, 0)
						return Concatenate([]*Node{Slice(all, AxisRange(0, 2)), MulScalar(Slice(all, AxisRange(2)), -1.5)}, 0)
					})
					clean := model.Forward(weights, inputs, nil)
					alone := edited(func(_ *interv.Tap, x *Node) *Node { return MulScalar(x, -1.5) })
					swapped := Concatenate([]*Node{Slice(alone, AxisRange(1)), Slice(alone, AxisRange(0, 1))}, 0)
					return []*Node{joined, Concatenate([]*Node{clean, swapped}, 0)}
				})
				got, want := tensors.MustCopyFlatData[float32](outputs[0]), tensors.MustCopyFlatData[float32](outputs[1])
				wantClose(t, "rows", got, want, 1e-4)
				if half := len(want) / 2; slices.Equal(want[:half], want[half:]) {
					t.Error("the edit changed nothing")
				}
			})
		}
	}
}

// Where the outputs of some rows alone are wanted, they are those of the whole run; rows that have joined have outputs, too, and then all are there.
func TestWantedOutputs(t *testing.T) {
	model, inputs := tinyModel[float32](t, "llama"), tokens(2, 4)
	site := interv.Site{Layer: 0, Component: transformer.BlockOutput}
	outputs := build(t, model, inputs, func(weights, inputs interv.Nodes) []*Node {
		run := func(wants bool, origins ...int) *Node {
			tap := interv.NewTap(func(tap *interv.Tap, a interv.Activation) *Node {
				if a.Site == site {
					return tap.Join(a.Value, origins...)
				}
				return a.Value
			})
			if wants {
				tap.Wants(Const(weights[model.Weights().Names()[0]].Graph(), []int32{6, 1, 3}))
			}
			return model.Forward(weights, inputs, tap)
		}
		return []*Node{run(false), run(true), run(false, 1), run(true, 1)}
	})
	whole, wanted := tensors.MustCopyFlatData[float32](outputs[0]), tensors.MustCopyFlatData[float32](outputs[1])
	width := outputs[0].Shape().Dim(-1)
	wantClose(t, "wanted rows", wanted, slices.Concat(whole[6*width:7*width], whole[width:2*width], whole[3*width:4*width]), 1e-5)
	if !outputs[2].Equal(outputs[3]) || outputs[3].Shape().Dim(0) != 3 {
		t.Errorf("with a row joined: got %s, wanted all of %s", outputs[3].Shape(), outputs[2].Shape())
	}
}

// The gradient with respect to all weights, in float64, predicts what a small step along a random direction does to a random projection
// of the logits.
func TestGradientsAgreeWithFiniteDifferences(t *testing.T) {
	eachFamily(t, gradientsOnXLA, func(t *testing.T, name string) {
		model := tinyModel[float64](t, name)
		source := rand.New(rand.NewPCG(11, 13))
		names := model.Weights().Names()
		directions := map[string]*tensors.Tensor{}
		for _, name := range names {
			shape := model.Weights().Tensor(name).Shape()
			flat := make([]float64, shape.Size())
			for i := range flat {
				flat[i] = source.NormFloat64()
			}
			directions[name] = tensors.FromFlatDataAndDimensions(flat, shape.Dimensions...)
		}
		const step = 1e-6
		results := build(t, model, withMask(tokens(2, 5), []int{1, 0}, []int{5, 4}), func(weights, inputs interv.Nodes) []*Node {
			loss := func(size float64) (*Node, []*Node) {
				moved, list := interv.Nodes{}, []*Node{}
				for _, name := range names {
					moved[name] = Add(weights[name], MulScalar(ConstTensor(weights[name].Graph(), directions[name]), size))
					list = append(list, moved[name])
				}
				logits := model.Forward(moved, inputs, nil)
				return ReduceAllSum(Sin(Add(logits, Iota(logits.Graph(), logits.Shape(), 2)))), list
			}
			up, _ := loss(step)
			down, _ := loss(-step)
			at, list := loss(0)
			slope := ScalarZero(at.Graph(), at.DType())
			for i, gradient := range Gradient(at, list...) {
				slope = Add(slope, ReduceAllSum(Mul(gradient, ConstTensor(at.Graph(), directions[names[i]]))))
			}
			return []*Node{slope, DivScalar(Sub(up, down), 2*step)}
		})
		got, want := tensors.ToScalar[float64](results[0]), tensors.ToScalar[float64](results[1])
		if !(math.Abs(got-want) <= 1e-6*(1+math.Abs(want))) || math.Abs(want) < 0.1 {
			t.Errorf("got slope %g, wanted %g", got, want)
		}
	})
}

// Padding on either side or both changes nothing for what is not padding.
func TestPaddedEqualsUnpadded(t *testing.T) {
	positionsOnXLA := []string{"gpt2", "llama", "falcon, alibi", "opt, norm after the sum"} // learned, rotary, distances, learned from 2 on
	eachFamily(t, positionsOnXLA, func(t *testing.T, name string) {
		model := tinyModel[float32](t, name)
		const length = 8
		starts, ends := []int{0, 3, 2}, []int{5, 8, 7}
		all := tokens(3, length)
		padded := forward(t, model, withMask(all, starts, ends), nil)
		ids, vocabulary := tensors.MustCopyFlatData[int32](all["input_ids"]), len(padded)/(3*length)
		var packed []int32
		var got []float32
		for i := range starts {
			from, to := i*length+starts[i], i*length+ends[i]
			packed, got = append(packed, ids[from:to]...), append(got, padded[from*vocabulary:to*vocabulary]...)
		}
		unpadded := interv.Inputs{"input_ids": tensors.FromFlatDataAndDimensions(packed, 3, 5)}
		wantClose(t, "logits", got, forward(t, model, unpadded, nil), 1e-4)
	})
}

// A classifier projects what the language model's head would read at the last token, and nothing else.
func TestClassifierReadsTheLastToken(t *testing.T) {
	for _, name := range []string{"gpt2", "llama", "gpt_neox", "gemma2"} {
		t.Run(name, func(t *testing.T) {
			if sparing && name != "gpt2" {
				t.Skip("the head knows nothing of the family")
			}
			model := tinyModel[float32](t, name+", classifier")
			ends := []int{3, 6, 5}
			for _, masked := range []bool{true, false} {
				inputs := tokens(3, 6)
				last := []int{5, 5, 5}
				if masked {
					inputs = withMask(inputs, []int{0, 2, 1}, ends)
					last = []int{2, 5, 4}
				}
				var read *Node
				results := build(t, model, inputs, func(weights, inputs interv.Nodes) []*Node {
					output := model.Forward(weights, inputs, interv.NewTap(func(_ *interv.Tap, a interv.Activation) *Node {
						if a.Site.Component == transformer.FinalNorm {
							read = a.Value
						}
						return a.Value
					}))
					return []*Node{output, read, weights["score.weight"]}
				})
				normalized, score := tensors.MustCopyFlatData[float32](results[1]), tensors.MustCopyFlatData[float32](results[2])
				d := model.Config().Width
				var want []float32
				for i, position := range last {
					for label := range 3 {
						sum := float32(0)
						for k := range d {
							sum += normalized[(i*6+position)*d+k] * score[label*d+k]
						}
						want = append(want, sum)
					}
				}
				wantClose(t, "logits", tensors.MustCopyFlatData[float32](results[0]), want, 1e-5)
			}
		})
	}
}

// Within a window, a query sees itself and what is before it there; without, everything before it.
func TestWindows(t *testing.T) {
	model := tinyModel[float32](t, "gpt_oss") // layer 0 has a window of 3, layer 1 none
	weights := map[int][]float32{}
	nodes := map[int]*Node{}
	results := build(t, model, tokens(1, 6), func(w, inputs interv.Nodes) []*Node {
		model.Forward(w, inputs, interv.NewTap(func(_ *interv.Tap, a interv.Activation) *Node {
			if a.Site.Component == transformer.AttentionWeight {
				nodes[a.Site.Layer] = a.Value
			}
			return a.Value
		}))
		return []*Node{nodes[0], nodes[1]}
	})
	for layer := range 2 {
		weights[layer] = tensors.MustCopyFlatData[float32](results[layer])
		for i, weight := range weights[layer] {
			query, key := i/6%6, i%6
			sees := key <= query && (layer == 1 || query-key < 3)
			if sees != (weight > 0) {
				t.Errorf("layer %d, query %d, key %d: got weight %g", layer, query, key, weight)
			}
		}
	}
}

// inputs_embeds and position_ids say what input_ids and a mask say otherwise.
func TestInputsBySeveralNames(t *testing.T) {
	for _, name := range []string{"gpt2", "llama", "gemma2"} {
		t.Run(name, func(t *testing.T) {
			model := tinyModel[float32](t, name)
			masked := withMask(tokens(2, 5), []int{2, 0}, []int{5, 5})
			var embedded *Node
			results := build(t, model, masked, func(weights, inputs interv.Nodes) []*Node {
				output := model.Forward(weights, inputs, interv.NewTap(func(_ *interv.Tap, a interv.Activation) *Node {
					if a.Site.Component == transformer.Embedding {
						embedded = a.Value
					}
					return a.Value
				}))
				return []*Node{output, embedded}
			})
			other := interv.Inputs{"inputs_embeds": results[1], "attention_mask": masked["attention_mask"],
				"position_ids": tensors.FromFlatDataAndDimensions([]int32{0, 0, 0, 1, 2, 0, 1, 2, 3, 4}, 2, 5)}
			wantClose(t, "logits", forward(t, model, other, nil), tensors.MustCopyFlatData[float32](results[0]), 1e-5)
		})
	}
}
