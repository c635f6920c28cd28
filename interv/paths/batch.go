package paths

import (
	"context"
	"fmt"
	"slices"

	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/host"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/sweep"
)

// batched is the plan for models that are not made of blocks. All senders take three programs: one for the clean runs, of bases and of
// sources, which also hands out what senders write and what is kept; and two for paths, whose rows are a sender in a pair. The first patches
// the senders and collects the receivers, the second puts the receivers into the base. The last row is a dummy that is patched everywhere, so
// that every representation takes part in every call.
type batched struct {
	*job
	clean, first, second *interv.Intervenable
	rows                 int
	sites                []interv.Site                   // of the places, each once
	base, source         map[interv.Site]*tensors.Tensor // of the clean runs, [pair, (head,) position, width]
}

// The most rows of a call, columns in all rows, and bytes that are put into the first run.
const (
	mostRows        = 1024
	mostRowsColumns = 4096
	mostBytes       = 1 << 29
)

func (j *job) newBatched() (*batched, error) {
	r := &batched{job: j}
	var clean, first, second interv.Config
	bytes := 0
	for i, p := range j.places {
		collect := interv.Representation{Layer: p.Layer, Component: p.Component, Unit: p.unit(), Intervention: interv.Collect{}}
		if !slices.Contains(r.sites, p.Site) {
			r.sites = append(r.sites, p.Site)
			clean.Representations = append(clean.Representations, collect)
		}
		patch := collect
		patch.Name, patch.Intervention = fmt.Sprintf("%s, place %d", p.Site, i), interv.Vanilla{}
		first.Representations = append(first.Representations, patch)
		bytes += max(1, p.sites.Heads) * p.sites.Width * j.extent.Positions * j.model.Weights().DType().Size()
	}
	for _, p := range j.receivers {
		end := interv.Representation{Layer: p.Layer, Component: p.Component, Unit: p.unit(), Intervention: interv.Collect{}}
		first.Representations = append(first.Representations, end)
		end.Intervention = interv.Vanilla{}
		second.Representations = append(second.Representations, end)
	}
	for _, program := range []struct {
		iv     **interv.Intervenable
		config interv.Config
	}{{&r.clean, clean}, {&r.first, first}, {&r.second, second}} {
		var err error
		if *program.iv, err = interv.New(j.backend, j.model, program.config); err != nil {
			return nil, err
		}
	}
	r.rows = min(max(2, min(mostRows, mostRowsColumns/j.extent.Positions, mostBytes/bytes)), len(j.senders)*j.extent.Batch+1)
	return r, nil
}

func (r *batched) run(ctx context.Context, result *sweep.Result) (err error) {
	if result.Base, r.base, err = r.runClean(r.Base); err != nil {
		return err
	}
	if result.Source, r.source, err = r.runClean(r.Source); err != nil {
		return err
	}
	for part := range slices.Chunk(r.items(interv.Range(0, r.extent.Batch)), r.rows-1) {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		values, err := r.call(part)
		if err != nil {
			return err
		}
		for i, it := range part {
			result.Values[it.sender][it.pair] = values[i]
		}
	}
	for _, iv := range []*interv.Intervenable{r.clean, r.first, r.second} {
		result.Stats.Programs += iv.Stats().Programs
		result.Stats.Compiling += iv.Stats().Compiling
	}
	return nil
}

// runClean measures inputs, and hands out the places' activations.
func (r *batched) runClean(inputs interv.Inputs) ([]float64, map[interv.Site]*tensors.Tensor, error) {
	call := interv.Call{Base: inputs, Metrics: []interv.Measure{{Metric: r.Metric, At: r.ReadAt}}}
	for range r.sites {
		call.Locations = append(call.Locations, interv.Everywhere())
	}
	result, err := r.clean.Run(call)
	if err != nil {
		return nil, nil, err
	}
	values, err := r.numbers(result, r.extent.Batch)
	if err != nil {
		return nil, nil, err
	}
	at := map[interv.Site]*tensors.Tensor{}
	for i, site := range r.sites {
		at[site] = result.Collected[i].Value
	}
	return values, at, nil
}

// call patches the paths of some items.
func (r *batched) call(items []item) ([]float64, error) {
	for len(items) < r.rows-1 {
		items = append(slices.Clip(items), items[0])
	}
	pairs := make([]int, r.rows)
	for row, it := range items {
		pairs[row] = it.pair
	}
	pairs[r.rows-1] = r.longest
	base := host.Examples(r.Base, pairs)
	first := interv.Call{Base: base, Metrics: []interv.Measure{{Metric: nothing{}}}}
	for _, p := range r.places {
		location, activations := r.locate(p, items, pairs)
		first.Locations, first.Activations = append(first.Locations, location), append(first.Activations, activations)
	}
	second := interv.Call{Base: base, Metrics: []interv.Measure{interv.Measure{Metric: r.Metric, At: r.ReadAt}.ForRows(r.extent.Batch, pairs)}}
	for _, p := range r.receivers {
		rows, heads := make([][]int, r.rows), make([][]int, r.rows)
		for row, pair := range pairs {
			rows[row], heads[row] = interv.Range(r.extent.Real(pair)), p.heads
		}
		location := interv.At(rows)
		if p.heads != nil {
			location = location.Heads(nil, heads)
		}
		first.Locations, first.Activations = append(first.Locations, location), append(first.Activations, nil)
		second.Locations = append(second.Locations, location)
	}
	read, err := r.first.Run(first)
	if err != nil {
		return nil, err
	}
	for _, c := range read.Collected {
		second.Activations = append(second.Activations, c.Value)
	}
	result, err := r.second.Run(second)
	if err != nil {
		return nil, err
	}
	return r.numbers(result, r.rows)
}

// locate says where each row is patched at a place, and with what.
func (r *batched) locate(p place, items []item, pairs []int) (*interv.Location, *tensors.Tensor) {
	all, none := interv.Range(0, p.sites.Heads), []int{}
	positions, heads := make([][]int, r.rows), make([][]int, r.rows)
	for row, it := range items {
		positions[row], heads[row] = none, none
		s := r.senders[it.sender]
		switch {
		case p.kept && r.keeps(s, p.Site):
			positions[row], heads[row] = interv.Range(r.extent.Real(it.pair)), all
		case !p.kept && s.Layer == p.Layer && s.Component == p.Component:
			positions[row], heads[row] = s.positions[it.pair], s.heads
		}
	}
	dummy := r.rows - 1
	positions[dummy], heads[dummy] = interv.Range(r.extent.Real(r.longest)), all
	table := r.source[p.Site]
	if p.kept {
		table = r.base[p.Site]
	}
	location := interv.At(positions)
	if p.sites.Heads > 0 {
		return location.Heads(nil, heads), gather(table, pairs, heads, positions)
	}
	return location, gather(table, pairs, nil, positions)
}

// gather picks units of a table [pair, (head,) position, width] for rows of pairs, in the form of a call's activations. The last row has the
// most units.
func gather(table *tensors.Tensor, pairs []int, heads, positions [][]int) *tensors.Tensor {
	last := len(pairs) - 1
	dimensions := slices.Clone(table.Shape().Dimensions)
	length, each := dimensions[len(dimensions)-2], 1
	dimensions[0], dimensions[len(dimensions)-2] = len(pairs), len(positions[last])
	if heads != nil {
		each, dimensions[1] = dimensions[1], len(heads[last])
	}
	out := tensors.FromShape(shapes.Make(table.DType(), dimensions...))
	size := int(out.ByteSize()) / len(pairs) / each / len(positions[last])
	host.Bytes(table, out, func(from, to []byte) {
		for row, pair := range pairs {
			list := []int{0}
			if heads != nil {
				list = heads[row]
			}
			for h, head := range list {
				for k, position := range positions[row] {
					at := ((row*each+h)*len(positions[last]) + k) * size
					copy(to[at:at+size], from[((pair*each+head)*length+position)*size:])
				}
			}
		}
	})
	return out
}

// numbers are the values of the metric, one a row.
func (r *batched) numbers(result *interv.Result, rows int) ([]float64, error) {
	value := result.Metrics[0].Value
	if value.Rank() != 1 || value.Size() != rows {
		return nil, &interv.Error{Where: "metric " + r.Metric.Name(), Axis: "value", Got: value.Shape().String(), Wanted: "one number for each run"}
	}
	return host.Floats(value), nil
}

// nothing is the metric of a run whose logits nobody reads, and which therefore ends where its last site is.
type nothing struct{}

func (nothing) Name() string                         { return "nothing" }
func (nothing) Key() string                          { return "" }
func (nothing) Data(int, int) (interv.Inputs, error) { return nil, nil }
func (nothing) Measure(r interv.Rows) *Node {
	return Zeros(r.Logits.Graph(), shapes.Make(r.Logits.DType(), r.Logits.Shape().Dim(0)))
}
