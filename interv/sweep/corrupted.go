package sweep

import (
	"github.com/govene/govene/internal/host"
	"github.com/govene/govene/interv"
)

// corrupted runs the bases with the corruption alone, nothing put in any cell, and returns the metric of each pair.
func (j *job) corrupted(stats *Stats) ([]float64, error) {
	p := j.patches[0][0]
	r := interv.Representation{Layer: p.layer, Component: p.component, Intervention: p.intervention}
	if p.heads != nil {
		r.Unit = interv.HeadPosition
	}
	iv, err := interv.New(j.backend, j.model, interv.Config{Seed: j.Seed, Representations: []interv.Representation{r}})
	if err != nil {
		return nil, err
	}
	var values []float64
	for first := 0; first < j.extent.Batch; first += meanBatch {
		pairs := interv.Range(first, min(first+meanBatch, j.extent.Batch))
		positions := p.base[first : first+len(pairs)]
		call := interv.Call{Base: host.Examples(j.Base, pairs), Metrics: []interv.Measure{j.measure(pairs)}}
		at := interv.At(positions)
		if p.from != "" {
			at = interv.FromTo(p.source[first:first+len(pairs)], positions)
			call.Sources = []interv.Inputs{host.Examples(j.Source, pairs)}
		}
		if p.heads != nil {
			heads, read := interv.Repeat(len(pairs), p.heads...), [][]int(nil)
			if p.from != "" {
				read = heads
			}
			at = at.Heads(read, heads)
		}
		call.Locations = []*interv.Location{at}
		result, err := iv.Run(call)
		if err != nil {
			return nil, err
		}
		numbers, err := j.numbers(result)
		if err != nil {
			return nil, err
		}
		values = append(values, numbers...)
	}
	stats.Programs += iv.Stats().Programs
	stats.Compiling += iv.Stats().Compiling
	return values, nil
}
