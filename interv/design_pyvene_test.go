package interv_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/transformer"
)

// What pyvene does by design, and Govene does not: see pyvene_test.go.
func TestPyveneDesign(t *testing.T) {
	model := newAttention(1, 4, 2, 3, dtypes.Float32, 1)
	base, source := random(1, 3, 5, 4), random(2, 3, 5, 4)

	// A call removed the user's hooks and let the caller's list of sources grow; construction froze the user's model.
	t.Run("16 nothing of the caller's changes", func(t *testing.T) {
		call := exchange(base, source, [][]int{{-1}, {2}, {3}}, [][]int{{-2}, {0}, {1}})
		call.Subspaces = [][][]int{{{2, 0}, {1}, {3}}}
		call.Sources = slices.Grow(call.Sources, 4)
		before, err := json.Marshal([]any{call.Locations, call.Subspaces, flat(base), flat(source), flat(model.Weights().Tensor("score"))})
		must(t, err)
		other := patch(model, mlpOutput, interv.Zero{})
		zero := interv.Call{Base: embeds(base), Locations: []*interv.Location{interv.Everywhere()}}
		want := flat(other.MustRun(zero).Output)
		iv := patch(model, attends, interv.LowRankRotatedSpace{Rank: 4})
		iv.MustRun(call)
		wantSame(t, "another Intervenable of the model", flat(other.MustRun(zero).Output), want)
		now, err := json.Marshal([]any{call.Locations, call.Subspaces, flat(base), flat(source), flat(model.Weights().Tensor("score"))})
		must(t, err)
		if !bytes.Equal(now, before) || len(call.Sources) != 1 || call.Sources[:2][1] != nil {
			t.Errorf("got %s and %d sources, wanted %s", now, len(call.Sources), before)
		}
		gradients := iv.Gradient(sumOfSquares).OfModel().MustRun(call).Model
		if len(gradients) != len(model.Weights().Names()) || slices.Max(flat(gradients["query0"])) == 0 {
			t.Errorf("got %d gradients of the model, wanted all %d", len(gradients), len(model.Weights().Names()))
		}
	})

	// Mistakes came to light late, as KeyError, `no attribute ”` or an index error of torch; positions could not be negative.
	t.Run("17 mistakes are named at once", func(t *testing.T) {
		_, err := interv.New(engine, model, interv.Config{Representations: []interv.Representation{{Component: "mlp_ouput", Intervention: interv.Zero{}}}})
		wanted.Refusal(t, err, "attention", "component", `did you mean "mlp_output"`)
		_, err = transformer.ParseConfig([]byte(`{"model_type": "lama"}`))
		wanted.Refusal(t, err, "model_type", `did you mean "llama"`)
		iv := patch(model, attends, interv.Zero{})
		_, err = iv.Forward(embeds(random(1, 3, 5, 6)))
		wanted.Refusal(t, err, "base: inputs_embeds", "[3 5 6]", "4]")
		zero := func(position int) interv.Call {
			return interv.Call{Base: embeds(base), Locations: []*interv.Location{interv.At(interv.Repeat(3, position))}}
		}
		_, err = iv.Run(zero(5))
		wanted.Refusal(t, err, "base locations of example 0", "position 5", "0 to 4")
		wantSame(t, "the last position", flat(iv.MustRun(zero(-1)).Output), flat(iv.MustRun(zero(4)).Output))
	})

	// A module called twice in a forward pass raised "called only once".
	t.Run("18 a site announced in pieces", func(t *testing.T) {
		call := exchange(base, source, [][]int{{0, 4}, {1, 2}, {3, 0}}, [][]int{{4, 1}, {0, 2}, {2, 3}})
		got := patch(inPieces{model}, blockOutput, interv.Vanilla{}).MustRun(call).Output
		wantClose(t, "output", flat(got), flat(patch(model, blockOutput, interv.Vanilla{}).MustRun(call).Output), 1e-5)
	})

	// State of a call lived on the model, which another call overwrote.
	t.Run("18 a call within a call", func(t *testing.T) {
		outer := exchange(base, source, interv.Repeat(3, 0), interv.Repeat(3, 1))
		inner := exchange(source, base, interv.Repeat(3, 2, 3), interv.Repeat(3, 4, 0))
		inner.WithBase = true // a program of its own
		var iv *interv.Intervenable
		var result *interv.Result
		iv = patch(model, attends, interv.Func{Build: func(_, source *Node) *Node {
			if result == nil {
				result = &interv.Result{}
				result = iv.MustRun(inner)
			}
			return source
		}})
		vanilla := patch(model, attends, interv.Vanilla{})
		wantSame(t, "the outer call", flat(iv.MustRun(outer).Output), flat(vanilla.MustRun(outer).Output))
		wantSame(t, "the inner call", flat(result.Output), flat(vanilla.MustRun(inner).Output))
	})

	// Every source was a forward pass of its own through all layers, even the same one twice; index tensors were built anew each time.
	t.Run("18b work that nothing reads is not done", func(t *testing.T) {
		announced := map[interv.Component]int{}
		iv := interv.MustNew(engine, counting{newAttention(2, 4, 2, 3, dtypes.Float32, 1), announced}, interv.Config{Representations: []interv.Representation{
			{Component: headQueries, Intervention: interv.Vanilla{}}, {Component: attends, Intervention: interv.Vanilla{}}}})
		from := embeds(source)
		for position := range 5 {
			units := interv.Repeat(3, position)
			iv.MustRun(interv.Call{Base: embeds(base), Sources: []interv.Inputs{from, from},
				Locations: []*interv.Location{interv.Everywhere(), interv.FromTo(units, units)}})
		}
		if stats := iv.Stats(); stats.Programs != 1 {
			t.Errorf("got %v, wanted 1 program for 5 places", stats)
		}
		for component, wanted := range map[interv.Component]int{headQueries: 3, attends: 3, mlpInput: 2, blockOutput: 2} {
			if got := announced[component]; got != wanted {
				t.Errorf("%s: announced %d times, wanted %d: in both layers of the base and, up to what is read, in one source", component, got, wanted)
			}
		}
	})

	// Saved files were pickles, which run code when they are loaded.
	t.Run("20 files hold data", func(t *testing.T) {
		folder := t.TempDir()
		must(t, patch(model, attends, interv.LowRankRotatedSpace{Rank: 2}).Save(folder))
		entries, err := os.ReadDir(folder)
		must(t, err)
		for _, entry := range entries {
			data, err := os.ReadFile(filepath.Join(folder, entry.Name()))
			must(t, err)
			if filepath.Ext(entry.Name()) == ".safetensors" { // a length, then so many bytes of JSON
				data = data[8 : 8+int(data[0])+int(data[1])<<8]
			}
			if !json.Valid(data) {
				t.Errorf("%s holds something else than data", entry.Name())
			}
		}
		if len(entries) != 2 {
			t.Errorf("got %v, wanted a config and its parameters", entries)
		}
	})
}

// inPieces announces the output of a block in two pieces.
type inPieces struct{ *attention }

func (m inPieces) Forward(weights, inputs interv.Nodes, tap *interv.Tap) *Node {
	return m.attention.Forward(weights, inputs, interv.NewTap(func(_ *interv.Tap, a interv.Activation) *Node {
		if a.Site.Component != blockOutput {
			return tap.At(a.Site, a.Value)
		}
		first := tap.AtOffset(a.Site, 0, SliceAxis(a.Value, 1, AxisRange(0, 2)))
		return Concatenate([]*Node{first, tap.AtOffset(a.Site, 2, SliceAxis(a.Value, 1, AxisRange(2)))}, 1)
	}))
}

// counting counts announcements.
type counting struct {
	*attention
	announced map[interv.Component]int
}

func (m counting) Forward(weights, inputs interv.Nodes, tap *interv.Tap) *Node {
	return m.attention.Forward(weights, inputs, interv.NewTap(func(_ *interv.Tap, a interv.Activation) *Node {
		m.announced[a.Site.Component]++
		return tap.At(a.Site, a.Value)
	}))
}
