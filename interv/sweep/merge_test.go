package sweep

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/govene/govene/internal/draw"
	"github.com/govene/govene/internal/must"
	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/gru"
	"github.com/govene/govene/interv/metric"
	"github.com/govene/govene/interv/transformer"
)

// inParts runs a sweep in so many parts, each with its own file.
func inParts(t *testing.T, model interv.Model, s Sweep, count int) (files []string) {
	t.Helper()
	folder := t.TempDir()
	for index := 1; index <= count; index++ {
		s.Part, s.File = Part{index, count}, filepath.Join(folder, fmt.Sprintf("%d.json", index))
		MustRun(machine, model, s)
		files = append(files, s.File)
	}
	return files
}

// Parts put together are the file of a sweep that does it all, byte for byte, by either plan and with any number of parts.
func TestMergedPartsAreTheWholeSweep(t *testing.T) {
	transformers, s := scene(t, "gpt2")
	s.Components, s.Positions = []interv.Component{transformer.BlockOutput, transformer.MLPOutput, transformer.AttentionOutput}, UpTo(5)[1:]
	recurrent := gru.MustNewClassifier(gru.Config{Layers: 2, Width: 3}, 4)
	embeds := func(seed uint64) interv.Inputs {
		return interv.Inputs{interv.InputsEmbeds: draw.Tensor(rand.New(rand.NewPCG(seed, 9)).NormFloat64, 2, 9, 3)}
	}
	for name, c := range map[string]struct {
		model interv.Model
		sweep Sweep
	}{
		"packed": {transformers, s},
		"batched": {recurrent, Sweep{Base: embeds(1), Source: embeds(2), Components: []interv.Component{gru.CellOutput, gru.ResetGateOutput}, Positions: UpTo(9),
			Metric: metric.Logit{Tokens: []int{0}}}},
	} {
		t.Run(name, func(t *testing.T) {
			c.sweep.File = filepath.Join(t.TempDir(), "whole.json")
			whole := MustRun(machine, c.model, c.sweep)
			wantedBytes := must.Of(os.ReadFile(c.sweep.File))
			for _, count := range []int{1, 3} {
				merged := filepath.Join(t.TempDir(), "merged.json")
				result, err := Merge(merged, inParts(t, c.model, c.sweep, count)...)
				if err != nil {
					t.Fatal(err)
				}
				if got := must.Of(os.ReadFile(merged)); !bytes.Equal(got, wantedBytes) {
					t.Errorf("%d parts: got %s, wanted %s", count, got, wantedBytes)
				}
				if text := result.Frame().String(); text != whole.Frame().String() {
					t.Errorf("%d parts: got the table %s", count, text)
				}
				if loaded, err := Load(merged); err != nil || loaded.Plot().String() != whole.Plot().String() {
					t.Errorf("loaded: %v", err)
				}
			}
		})
	}
}

// What does not belong together is not merged, and nothing is written over.
func TestMergeRefuses(t *testing.T) {
	model, s := scene(t, "gpt2")
	s.Components, s.Positions = []interv.Component{transformer.BlockOutput}, At(1, -1)
	parts := inParts(t, model, s, 2)
	s.Layers = []int{0}
	others := inParts(t, model, s, 2)
	folder := t.TempDir()
	file := func(name string, text []byte) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, text, 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	second := must.Of(os.ReadFile(parts[1]))
	short := file("short.json", second[:len(second)-9])
	unfinished := file("unfinished.json", bytes.Replace(second, []byte(`"finished":true`), []byte(`"finished":false`), 1))
	older := file("older.json", bytes.Replace(second, []byte(fileFormat), []byte("govene sweep 0"), 1))
	third := file("third.json", bytes.Replace(second, []byte(`"index":2,"count":2`), []byte(`"index":2,"count":3`), 1))
	dealt := file("dealt.json", regexp.MustCompile(`"dealt":"[0-9a-f]+"`).ReplaceAll(second, []byte(`"dealt":"0"`)))
	before := file("before.json", regexp.MustCompile(`"dealt":"[0-9a-f]+",`).ReplaceAll(second, nil))
	whole := filepath.Join(folder, "whole.json")
	if _, err := Merge(whole, parts...); err != nil {
		t.Fatal(err)
	}
	merged := filepath.Join(folder, "merged.json")
	for name, c := range map[string]struct {
		path  string
		parts []string
		words []string
	}{
		"none":       {merged, nil, []string{"no files"}},
		"missing":    {merged, parts[:1], []string{"[2] missing"}},
		"twice":      {merged, []string{parts[0], parts[0]}, []string{parts[0], "each part once"}},
		"other":      {merged, []string{parts[0], others[1]}, []string{others[1], "different sweeps"}},
		"cut short":  {merged, []string{parts[0], short}, []string{short, "whole file"}},
		"unfinished": {merged, []string{parts[0], unfinished}, []string{unfinished, "not finished"}},
		"version":    {merged, []string{parts[0], older}, []string{older, "format", "sweep 0"}},
		"count":      {merged, []string{parts[0], third}, []string{third, "one of 2"}},
		"dealt":      {merged, []string{parts[0], dealt}, []string{dealt, "another version"}},
		"before":     {merged, []string{parts[0], before}, []string{before, "another version"}},
		"whole":      {merged, []string{whole}, []string{whole, "a part of one"}},
		"there":      {whole, others, []string{whole, "merged parts"}},
		"a part":     {parts[0], parts, []string{parts[0], "another file"}},
	} {
		before, _ := os.ReadFile(c.path)
		_, err := Merge(c.path, c.parts...)
		t.Run(name, func(t *testing.T) { wanted.Refusal(t, err, c.words...) })
		if after, _ := os.ReadFile(c.path); !bytes.Equal(before, after) {
			t.Errorf("%s: %s was written", name, c.path)
		}
	}
	again := s
	again.Layers, again.Part, again.File = nil, Part{2, 2}, dealt
	_, err := Run(t.Context(), machine, model, again)
	wanted.Refusal(t, err, dealt, "another version")
	if _, err := Load(parts[0]); err == nil {
		t.Error("a part was loaded as a whole")
	}
	for _, part := range []Part{{0, 2}, {3, 2}, {1, 0}, {-1, -1}} {
		s.Part = part
		_, err := s.Plan(machine, model)
		wanted.Refusal(t, err, "part")
	}
}
