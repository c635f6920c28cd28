package attribution_test

import (
	"math"
	"slices"
	"testing"

	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/attribution"
	"github.com/govene/govene/interv/metric"
	"github.com/govene/govene/interv/sweep"
	"github.com/govene/govene/interv/transformer"
)

// Estimates order patches much as the sweep does that makes them all.
func TestEstimatesBesideASweep(t *testing.T) {
	m := model(t, 2)
	s := sweep.Sweep{Base: base, Source: source, Metric: differ.Metric, Positions: sweep.At(1, 2, -1),
		Components: []interv.Component{transformer.BlockInput, transformer.MLPOutput, transformer.HeadAttentionValueOutput}}
	measured := sweep.MustRun(engine, m, s)
	a := attribution.Attribution{Base: base, Source: source, Measure: differ, Sites: sitesOf(m, s.Components...)}
	result := attribution.MustRun(engine, m, a)
	like, err := result.Like(measured)
	if err != nil {
		t.Fatal(err)
	}
	for pair := range 2 {
		if d := like.Base[pair] - measured.Base[pair]; d > 1e-9 || d < -1e-9 {
			t.Errorf("pair %d: got the base's metric %g, the sweep's is %g", pair, like.Base[pair], measured.Base[pair])
		}
	}
	agreement, err := result.Agrees(measured)
	if err != nil || agreement.Count != 36 || agreement.RankCorrelation < 0.5 {
		t.Errorf("got %v, %v, wanted the estimates of 36 patches in nearly their order", agreement, err)
	}
	t.Log(agreement)

	// The map of all units is such a sweep, too.
	all := result.MustSweep(s.Positions)
	values := map[string][]float64{}
	for i, cell := range all.Cells {
		values[cell.String()] = all.Values[i]
	}
	s.Heads = []int{1}
	s.Components = []interv.Component{transformer.HeadAttentionValueOutput}
	for i, cell := range sweep.MustRun(engine, m, s).Cells {
		one, err := result.Like(&sweep.Result{Cells: []sweep.Cell{cell}, Base: result.Base})
		if err != nil || !slices.Equal(one.Values[0], values[cell.String()]) {
			t.Errorf("cell %d, %s: got %v (%v), wanted %v", i, cell, values[cell.String()], err, one)
		}
	}
	if cells := result.MustSweep(nil).Cells; len(cells) != 2*4*(1+1+m.Config().Attention.Heads) {
		t.Errorf("got %d cells, wanted every unit at every position", len(cells))
	}

	for words, places := range map[string][]sweep.Place{"an empty list": {}, "for 0 pairs": {{At: [][]int{}}}, "for 3 pairs": {{At: [][]int{{1}, {1}, {2}}}},
		"pair 0: got an empty list": {{At: [][]int{{}}}}, "pair 1: got -1 again": {{At: [][]int{{3}, {2, 3, -1}}}}} {
		_, err := result.Sweep(places)
		wanted.Refusal(t, err, "sweep", words)
	}

	// What compares with the clean run says nothing of the source's.
	kl := a
	kl.Measure, kl.Sites, kl.Steps, kl.Along = interv.Measure{Metric: metric.KL{}}, a.Sites[:1], 20, a.Sites[0]
	divergence := attribution.MustRun(engine, m, kl)
	patched := sweep.MustRun(engine, m, sweep.Sweep{Base: base, Source: source, Metric: metric.KL{}, Cells: []sweep.Cell{{Component: transformer.BlockInput}}})
	added := 0.0
	for position := range 4 {
		added += divergence.Effects[0].Of(0, 0, position)
	}
	if want := patched.Values[0][0]; divergence.Source != nil || math.Abs(added-want) > 1e-3*want {
		t.Errorf("got a divergence of %g and the source's %v, wanted %g and none", added, divergence.Source, want)
	}

	a.Sites = a.Sites[:1]
	_, err = attribution.MustRun(engine, m, a).Like(measured)
	wanted.Refusal(t, err, "cell", "no estimate")
	measured.Base = measured.Base[:1]
	_, err = result.Like(measured)
	wanted.Refusal(t, err, "pairs", "got 1")
}
