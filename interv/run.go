package interv

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// run is one run of the model in the graph of a program: what is edited in it, and which of its activations are read.
type run struct {
	build  *builder
	inputs Nodes
	extent Extent
	edits  map[Site][]*edit // in config order
	reads  map[Site]*recorder
	open   int // edits and reads that are not complete yet
}

// runs prepares all runs of the call: their inputs, and what is read and edited in each.
func (build *builder) runs() []*run {
	b := build.call
	runs := make([]*run, len(b.runs))
	for i := range b.runs {
		prefix := "base"
		if i < len(runs)-1 {
			prefix = fmt.Sprintf("source %d", i)
		}
		runs[i] = &run{build: build, extent: b.runs[i].extent, edits: map[Site][]*edit{}, reads: map[Site]*recorder{},
			inputs: build.inputs(prefix, b.runs[i].inputs, func(e *execution) Inputs { return e.runs[i].inputs })}
	}
	for i := range b.actions {
		if a := &b.actions[i]; a.active {
			p := &build.iv.plan.representations[i]
			e := &edit{build: build, i: i, planned: p, action: a}
			if a.read >= 0 {
				e.source = runs[a.read].read(p.readSite)
			}
			runs[a.write].edits[p.Site()] = append(runs[a.write].edits[p.Site()], e)
			runs[a.write].open++
		}
	}
	return runs
}

// read has the run record a site.
func (r *run) read(site Site) *recorder {
	if r.reads[site] == nil {
		r.reads[site] = &recorder{site: site, extent: r.extent}
		r.open++
	}
	return r.reads[site]
}

// edit is the run's edit for representation i.
func (r *run) edit(i int) *edit {
	for _, e := range r.edits[r.build.iv.plan.representations[i].Site()] {
		if e.i == i {
			return e
		}
	}
	return nil
}

// errStop ends the building of a source run once all that is read or edited in it has been announced.
var errStop = fmt.Errorf("all sites announced")

// add adds the run to the graph and returns the model's output, at the rows that are read where these are all that is wanted; none for a
// source, which ends with the deepest site that matters.
func (r *run) add(whole bool, rows *outputRows) (out output) {
	if r.open == 0 && !whole {
		return out
	}
	var tap *Tap
	if r.open > 0 {
		tap = NewTap(func(_ *Tap, a Activation) *Node {
			for _, e := range r.edits[a.Site] {
				a.Value = e.apply(a)
				r.settle(e.fired == r.extent.Positions)
			}
			if recorder := r.reads[a.Site]; recorder != nil {
				if recorder.apart {
					a.Value = IdentityWithCustomGradient(a.Value, func(_, v *Node) *Node { return v })
				}
				recorder.record(a)
				r.settle(recorder.covered == r.extent.Positions)
			}
			if r.open == 0 && !whole {
				panic(errStop)
			}
			return a.Value
		})
	}
	if whole {
		tap = rows.tap(tap)
	}
	if err := guard(func() { out.node = r.build.forward(r.inputs, tap) }); err != nil && err != errStop {
		panic(err)
	}
	out.picked = tap != nil && tap.picked
	return out
}

func (r *run) settle(complete bool) {
	if complete {
		r.open--
	}
}

// checkFired refuses a program in which a declared edit was not applied at every position exactly once.
func (r *run) checkFired() {
	for site, edits := range r.edits {
		for _, e := range edits {
			if e.fired != r.extent.Positions {
				panic(notAnnounced(site, e.fired, r.extent.Positions))
			}
		}
	}
}

func notAnnounced(site Site, got, wanted int) *Error {
	return &Error{Where: site.String(), Axis: "positions announced by the model", Got: fmt.Sprint(got), Wanted: fmt.Sprint(wanted)}
}

// next counts the positions that an announcement covers, which must go on where the last one ended.
func next(covered *int, a Activation) {
	if a.Offset != *covered {
		panic(&Error{Where: a.Site.String(), Axis: "first position announced by the model", Got: fmt.Sprint(a.Offset),
			Wanted: fmt.Sprintf("%d: each position once, in order", *covered)})
	}
	*covered += a.Positions()
}

// recorder keeps the values announced at a site, which may come in pieces along the position axis.
type recorder struct {
	site    Site
	extent  Extent
	pieces  []*Node
	covered int
	apart   bool // what goes on from the site is a node of its own: for gradients, as the model may use the value in other ways too
}

func (r *recorder) record(a Activation) {
	next(&r.covered, a)
	r.pieces = append(r.pieces, a.Value)
}

// rows is the site's whole activation as [rows, width].
func (r *recorder) rows() *Node { return rowsOf(r.whole()) }

// whole is the site's activation at all positions, [batch, (heads,) positions, width].
func (r *recorder) whole() *Node {
	if r.covered != r.extent.Positions {
		panic(notAnnounced(r.site, r.covered, r.extent.Positions))
	}
	whole := r.pieces[0]
	switch {
	case whole.Rank() == 2:
		whole = Stack(r.pieces, 1)
	case len(r.pieces) > 1:
		whole = Concatenate(r.pieces, -2)
	}
	return whole
}

// rowsOf is x with all axes but the last made one.
func rowsOf(x *Node) *Node { return Reshape(x, -1, x.Shape().Dim(-1)) }

// edit is one action in the graph of a program.
type edit struct {
	build *builder
	i     int
	*planned
	*action
	source *recorder // what it reads; nil for nothing or given activations
	nodes  *editNodes
	fired  int      // positions at which it was applied
	seen   recorder // for a collect: what was announced
}

// editNodes are what an edit needs wherever its site is announced.
type editNodes struct {
	hit        *Node // [batch, (heads,) positions] bool: whether the unit is written
	row        *Node // of hit's shape, int32: the row that goes there, 0 where none does
	rows       *Node // [rows, width]: what can be read; nil for nothing
	source     *Node // [batch, (heads,) positions, width]: the rows in their places; nil if the edit is gathered or reads nothing
	selected   *Node // [batch, features]; nil for all
	parameters Nodes
}

// prepare adds the edit's nodes when its site is first announced: by then all that it reads is there.
func (e *edit) prepare() *editNodes {
	if e.nodes != nil {
		return e.nodes
	}
	n := &editNodes{parameters: e.build.owns(e.i)}
	if hit := e.build.index(e.i, "hit", func(a *action) *tensors.Tensor { return a.hit }); hit != nil {
		n.hit = GreaterOrEqual(hit, ScalarZero(hit.Graph(), hit.DType()))
		n.row = MaxScalar(hit, 0)
	}
	n.selected = e.build.index(e.i, "subspace", func(a *action) *tensors.Tensor { return a.selected })
	if e.source != nil {
		n.rows = e.source.rows()
	} else if given := e.build.index(e.i, "activations", func(a *action) *tensors.Tensor { return a.given }); given != nil {
		if given.Rank() == 1 {
			given = ExpandDims(given, 0)
		}
		n.rows = rowsOf(given)
		if dtype := e.build.iv.model.Weights().DType(); half(dtype) {
			n.rows = converted(n.rows, dtype)
		}
	}
	if n.rows != nil && !e.gathered {
		n.source = gatherRows(n.rows, n.row)
	}
	e.nodes = n
	return n
}

// apply is the activation after the edit.
func (e *edit) apply(a Activation) *Node {
	if want := e.sites.Width; want != 0 && a.Value.Shape().Dim(-1) != want {
		panic(&Error{Where: a.Site.String(), Axis: "width announced by the model", Got: fmt.Sprint(a.Value.Shape().Dim(-1)),
			Wanted: fmt.Sprintf("%d, the catalogue's", want)})
	}
	next(&e.fired, a)
	if e.collects {
		e.seen.site, e.seen.extent = a.Site, e.build.call.runs[e.write].extent
		e.seen.record(a)
		return a.Value
	}
	n := e.prepare()
	if n.rows != nil && n.rows.Shape().Dim(-1) != a.Value.Shape().Dim(-1) {
		panic(&Error{Where: where(e.i, e.Representation), Axis: "width of what is read", Got: fmt.Sprint(n.rows.Shape().Dim(-1)),
			Wanted: fmt.Sprintf("%d, the base's", a.Value.Shape().Dim(-1))})
	}
	if e.gathered {
		return e.onUnits(a, n)
	}
	return e.onAll(a, n)
}

// onAll applies the intervention to the whole announced value, and keeps the result where a unit is written.
func (e *edit) onAll(a Activation, n *editNodes) *Node {
	v := Values{Base: a.Value}
	if n.source != nil {
		v.Source = part(n.source, a)
	}
	return Where(part(n.hit, a), e.compute(v, n), a.Value)
}

// onUnits applies the intervention to the written units alone, together if it takes them so, and puts the results in their places.
func (e *edit) onUnits(a Activation, n *editNodes) *Node {
	if all := e.build.call.runs[e.write].extent.Positions; a.Positions() != all {
		panic(&Error{Where: a.Site.String(), Axis: "positions announced at once", Got: fmt.Sprint(a.Positions()),
			Wanted: fmt.Sprintf("all %d, as the catalogue says", all)})
	}
	batch, width := a.Value.Shape().Dim(0), a.Value.Shape().Dim(-1)
	take := func(rows, index *Node) *Node {
		var x *Node
		if e.whole {
			x = Reshape(rows, batch, -1, width)
		} else {
			x = gatherRows(rows, MaxScalar(index, 0))
		}
		if e.together > 1 {
			x = Reshape(x, batch, 1, -1)
		}
		return x
	}
	v := Values{Base: take(rowsOf(a.Value), e.build.index(e.i, "units", func(a *action) *tensors.Tensor { return a.at }))}
	if n.rows != nil {
		v.Source = take(n.rows, e.build.index(e.i, "source units", func(a *action) *tensors.Tensor { return a.from }))
	}
	out := e.compute(v, n)
	if e.whole {
		return Reshape(out, a.Value.Shape().Dimensions...)
	}
	return Where(n.hit, gatherRows(Reshape(out, -1, width), n.row), a.Value)
}

// compute builds the intervention itself.
func (e *edit) compute(v Values, n *editNodes) *Node {
	dtype := v.Base.DType()
	if v.Parameters = n.parameters; len(v.Parameters) > 0 {
		v.Base, v.Source = widened(v.Base), widened(v.Source)
	}
	if v.Selected = n.selected; v.Selected != nil {
		v.Selected = converted(v.Selected, v.Base.DType())
		for v.Selected.Rank() < v.Base.Rank() {
			v.Selected = ExpandDims(v.Selected, 1)
		}
	}
	var out *Node
	place := where(e.i, e.Representation) + ", intervention " + e.Intervention.Name()
	if err := guard(func() { out = e.Intervention.Apply(v) }); err != nil {
		panic(Within(place, err))
	}
	if out == nil || !out.Shape().Equal(v.Base.Shape()) {
		got := "nothing"
		if out != nil {
			got = out.Shape().String()
		}
		panic(&Error{Where: place, Axis: "what replaces the base", Got: got, Wanted: v.Base.Shape().String() + ", as the base"})
	}
	return converted(out, dtype)
}

// gatherRows picks rows of x, [rows, width], by an index of any shape: [index…, width].
func gatherRows(x, index *Node) *Node { return Gather(x, ExpandDims(index, -1)) }

// part cuts the positions that an announcement covers out of x, [batch, (heads,) positions, …], in the announcement's own rank.
func part(x *Node, a Activation) *Node {
	if a.Value.Rank() == 2 {
		return Squeeze(SliceAxis(x, 1, AxisElem(a.Offset)), 1)
	}
	axis := a.Value.Rank() - 2
	if a.Positions() == x.Shape().Dim(axis) {
		return x
	}
	return SliceAxis(x, axis, AxisRange(a.Offset, a.Offset+a.Positions()))
}

// collected is what the representation collects: [batch, units…, width], or with a subspace [batch, units…, features]; zeros where an
// example has fewer units than others.
func (e *edit) collected() *Node {
	at := e.build.index(e.i, "units", func(a *action) *tensors.Tensor { return a.at })
	there := GreaterOrEqual(at, ScalarZero(at.Graph(), at.DType()))
	units := gatherRows(e.seen.rows(), MaxScalar(at, 0))
	if features := e.build.index(e.i, "subspace", func(a *action) *tensors.Tensor { return a.features }); features != nil {
		units = gatherFeatures(units, features)
	}
	units = Where(there, units, ZerosLike(units))
	return widened(Reshape(units, append(append([]int{units.Shape().Dim(0)}, e.shape...), units.Shape().Dim(-1))...))
}

// gatherFeatures picks for each example its own features of units, [batch, units, width], by [batch, features].
func gatherFeatures(units, features *Node) *Node {
	batch, count, width := units.Shape().Dim(0), units.Shape().Dim(1), units.Shape().Dim(2)
	listed := features.Shape().Dim(1)
	index := BroadcastToDims(ExpandDims(features, 1), batch, count, listed)
	unit := Iota(index.Graph(), shapes.Make(dtypes.Int32, batch*count, 1), 0)
	index = Add(index, BroadcastToDims(Reshape(MulScalar(unit, width), batch, count, 1), batch, count, listed))
	return Squeeze(gatherRows(Reshape(units, -1, 1), index), -1)
}
