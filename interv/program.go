package interv

import (
	"fmt"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/support/exceptions"
)

// program is one compiled graph for all calls of one signature. Source runs and the base run are in the same graph, so that the
// compiler shares what they share and drops what nothing reads.
type program struct {
	graph   *Graph
	feeds   []feed
	outputs outputs
}

// feed finds the tensor that a call passes to one parameter of the graph.
type feed func(b *bound, parameters parameterValues) *tensors.Tensor

// outputs counts what a program returns, in this order.
type outputs struct {
	base      bool // the clean output follows the counterfactual one
	collected []int
	loss      bool
	gradients []parameterKey // each followed by its tangent part, if orthonormal
}

// builder adds nodes to the graph of one program. It exists only while the program is built.
type builder struct {
	iv      *Intervenable
	program *program
	call    *bound // for shapes alone
	weights Nodes
	owned   map[parameterKey]*Node
}

// compile builds and compiles the program for calls like b. With a loss it returns that and its gradients as well.
func (iv *Intervenable) compile(b *bound, loss Loss) (p *program, err error) {
	start := time.Now()
	p = &program{graph: NewGraph(iv.backend, "govene")}
	build := &builder{iv: iv, program: p, call: b, weights: Nodes{}, owned: map[parameterKey]*Node{}}
	var results []*Node
	if err = exceptions.TryCatch[error](func() { results = build.everything(loss) }); err != nil {
		return nil, err
	}
	if err = p.graph.Compile(results...); err != nil {
		return nil, fmt.Errorf("compiling: %w", err)
	}
	iv.compiled.Add(1)
	iv.compiling.Add(int64(time.Since(start)))
	return p, nil
}

// everything adds the whole call to the graph and returns the program's outputs.
func (build *builder) everything(loss Loss) []*Node {
	iv, b, out := build.iv, build.call, &build.program.outputs
	weights := iv.model.Weights()
	for _, name := range weights.names {
		build.weights[name] = build.parameter("weight "+name, weights.tensors[name].Shape(),
			func(*bound, parameterValues) *tensors.Tensor { return weights.tensors[name] })
	}
	base := build.inputs("base", b.call.Base, func(b *bound) Inputs { return b.call.Base })
	rows := make([]*Node, len(b.actions))
	for run := range b.runs {
		build.readSource(run, rows)
	}
	writes := build.writes(rows)
	output := iv.model.Forward(build.weights, base, writes.tap())
	results := []*Node{output}
	if out.base = b.call.WithBase; out.base {
		results = append(results, iv.model.Forward(build.weights, base, nil))
	}
	for i, a := range b.actions {
		if a.at != nil {
			results = append(results, writes.collected(i))
			out.collected = append(out.collected, i)
		}
	}
	writes.checkFired()
	if loss != nil {
		results = append(results, build.gradients(loss, output)...)
	}
	return results
}

// parameter adds a parameter to the graph and remembers where calls find its value.
func (build *builder) parameter(name string, shape shapes.Shape, feed feed) *Node {
	build.program.feeds = append(build.program.feeds, feed)
	return Parameter(build.program.graph, name, shape)
}

// inputs adds the inputs of one run, of the shapes that example has.
func (build *builder) inputs(prefix string, example Inputs, of func(b *bound) Inputs) Nodes {
	nodes := Nodes{}
	for _, name := range sortedKeys(example) {
		nodes[name] = build.parameter(prefix+" "+name, example[name].Shape(),
			func(b *bound, _ parameterValues) *tensors.Tensor { return of(b)[name] })
	}
	return nodes
}

// index adds one of the tensors of action i; nil if the action has none.
func (build *builder) index(i int, name string, of func(a *action) *tensors.Tensor) *Node {
	t := of(&build.call.actions[i])
	if t == nil {
		return nil
	}
	return build.parameter(fmt.Sprintf("%s %d", name, i), t.Shape(),
		func(b *bound, _ parameterValues) *tensors.Tensor { return of(&b.actions[i]) })
}

// owns adds the parameters of the intervention of representation i, or finds those that a linked one has added.
func (build *builder) owns(i int) Nodes {
	nodes := Nodes{}
	owner := build.iv.plan[i].owner
	for _, declared := range build.iv.declared[owner] {
		key := parameterKey{owner, declared.Name}
		if build.owned[key] == nil {
			build.owned[key] = build.parameter("parameter "+key.String(), declared.Value.Shape(),
				func(_ *bound, parameters parameterValues) *tensors.Tensor { return parameters[key] })
		}
		nodes[declared.Name] = build.owned[key]
	}
	return nodes
}

// errStop ends the building of a source run once all that is read of it has been announced.
var errStop = fmt.Errorf("all sites read")

// readSource runs a source, up to the deepest site that is read, and fills rows for the actions that read it: the activations of
// all its units as [rows, width].
func (build *builder) readSource(run int, rows []*Node) {
	b := build.call
	recorded := recorder{extent: b.runs[run].extent, pieces: map[Site][]*Node{}, covered: map[Site]int{}}
	wanted := map[Site]bool{}
	for i, a := range b.actions {
		if a.active && a.run == run {
			wanted[build.iv.plan[i].Site()] = true
		}
	}
	missing := len(wanted)
	inputs := build.inputs(fmt.Sprintf("source %d", run), b.runs[run].inputs, func(b *bound) Inputs { return b.runs[run].inputs })
	tap := NewTap(func(_ *Tap, a Activation) *Node {
		if wanted[a.Site] && recorded.record(a) {
			if missing--; missing == 0 {
				panic(errStop)
			}
		}
		return a.Value
	})
	err := exceptions.TryCatch[error](func() { build.iv.model.Forward(build.weights, inputs, tap) })
	if err != nil && err != errStop {
		panic(err)
	}
	for i, a := range b.actions {
		if a.active && a.run == run {
			rows[i] = recorded.rows(build.iv.plan[i].Site())
		}
	}
}

// recorder keeps the values announced at some sites, which may come in pieces along the position axis.
type recorder struct {
	extent  Extent
	pieces  map[Site][]*Node
	covered map[Site]int
}

// record adds a piece and tells whether the site is now complete.
func (r *recorder) record(a Activation) (complete bool) {
	if a.Offset != r.covered[a.Site] {
		exceptions.Panicf("%s: announced from position %d, wanted %d: each position once, in order", a.Site, a.Offset, r.covered[a.Site])
	}
	r.covered[a.Site] += a.Positions()
	r.pieces[a.Site] = append(r.pieces[a.Site], a.Value)
	return r.covered[a.Site] == r.extent.Positions
}

// rows is the site's whole activation, [batch, positions, width], as [batch·positions, width].
func (r *recorder) rows(site Site) *Node {
	if r.covered[site] != r.extent.Positions {
		panic(notAnnounced(site, r.covered[site], r.extent.Positions))
	}
	pieces := r.pieces[site]
	whole := pieces[0]
	switch {
	case whole.Rank() == 2:
		whole = Stack(pieces, 1)
	case len(pieces) > 1:
		whole = Concatenate(pieces, -2)
	}
	return Reshape(whole, -1, whole.Shape().Dim(-1))
}

func notAnnounced(site Site, got, wanted int) *Error {
	return &Error{Where: site.String(), Axis: "positions announced by the model", Got: fmt.Sprint(got), Wanted: fmt.Sprint(wanted)}
}

// writes are the actions on the base run.
type writes struct {
	build  *builder
	bySite map[Site][]int
	edits  []*edit // one a representation; nil for one that does not take part
	fired  []int   // positions at which each was applied
}

// edit holds the nodes that one action needs wherever its site is announced.
type edit struct {
	hit        *Node // [batch, positions] bool: whether the unit is written
	source     *Node // [batch, positions, width]: what it reads, nil for nothing
	selected   *Node // [batch, features], nil for all
	parameters Nodes
	seen       []*Node // for a collect: what was announced
}

func (build *builder) writes(rows []*Node) *writes {
	w := &writes{build: build, bySite: map[Site][]int{}, edits: make([]*edit, len(rows)), fired: make([]int, len(rows))}
	for i, a := range build.call.actions {
		if !a.active {
			continue
		}
		p := build.iv.plan[i]
		w.bySite[p.Site()] = append(w.bySite[p.Site()], i)
		e := &edit{parameters: build.owns(i)}
		w.edits[i] = e
		if p.collects {
			continue
		}
		if given := build.index(i, "activations", func(a *action) *tensors.Tensor { return a.given }); given != nil {
			rows[i] = Reshape(given, -1, p.sites.Width)
		}
		from := build.index(i, "locations", func(a *action) *tensors.Tensor { return a.from })
		e.hit = GreaterOrEqual(from, ScalarZero(from.Graph(), from.DType()))
		if rows[i] != nil {
			e.source = Gather(rows[i], ExpandDims(MaxScalar(from, 0), -1))
		}
		e.selected = build.index(i, "subspace", func(a *action) *tensors.Tensor { return a.selected })
	}
	return w
}

// tap applies the edits of each site in config order; nil if there are none.
func (w *writes) tap() *Tap {
	if len(w.bySite) == 0 {
		return nil
	}
	return NewTap(func(_ *Tap, a Activation) *Node {
		for _, i := range w.bySite[a.Site] {
			p, e := w.build.iv.plan[i], w.edits[i]
			if want := p.sites.Width; a.Value.Shape().Dim(-1) != want {
				exceptions.Panicf("%s: announced width %d, wanted %d, the catalogue's", a.Site, a.Value.Shape().Dim(-1), want)
			}
			if a.Offset != w.fired[i] {
				exceptions.Panicf("%s: announced from position %d, wanted %d: each position once, in order", a.Site, a.Offset, w.fired[i])
			}
			w.fired[i] += a.Positions()
			if p.collects {
				e.seen = append(e.seen, a.Value)
			} else {
				a.Value = e.apply(p.Intervention, a)
			}
		}
		return a.Value
	})
}

// apply builds the intervention on an announced value: its result where a unit is written, the value itself elsewhere.
func (e *edit) apply(intervention Intervention, a Activation) *Node {
	v := Values{Base: a.Value, Source: e.source, Parameters: e.parameters}
	hit := part(e.hit, a)
	if e.source != nil {
		v.Source = part(e.source, a)
	}
	if e.selected != nil {
		v.Selected = e.selected
		for v.Selected.Rank() < a.Value.Rank() {
			v.Selected = ExpandDims(v.Selected, 1)
		}
	}
	out := intervention.Apply(v)
	if !out.Shape().Equal(a.Value.Shape()) {
		exceptions.Panicf("%s: intervention %s returned %s, wanted the base's shape %s", a.Site, intervention.Name(), out.Shape(), a.Value.Shape())
	}
	return Where(hit, out, a.Value)
}

// part cuts the positions that an announcement covers out of x, [batch, positions, …], in the announcement's own rank.
func part(x *Node, a Activation) *Node {
	if a.Value.Rank() == 2 {
		return Squeeze(SliceAxis(x, 1, AxisElem(a.Offset)), 1)
	}
	if a.Positions() == x.Shape().Dim(1) {
		return x
	}
	return SliceAxis(x, 1, AxisRange(a.Offset, a.Offset+a.Positions()))
}

// collected is what representation i collects: [batch, units, width], or [batch, units, features].
func (w *writes) collected(i int) *Node {
	site := w.build.iv.plan[i].Site()
	r := recorder{extent: w.build.call.extent, pieces: map[Site][]*Node{site: w.edits[i].seen}, covered: map[Site]int{site: w.fired[i]}}
	at := w.build.index(i, "locations", func(a *action) *tensors.Tensor { return a.at })
	units := Gather(r.rows(site), ExpandDims(at, -1))
	features := w.build.index(i, "subspace", func(a *action) *tensors.Tensor { return a.features })
	if features == nil {
		return units
	}
	// Each example lists its own features, for all of its units: gather single elements of [batch·units·width].
	batch, count, width := units.Shape().Dim(0), units.Shape().Dim(1), units.Shape().Dim(2)
	listed := features.Shape().Dim(1)
	index := BroadcastToDims(ExpandDims(features, 1), batch, count, listed)
	unit := Iota(index.Graph(), shapes.Make(dtypes.Int32, batch*count, 1), 0)
	index = Add(index, BroadcastToDims(Reshape(MulScalar(unit, width), batch, count, 1), batch, count, listed))
	return Gather(Reshape(units, -1), ExpandDims(index, -1))
}

// checkFired refuses a program in which a declared intervention was not applied at every position exactly once.
func (w *writes) checkFired() {
	for i, e := range w.edits {
		if want := w.build.call.extent.Positions; e != nil && w.fired[i] != want {
			panic(notAnnounced(w.build.iv.plan[i].Site(), w.fired[i], want))
		}
	}
}

// run executes the program on one call.
func (p *program) run(backend compute.Backend, b *bound, parameters parameterValues) (results []*tensors.Tensor, err error) {
	buffers := make([]compute.Buffer, len(p.feeds))
	for i, feed := range p.feeds {
		if buffers[i], err = feed(b, parameters).Buffer(backend, 0); err != nil {
			return nil, err
		}
	}
	err = exceptions.TryCatch[error](func() { results = p.graph.RunWithBuffers(buffers, make([]bool, len(buffers)), 0) })
	return results, err
}
