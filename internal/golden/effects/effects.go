// Package effects has golden cases of what patches, gradients, paths and circuits come to: ../testdata/effects/generate.py computes them by their
// definitions in plain PyTorch, in float64, on the checkpoints of the other golden cases.
package effects

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/host"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/transformer"
)

// Case is one question and its answer.
type Case struct {
	Model        *transformer.Model // of float64
	Base, Source interv.Inputs

	ask         json.RawMessage
	want        map[string]*tensors.Tensor // by kind/title/what
	kind, title string
}

// pairs are inputs as cases.json has them.
type pairs struct{ Base, Source, Mask [][]int32 }

// Run runs a subtest for every case of a kind, on the models that are asked it. Where tests are short, and on XLA, which compiles for seconds, unless
// GOVENE_LONG is set, it runs some alone, "llama values".
func Run(t *testing.T, backend compute.Backend, kind string, some []string, run func(t *testing.T, c *Case)) {
	var all struct {
		Inputs pairs
		Cases  map[string]map[string]json.RawMessage
	}
	text, err := os.ReadFile(filepath.Join(folder(), "cases.json"))
	if err == nil {
		err = json.Unmarshal(text, &all)
	}
	if err != nil {
		t.Fatal(err)
	}
	sparing := testing.Short() || strings.HasPrefix(backend.Name(), "xla") && os.Getenv("GOVENE_LONG") == ""
	ran := 0
	for _, name := range []string{"gpt2", "llama", "gpt_neox", "gemma2"} {
		want, err := interv.LoadTensors(filepath.Join(folder(), name+".safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		var cases []*Case
		for title, ask := range all.Cases[kind] {
			c := &Case{ask: ask, want: want, kind: kind, title: title}
			if c.asked() && (!sparing || slices.Contains(some, name+" "+title)) {
				cases = append(cases, c)
			}
		}
		if ran += len(cases); len(cases) == 0 {
			continue
		}
		slices.SortFunc(cases, func(a, b *Case) int { return strings.Compare(a.title, b.title) })
		t.Run(name, func(t *testing.T) {
			model := load(t, name)
			for _, c := range cases {
				t.Run(c.title, func(t *testing.T) {
					var how struct {
						Swap   bool
						Inputs *pairs
					}
					c.Ask(t, &how)
					inputs := all.Inputs
					if how.Inputs != nil {
						inputs = *how.Inputs
					}
					c.Model, c.Base, c.Source = model, inputs.of(inputs.Base), inputs.of(inputs.Source)
					if how.Swap {
						c.Base, c.Source = c.Source, c.Base
					}
					run(t, c)
				})
			}
		})
	}
	if ran == 0 && !sparing || sparing && ran != len(some) {
		t.Errorf("%d cases of %s, wanted %v of them where tests are sparing and others elsewhere", ran, kind, some)
	}
}

func (p pairs) of(ids [][]int32) interv.Inputs {
	return interv.Inputs{interv.InputIDs: tensors.FromValue(ids), interv.AttentionMask: tensors.FromValue(p.Mask)}
}

// Ask reads what is asked, by the names of fields.
func (c *Case) Ask(t *testing.T, into any) {
	t.Helper()
	if err := json.Unmarshal(c.ask, into); err != nil {
		t.Fatal(err)
	}
}

// Wanted are the numbers of a name, in the order of the axes that generate.py says.
func (c *Case) Wanted(t *testing.T, what string) *tensors.Tensor {
	t.Helper()
	want, ok := c.want[c.path(what)]
	if !ok {
		t.Fatalf("no numbers %s", c.path(what))
	}
	return want
}

// asked tells whether there are any numbers.
func (c *Case) asked() bool {
	for name := range c.want {
		if strings.HasPrefix(name, c.path("")) {
			return true
		}
	}
	return false
}

// Has tells whether there are numbers of a name.
func (c *Case) Has(what string) bool { return c.want[c.path(what)] != nil }

func (c *Case) path(what string) string { return c.kind + "/" + c.title + "/" + what }

// Compare wants numbers to be those of a name, up to the tolerance times the largest, or times 1.
func (c *Case) Compare(t *testing.T, what string, got []float64, tolerance float64) {
	t.Helper()
	want := host.Floats(c.Wanted(t, what))
	if len(got) != len(want) {
		t.Fatalf("%s: got %d numbers, wanted %d", what, len(got), len(want))
	}
	largest, at, scale := 0.0, 0, 1.0
	for i := range want {
		scale = max(scale, math.Abs(want[i]))
		if off := math.Abs(got[i] - want[i]); !(off <= largest) {
			largest, at = off, i
		}
	}
	if !(largest <= tolerance*scale) {
		t.Errorf("%s: off by %g; number %d is %g, wanted %g", what, largest, at, got[at], want[at])
	}
	if testing.Verbose() {
		t.Logf("%s: within %.1e of %.3g", what, largest, scale)
	}
}

// Flat are the numbers of a table, row by row.
func Flat(rows [][]float64) []float64 { return slices.Concat(rows...) }

// load reads a checkpoint as float64.
func load(t *testing.T, name string) *transformer.Model {
	t.Helper()
	checkpoint := filepath.Join(folder(), "..", "public", "checkpoints", name)
	text, err := os.ReadFile(filepath.Join(checkpoint, "config.json"))
	if err != nil {
		t.Fatal(err)
	}
	weights, err := interv.LoadTensors(filepath.Join(checkpoint, "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	for name, w := range weights {
		weights[name] = host.Tensor(host.Floats(w), dtypes.Float64, w.Shape().Dimensions...)
	}
	model, err := transformer.WithWeights(transformer.MustParseConfig(string(text)), weights)
	if err != nil {
		t.Fatal(err)
	}
	return model
}

func folder() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "testdata", "effects")
}
