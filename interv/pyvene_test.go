package interv_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/foreign"
	"github.com/govene/govene/interv/gru"
	"github.com/govene/govene/interv/mlp"
	"github.com/govene/govene/interv/transformer"
)

// What pyvene gets wrong, by the numbers that docs/pyvene.md lists it under, is right here. Each test says what pyvene did. What concerns
// one package has its tests there.

func TestPyveneSilentlyWrong(t *testing.T) {
	model := newAttention(1, 4, 2, 3, dtypes.Float32, 1)
	base, source := random(1, 3, 5, 4), random(2, 3, 5, 4)
	b, s := vectors(read(model, attends, base)), vectors(read(model, attends, source))

	// One call with the same locations for all examples made later calls use example 0's for all.
	t.Run("1 use_fast is sticky", func(t *testing.T) {
		iv := patch(model, attends, interv.Vanilla{})
		iv.MustRun(exchange(base, source, interv.Repeat(3, 1), interv.Repeat(3, 1)))
		own := exchange(base, source, [][]int{{0}, {1}, {2}}, [][]int{{2}, {3}, {4}})
		got := iv.MustRun(own).Output
		wantSame(t, "after a call with shared locations", flat(got), flat(patch(model, attends, interv.Vanilla{}).MustRun(own).Output))
		wantVectors(t, "each example's own", vectors(after(model, attends, interv.Vanilla{}, own)), edited(b, func(x cube) {
			x[0][2], x[1][3], x[2][4] = s[0][0], s[1][1], s[2][2]
		}))
	})

	// Subspaces of equal length that differ between examples: each example got the union of all; with two units, an IndexError.
	t.Run("2 subspaces of each example", func(t *testing.T) {
		call := exchange(base, source, interv.Repeat(3, 0, 1), interv.Repeat(3, 0, 1))
		call.Subspaces = [][][]int{{{0}, {2}, {3}}}
		wantVectors(t, "subspaces", vectors(after(model, attends, interv.Vanilla{}, call)), edited(b, func(x cube) {
			for example, feature := range []int{0, 2, 3} {
				for position := range 2 {
					x[example][position][feature] = s[example][position][feature]
				}
			}
		}))
	})

	// {"base": [2, 4]} was read as "source position 2, base position 4".
	t.Run("3 two positions are two positions", func(t *testing.T) {
		for _, positions := range [][]int{{2, 4}, {2, 3, 4}} {
			call := interv.Call{Base: embeds(base), Locations: []*interv.Location{interv.At(interv.Repeat(3, positions...))}}
			wantVectors(t, fmt.Sprint(positions), vectors(after(model, attends, interv.Zero{}, call)), edited(b, func(x cube) {
				for example := range x {
					for _, p := range positions {
						x[example][p] = make([]float64, 4)
					}
				}
			}))
		}
	})

	// Locations of one example on a larger batch wrote example 0's activation into all examples.
	t.Run("4 locations of fewer examples are refused", func(t *testing.T) {
		_, err := patch(model, attends, interv.Vanilla{}).Run(exchange(base, source, interv.Repeat(1, 0), interv.Repeat(1, 0)))
		wanted.Refusal(t, err, "base locations", "1 examples", "3, the batch")
	})

	// In a batch made of copies of a prompt, as beams are, all copies got copy 0's activation, even where zero was added.
	t.Run("5 copies of an example keep their own", func(t *testing.T) {
		call := interv.Call{Base: embeds(base), Locations: []*interv.Location{interv.At(interv.Repeat(3, 0, 4))},
			Activations: []*tensors.Tensor{tensors.FromShape(shapeOf(dtypes.Float32, 4))}, WithBase: true}
		result := patch(model, attends, interv.Addition{}).MustRun(call)
		wantSame(t, "nothing added", flat(result.Output), flat(result.BaseOutput))
		beams := reorder(base, []int{0, 0, 0})
		call = exchange(beams, source, interv.Repeat(3, 0), [][]int{{1}, {2}, {3}})
		own := vectors(read(model, attends, beams))
		wantVectors(t, "each copy's own edit", vectors(after(model, attends, interv.Vanilla{}, call)), edited(own, func(x cube) {
			x[0][1], x[1][2], x[2][3] = s[0][0], s[1][0], s[2][0]
		}))
	})

	// Generation without a cache edited position 0 of the prompt at each step.
	t.Run("6 generated tokens", func(t *testing.T) {
		model := newGPT2(8, "")
		iv := patch(model, transformer.MLPActivation, interv.Addition{})
		steer := []*tensors.Tensor{tensors.FromFlatDataAndDimensions(slices.Repeat([]float32{9, -3}, 16), 32)}
		prompt := []int32{3, 1, 4, 1}
		for name, c := range map[string]struct {
			location *interv.Location
			steps    func(step, representation int) bool
			place    func(length int) []int // of a whole run
		}{
			"the prompt": {interv.At([][]int{{2}}), nil, func(int) []int { return []int{2} }},
			"both":       {interv.At([][]int{{2}}), interv.EveryStep, func(length int) []int { return append([]int{2}, interv.Range(4, length)...) }},
		} {
			got := iv.MustGenerate(interv.Call{Base: tokensOf(prompt), Locations: []*interv.Location{c.location}, Activations: steer},
				interv.Generation{NewTokens: 3, Steps: c.steps, Logits: true})
			grown := slices.Clone(prompt)
			for step, token := range got.New[0] {
				whole := flat(iv.MustRun(interv.Call{Base: tokensOf(grown), Activations: steer,
					Locations: []*interv.Location{interv.At([][]int{c.place(len(grown))})}}).Output)
				wantClose(t, fmt.Sprint(name, ", step ", step), flat(got.Logits)[step*31:(step+1)*31], whole[len(whole)-31:], 1e-5)
				grown = append(grown, int32(token))
			}
		}
	})

	// Of two linked interventions at different layers the second replaced its own base by the first's output.
	t.Run("7 linked interventions read their own base", func(t *testing.T) {
		low := interv.Representation{Component: attends, Intervention: interv.LowRankRotatedSpace{Rank: 2}}
		above := low
		above.Layer = 1
		model := newAttention(2, 4, 2, 3, dtypes.Float32, 1)
		unlinked := interv.MustNew(engine, model, interv.Config{Representations: []interv.Representation{low, above}})
		low.Link, above.Link = "r", "r"
		linked := interv.MustNew(engine, model, interv.Config{Representations: []interv.Representation{low, above}})
		rotation := linked.Parameters()["0.rotation"]
		must(t, unlinked.SetParameters(map[string]*tensors.Tensor{"0.rotation": rotation, "1.rotation": rotation}))
		call := exchange(base, source, interv.Repeat(3, 1), interv.Repeat(3, 2))
		call.Sources, call.Locations = append(call.Sources, call.Sources[0]), append(call.Locations, call.Locations[0])
		wantSame(t, "linked", flat(linked.MustRun(call).Output), flat(unlinked.MustRun(call).Output))
	})

	// Collecting several positions mixed them up.
	t.Run("9b several positions collected", func(t *testing.T) {
		got := patch(model, attends, interv.Collect{}).MustRun(interv.Call{Base: embeds(base),
			Locations: []*interv.Location{interv.At([][]int{{4, 0}, {1, 2}, {3, 1}})}}).Collected[0].Value
		wantVectors(t, "collected", vectors(got), cube{{b[0][4], b[0][0]}, {b[1][1], b[1][2]}, {b[2][3], b[2][1]}})
	})
}

// Steps that were not selected were zeroed, a constant source hit every step, and batches of more than one example crashed.
func TestPyvene8RecurrentSteps(t *testing.T) {
	model := gru.MustNewClassifier(gru.Config{Layers: 1, Width: 3}, 5)
	base := random(1, 2, 4, 3)
	b := vectors(read(model, gru.ResetGateOutput, base))
	given := []float64{0.5, 0.25, 0.125}
	call := interv.Call{Base: embeds(base), Locations: []*interv.Location{interv.At([][]int{{1}, {3}})},
		Activations: []*tensors.Tensor{tensors.FromValue([]float32{0.5, 0.25, 0.125})}}
	got := vectors(after(model, gru.ResetGateOutput, interv.Vanilla{}, call))
	wantVectors(t, "the steps and those before", cube{got[0][:2], got[1]}, cube{{b[0][0], given}, {b[1][0], b[1][1], b[1][2], given}})

	set := patch(model, gru.ResetGateOutput, interv.Constant{Of: interv.Vanilla{}})
	must(t, set.SetParameters(map[string]*tensors.Tensor{"0.constant": call.Activations[0]}))
	own := patch(model, gru.ResetGateOutput, interv.Vanilla{}).MustRun(call)
	wantSame(t, "a constant source", flat(set.MustRun(interv.Call{Base: call.Base, Locations: call.Locations}).Output), flat(own.Output))
}

func TestPyveneBroken(t *testing.T) {
	model := newAttention(1, 4, 2, 3, dtypes.Float32, 1)
	base, source := random(1, 3, 5, 4), random(2, 3, 5, 4)
	b, s := vectors(read(model, attends, base)), vectors(read(model, attends, source))

	// A batch of more than one example at one position was a shape error.
	t.Run("10 boundless with a batch", func(t *testing.T) {
		iv := patch(model, attends, interv.BoundlessRotatedSpace{})
		call := exchange(base, source, interv.Repeat(3, 1), interv.Repeat(3, 1))
		whole := flat(iv.MustRun(call).Output)
		for i := range 3 {
			alone := flat(iv.MustRun(exchange(reorder(base, []int{i}), reorder(source, []int{i}), interv.Repeat(1, 1), interv.Repeat(1, 1))).Output)
			wantClose(t, fmt.Sprint("example ", i), whole[i*len(alone):(i+1)*len(alone)], alone, 1e-5)
		}
	})

	// Remote models had a path of their own, whose setter lacked an argument, and no model could be made without the package for it.
	t.Run("11 one path for every model", func(t *testing.T) {
		const hidden interv.Component = "hidden"
		unaware := foreign.MustNew(engine, foreign.Description{
			Name:   "unaware",
			Inputs: []foreign.Input{{Name: "inputs_embeds", DType: dtypes.Float32, Dims: []int{foreign.Batch, foreign.Positions, 4}}},
			Sites:  []foreign.Sites{{Sites: interv.Sites{Component: hidden, Layers: 1, Width: 4}, Find: foreign.Alias("hidden")}},
		}, map[string]*tensors.Tensor{"w": random(3, 4, 4)}, func(weights, inputs interv.Nodes) *Node {
			return ReduceMean(Tanh(Einsum("bpi,io->bpo", inputs["inputs_embeds"], weights["w"])).WithAlias("hidden"), 1)
		})
		for component, model := range map[interv.Component]interv.Model{ // on which all of the output depends
			blockOutput:           model,
			gru.CellOutput:        gru.MustNewClassifier(gru.Config{Layers: 1, Width: 4}, 1),
			mlp.MLPPreactivation:  mlp.MustNewClassifier(mlp.Config{Layers: 1, Width: 4, KeepPositions: true}, 1),
			transformer.FinalNorm: newGPT2(4, ""),
			hidden:                unaware,
		} {
			iv := patch(model, component, interv.Vanilla{})
			got := iv.MustRun(interv.Call{Base: embeds(base), Sources: []interv.Inputs{embeds(source)}, Locations: []*interv.Location{interv.Everywhere()}})
			wantClose(t, string(component), flat(got.Output), flat(iv.MustForward(embeds(source))), 1e-5)
		}
	})

	// Loading went to cuda:0; printing a model, saving one with a function and loading one with a Collect failed.
	t.Run("12 saving, loading, printing", func(t *testing.T) {
		iv := patch(model, attends, interv.Collect{})
		if text := iv.String(); !strings.Contains(text, "layer 0 attention_output") || !strings.Contains(text, "collect") {
			t.Errorf("got %q", text)
		}
		folder := t.TempDir()
		must(t, iv.Save(folder))
		again, err := interv.Load(engine, model, folder)
		must(t, err)
		got := again.MustRun(interv.Call{Base: embeds(base), Locations: []*interv.Location{interv.Everywhere()}}).Collected[0].Value
		wantVectors(t, "collected", vectors(got), b)
		function := patch(model, attends, interv.Func{Build: func(b, _ *Node) *Node { return b }})
		wanted.Refusal(t, function.Save(t.TempDir()), "a Go function cannot be saved")
	})

	// A chain of three failed on a misspelt key, and several representations in one of its groups on an exception.
	t.Run("13 chains of any length and breadth", func(t *testing.T) {
		at := func(component interv.Component, group string) interv.Representation {
			return interv.Representation{Component: component, Group: group, Intervention: interv.Vanilla{}}
		}
		iv := interv.MustNew(engine, model, interv.Config{Mode: interv.Serial, Representations: []interv.Representation{
			at(attends, "first"), at(blockInput, "first"), at(attends, "second"), at(attends, "third"),
			{Component: attends, Group: "third", Intervention: interv.Collect{}}}})
		third := random(3, 3, 5, 4)
		location := func(from, to int) *interv.Location {
			return interv.FromTo(interv.Repeat(3, from), interv.Repeat(3, to))
		}
		got := iv.MustRun(interv.Call{Base: embeds(base), Sources: []interv.Inputs{embeds(source), embeds(third), embeds(third)},
			Locations: []*interv.Location{location(0, 1), location(4, 4), location(1, 2), location(2, 3), interv.Everywhere()}}).Collected[0].Value
		wantVectors(t, "handed on twice", vectors(got), edited(b, func(x cube) {
			for example := range x {
				x[example][3] = s[example][0]
			}
		}))
	})

	// warm_up_steps was overwritten.
	t.Run("13 schedules of the rate", func(t *testing.T) {
		iv := patch(model, attends, interv.LowRankRotatedSpace{Rank: 1})
		before := flat(iv.Parameters()["0.rotation"])
		trainer := iv.MustTrainer(sumOfSquares, interv.Adam{Rate: 0.1, Schedule: interv.Linear(0, 1, 2)})
		call := exchange(base, source, interv.Repeat(3, 1), interv.Repeat(3, 1))
		trainer.MustStep(call)
		wantClose(t, "a step at rate 0", flat(iv.Parameters()["0.rotation"]), before, 1e-6)
		trainer.MustStep(call)
		wantDifferent(t, flat(iv.Parameters()["0.rotation"]), slices.Clone(before))
	})

	// Functions that make models imported names that do not exist.
	t.Run("15 every constructor makes a model that runs", func(t *testing.T) {
		for _, c := range []struct {
			model  interv.Model
			output []int
		}{
			{gru.MustNewClassifier(gru.Config{Layers: 1, Width: 4}, 1), []int{3, 2}},
			{gru.MustNewLanguageModel(gru.Config{Layers: 1, Width: 4, Vocabulary: 7}, 1), []int{3, 5, 7}},
			{mlp.MustNewClassifier(mlp.Config{Layers: 1, Width: 4, KeepPositions: true}, 1), []int{3, 5, 2}},
			{newGPT2(4, ""), []int{3, 5, 31}},
			{newGPT2(4, `, "architectures": ["GPT2ForSequenceClassification"]`), []int{3, 2}},
		} {
			got := interv.MustNew(engine, c.model, interv.Config{}).MustForward(embeds(base)).Shape().Dimensions
			if !slices.Equal(got, c.output) {
				t.Errorf("%s: got shape %v, wanted %v", c.model.Catalogue().Model, got, c.output)
			}
		}
	})
}

// newGPT2 is a small GPT-2; more goes on with its config.json.
func newGPT2(width int, more string) *transformer.Model {
	const config = `{"model_type": "gpt2", "vocab_size": 31, "n_positions": 12, "n_embd": %d, "n_layer": 2, "n_head": 2%s}`
	return transformer.MustNew(transformer.MustParseConfig(fmt.Sprintf(config, width, more)), 7)
}

var sumOfSquares = func(o interv.Outcome) *Node { return ReduceAllSum(Square(o.Output)) }
