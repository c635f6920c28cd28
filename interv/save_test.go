package interv_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/gru"
)

func TestSaveLoadRunGivesTheSameBytes(t *testing.T) {
	model := gru.MustNewClassifier(gru.Config{Layers: 2, Width: 4}, 3)
	folder := t.TempDir()
	if err := model.Save(filepath.Join(folder, "model")); err != nil {
		t.Fatal(err)
	}
	loaded := gru.MustLoad(filepath.Join(folder, "model"))
	r := interv.Representation{Layer: 1, Component: gru.NewGateOutput, Unit: interv.Step, MaxUnits: 1, Link: "a",
		Intervention: interv.LowRankRotatedSpace{Rank: 3}, SubspacePartition: [][]int{interv.Range(0, 2), {2}}}
	boundless := interv.Representation{Component: gru.CellOutput, Intervention: interv.BoundlessRotatedSpace{}}
	iv := interv.MustNew(engine, model, interv.Config{Seed: 8, Representations: []interv.Representation{r, r, boundless}})
	if err := iv.Save(filepath.Join(folder, "a")); err != nil {
		t.Fatal(err)
	}
	again, err := interv.Load(engine, loaded, filepath.Join(folder, "a"))
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Save(filepath.Join(folder, "b")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"config.json", "parameters.safetensors"} {
		a, _ := os.ReadFile(filepath.Join(folder, "a", name))
		b, err := os.ReadFile(filepath.Join(folder, "b", name))
		if err != nil || string(a) != string(b) || len(a) == 0 {
			t.Errorf("%s: the second save differs from the first (%v)", name, err)
		}
	}
	source := interv.Inputs{"inputs_embeds": random(2, 2, 3, 4)}
	location := interv.FromTo(interv.Repeat(2, 0), interv.Repeat(2, 1))
	call := interv.Call{Base: interv.Inputs{"inputs_embeds": random(1, 2, 3, 4)}, Sources: []interv.Inputs{source, source, source},
		Locations: []*interv.Location{location, location, location}, Subspaces: [][][]int{interv.Repeat(2, 0), interv.Repeat(2, 1), nil}}
	wantSame(t, "loaded", flat(again.MustRun(call).Output), flat(iv.MustRun(call).Output))

}

// The folders of testdata were written by the versions that they name.
func TestWhatOlderVersionsSavedLoads(t *testing.T) {
	model := gru.MustNewClassifier(gru.Config{Layers: 2, Width: 4}, 3)
	for _, folder := range []string{"saved_v1", "saved_v2"} {
		iv, err := interv.Load(engine, model, filepath.Join("testdata", folder))
		if err != nil {
			t.Fatal(err)
		}
		if got := len(iv.Parameters()); got != 4 {
			t.Errorf("%s: got %d parameters, wanted 4", folder, got)
		}
		wantOrthonormal(t, iv.Parameters()["0.rotation"])
	}
}

// What is frozen is saved, and another model is refused.
func TestFrozenParametersAreSaved(t *testing.T) {
	model := gru.MustNewClassifier(gru.Config{Layers: 2, Width: 4}, 3)
	linked := interv.Representation{Component: gru.CellOutput, Intervention: interv.BoundlessRotatedSpace{}, Link: "a"}
	iv := interv.MustNew(engine, model, interv.Config{Representations: []interv.Representation{linked, linked}})
	must(t, iv.Freeze("1.rotation")) // which is 0.rotation
	folder := t.TempDir()
	must(t, iv.Save(folder))
	if _, trainable := interv.MustLoad(engine, model, folder).Count(); trainable != 1 {
		t.Errorf("got %d trainable parameters, wanted the boundary", trainable)
	}
	_, err := interv.Load(engine, gru.MustNewLanguageModel(gru.Config{Layers: 2, Width: 4, Vocabulary: 5}, 3), folder)
	wanted.Refusal(t, err, "gru classifier", "wanted gru language model")
}

// Whatever is changed in a saved folder is refused with a reason.
func TestLoadRefusals(t *testing.T) {
	model := gru.MustNewClassifier(gru.Config{Layers: 2, Width: 4}, 3)
	iv := interv.MustNew(engine, model, interv.Config{Representations: []interv.Representation{
		{Layer: 1, Component: gru.NewGateOutput, Intervention: interv.LowRankRotatedSpace{Rank: 3}}}})
	const config, parameters = "config.json", "parameters.safetensors"
	replace := func(old, new string) func(data []byte) []byte {
		return func(data []byte) []byte { return bytes.Replace(data, []byte(old), []byte(new), 1) }
	}
	for name, c := range map[string]struct {
		file   string
		change func(data []byte) []byte
		word   string
	}{
		"cut short":         {parameters, func(data []byte) []byte { return data[:len(data)-1] }, "digest"},
		"a bit flipped":     {parameters, func(data []byte) []byte { data[len(data)-1] ^= 1; return data }, "digest"},
		"another seed":      {config, replace(`"seed": 0`, `"seed": 1`), "digest"},
		"another layer":     {config, replace(`"layer": 1`, `"layer": 0`), "digest"},
		"a later version":   {config, replace(`"version": 3`, `"version": 4`), "wanted 1 to 3"},
		"no digest":         {config, func(data []byte) []byte { return regexp.MustCompile(`"digest": "[^"]*",`).ReplaceAll(data, nil) }, "digest"},
		"version 0":         {config, replace(`"version": 3`, `"version": 0`), "wanted 1 to 3"},
		"an older version":  {config, replace(`"version": 3`, `"version": 1`), "digest"},
		"a huge rank":       {config, replace(`"rank": 3`, `"rank": 4611686018427387904`), "digest"},
		"case of a key":     {config, replace(`"seed"`, `"Seed"`), "digest"},
		"unknown field":     {config, replace(`"seed"`, `"sede"`), "sede"},
		"unknown type":      {config, replace("low_rank_rotated_space", "low_rank_rotated_spice"), "low_rank_rotated_space"},
		"config cut short":  {config, func(data []byte) []byte { return data[:len(data)/2] }, "JSON"},
		"a pickle":          {parameters, func([]byte) []byte { return []byte("PK\x03\x04 and so on, whatever torch.save wrote") }, "digest"},
		"no digest at all":  {config, replace(`"digest"`, `"digset"`), "digset"},
		"config of nothing": {config, func([]byte) []byte { return nil }, "JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			must(t, iv.Save(folder))
			path := filepath.Join(folder, c.file)
			data, err := os.ReadFile(path)
			must(t, err)
			must(t, os.WriteFile(path, c.change(data), 0o644))
			if _, err := interv.Load(engine, model, folder); err == nil || !strings.Contains(err.Error(), c.word) {
				t.Errorf("got %v, wanted an error that says %q", err, c.word)
			}
		})
	}
}

// A config that is used again for the next layer, as sweeps do, is not what an Intervenable made of it before says or saves.
func TestConfigsAreCopied(t *testing.T) {
	config := interv.Config{Representations: []interv.Representation{{Component: gru.CellOutput, Intervention: interv.RotatedSpace{},
		SubspacePartition: [][]int{{0}, {1}}}}}
	iv := interv.MustNew(engine, gru.MustNewClassifier(gru.Config{Layers: 2, Width: 2}, 1), config)
	before := iv.String()
	config.Representations[0].Layer = 1
	config.Representations[0].SubspacePartition[0][0] = 1
	if got := iv.String(); got != before {
		t.Errorf("got\n%s\nafter the config changed, wanted\n%s", got, before)
	}
	call := interv.Call{Base: interv.Inputs{"inputs_embeds": random(1, 1, 3, 2)}, Sources: []interv.Inputs{{"inputs_embeds": random(2, 1, 3, 2)}},
		Locations: []*interv.Location{interv.Everywhere()}, Subspaces: [][][]int{{{0}}}}
	got := iv.MustRun(call).Output
	folder := t.TempDir()
	if err := iv.Save(folder); err != nil {
		t.Fatal(err)
	}
	model := gru.MustNewClassifier(gru.Config{Layers: 2, Width: 2}, 1)
	if want := interv.MustLoad(engine, model, folder).MustRun(call).Output; !got.Equal(want) {
		t.Errorf("got %v, wanted what the saved one gives, %v", got, want)
	}
}
