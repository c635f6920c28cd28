// Package attribution estimates what patches would do, all of them from a few runs: in place of running the model once for each patch it takes
// the gradient of a metric with respect to every activation.
//
//	result := attribution.MustRun(engine, model, attribution.Attribution{Base: base, Source: source, Sites: sites, Measure: measure})
//	fmt.Println(result.Effects[0].Of(example, head, position))
package attribution

import (
	"context"

	"github.com/gomlx/compute"

	"github.com/govene/govene/internal/must"
	"github.com/govene/govene/interv"
)

// Attribution says what is estimated: for every unit of the sites, a position or a head at a position, what patching it with the source's
// activation would change of a metric in the base. With b and s the unit's activations in base and source, and m the metric, the
// estimate is of first order,
//
//	effect = (s − b) · ∂m/∂a,
//
// with the gradient taken in the base run: Nanda, "Attribution Patching" (2023). What patching several units together would change is the
// sum of their effects, by the same estimate. It is exact where the metric is linear in the activation.
type Attribution struct {
	// Base holds the runs whose metric is changed, Source those that are read: example i of both is a pair, of the same positions.
	Base, Source interv.Inputs

	Sites []interv.Site

	// Measure is a metric of one number that has a gradient. That of the KL divergence from the clean run is 0 in the base: it takes Steps.
	Measure interv.Measure

	// Steps above 1 takes the mean of gradients along a path in place of the base's, integrated gradients: with a the activation at the
	// site Along and k from 0 to Steps−1, it is that of the run in which (k + ½)/Steps · (s − b) is added to a = b at all positions. At the
	// site Along itself the effects then add up to what patching all of it changes, up to the error of the midpoint rule (completeness):
	// Sundararajan et al., "Axiomatic Attribution for Deep Networks" (2017); for other sites, Hanna et al., "Have Faith in Faithfulness"
	// (2024), who go along the embeddings, and take steps' ends in place of their middles. Sites below Along keep what they do through it.
	Steps int
	Along interv.Site

	// Drop names what layers add to a stream, such as attention and MLP outputs. If there are any, the effect is
	//
	//	Σ over layers l of |effect by gradients that flow through nothing that layer l adds| / (layers − 1)
	//
	// over the layers that have any, so that what cancels between the direct way and one through a layer is seen: GradDrop of Kramár et
	// al., "AtP*" (2024). It has no sign. What a layer adds, and all that acts by that alone, has no effect where this layer's is dropped:
	// hence layers − 1. The stream goes on beside what is dropped, and so the effects of a site such as block_output are of all layers.
	// It does not go together with Steps.
	Drop []interv.Component

	// Softmax computes attention's probabilities anew for patches of queries and keys (query_output, head_query_output, key_output,
	// head_key_output), in place of following their derivative, which says next to nothing where a probability is near 1. With A the base's
	// probabilities, and A* those that the softmax gives with this query or key patched and nothing else, it is
	//
	//	effect = Σ over rows and columns of (A* − A) · ∂m/∂A,
	//
	// AtP* of Kramár et al. (2024): exact where the metric is linear in the probabilities. Gradients are those of Steps or Drop, if there
	// are any; other sites' effects stay what they are.
	Softmax bool
}

// Result is what was estimated.
type Result struct {
	Metric       string
	Base, Source []float64 // the metric in both runs, of each pair; no source's of a metric that compares with the clean run
	Effects      []Effect  // of each site

	ends []int // of pairs
}

// Effect is what patching each unit of a site would change, by estimate.
type Effect struct {
	Site             interv.Site
	Heads, Positions int       // Heads is 1 at sites without
	Values           []float64 // [pair][head][position]
}

// Of is the effect of one unit; the head is 0 at sites without.
func (e Effect) Of(pair, head, position int) float64 {
	return e.Values[(pair*e.Heads+head)*e.Positions+position]
}

// Run estimates. The model runs forward and backward once for each pair's base and source, and once for each step and each layer with
// something to drop, all in one program. Inputs that do not fit, an unknown site and a metric without gradient are errors; it ends early
// when the context does.
//
// What is asked of one batch after another is a [Plan], whose programs are compiled once.
func Run(ctx context.Context, backend compute.Backend, model interv.Model, a Attribution) (*Result, error) {
	p, err := a.Plan(backend, model)
	if err != nil {
		return nil, err
	}
	return p.Run(ctx)
}

// Plan is an attribution that has been checked against a model. All its runs, and those of plans that it makes for other inputs, share the
// programs that the first of their shapes compiles.
type Plan struct{ job *job }

// Plan checks all of an attribution; nothing is compiled or run yet.
func (a Attribution) Plan(backend compute.Backend, model interv.Model) (*Plan, error) {
	j, err := a.check(backend, model)
	if err != nil {
		return nil, interv.Within("attribution", err)
	}
	return &Plan{j}, nil
}

// On is the plan for other pairs, measured by the same metric with data, such as tokens, of theirs.
func (p *Plan) On(base, source interv.Inputs, measure interv.Measure) (*Plan, error) {
	j := *p.job
	j.Base, j.Source, j.Measure = base, source, measure
	if err := j.checkPairs(j.model); err != nil {
		return nil, interv.Within("attribution", err)
	}
	j.gradients = j.gradients.Measuring(measure)
	if j.softmax != nil {
		other := *j.softmax
		other.scores = map[version]*[]float64{}
		j.softmax = &other
	}
	return &Plan{&j}, nil
}

// Run runs the plan; see [Run].
func (p *Plan) Run(ctx context.Context) (*Result, error) {
	r, err := p.job.run(ctx)
	return r, interv.Within("attribution", err)
}

// Explain says what running the plan will do: pairs and sites, programs and how many times they run, about how many operations that is, and the
// memory besides the weights.
func (p *Plan) Explain() string { return p.job.explain() }

// String is what Explain says.
func (p *Plan) String() string { return p.Explain() }

// Stats tells what has been compiled and run, by this plan and those that share its programs.
func (p *Plan) Stats() interv.Stats {
	stats := p.job.iv.Stats()
	if p.job.softmax != nil {
		more := p.job.softmax.iv.Stats()
		stats.Programs, stats.Compiling, stats.Calls = stats.Programs+more.Programs, stats.Compiling+more.Compiling, stats.Calls+more.Calls
	}
	return stats
}

// MustRun is Run, never cancelled, that panics on an error.
func MustRun(backend compute.Backend, model interv.Model, a Attribution) *Result {
	return must.Of(Run(context.Background(), backend, model, a))
}
