package sweep

import (
	"math"
	"path/filepath"
	"testing"

	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/transformer"
)

// A corrupted sweep has the number of the corruption alone: what a cell leaves that restores nothing it changed. One that restores all of it
// recovers all.
func TestCorrupted(t *testing.T) {
	model, s := scene(t, "gpt2")
	last := model.Config().Layers - 1
	s.File = filepath.Join(t.TempDir(), "traced.json")
	s.Cells = []Cell{{Component: transformer.BlockOutput, Place: Place{At: [][]int{{1}}}}, {Component: transformer.BlockOutput, Layer: last}}
	for name, c := range map[string]struct {
		corrupt Corruption
		source  bool
	}{
		"noise":         {Corruption{Component: transformer.Embedding, Place: Place{At: [][]int{{2, 3}}}, Intervention: interv.Noise{Level: 1}}, false},
		"heads of zero": {Corruption{Component: transformer.HeadAttentionValueOutput, Layer: 1, Place: Place{At: [][]int{{-1}}}, Intervention: interv.Zero{}}, false},
		"from a source": {Corruption{Component: transformer.Embedding, Place: Place{At: [][]int{{3}, {4}, {2}}}, Intervention: interv.Vanilla{}}, true},
	} {
		if name != "noise" && few() {
			continue
		}
		t.Run(name, func(t *testing.T) {
			s := s
			s.Corrupt, s.File = &c.corrupt, filepath.Join(t.TempDir(), "traced.json")
			if s.From = FromBase; !c.source {
				s.Source = nil
			}
			r := MustRun(machine, model, s)
			recovered := r.Recovered()
			for pair, corrupted := range r.Corrupted {
				if off := math.Abs(corrupted - r.Values[0][pair]); off > 1e-5 || math.Abs(corrupted-r.Base[pair]) < 1e-4 {
					t.Errorf("pair %d: got %g, wanted what the first cell left, %g, and not the base's %g", pair, corrupted, r.Values[0][pair], r.Base[pair])
				}
				if share := recovered[1][pair]; !c.source && math.Abs(share-1) > 1e-3 {
					t.Errorf("pair %d: got a share of %g, wanted all", pair, share)
				}
			}
			again, err := Load(s.File)
			if err != nil || len(again.Corrupted) != len(r.Base) {
				t.Fatalf("got %v, %v from the file", again, err)
			}
			for pair, corrupted := range MustRun(machine, model, s).Corrupted {
				if corrupted != r.Corrupted[pair] || again.Corrupted[pair] != corrupted {
					t.Errorf("pair %d: got %g from a finished sweep and %g from its file, wanted %g", pair, corrupted, again.Corrupted[pair], r.Corrupted[pair])
				}
			}
			if _, err := r.Plot().Bytes(); err != nil {
				t.Error(err)
			}
			column := "corrupted"
			if c.source {
				column = "source"
			}
			if _, err := r.Frame().Column(column); err != nil {
				t.Error(err)
			}
		})
	}
}
