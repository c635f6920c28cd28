package transformer_test

import (
	"cmp"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/transformer"
)

// The sites of a mixture are the parts of its formula: shares from scores, and the sum of experts' outputs weighted by shares; and an edit of a
// part is seen by what is computed from it.
func TestMixtureSites(t *testing.T) {
	for _, name := range []string{"mixtral", "qwen3_moe", "olmoe", "olmoe_normed"} {
		t.Run(name, func(t *testing.T) {
			if sparing && name != "qwen3_moe" {
				t.Skip("four programs, and golden cases of logits have the operations")
			}
			model := transformer.MustLoad(filepath.Join("testdata", "transformers", name))
			tokens := func(ids ...int32) interv.Inputs {
				return interv.Inputs{"input_ids": tensors.FromFlatDataAndDimensions(ids, 1, len(ids))}
			}
			base, source := tokens(3, 7, 2, 9), tokens(5, 4, 8, 6)
			layer := model.Config().Layers - 1
			clean, other := mixtureOf(model, layer, "", base, nil), mixtureOf(model, layer, "", source, nil)
			clean.check(t, "clean", model.Config().Mixture)

			swapped := mixtureOf(model, layer, transformer.RouterOutput, base, source)
			wantClose(t, "each, shares patched", swapped.each, clean.each, 1e-6)
			wantClose(t, "sum, shares patched", swapped.sum, weighted(other.shares, clean.each, clean.experts), 1e-5)
			swapped = mixtureOf(model, layer, transformer.EachExpertOutput, base, source)
			wantClose(t, "sum, each expert patched", swapped.sum, weighted(clean.shares, other.each, clean.experts), 1e-5)
			swapped = mixtureOf(model, layer, transformer.ExpertInput, base, source)
			wantClose(t, "shares, input patched", swapped.shares, clean.shares, 1e-6)
			wantClose(t, "each, input patched", swapped.each, other.each, 1e-5)
			swapped.check(t, "input patched", model.Config().Mixture)
		})
	}
}

// mixture is what the sites of one layer hold, for one example.
type mixture struct {
	scores, shares, each, sum []float32 // [positions, experts] twice, [experts, positions, d], [positions, d]
	experts                   int
}

// mixtureOf collects a layer's mixture in a run of base, in which one site is patched from source.
func mixtureOf(model *transformer.Model, layer int, patched interv.Component, base, source interv.Inputs) mixture {
	config := interv.Config{}
	call := interv.Call{Base: base}
	if patched != "" {
		config.Representations = append(config.Representations, interv.Representation{Layer: layer, Component: patched, Intervention: interv.Vanilla{}, Group: "source"})
		call.Locations, call.Sources = append(call.Locations, interv.Everywhere()), []interv.Inputs{source}
	}
	for _, c := range []interv.Component{transformer.RouterScores, transformer.RouterOutput, transformer.EachExpertOutput, transformer.ExpertOutput} {
		config.Representations = append(config.Representations, interv.Representation{Name: string(c), Layer: layer, Component: c, Intervention: interv.Collect{}})
		call.Locations = append(call.Locations, interv.Everywhere())
		if patched != "" {
			config.Representations[len(config.Representations)-1].Group = "source"
		}
	}
	result := interv.MustNew(engine, model, config).MustRun(call)
	read := func(c interv.Component) []float32 {
		return tensors.MustCopyFlatData[float32](result.MustActivation(string(c)))
	}
	return mixture{read(transformer.RouterScores), read(transformer.RouterOutput), read(transformer.EachExpertOutput), read(transformer.ExpertOutput), model.Config().Mixture.Experts}
}

// check compares shares with those of the scores, and the sum with what the shares weigh.
func (m mixture) check(t *testing.T, what string, about transformer.Mixture) {
	t.Helper()
	var want []float32
	for position := range len(m.scores) / m.experts {
		row := m.scores[position*m.experts : (position+1)*m.experts]
		order := interv.Range(0, m.experts)
		slices.SortFunc(order, func(a, b int) int { return cmp.Compare(row[b], row[a]) })
		best, total := order[:about.PerToken], 0.0
		for expert, score := range row {
			if about.SharesOfAll || slices.Contains(best, expert) {
				total += math.Exp(float64(score))
			}
		}
		for expert, score := range row {
			share := 0.0
			if slices.Contains(best, expert) {
				share = math.Exp(float64(score)) / total
			}
			want = append(want, float32(share))
		}
	}
	wantClose(t, what+": shares", m.shares, want, 1e-5)
	wantClose(t, what+": sum", m.sum, weighted(m.shares, m.each, m.experts), 1e-5)
}

// weighted is Σ over experts of share · output, [positions, d].
func weighted(shares, each []float32, experts int) []float32 {
	positions := len(shares) / experts
	width := len(each) / experts / positions
	sum := make([]float32, positions*width)
	for i := range sum {
		for expert := range experts {
			sum[i] += shares[i/width*experts+expert] * each[(expert*positions+i/width)*width+i%width]
		}
	}
	return sum
}
