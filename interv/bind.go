package interv

import (
	"fmt"
	"maps"
	"slices"

	"github.com/gomlx/compute"
)

// A call is bound to a config before it runs: everything is validated, and locations and subspaces become small index tensors, the
// runtime inputs of a program. Where an intervention has no parameters, or its site is computed step by step, a location becomes a
// map over all units of the run that is edited: for each, the row of the source that goes there, or −1 for a unit that is left as it
// is. Its shape depends on the run's extent alone, so any number of units, at any places, runs the same program. Other interventions
// work on the located units alone, so that their matrix products are no larger than they need be; the count of units is then part of
// the program.
type bound struct {
	call    Call
	runs    []boundRun // in the order in which they are built; the last is the base's
	actions []action   // one a representation

	readings []boundReading // one a metric
}

// boundRun is one run of the model. In parallel mode groups that are given the same tensors share one.
type boundRun struct {
	inputs Inputs
	extent Extent
}

func (b *bound) upload(backend compute.Backend) error {
	list := slices.Collect(maps.Values(b.call.Labels))
	for _, run := range b.runs {
		list = slices.AppendSeq(list, maps.Values(run.inputs))
	}
	for _, a := range b.actions {
		list = append(list, a.given, a.hit, a.at, a.from, a.selected, a.features)
	}
	for _, t := range list {
		if t != nil {
			if _, err := bufferOf(t, backend); err != nil {
				return err
			}
		}
	}
	return nil
}

func (b *bound) base() boundRun { return b.runs[len(b.runs)-1] }

func (iv *Intervenable) bind(call Call) (*bound, error) {
	b := &bound{call: call, actions: make([]action, len(iv.plan.representations))}
	if err := b.checkCounts(iv.plan); err != nil {
		return nil, err
	}
	if err := call.Labels.checkThere("labels"); err != nil {
		return nil, err
	}
	for _, name := range sortedKeys(call.Labels) {
		if err := CheckFinite("labels, "+name, call.Labels[name]); err != nil {
			return nil, err
		}
	}
	runOf, err := b.bindRuns(iv)
	if err != nil {
		return nil, err
	}
	for i, p := range iv.plan.representations {
		if b.actions[i], err = b.bindAction(iv, i, p, runOf); err != nil {
			return nil, Within(where(i, p.Representation), err)
		}
	}
	if err := b.checkChain(iv.plan); err != nil {
		return nil, err
	}
	return b, b.bindMetrics(iv)
}

// checkChain refuses an edit, in serial mode, of a run that no later link of the chain reads.
func (b *bound) checkChain(p *plan) error {
	for i, a := range b.actions {
		read := func(later action) bool { return later.active && later.read == a.write }
		if a.active && a.write < len(b.runs)-1 && !p.representations[i].collects && !slices.ContainsFunc(b.actions, read) {
			group := p.representations[i].group + 1
			return &Error{Where: where(i, p.representations[i].Representation), Axis: "serial mode", Got: fmt.Sprintf("an edit of source %d's run, which nothing reads", group),
				Wanted: fmt.Sprintf("a location for a representation of group %d", group)}
		}
	}
	return nil
}

// checkCounts refuses slices with other than one entry a representation, or a group.
func (b *bound) checkCounts(p *plan) error {
	for _, slice := range []struct {
		name, of      string
		count, wanted int
	}{
		{"sources", "group", len(b.call.Sources), p.groups},
		{"locations", "representation", len(b.call.Locations), len(p.representations)},
		{"subspaces", "representation", len(b.call.Subspaces), len(p.representations)},
		{"activations", "representation", len(b.call.Activations), len(p.representations)},
	} {
		if slice.count == slice.wanted || slice.count == 0 && slice.name != "locations" {
			continue
		}
		if p.groups == len(p.representations) {
			slice.of = "representation"
		}
		return &Error{Where: "call", Axis: slice.name, Got: fmt.Sprintf("%d entries", slice.count),
			Wanted: fmt.Sprintf("%d, one for each %s", slice.wanted, slice.of)}
	}
	return nil
}

// entry is slice[i], or the zero value of a slice left nil.
func entry[T any](slice []T, i int) (value T) {
	if i < len(slice) {
		value = slice[i]
	}
	return value
}

// bindRuns lists the runs of the call and returns, for each group, the run that its source is; −1 for none.
func (b *bound) bindRuns(iv *Intervenable) (runOf []int, err error) {
	base, err := iv.extent("base", b.call.Base)
	if err != nil {
		return nil, err
	}
	for group := range iv.plan.groups {
		source := entry(b.call.Sources, group)
		runOf = append(runOf, -1)
		if source == nil {
			continue
		}
		where := fmt.Sprintf("source %d", group)
		extent, err := iv.extent(where, source)
		if err != nil {
			return nil, err
		}
		if extent.Batch != base.Batch {
			return nil, &Error{Where: where, Axis: "batch", Got: fmt.Sprintf("a batch of %d", extent.Batch), Wanted: fmt.Sprintf("%d, the base's", base.Batch)}
		}
		if !iv.plan.serial {
			runOf[group] = slices.IndexFunc(b.runs, func(run boundRun) bool { return sameTensors(run.inputs, source) })
		}
		if runOf[group] < 0 {
			runOf[group] = len(b.runs)
			b.runs = append(b.runs, boundRun{source, extent})
		}
	}
	b.runs = append(b.runs, boundRun{b.call.Base, base})
	return runOf, b.checkUse(iv.plan, runOf)
}

// extent is the size of a run, whose inputs it checks.
func (iv *Intervenable) extent(where string, inputs Inputs) (Extent, error) {
	if err := inputs.checkThere(where); err != nil {
		return Extent{}, err
	}
	extent, err := iv.model.Check(inputs)
	return extent, Within(where, err)
}

// checkUse refuses a source that nothing reads, or that is nothing's to edit.
func (b *bound) checkUse(p *plan, runOf []int) error {
	used := make([]bool, p.groups+1)
	for i, r := range p.representations {
		if b.call.Locations[i] == nil {
			used[r.group] = true // left out of this call: its source may be there or not
			continue
		}
		used[r.group] = used[r.group] || r.unread(b.call, i) == ""
		if p.serial {
			used[r.group+1] = true
		}
	}
	for group, run := range runOf {
		if run < 0 || used[group] {
			continue
		}
		for i, r := range p.representations {
			if r.group == group {
				return &Error{Where: where(i, r.Representation), Axis: "source", Got: "a source", Wanted: "none: " + r.unread(b.call, i)}
			}
		}
	}
	return nil
}

// unread says why representation i reads no source in a call; it is empty if it reads one.
func (p planned) unread(call Call, i int) string {
	_, draws := p.Intervention.(Drawer)
	switch {
	case !p.reads:
		return p.Intervention.Name() + " reads no source"
	case entry(call.Activations, i) != nil:
		return "activations are given"
	case draws:
		return p.Intervention.Name() + " draws its own source"
	}
	return ""
}

func sameTensors(a, b Inputs) bool {
	if len(a) != len(b) {
		return false
	}
	for name, t := range a {
		if b[name] != t {
			return false
		}
	}
	return true
}
