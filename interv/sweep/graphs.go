package sweep

import (
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/programs"
	"github.com/govene/govene/interv"
)

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
	return p.embedding(b, p.rows, p.columns, p.homesOf(true, false))
}

// buildCleanEmbedding is buildEmbedding for clean runs alone.
func (p *packed) buildCleanEmbedding(b *programs.Builder) []*Node {
	return p.embedding(b, p.layout.clean, p.extent.Positions, nil)
}

func (p *packed) embedding(b *programs.Builder, rows, count int, homes []*home) []*Node {
	columns := p.columnsOf(b, rows, count)
	e := p.editor(b, homes, columns)
	x := p.blocks.Embed(p.outer(b), p.packedInputs(b, rows, count), columns, e.tap())
	results := []*Node{x}
	for _, c := range p.embedded {
		results = append(results, e.written[c])
	}
	return results
}

// enter adds the inputs of a block: its weights, and the stream that it reads, where some columns enter from the clean run.
func (p *packed) enter(b *programs.Builder, kind int) (weights interv.Nodes, x *Node, c interv.Columns) {
	weights = b.Inputs("weight", p.blocks.BlockWeights(kind), p.model.Weights().Shape)
	x = b.Input("stream", p.streamOf(p.rows, p.columns))
	clean := Reshape(b.Input("clean", p.streamOf(p.layout.clean, p.extent.Positions)), -1, p.stream.Dim(-1))
	enter := b.Index("enter", p.rows, p.columns)
	c = p.columnsOf(b, p.rows, p.columns)
	x = Where(GreaterOrEqual(enter, ScalarZero(b.Graph, dtypes.Int32)), Gather(clean, ExpandDims(MaxScalar(enter, 0), -1)), x)

	keys, values := p.blocks.KeyShapes(kind, p.layout.clean, p.extent.Positions)
	base := ExpandDims(b.Index("base", p.rows), -1)
	c.Keys, c.Values = Gather(b.Input("keys", keys), base), Gather(b.Input("values", values), base)
	real := b.Index("real", p.rows, p.extent.Positions)
	c.Real = GreaterThan(real, ScalarZero(b.Graph, dtypes.Int32))
	return weights, x, c
}

// streamOf is the shape of the stream of so many rows and columns.
func (p *packed) streamOf(rows, columns int) shapes.Shape {
	return shapes.Make(p.stream.DType, rows, columns, p.stream.Dim(-1))
}

// buildBlock returns the stream above, keys and values, and what is recorded.
func (p *packed) buildBlock(b *programs.Builder, kind int) []*Node {
	weights, x, c := p.enter(b, kind)
	return p.blockOf(b, kind, weights, x, c, p.editor(b, p.homesOf(false, false), c))
}

// buildCleanBlock is buildBlock for clean runs alone: there is no base, and nothing is edited.
func (p *packed) buildCleanBlock(b *programs.Builder, kind int) []*Node {
	weights := b.Inputs("weight", p.blocks.BlockWeights(kind), p.model.Weights().Shape)
	x := b.Input("stream", p.streamOf(p.layout.clean, p.extent.Positions))
	c := p.columnsOf(b, p.layout.clean, p.extent.Positions)
	return p.blockOf(b, kind, weights, x, c, p.editor(b, nil, c))
}

func (p *packed) blockOf(b *programs.Builder, kind int, weights interv.Nodes, x *Node, c interv.Columns, e *editor) []*Node {
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
	if s.sites.Heads > 0 {
		return shapes.Make(p.stream.DType, p.layout.clean, s.sites.Heads, p.extent.Positions, s.sites.Width)
	}
	return shapes.Make(p.stream.DType, p.layout.clean, p.extent.Positions, s.sites.Width)
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
