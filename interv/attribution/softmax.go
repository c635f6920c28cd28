package attribution

import (
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/compute"

	"github.com/govene/govene/internal/host"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/transformer"
)

// softmax finds what patches of queries and keys make of attention's probabilities. With S the scores that the softmax of a row is taken of, g
// the gradient with respect to the row's probabilities, and S^q and S^k the scores with all queries, or all keys, of the source:
//
//   - A query is all of a row's: A* = softmax(S^q), and the effect is Σ_j (A*_j − A_j) g_j.
//   - A key is one column of every row. With column j patched alone, the other columns keep their proportions, and so the effect in a row is
//     (A*_j − A_j)(g_j − r_j), with r_j the mean of g over the other columns by their probabilities, and A*_j = σ(S^k_j − log Σ_{i≠j} exp S_i).
//
// Three runs give S, S^q and S^k of all layers at once: what a block reads is put back to what it is in the base.
type softmax struct {
	iv     *interv.Intervenable
	layers []int                  // of the queries and keys that are asked for
	scores map[version]*[]float64 // [pair, layer, head, query position, columns]
	shape  []int                  // of the scores
}

// version is what is patched: neither, all queries or all keys.
type version struct{ queries, keys bool }

// scored is a model that tells what it takes the softmax of.
type scored interface {
	interv.Model
	AttentionScores() interv.Model
	Config() transformer.Config
}

// kinds of sites whose effects go through the softmax.
var (
	queries = []interv.Component{transformer.QueryOutput, transformer.HeadQueryOutput}
	keys    = []interv.Component{transformer.KeyOutput, transformer.HeadKeyOutput}
)

func newSoftmax(backend compute.Backend, model interv.Model, sites []interv.Site) (*softmax, error) {
	m, ok := model.(scored)
	if !ok {
		return nil, &interv.Error{Axis: "model", Got: fmt.Sprintf("%T", model), Wanted: "a transformer, whose attention is known"}
	}
	s := &softmax{scores: map[version]*[]float64{}}
	for _, site := range sites {
		if !slices.Contains(queries, site.Component) && !slices.Contains(keys, site.Component) {
			continue
		}
		if m.Config().Attention.Norm == transformer.ProjectionQueryKeyNorm {
			return nil, &interv.Error{Axis: site.String(), Got: "queries and keys that are normalized as one vector of all heads", Wanted: "heads that do not depend on each other"}
		}
		if !slices.Contains(s.layers, site.Layer) {
			s.layers = append(s.layers, site.Layer)
		}
	}
	if s.layers == nil {
		return nil, &interv.Error{Axis: "sites", Got: "no queries and no keys", Wanted: fmt.Sprintf("some of %s", append(slices.Clone(queries), keys...))}
	}
	var config interv.Config
	for _, site := range s.patched() {
		config.Representations = append(config.Representations, interv.Representation{Layer: site.Layer, Component: site.Component, Intervention: interv.Vanilla{}})
	}
	var err error
	s.iv, err = interv.New(backend, m.AttentionScores(), config)
	return s, err
}

// patched are the sites that the runs patch.
func (s *softmax) patched() (sites []interv.Site) {
	for _, layer := range s.layers {
		for _, component := range []interv.Component{transformer.BlockInput, transformer.HeadQueryOutput, transformer.HeadKeyOutput} {
			sites = append(sites, interv.Site{Layer: layer, Component: component})
		}
	}
	return sites
}

// reads are the sites whose activations and gradients it reads.
func (s *softmax) reads() []interv.Site {
	sites := s.patched()
	for _, layer := range s.layers {
		sites = append(sites, interv.Site{Layer: layer, Component: transformer.AttentionWeight})
	}
	return sites
}

// run finds the scores from the activations in both runs.
func (s *softmax) run(inputs interv.Inputs, base, source *interv.GradientResult) error {
	for _, v := range []version{{}, {queries: true}, {keys: true}} {
		call := interv.Call{Base: inputs}
		for _, site := range s.patched() {
			from := base
			if v.queries && site.Component == transformer.HeadQueryOutput || v.keys && site.Component == transformer.HeadKeyOutput {
				from = source
			}
			call.Locations, call.Activations = append(call.Locations, interv.Everywhere()), append(call.Activations, activation(from, site).Value)
		}
		result, err := s.iv.Run(call)
		if err != nil {
			return err
		}
		scores := host.Floats(result.Output)
		s.scores[v], s.shape = &scores, result.Output.Shape().Dimensions
	}
	return nil
}

func activation(of *interv.GradientResult, site interv.Site) interv.ActivationGradient {
	return of.Activations[slices.IndexFunc(of.Activations, func(a interv.ActivationGradient) bool { return a.Site == site })]
}

// effects are those of a site's units, [pair, head, position], by the gradients of a run; nil at sites that have no part in the softmax.
func (s *softmax) effects(site interv.Site, at *interv.GradientResult) []float64 {
	isQuery, isKey := slices.Contains(queries, site.Component), slices.Contains(keys, site.Component)
	if s == nil || !isQuery && !isKey {
		return nil
	}
	batch, layers, heads, positions, columns := s.shape[0], s.shape[1], s.shape[2], s.shape[3], s.shape[4]
	units := 1 // heads of the site
	if shape := activation(at, site).Value.Shape(); shape.Rank() == 4 {
		units = shape.Dim(1)
	}
	gradient := host.Floats(activation(at, interv.Site{Layer: site.Layer, Component: transformer.AttentionWeight}).Gradient)
	clean, changed := *s.scores[version{}], *s.scores[version{queries: isQuery, keys: isKey}]
	sums, g := make([]float64, batch*units*positions), make([]float64, columns) // a sink's gradient is 0
	for pair := range batch {
		for head := range heads {
			into := sums[(pair*units+head*units/heads)*positions:][:positions]
			for query := range positions {
				copy(g, gradient[((pair*heads+head)*positions+query)*positions:][:positions])
				row := (((pair*layers+site.Layer)*heads+head)*positions + query) * columns
				if isQuery {
					into[query] += queryEffect(clean[row:row+columns], changed[row:row+columns], g)
				} else {
					addKeyEffects(into, clean[row:row+columns], changed[row:row+columns], g)
				}
			}
		}
	}
	return sums
}

// queryEffect is Σ (softmax(changed) − softmax(clean)) g.
func queryEffect(clean, changed, g []float64) (sum float64) {
	before, after := probabilities(clean), probabilities(changed)
	for j := range g {
		sum += (after[j] - before[j]) * g[j]
	}
	return sum
}

// addKeyEffects adds, for each key, (A*_j − A_j)(g_j − r_j).
func addKeyEffects(into, clean, changed, g []float64) {
	p := probabilities(clean)
	largest, all, mean := 0, logSum(clean), 0.0
	for j := range p {
		mean += p[j] * g[j]
		if p[j] > p[largest] {
			largest = j
		}
	}
	for j := range into {
		// Without the largest score, what is left of the sum is found from the others, not as a difference of numbers that are nearly equal.
		others, rest := all+math.Log1p(-p[j]), (mean-p[j]*g[j])/(1-p[j])
		if j == largest {
			without := slices.Clone(clean)
			without[j] = math.Inf(-1)
			others, rest = logSum(without), 0
			for i, q := range probabilities(without) {
				rest += q * g[i]
			}
		}
		if math.IsInf(others, -1) {
			continue // the only column: its probability is 1 whatever its score
		}
		into[j] += (sigmoid(changed[j]-others) - p[j]) * (g[j] - rest)
	}
}

// logSum is log Σ exp x.
func logSum(x []float64) float64 {
	top, sum := slices.Max(x), 0.0
	if math.IsInf(top, -1) {
		return top
	}
	for _, v := range x {
		sum += math.Exp(v - top)
	}
	return top + math.Log(sum)
}

func probabilities(scores []float64) []float64 {
	p, sum := make([]float64, len(scores)), logSum(scores)
	for j, score := range scores {
		p[j] = math.Exp(score - sum)
	}
	return p
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
