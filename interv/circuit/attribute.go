package circuit

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/host"
	"github.com/govene/govene/internal/must"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/sweep"
	"github.com/govene/govene/interv/transformer"
	"github.com/govene/govene/plotting"
)

// Attribution asks for a score of every edge: what patching it, and nothing else, would change of a metric, to first order. With z_u what u
// writes into the stream and x_v what v reads of it, before the norm,
//
//	score(u → v) = Σ over positions of (z_u(source) − z_u(base)) · ∂m/∂x_v,
//
// the gradient taken in the base run, by what v does with x_v alone: edge attribution patching, Syed et al., "Attribution Patching Outperforms
// Automated Circuit Discovery" (2023). One backward pass has all edges. Scores of one reader add up to what its input's attribution is.
type Attribution struct {
	// Base holds the runs whose metric is changed, Source those that are read: example i of both is a pair, of the same positions.
	Base, Source interv.Inputs

	Measure interv.Measure // a metric of one number that has a gradient; that of the KL divergence from the clean run is 0 in the base: it takes Steps

	// Steps above 1 takes the mean of gradients in runs whose embeddings are e(base) + (k + ½)/Steps · (e(source) − e(base)) at all positions,
	// k from 0 to Steps−1, in place of the base's: EAP-IG of Hanna et al., "Have Faith in Faithfulness" (2024), who take steps' ends in
	// place of their middles.
	Steps int

	// Memory is about what a batch of pairs may take besides the weights, 0 for 2 GiB; one pair at a time it is at least.
	Memory sweep.Bytes
}

// Scores are those of all edges.
type Scores struct {
	Metric string
	Edges  []Edge
	Each   [][]float64 // [edge][pair]
}

// Attribute scores all edges of a transformer. Inputs that do not fit, families in which edges cannot be told apart and metrics without gradient
// are errors; it ends early when the context does.
func Attribute(ctx context.Context, backend compute.Backend, model interv.Model, a Attribution) (*Scores, error) {
	s, err := a.run(ctx, backend, model)
	return s, interv.Within("edge attribution", err)
}

// MustAttribute is Attribute, never cancelled, that panics on an error.
func MustAttribute(backend compute.Backend, model interv.Model, a Attribution) *Scores {
	return must.Of(Attribute(context.Background(), backend, model, a))
}

func (a Attribution) run(ctx context.Context, backend compute.Backend, model interv.Model) (*Scores, error) {
	if a.Steps < 0 {
		return nil, &interv.Error{Axis: "steps", Got: fmt.Sprint(a.Steps), Wanted: "at least 1, or 0 for the gradient in the base"}
	}
	j, err := newJob(backend, model, a.Base, a.Source)
	if err != nil {
		return nil, err
	}
	edged, err := model.(*transformer.Model).Edges()
	if err != nil {
		return nil, err
	}
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	base, err := j.collector.run(a.Base)
	if err != nil {
		return nil, err
	}
	source, err := j.collector.run(a.Source)
	if err != nil {
		return nil, err
	}
	var config interv.Config
	if a.Steps > 1 {
		config.Representations = []interv.Representation{{Component: transformer.Embedding, Intervention: interv.Addition{}}}
	}
	iv, err := interv.New(backend, edged, config)
	if err != nil {
		return nil, err
	}
	gradients := iv.GradientOf(a.Measure).At(interv.Site{Component: transformer.Edge})
	chunks := j.chunks(a.Memory, true)
	s := j.noScores()
	for _, pairs := range chunks {
		rows := filled(chunks, pairs)
		of := gradients
		if len(chunks) > 1 {
			of = gradients.Measuring(a.Measure.ForRows(j.extent.Batch, rows))
		}
		base, source := base.of(rows), source.of(rows)
		cut := make([]float64, len(rows)*len(j.readers)*len(j.writers))
		inputs := edged.With(host.Examples(a.Base, rows), host.Tensor(cut, j.dtype, len(rows), len(j.readers), len(j.writers)), source, base)
		for k := range max(1, a.Steps) {
			if err := context.Cause(ctx); err != nil {
				return nil, err
			}
			call := interv.Call{Base: inputs}
			if a.Steps > 1 {
				site := interv.Site{Component: transformer.Embedding}
				moved, from := host.Floats(source[site]), host.Floats(base[site])
				for i := range moved {
					moved[i] = (float64(k) + 0.5) / float64(a.Steps) * (moved[i] - from[i])
				}
				call.Activations = []*tensors.Tensor{host.Tensor(moved, j.dtype, base[site].Shape().Dimensions...)}
				call.Locations = []*interv.Location{interv.Everywhere()}
			}
			at, err := of.Run(call)
			if err != nil {
				return nil, err
			}
			s.add(j.parts, host.Floats(at.Activations[0].Gradient), pairs, len(rows), 1/float64(max(1, a.Steps)))
			s.Metric = at.Metrics[0].Name
		}
	}
	return s, nil
}

// noScores has all edges.
func (j *job) noScores() *Scores {
	s := &Scores{}
	for _, to := range j.readers {
		for _, from := range j.writers {
			if e := (Edge{from, to}); j.has(e) {
				s.Edges, s.Each = append(s.Edges, e), append(s.Each, make([]float64, j.extent.Batch))
			}
		}
	}
	return s
}

// add adds a share of the gradients with respect to cuts, [row, reader, position, writer], whose first rows are some pairs.
func (s *Scores) add(p *parts, gradient []float64, pairs []int, rows int, share float64) {
	positions := len(gradient) / len(p.readers) / len(p.writers) / rows
	edge := 0
	for r, to := range p.readers {
		for w, from := range p.writers {
			if !p.has(Edge{from, to}) {
				continue
			}
			for row, pair := range pairs {
				for position := range positions {
					s.Each[edge][pair] += share * gradient[((row*len(p.readers)+r)*positions+position)*len(p.writers)+w]
				}
			}
			edge++
		}
	}
}

// Mean is an edge's score, the mean over pairs; 0 of an edge that is not there.
func (s *Scores) Mean(e Edge) (mean float64) {
	if i := slices.Index(s.Edges, e); i >= 0 {
		mean = s.mean(i)
	}
	return mean
}

func (s *Scores) mean(edge int) (mean float64) {
	for _, score := range s.Each[edge] {
		mean += score / float64(len(s.Each[edge]))
	}
	return mean
}

// Top is the circuit of the edges with the largest |mean over pairs|, at most count of them; of equal scores, those first that come first.
func (s *Scores) Top(count int) Circuit {
	order := interv.Range(0, len(s.Edges))
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(math.Abs(s.mean(b)), math.Abs(s.mean(a))) })
	c := Circuit{Edges: []Edge{}}
	for _, i := range order[:min(max(0, count), len(order))] {
		c.Edges = append(c.Edges, s.Edges[i])
	}
	return c
}

// Frame is the scores as a table for plots, one row an edge: from, to and score, the mean over pairs.
func (s *Scores) Frame() *plotting.Frame {
	var from, to []string
	var scores []float64
	for i, e := range s.Edges {
		from, to, scores = append(from, e.From.String()), append(to, e.To.String()), append(scores, s.mean(i))
	}
	return plotting.MustFrame(plotting.NewColumn("from", from), plotting.NewColumn("to", to), plotting.NewColumn("score", scores))
}
