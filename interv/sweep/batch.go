package sweep

import (
	"context"
	"fmt"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/host"
	"github.com/govene/govene/interv"
)

// batched runs a sweep on any model: a batch whose rows are cells of pairs, each patched at its own places in its own layers, as one call of
// an [interv.Intervenable] with a representation for every layer of every slot. All calls are one program; the clean runs are another.
type batched struct {
	*job
	rows    int // of a call, one of them a dummy that is patched everywhere, so that every representation takes part in every call
	iv      *interv.Intervenable
	clean   *interv.Intervenable
	at      []place // of each representation
	longest int     // the pair with most positions that are not padding
}

// place is a slot in a layer.
type place struct {
	*slot
	layer            int
	heads, positions int // of the largest rectangle
	group            int
}

// The most rows of a call, columns in all rows, and logits that come of them.
const (
	mostRows        = 1024
	mostRowsColumns = 4096
	mostLogits      = 1 << 26
)

func newBatched(j *job) (*batched, error) {
	b := &batched{job: j}
	for pair := range j.extent.Batch {
		start, end := j.extent.Real(pair)
		if from, to := j.extent.Real(b.longest); end-start > to-from {
			b.longest = pair
		}
	}
	config, groups := interv.Config{Seed: j.Seed}, map[string]int{}
	for _, s := range j.slots {
		for layer := range s.sites.Layers {
			at := place{slot: s, layer: layer}
			for _, patches := range j.patches {
				for _, p := range patches {
					if p.slot != s || p.layer != layer {
						continue
					}
					at.heads = max(at.heads, len(p.heads))
					for _, positions := range p.base {
						at.positions = max(at.positions, len(positions))
					}
				}
			}
			if at.positions == 0 {
				continue
			}
			r := interv.Representation{Name: fmt.Sprintf("%s %d", interv.Site{Layer: layer, Component: s.component}, s.role), Layer: layer, Component: s.component,
				Unit: s.unit(), Intervention: s.intervention, Group: "alone " + fmt.Sprint(len(b.at))}
			if s.readsRun() {
				r.Group = "source"
				if s.from == FromBase {
					r.Group = "base"
				}
			}
			if _, ok := groups[r.Group]; !ok {
				groups[r.Group] = len(groups)
			}
			at.group = groups[r.Group]
			b.at, config.Representations = append(b.at, at), append(config.Representations, r)
		}
	}
	var err error
	if b.iv, err = interv.New(j.backend, j.model, config); err != nil {
		return nil, err
	}
	for i, at := range b.at {
		if err := b.iv.SetParametersOf(i, at.parameters); err != nil {
			return nil, err
		}
	}
	if b.clean, err = interv.New(j.backend, j.model, interv.Config{}); err != nil {
		return nil, err
	}
	most := min(mostRows, mostRowsColumns/j.extent.Positions, mostLogits/(j.extent.Positions*j.outputs))
	if !j.fits(2 * b.bytes()) {
		return nil, j.tooSmall(2 * b.bytes())
	}
	if j.Memory > 0 {
		most = min(most, int(j.Memory)/b.bytes())
	}
	b.rows = min(max(2, most), len(j.cells)*j.extent.Batch+1)
	return b, nil
}

// unit is what locations count at the slot's site.
func (s *slot) unit() interv.Unit {
	if s.sites.Heads > 0 {
		return interv.HeadPosition
	}
	return s.sites.Units[0]
}

// run runs the clean runs, then all cells of all pairs.
func (b *batched) run(ctx context.Context, out *collector) error {
	if err := b.runClean(out); err != nil {
		return err
	}
	for unit, items := range b.units() {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if !b.Part.has(unit) || out.has(items) {
			continue
		}
		values, err := b.call(items)
		if err == nil {
			err = out.take(items, values[:len(items)])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// units are what parts take in turn: batches.
func (b *batched) units() [][]item {
	var items []item
	for cell := range b.cells {
		for pair := range b.extent.Batch {
			items = append(items, item{cell, pair})
		}
	}
	return slices.Collect(slices.Chunk(items, b.rows-1))
}

// runClean measures bases and sources.
func (b *batched) runClean(out *collector) error {
	measure := func(inputs interv.Inputs, values []float64) error {
		for part := range slices.Chunk(interv.Range(0, b.extent.Batch), b.rows) {
			pairs := slices.Concat(part, slices.Repeat(part[:1], min(b.rows, b.extent.Batch)-len(part)))
			result, err := b.clean.Run(interv.Call{Base: host.Examples(inputs, pairs), Metrics: []interv.Measure{b.measure(pairs)}})
			if err != nil {
				return err
			}
			numbers, err := b.numbers(result)
			if err != nil {
				return err
			}
			copy(values[part[0]:], numbers[:len(part)])
		}
		return nil
	}
	if err := measure(b.Base, out.base); err != nil || !b.measuresSources() {
		return err
	}
	return measure(b.Source, out.source)
}

// call runs some cells of pairs.
func (b *batched) call(items []item) ([]float64, error) {
	for len(items) < b.rows-1 {
		items = append(slices.Clip(items), items[0])
	}
	pairs := make([]int, b.rows)
	for i, it := range items {
		pairs[i] = it.pair
	}
	dummy := b.rows - 1
	pairs[dummy] = b.longest
	call := interv.Call{Base: host.Examples(b.Base, pairs), Metrics: []interv.Measure{b.measure(pairs)}, Sources: make([]interv.Inputs, b.groups()),
		Locations: make([]*interv.Location, len(b.at)), Activations: make([]*tensors.Tensor, len(b.at)), Subspaces: make([][][]int, len(b.at))}
	for i, at := range b.at {
		if at.readsRun() && call.Sources[at.group] == nil {
			inputs := b.Source
			if at.from == FromBase {
				inputs = b.Base
			}
			call.Sources[at.group] = host.Examples(inputs, pairs)
		}
		patches := make([]*patch, b.rows)
		for row, it := range items {
			for k, p := range b.patches[it.cell] {
				if p.slot == at.slot && p.layer == at.layer {
					patches[row] = &b.patches[it.cell][k]
				}
			}
		}
		patches[dummy] = b.everywhere(at)
		b.locate(&call, i, at, patches, pairs)
	}
	result, err := b.iv.Run(call)
	if err != nil {
		return nil, err
	}
	return b.numbers(result)
}

func (b *batched) groups() int {
	groups := 0
	for _, at := range b.at {
		groups = max(groups, at.group+1)
	}
	return groups
}

// everywhere is the dummy's patch: as many units as any patch there has.
func (b *batched) everywhere(at place) *patch {
	start, _ := b.extent.Real(b.longest)
	rows := make([][]int, b.extent.Batch)
	rows[b.longest] = interv.Range(start, start+at.positions)
	p := &patch{slot: at.slot, layer: at.layer, base: rows, source: rows}
	if at.sites.Heads > 0 {
		p.heads = interv.Range(0, at.heads)
	}
	return p
}

// locate fills in what a call says about representation i; patches are nil for rows that have none there.
func (b *batched) locate(call *interv.Call, i int, at place, patches []*patch, pairs []int) {
	base, source, heads := make([][]int, b.rows), make([][]int, b.rows), make([][]int, b.rows)
	for row, p := range patches {
		base[row], source[row], heads[row] = []int{}, []int{}, []int{}
		if p != nil {
			base[row], source[row], heads[row] = p.base[pairs[row]], p.source[pairs[row]], p.heads
		}
	}
	location := &interv.Location{Base: base}
	if at.readsRun() {
		location.Source = source
	}
	if at.sites.Heads > 0 {
		if location.BaseHeads = heads; at.readsRun() {
			location.SourceHeads = heads
		}
	}
	call.Locations[i] = location
	if at.tables != nil {
		call.Activations[i] = b.activations(at, patches, pairs)
	}
	if b.selects(at.slot) {
		call.Subspaces[i] = make([][]int, b.rows)
		for row, p := range patches {
			if call.Subspaces[i][row] = interv.Range(0, at.features); p != nil && p.features != nil {
				call.Subspaces[i][row] = p.features
			}
		}
	}
}

// activations are the rows of a table that patches read, [batch, units, width] or [batch, heads, positions, width]; zeros for the dummy, which
// may have more units than a table has rows.
func (b *batched) activations(at place, patches []*patch, pairs []int) *tensors.Tensor {
	table, width := host.Floats(at.tables[at.layer]), at.sites.Width
	heads := max(1, at.heads)
	values := make([]float64, b.rows*heads*at.positions*width)
	for row, p := range patches[:b.rows-1] {
		if p == nil {
			continue
		}
		units := p.units(pairs[row])
		positions := len(p.base[pairs[row]])
		for k, u := range units {
			to := ((row*heads+k/positions)*at.positions + k%positions) * width
			copy(values[to:to+width], table[u.row*width:(u.row+1)*width])
		}
	}
	if at.sites.Heads > 0 {
		return b.floats(values, b.rows, heads, at.positions, width)
	}
	return b.floats(values, b.rows, at.positions, width)
}

// measure is the metric for rows of pairs.
func (j *job) measure(pairs []int) interv.Measure {
	return interv.Measure{Metric: j.Metric, At: j.ReadAt}.ForRows(j.extent.Batch, pairs)
}

// numbers are the values of the metric, one a row.
func (j *job) numbers(result *interv.Result) ([]float64, error) {
	value := result.Metrics[0].Value
	if value.Rank() != 1 {
		return nil, &interv.Error{Where: "metric " + j.Metric.Name(), Axis: "value", Got: value.Shape().String(), Wanted: "one number for each run"}
	}
	return host.Floats(value), nil
}
