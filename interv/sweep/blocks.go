package sweep

import (
	"fmt"
	"maps"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/programs"
	"github.com/govene/govene/interv"
)

// packed runs a sweep on a model made of blocks. Base and source of each pair run once, clean; what a cell changes, a segment, is computed
// from the block where it enters on, many segments of any layers, positions and pairs side by side. One compiled block serves all of a
// kind: layers, positions, heads and weights are its inputs. Three programs do it all: the embedding, the block, and the finish, which is the
// last block where the metric reads, the head and the metric.
type packed struct {
	*job
	layout
	blocks   interv.Blocks
	changes  map[item]bool // which cells change something that is read, in which pairs
	costs    costs
	input    interv.Component // of a block
	output   interv.Component
	embedded []interv.Component // components below all blocks
	above    []interv.Component // and above
	homes    []*home
	recorded []interv.Component // components inside of blocks that slots read in clean runs
	embed    *programs.Program
	block    map[int]*programs.Program // by kind
	finish   *programs.Program
	stream   shapes.Shape               // [rows, columns, d]
	nothing  map[[3]int]*tensors.Tensor // indices of one number
	zero     map[string]*tensors.Tensor
}

// home is where a slot acts in a program. One on what a block returns acts on what the next one reads, so that the block itself need not be
// computed; on the last block's it acts there.
type home struct {
	*slot
	at   interv.Component
	name string
	late bool // acts in the finish alone, on what the last block returns
}

// packs tells whether a job can be packed, and if not why.
func (j *job) packs() (blocks interv.Blocks, why string) {
	blocks, ok := j.model.(interv.Blocks)
	if !ok {
		return nil, "the model is not made of blocks"
	}
	for _, s := range j.slots {
		switch {
		case s.sites.Width == 0:
			return nil, fmt.Sprintf("the width of %s varies with the run", s.component)
		case whole(s.intervention):
			return nil, s.intervention.Name() + " may compute a unit from others"
		}
	}
	return blocks, ""
}

// whole tells whether an intervention is a function of the whole activation for all that is known.
func whole(i interv.Intervention) bool {
	switch i := i.(type) {
	case interv.Func, interv.BaseFunc:
		return true
	case interv.Constant:
		return whole(i.Of)
	}
	return false
}

// newPacked lays a job out; it compiles nothing. It returns nil, and why, for a job that cannot be packed.
func newPacked(j *job) (*packed, string, error) {
	blocks, why := j.packs()
	if why != "" {
		return nil, why, nil
	}
	p := &packed{job: j, blocks: blocks, block: map[int]*programs.Program{}, nothing: map[[3]int]*tensors.Tensor{}, zero: map[string]*tensors.Tensor{}}
	p.input, p.output = blocks.Stream()
	if err := p.announced(); err != nil {
		return nil, "", err
	}
	inside := func(c interv.Component) bool { return !slices.Contains(p.embedded, c) }
	for _, s := range j.slots {
		name := fmt.Sprintf("%s %d", s.component, s.role)
		if slices.Contains(p.above, s.component) {
			return nil, fmt.Sprintf("%s is above all blocks", s.component), nil
		}
		if s.component == p.output {
			p.homes = append(p.homes, &home{s, p.input, name, false}, &home{s, p.output, name + " late", true})
		} else {
			p.homes = append(p.homes, &home{s, s.component, name, false})
		}
		if c := s.readComponent; s.readsRun() && inside(c) && c != p.input && c != p.output && !slices.Contains(p.recorded, c) {
			p.recorded = append(p.recorded, c)
		}
	}
	// What a block returns comes before what the next one reads.
	slices.SortStableFunc(p.homes, func(a, b *home) int {
		switch returned := a.component == p.output; {
		case returned == (b.component == p.output):
			return 0
		case returned:
			return -1
		}
		return 1
	})
	perPair := 1
	if j.hasSources {
		perPair = 2
	}
	p.costs = p.measure()
	segments := p.segments()
	p.changes = map[item]bool{}
	for _, s := range segments {
		p.changes[item{s.cell, s.pair}] = true
	}
	var ok bool
	p.layout, ok = choose(segments, j.extent.Batch, perPair, j.extent.Positions, p.costs, func(l layout) bool { return j.fits(p.bytes(l)) })
	if !ok {
		return nil, "", j.tooSmall(p.bytes(p.layout))
	}
	return p, "", nil
}

// readsRun tells whether the slot reads a clean run.
func (s *slot) readsRun() bool { return s.from != "" && s.tables == nil }

// announced finds out which components are below and above all blocks, and the shape of the stream for one row.
func (p *packed) announced() error {
	noting := func(list *[]interv.Component) *interv.Tap {
		return interv.NewTap(func(_ *interv.Tap, a interv.Activation) *Node {
			*list = append(*list, a.Site.Component)
			return a.Value
		})
	}
	return programs.Scratch(p.backend, func(b *programs.Builder) {
		weights := p.outer(b)
		x := p.blocks.Embed(weights, p.packedInputs(b, 1, 1), p.columnsOf(b, 1, 1), noting(&p.embedded))
		p.stream = x.Shape().Clone()
		p.blocks.Head(weights, x, nil, noting(&p.above))
	})
}

// measure is what things cost, by multiplications.
func (p *packed) measure() costs {
	size := func(names []string) (size float64) {
		for _, name := range names {
			if t := p.model.Weights().Tensor(name); t.Rank() > 1 {
				size += float64(t.Size())
			}
		}
		return size
	}
	block := size(p.blocks.BlockWeights(p.blocks.Blocks() - 1))
	keys, values := p.blocks.KeyShapes(0, 1, 1)
	d := float64(p.stream.Dim(-1))
	before := float64(keys.Size()+values.Size()) * d / block
	return costs{multiplications: block, blocks: p.blocks.Blocks(), keys: min(1, before), read: max(0, 1-before) + d*float64(p.logits())/block, overhead: 32}
}

// logits is how many logits of a run are computed.
func (p *packed) logits() int {
	if name := interv.TokenData(p.Metric); name != "" {
		return p.reading.Data[name].Shape().Dim(1)
	}
	return p.outputs
}

// enters is the first block in which a patch acts; −1 for below all.
func (p *packed) enters(patch patch) int {
	switch {
	case slices.Contains(p.embedded, patch.component):
		return -1
	case patch.component == p.output:
		return min(patch.layer+1, p.blocks.Blocks()-1)
	}
	return patch.layer
}

// segments are what all cells change in all pairs. A cell that changes nothing before the column that is read has none in that pair.
func (p *packed) segments() []segment {
	var list []segment
	for cell, patches := range p.patches {
		for pair := range p.extent.Batch {
			s := segment{cell: cell, pair: pair, first: p.extent.Positions, last: p.job.reads[pair], entry: p.blocks.Blocks()}
			for _, patch := range patches {
				for _, position := range patch.base[pair] {
					if position <= s.last {
						s.first, s.entry = min(s.first, position), min(s.entry, p.enters(patch))
					}
				}
			}
			if s.first <= s.last {
				list = append(list, s)
			}
		}
	}
	return list
}

// outer adds the weights that are in no block.
func (p *packed) outer(b *programs.Builder) interv.Nodes {
	return p.weights(b, "outer", p.blocks.OuterWeights())
}

func (p *packed) weights(b *programs.Builder, prefix string, names []string) interv.Nodes {
	nodes := interv.Nodes{}
	for i, name := range names {
		nodes[name] = b.Input(fmt.Sprintf("%s %d", prefix, i), p.model.Weights().Tensor(name).Shape())
	}
	return nodes
}

func (p *packed) feedWeights(f programs.Feed, prefix string, names []string) {
	for i, name := range names {
		f[fmt.Sprintf("%s %d", prefix, i)] = p.model.Weights().Tensor(name)
	}
}

// packedInputs adds the model's inputs, in columns.
func (p *packed) packedInputs(b *programs.Builder, rows, columns int) interv.Nodes {
	nodes := interv.Nodes{}
	for name, t := range p.Base {
		if name != interv.AttentionMask && name != interv.PositionIDs {
			nodes[name] = b.Input("input "+name, shapes.Make(t.DType(), append([]int{rows, columns}, t.Shape().Dimensions[2:]...)...))
		}
	}
	return nodes
}

// columnsOf adds what says where columns are.
func (p *packed) columnsOf(b *programs.Builder, rows, columns int) interv.Columns {
	return interv.Columns{Column: b.Index("column", rows, columns), Position: b.Index("position", rows, columns),
		Segment: b.Index("segment", rows, columns), Start: b.Index("start", rows, columns), Length: b.Index("length", rows, 1)}
}

// compile builds all programs and starts to compile them side by side. What is wrong with one is known before anything runs.
func (p *packed) compile() (err error) {
	p.stream = shapes.Make(p.stream.DType, p.rows, p.columns, p.stream.Dim(-1))
	for block := range p.blocks.Blocks() {
		if kind := p.blocks.Kind(block); p.block[kind] == nil && err == nil {
			p.block[kind], err = programs.Compile(p.backend, fmt.Sprintf("block %d", kind), func(b *programs.Builder) []*Node { return p.buildBlock(b, kind) })
		}
	}
	if err == nil {
		p.finish, err = programs.Compile(p.backend, "finish", p.buildFinish)
	}
	if err == nil {
		p.embed, err = programs.Compile(p.backend, "embedding", p.buildEmbedding)
	}
	if err != nil {
		p.finalize()
	}
	return err
}

// programs are those that have been built.
func (p *packed) programs() (list []*programs.Program) {
	for _, q := range append(slices.Collect(maps.Values(p.block)), p.finish, p.embed) {
		if q != nil {
			list = append(list, q)
		}
	}
	return list
}

// finalize gives the programs back; a run after it compiles them anew.
func (p *packed) finalize() {
	for _, q := range p.programs() {
		q.Finalize()
	}
	p.embed, p.block, p.finish = nil, map[int]*programs.Program{}, nil
}

// flops are the operations that a sweep cannot do without: products with the weights of blocks, in clean runs and segments, the last block's
// where the metric reads, and the logits.
func (p *packed) flops() float64 {
	columns := 0.0
	last := p.costs.keys
	for pair := range p.extent.Batch {
		start, end := p.extent.Real(pair)
		runs := 1.0
		if p.hasSources {
			runs = 2
		}
		columns += runs * (float64(p.costs.blocks-1)*float64(end-start) + last*float64(end-start) + p.costs.read)
	}
	for _, s := range p.segments() {
		columns += float64(p.costs.blocks-1-max(0, s.entry))*float64(s.length()) + last*float64(s.length()) + p.costs.read
	}
	return columns * 2 * p.costs.multiplications
}

// homesOf are the homes that a program has.
func (p *packed) homesOf(embedding, finish bool) []*home {
	return slices.DeleteFunc(slices.Clone(p.homes), func(h *home) bool {
		return slices.Contains(p.embedded, h.component) != embedding || h.late && !finish
	})
}

// editor adds the edits of homes to a graph, and keeps what is announced at some components.
type editor struct {
	*packed
	edits   map[interv.Component][]func(value *Node) *Node
	written map[interv.Component]*Node
	columns interv.Columns
}

func (p *packed) editor(b *programs.Builder, homes []*home, columns interv.Columns) *editor {
	e := &editor{packed: p, edits: map[interv.Component][]func(*Node) *Node{}, written: map[interv.Component]*Node{}, columns: columns}
	for _, h := range homes {
		e.edits[h.at] = append(e.edits[h.at], e.edit(b, h))
	}
	return e
}

func (e *editor) tap() *interv.Tap {
	return interv.NewTap(func(_ *interv.Tap, a interv.Activation) *Node {
		for _, edit := range e.edits[a.Site.Component] {
			a.Value = edit(a.Value)
		}
		e.written[a.Site.Component] = a.Value
		return a.Value
	})
}

// grid is the shape of the index of a component with so many heads, 0 for none.
func (p *packed) grid(heads int) []int {
	if heads > 0 {
		return []int{p.rows, heads, p.columns}
	}
	return []int{p.rows, p.columns}
}

// edit adds the inputs of a home and returns what it does to an activation.
func (e *editor) edit(b *programs.Builder, h *home) func(value *Node) *Node {
	hit := b.Index("hit "+h.name, e.grid(h.sites.Heads)...)
	v := interv.Values{Parameters: interv.Nodes{}}
	for name, t := range h.parameters {
		v.Parameters[name] = b.Input("parameter "+name+" "+h.name, t.Shape())
	}
	var table, selected, masks *Node
	switch {
	case h.tables != nil:
		table = b.Input("table "+h.name, h.anyTable().Shape())
	case h.readsRun():
		table = Reshape(b.Input("read "+h.name, e.readShape(h.slot)), -1, h.sites.Width)
	}
	if e.selects(h.slot) {
		selected = b.Index("selected "+h.name, e.rows, e.layout.columns)
		masks = b.Input("masks "+h.name, shapes.Make(e.model.Weights().ResultDType(), len(e.masks(h.slot)), h.features))
	}
	return func(value *Node) *Node {
		hit, selected := hit, selected
		if value.Shape().Dim(-2) != e.layout.columns {
			hit = e.readIndex(hit)
			if selected != nil {
				selected = e.readIndex(selected)
			}
		}
		dtype := value.DType()
		if len(v.Parameters) > 0 {
			dtype = e.model.Weights().ResultDType()
		}
		v.Base = as(value, dtype)
		if table != nil {
			v.Source = as(Gather(table, ExpandDims(MaxScalar(hit, 0), -1)), dtype)
		}
		if selected != nil {
			v.Selected = as(Gather(masks, ExpandDims(selected, -1)), dtype)
			if h.sites.Heads > 0 {
				v.Selected = ExpandDims(v.Selected, 1)
			}
		}
		return Where(GreaterOrEqual(hit, ScalarZero(hit.Graph(), hit.DType())), as(h.intervention.Apply(v), value.DType()), value)
	}
}

// as is x with elements of a type.
func as(x *Node, dtype dtypes.DType) *Node {
	if x.DType() == dtype {
		return x
	}
	return ConvertDType(x, dtype)
}

// readIndex picks the columns that are read out of an index.
func (e *editor) readIndex(index *Node) *Node {
	return Squeeze(e.columns.Read(ExpandDims(index, -1)), -1)
}

func (s *slot) anyTable() *tensors.Tensor {
	for _, t := range s.tables {
		return t
	}
	return nil
}

// selects tells whether any patch of a slot takes some features alone.
func (j *job) selects(s *slot) bool { return len(j.masks(s)) > 1 }

// masks are the lists of features that patches of a slot take; the first, nil, is all.
func (j *job) masks(s *slot) [][]int {
	lists := [][]int{nil}
	for _, patches := range j.patches {
		for _, p := range patches {
			if p.slot == s && p.features != nil && !slices.ContainsFunc(lists[1:], func(l []int) bool { return slices.Equal(l, p.features) }) {
				lists = append(lists, p.features)
			}
		}
	}
	return lists
}

func (p *packed) buildEmbedding(b *programs.Builder) []*Node {
	columns := p.columnsOf(b, p.rows, p.columns)
	e := p.editor(b, p.homesOf(true, false), columns)
	x := p.blocks.Embed(p.outer(b), p.packedInputs(b, p.rows, p.columns), columns, e.tap())
	results := []*Node{x}
	for _, c := range p.embedded {
		results = append(results, e.written[c])
	}
	return results
}

// enter adds the inputs of a block: its weights, and the stream that it reads, where some columns enter from the clean run.
func (p *packed) enter(b *programs.Builder, kind int) (weights interv.Nodes, x *Node, c interv.Columns) {
	weights = p.weights(b, "weight", p.blocks.BlockWeights(kind))
	x = b.Input("stream", p.stream)
	clean := Reshape(b.Input("clean", p.stream), -1, p.stream.Dim(-1))
	enter := b.Index("enter", p.rows, p.columns)
	c = p.columnsOf(b, p.rows, p.columns)
	x = Where(GreaterOrEqual(enter, ScalarZero(b.Graph, dtypes.Int32)), Gather(clean, ExpandDims(MaxScalar(enter, 0), -1)), x)

	keys, values := p.blocks.KeyShapes(kind, p.rows, p.columns)
	base := ExpandDims(b.Index("base", p.rows), -1)
	c.Keys, c.Values = Gather(b.Input("keys", keys), base), Gather(b.Input("values", values), base)
	real := b.Index("real", p.rows, p.columns)
	c.Real = GreaterThan(real, ScalarZero(b.Graph, dtypes.Int32))
	return weights, x, c
}

// buildBlock returns the stream above, keys and values, and what is recorded.
func (p *packed) buildBlock(b *programs.Builder, kind int) []*Node {
	weights, x, c := p.enter(b, kind)
	e := p.editor(b, p.homesOf(false, false), c)
	above, keys, values := p.blocks.Block(weights, kind, x, c, e.tap())
	results := []*Node{above, keys, values}
	for _, component := range p.recorded {
		value := e.written[component]
		if value == nil { // blocks of this kind have no such component
			value = ScalarZero(b.Graph, p.stream.DType)
		}
		results = append(results, value)
	}
	return results
}

// readShape is the shape of what a slot reads of the clean runs.
func (p *packed) readShape(s *slot) shapes.Shape {
	return shapes.Make(p.stream.DType, append(p.grid(s.sites.Heads), s.sites.Width)...)
}

// logitsShape is the shape of the logits that are read in a chunk.
func (p *packed) logitsShape() shapes.Shape {
	return shapes.Make(p.model.Weights().ResultDType(), p.rows*p.layout.reads, p.outputs)
}

// buildFinish returns the metric, [rows · reads], and, if it reads the clean run, the logits.
func (p *packed) buildFinish(b *programs.Builder) []*Node {
	weights, x, c := p.enter(b, p.blocks.Kind(p.blocks.Blocks()-1))
	if p.layout.reads < p.columns {
		c.Reads = b.Index("reads", p.rows, p.layout.reads)
	}
	e := p.editor(b, p.homesOf(false, true), c)
	x, _, _ = p.blocks.Block(weights, p.blocks.Kind(p.blocks.Blocks()-1), x, c, e.tap())
	count := p.rows * p.layout.reads
	data := interv.Nodes{}
	for name, t := range p.reading.Data {
		data[name] = b.Input("data "+name, shapes.Make(t.DType(), append([]int{count}, t.Shape().Dimensions[1:]...)...))
	}
	if name := interv.TokenData(p.Metric); name != "" { // no other logits are computed
		tokens := Reshape(data[name], p.rows, p.layout.reads, -1)
		return []*Node{p.oneNumber(p.reading.OfTokens(Reshape(p.blocks.Head(p.outer(b), x, tokens, nil), count, -1), data))}
	}
	logits := as(p.blocks.Head(p.outer(b), x, nil, nil), p.model.Weights().ResultDType())
	in := interv.Rows{Logits: Reshape(logits, count, -1), Data: data}
	if !interv.ReadsClean(p.Metric) {
		return []*Node{p.oneNumber(p.reading.Of(in))}
	}
	clean := b.Input("clean logits", p.logitsShape())
	in.Clean = Gather(clean, ExpandDims(b.Index("clean row", count), -1))
	return []*Node{p.oneNumber(p.reading.Of(in)), in.Logits}
}

// oneNumber refuses a metric of several numbers.
func (j *job) oneNumber(value *Node) *Node {
	if value.Rank() != 1 {
		panic(&interv.Error{Where: "metric " + j.Metric.Name(), Axis: "value", Got: value.Shape().String(), Wanted: "one number for each run"})
	}
	return value
}
