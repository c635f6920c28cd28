package paths

import (
	"fmt"
	"maps"
	"slices"

	"github.com/gomlx/compute"

	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/sweep"
	"github.com/govene/govene/interv/transformer"
)

// job is Paths that have been checked.
type job struct {
	Paths
	backend  compute.Backend
	model    interv.Model
	extent   interv.Extent
	layers   int
	parallel bool
	last     step // of the receivers

	senders   []sender
	places    []place // what may be patched in the first run of a path: senders' sites, and those that are kept as they are
	receivers []place
	longest   int  // the pair with most positions that are not padding
	inBatches bool // even if the model is made of blocks
}

// sender is a sender in each pair.
type sender struct {
	sweep.Cell
	heads     []int
	positions [][]int // [pair][position]
}

// entry is the first layer that the sender changes, -1 for what is below all.
func (s sender) entry() int {
	if s.Component == transformer.Embedding {
		return -1
	}
	return s.Layer
}

// place is a site at which runs of paths are patched.
type place struct {
	interv.Site
	sites interv.Sites
	kept  bool  // as in the base's clean run; read from the source otherwise
	heads []int // of a receiver
}

func (p place) unit() interv.Unit {
	if p.sites.Heads > 0 {
		return interv.HeadPosition
	}
	return interv.Position
}

// check validates everything.
func (p Paths) check(backend compute.Backend, model interv.Model) (*job, error) {
	j := &job{Paths: p, backend: backend, model: model}
	wrong := func(axis, got, wanted string) (*job, error) {
		return nil, &interv.Error{Axis: axis, Got: got, Wanted: wanted}
	}
	switch {
	case backend == nil || model == nil:
		return wrong("backend and model", fmt.Sprintf("%T and %T", backend, model), "both")
	case p.Metric == nil:
		return wrong("metric", "none", "one")
	case len(p.Receivers) == 0:
		return wrong("receivers", "none", "at least one")
	}
	if err := j.checkPairs(); err != nil {
		return nil, err
	}
	output, err := interv.OutputShape(backend, model, p.Base)
	if err != nil {
		return nil, err
	}
	reading, err := interv.Measure{Metric: p.Metric, At: p.ReadAt}.Read(j.extent, output)
	if err == nil {
		err = reading.One(backend, output)
	}
	if err != nil {
		return nil, err
	}
	catalogue := model.Catalogue()
	blocks, err := catalogue.Find(interv.Site{Component: transformer.BlockOutput})
	if err != nil {
		return nil, err
	}
	j.layers = blocks.Layers
	_, err = catalogue.Find(interv.Site{Component: transformer.ResidualMiddle})
	j.parallel = err != nil
	if err := j.checkReceivers(catalogue); err != nil {
		return nil, err
	}
	if err := j.checkSenders(catalogue); err != nil {
		return nil, err
	}
	return j, j.keep(catalogue)
}

// checkPairs wants bases and sources of the same extent and kind.
func (j *job) checkPairs() error {
	var err error
	if j.extent, err = j.model.Check(j.Base); err != nil {
		return interv.Within("base", err)
	}
	source, err := j.model.Check(j.Source)
	if err != nil {
		return interv.Within("source", err)
	}
	if err := j.extent.CheckSource(source); err != nil {
		return err
	}
	for name := range j.Base {
		if name != interv.AttentionMask && name != interv.PositionIDs && j.Source[name] == nil {
			return &interv.Error{Axis: "source", Got: fmt.Sprintf("inputs %v", slices.Sorted(maps.Keys(j.Source))), Wanted: name + ", as in the base"}
		}
	}
	for pair := range source.Batch {
		from, to := j.extent.Real(pair)
		if longest, until := j.extent.Real(j.longest); to-from > until-longest {
			j.longest = pair
		}
	}
	return nil
}

func (j *job) checkReceivers(catalogue interv.Catalogue) error {
	for i, r := range j.Receivers {
		where := fmt.Sprintf("receiver %d", i)
		sites, err := catalogue.Find(r.site())
		if err != nil {
			return interv.Within(where, err)
		}
		if _, ok := read[r.Component]; !ok {
			return &interv.Error{Where: where, Axis: "component", Got: string(r.Component), Wanted: "one that is computed from the residual stream: " + names(read)}
		}
		if slices.ContainsFunc(j.receivers, func(p place) bool { return p.Site == r.site() }) {
			return &interv.Error{Where: where, Axis: "site", Got: r.site().String() + " again", Wanted: "each site once, with all its heads"}
		}
		heads, err := checkHeads(r.Heads, sites)
		if err != nil {
			return interv.Within(where, err)
		}
		j.receivers = append(j.receivers, place{Site: r.site(), sites: sites, heads: heads})
		j.last = max(j.last, j.readAt(r))
	}
	return nil
}

func (j *job) checkSenders(catalogue interv.Catalogue) error {
	if j.Senders == nil {
		heads, err := catalogue.Find(interv.Site{Component: transformer.HeadAttentionValueOutput})
		if err != nil {
			return err
		}
		for layer := range heads.Layers {
			for head := range heads.Heads {
				cell := sweep.Cell{Component: transformer.HeadAttentionValueOutput, Layer: layer, Heads: []int{head}}
				if writtenAt(cell) < j.last {
					j.Senders = append(j.Senders, cell)
				}
			}
		}
	}
	if len(j.Senders) == 0 {
		return &interv.Error{Axis: "senders", Got: "none", Wanted: "at least one, before the receivers"}
	}
	j.Senders = slices.Clone(j.Senders)
	for i, cell := range j.Senders {
		j.Senders[i].Scale = 1 // as in the cells of a sweep without directions
		if err := j.addSender(catalogue, cell); err != nil {
			return interv.Within(fmt.Sprintf("sender %d", i), err)
		}
	}
	return nil
}

func (j *job) addSender(catalogue interv.Catalogue, cell sweep.Cell) error {
	site := interv.Site{Layer: cell.Layer, Component: cell.Component}
	sites, err := catalogue.Find(site)
	if err != nil {
		return err
	}
	if _, ok := written[cell.Component]; !ok {
		return &interv.Error{Axis: "component", Got: string(cell.Component), Wanted: "one that writes into the residual stream: " + names(written)}
	}
	if writtenAt(cell) >= j.last {
		var list []string
		for _, r := range j.Receivers {
			list = append(list, r.site().String())
		}
		return &interv.Error{Axis: site.String(), Got: fmt.Sprintf("receivers %v", list), Wanted: "a receiver that comes after it"}
	}
	if cell.Features != nil || cell.Place.Source != nil || cell.Direction != 0 || cell.Scale != 0 && cell.Scale != 1 {
		return &interv.Error{Axis: site.String(), Got: "features, source positions or a direction", Wanted: "whole units, from the same positions"}
	}
	s := sender{Cell: cell}
	if s.heads, err = checkHeads(cell.Heads, sites); err != nil {
		return err
	}
	if s.positions, err = j.positions(cell.Place.At); err != nil {
		return err
	}
	j.senders = append(j.senders, s)
	if !slices.ContainsFunc(j.places, func(p place) bool { return p.Site == site }) {
		j.places = append(j.places, place{Site: site, sites: sites})
	}
	return nil
}

// positions lists those of every pair.
func (j *job) positions(at [][]int) ([][]int, error) {
	if at != nil && len(at) != 1 && len(at) != j.extent.Batch {
		return nil, &interv.Error{Axis: "positions", Got: fmt.Sprintf("for %d pairs", len(at)), Wanted: fmt.Sprintf("for 1, or for each of the %d", j.extent.Batch)}
	}
	rows := make([][]int, j.extent.Batch)
	for pair := range rows {
		start, end := j.extent.Real(pair)
		if at == nil {
			rows[pair] = interv.Range(start, end)
			continue
		}
		for _, n := range at[pair%len(at)] {
			position := n
			if n < 0 {
				position += end
			}
			if position < start || position >= end || slices.Contains(rows[pair], position) {
				return nil, &interv.Error{Axis: fmt.Sprintf("positions of pair %d", pair), Got: fmt.Sprint(n),
					Wanted: fmt.Sprintf("%d to %d, or -1 to %d from the end, each at most once", start, end-1, start-end)}
			}
			rows[pair] = append(rows[pair], position)
		}
	}
	return rows, nil
}

// checkHeads are the heads listed, or all; nil at a site that has none.
func checkHeads(heads []int, sites interv.Sites) ([]int, error) {
	switch {
	case sites.Heads == 0 && heads != nil:
		return nil, &interv.Error{Axis: "heads", Got: fmt.Sprint(heads), Wanted: fmt.Sprintf("none: %s has no heads", sites.Component)}
	case sites.Heads > 0 && heads == nil:
		return interv.Range(0, sites.Heads), nil
	case sites.Heads > 0 && len(heads) == 0:
		return nil, &interv.Error{Axis: "heads", Got: "an empty list", Wanted: "at least one, or nil for all"}
	}
	for k, head := range heads {
		if head < 0 || head >= sites.Heads || slices.Contains(heads[:k], head) {
			return nil, &interv.Error{Axis: "heads", Got: fmt.Sprint(heads), Wanted: fmt.Sprintf("0 to %d, each at most once", sites.Heads-1)}
		}
	}
	return heads, nil
}

// keep lists the places that are kept as they are in the base's clean run, in any path.
func (j *job) keep(catalogue interv.Catalogue) error {
	for layer := range j.layers {
		for _, component := range []interv.Component{transformer.AttentionOutput, transformer.MLPOutput} {
			site := interv.Site{Layer: layer, Component: component}
			if !slices.ContainsFunc(j.senders, func(s sender) bool { return j.keeps(s, site) }) {
				continue
			}
			sites, err := catalogue.Find(site)
			if err != nil {
				return err
			}
			j.places = append(j.places, place{Site: site, sites: sites, kept: true})
		}
	}
	return nil
}

// keeps tells whether a site is kept as it is in the paths from a sender.
func (j *job) keeps(s sender, site interv.Site) bool {
	if j.ThroughMLPs && site.Component == transformer.MLPOutput {
		return false
	}
	at := inLayer(site.Layer, written[site.Component])
	return at > writtenAt(s.Cell) && at < j.last
}

// names lists components.
func names(of map[interv.Component]step) string {
	list := make([]string, 0, len(of))
	for component := range of {
		list = append(list, string(component))
	}
	slices.Sort(list)
	return fmt.Sprint(list)
}
