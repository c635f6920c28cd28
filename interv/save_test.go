package interv_test

import (
	"os"
	"path/filepath"
	"testing"

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

	other := gru.MustNewClassifier(gru.Config{Layers: 1, Width: 4}, 3)
	_, err = interv.Load(engine, other, filepath.Join(folder, "a"))
	wantRefusal(t, err, "config.json", "layer of new_gate_output")
	data, _ := os.ReadFile(filepath.Join(folder, "a", "parameters.safetensors"))
	if err := os.WriteFile(filepath.Join(folder, "a", "parameters.safetensors"), data[:len(data)-1], 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := interv.Load(engine, loaded, filepath.Join(folder, "a")); err == nil {
		t.Error("a file cut short was loaded")
	}
}
