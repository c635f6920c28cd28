package paths

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/programs"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/transformer"
)

// stack is the plan for models that are made of blocks. Rows are a sender in a pair, whole sequences each. What is kept is a table of the clean
// runs, put in the place of what would compute it: so nothing computes it. From the sender to the receivers a block is no more than what
// sends or carries on; the run that the receivers are put into begins at the lowest of them. A program is one block, whose weights are inputs.
type stack struct {
	*job
	blocks   interv.Blocks
	reading  interv.Reading
	reads    []int              // the position that is read in each pair
	outputs  int                // logits at a position
	rows     int                // of a run; half of them are pairs in clean runs, and the other half their sources
	senders  []interv.Component // of senders in blocks
	written  []interv.Component // senders' and what is kept: recorded in clean runs
	ends     []interv.Component // of receivers in blocks
	embedded bool               // whether embeddings are sent
	final    bool               // whether the final norm receives
	lowest   int                // the lowest layer of senders, -1 for embeddings
	through  int                // the last block before the receivers have been read
	goesOn   bool               // whether the stream above a receiver's block is wanted
	stream   shapes.Shape
	shapes   map[interv.Component]shapes.Shape

	embed, finish               *programs.Program
	block, send, carry, receive map[int]*programs.Program // by kind
	nothing                     map[string]*tensors.Tensor
	receivesIn, sendsIn         map[int]bool // layers
}

// mostColumns is how many columns the rows of a run have, unless two sequences have more.
const mostColumns = 1024

func (j *job) newStack(blocks interv.Blocks) (*stack, error) {
	s := &stack{job: j, blocks: blocks, shapes: map[interv.Component]shapes.Shape{}, nothing: map[string]*tensors.Tensor{}, through: -1,
		receivesIn: map[int]bool{}, sendsIn: map[int]bool{}}
	output, err := interv.OutputShape(j.backend, j.model, j.Base)
	if err != nil {
		return nil, err
	}
	if s.reading, err = (interv.Measure{Metric: j.Metric, At: j.ReadAt}).Read(j.extent, output); err != nil {
		return nil, err
	}
	s.outputs, s.reads = output.Dim(-1), s.reading.Positions
	if s.reads == nil {
		for pair := range j.extent.Batch {
			_, end := j.extent.Real(pair)
			s.reads = append(s.reads, end-1)
		}
	}
	s.rows = min(max(2, mostColumns/j.extent.Positions), max(2, len(j.senders))*j.extent.Batch)
	s.rows -= s.rows % 2
	err = programs.Scratch(j.backend, func(b *programs.Builder) {
		x := s.blocks.Embed(s.outer(b), s.inputs(b), s.columns(b), nil)
		s.stream = x.Shape().Clone()
	})
	if err != nil {
		return nil, err
	}
	add := func(list *[]interv.Component, c interv.Component, sites interv.Sites) {
		if !slices.Contains(*list, c) {
			*list = append(*list, c)
		}
		dimensions := []int{s.rows, j.extent.Positions, sites.Width}
		if sites.Heads > 0 {
			dimensions = []int{s.rows, sites.Heads, j.extent.Positions, sites.Width}
		}
		s.shapes[c] = shapes.Make(s.stream.DType, dimensions...)
	}
	s.lowest = j.layers
	for _, p := range j.places {
		switch {
		case p.Component == transformer.Embedding:
			s.embedded, s.lowest = true, -1
			s.shapes[p.Component] = s.stream
			continue
		case !p.kept:
			add(&s.senders, p.Component, p.sites)
			s.sendsIn[p.Layer], s.lowest = true, min(s.lowest, p.Layer)
		}
		add(&s.written, p.Component, p.sites)
	}
	s.keepAll(add)
	for _, p := range j.receivers {
		if p.Component == transformer.FinalNorm {
			s.final, s.goesOn, s.through = true, true, j.layers-1
			continue
		}
		add(&s.ends, p.Component, p.sites)
		s.goesOn = s.goesOn || s.through >= 0 && s.through != p.Layer
		s.receivesIn[p.Layer], s.through = true, max(s.through, p.Layer)
	}
	return s, nil
}

// keepAll adds what paths keep in some layer, so that blocks of all layers can go without computing it.
func (s *stack) keepAll(add func(list *[]interv.Component, c interv.Component, sites interv.Sites)) {
	kept := []interv.Component{transformer.AttentionOutput}
	if !s.ThroughMLPs {
		kept = append(kept, transformer.MLPOutput)
	}
	for _, c := range kept {
		if sites, err := s.model.Catalogue().Find(interv.Site{Component: c}); err == nil {
			add(&s.written, c, sites)
		}
	}
}

// compile builds all programs and starts to compile them side by side.
func (s *stack) compile() (err error) {
	compile := func(name string, build func(b *programs.Builder) []*Node) (p *programs.Program) {
		if err == nil {
			p, err = programs.Compile(s.backend, name, build)
		}
		return p
	}
	ofKinds := func(name string, in func(layer int) bool, build func(b *programs.Builder, kind int) []*Node) map[int]*programs.Program {
		kinds := map[int]*programs.Program{}
		for _, kind := range s.kinds(in) {
			kinds[kind] = compile(fmt.Sprintf("%s %d", name, kind), func(b *programs.Builder) []*Node { return build(b, kind) })
		}
		return kinds
	}
	s.embed = compile("embedding", s.buildEmbedding)
	s.block = ofKinds("block", s.isBlock, s.buildBlock)
	first := func(sends, receives bool) func(b *programs.Builder, kind int) []*Node {
		return func(b *programs.Builder, kind int) []*Node { return s.buildFirst(b, kind, sends, receives) }
	}
	s.send = ofKinds("sender", s.sendsAlone, first(true, false))
	s.carry = ofKinds("between", s.carries, first(false, false))
	s.receive = ofKinds("receiver", s.receives, first(true, true))
	s.finish = compile("finish", s.buildFinish)
	return err
}

// What programs there are, by the layers that they serve: all; those that send and do not receive; those in between; those that receive.
func (s *stack) isBlock(int) bool          { return true }
func (s *stack) sendsAlone(layer int) bool { return s.sendsIn[layer] && !s.receivesIn[layer] }
func (s *stack) carries(layer int) bool {
	return layer > s.lowest && layer <= s.through && !s.receivesIn[layer]
}
func (s *stack) receives(layer int) bool { return s.receivesIn[layer] }

// kinds are the kinds of some layers, each once.
func (s *stack) kinds(in func(layer int) bool) (kinds []int) {
	for layer := range s.layers {
		if kind := s.blocks.Kind(layer); in(layer) && !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}

// programs are those that have been built.
func (s *stack) programs() (list []*programs.Program) {
	for _, kinds := range []map[int]*programs.Program{{0: s.embed}, s.block, s.send, s.carry, s.receive, {0: s.finish}} {
		for _, p := range kinds {
			if p != nil {
				list = append(list, p)
			}
		}
	}
	return list
}

func (s *stack) outer(b *programs.Builder) interv.Nodes {
	return b.Inputs("outer", s.blocks.OuterWeights(), s.model.Weights().Shape)
}

// inputs are the model's, of each row.
func (s *stack) inputs(b *programs.Builder) interv.Nodes {
	nodes := interv.Nodes{}
	for name, t := range s.Base {
		if name != interv.AttentionMask && name != interv.PositionIDs {
			nodes[name] = b.Input("input "+name, shapes.Make(t.DType(), append([]int{s.rows}, t.Shape().Dimensions[1:]...)...))
		}
	}
	return nodes
}

// columns are whole sequences, one a row.
func (s *stack) columns(b *programs.Builder) interv.Columns {
	index := func(name string) *Node { return b.Index(name, s.rows, s.extent.Positions) }
	return interv.Columns{Column: index("column"), Position: index("position"), Segment: index("segment"), Start: index("start"), Length: b.Index("length", s.rows, 1)}
}

// is tells where an index is 1.
func is(index *Node) *Node { return GreaterThan(index, ScalarZero(index.Graph(), dtypes.Int32)) }

// hits is an input that is 1 where a component is changed.
func (s *stack) hits(b *programs.Builder, name string, c interv.Component) *Node {
	dimensions := s.shapes[c].Dimensions
	return b.Index(name+" "+string(c), dimensions[:len(dimensions)-1]...)
}

func (s *stack) buildEmbedding(b *programs.Builder) []*Node {
	var embedding *Node
	tap := interv.NewTap(func(_ *interv.Tap, a interv.Activation) *Node {
		if a.Site.Component == transformer.Embedding {
			if s.embedded {
				sent := Gather(b.Input("written "+string(transformer.Embedding), s.stream), ExpandDims(b.Index("source", s.rows), -1))
				a.Value = Where(is(s.hits(b, "sends", transformer.Embedding)), sent, a.Value)
			}
			embedding = a.Value
		}
		return a.Value
	})
	x := s.blocks.Embed(s.outer(b), s.inputs(b), s.columns(b), tap)
	if s.embedded {
		return []*Node{x, embedding}
	}
	return []*Node{x}
}

// enter adds the inputs of a block: its weights, which rows of clean runs are bases, and the stream that it reads, of rows that are fresh that of
// their base.
func (s *stack) enter(b *programs.Builder, kind int) (weights interv.Nodes, base, x *Node, c interv.Columns) {
	weights, c = b.Inputs("weight", s.blocks.BlockWeights(kind), s.model.Weights().Shape), s.columns(b)
	x = b.Input("stream", s.stream)
	base = ExpandDims(b.Index("base", s.rows), -1)
	return weights, base, Where(is(b.Index("fresh", s.rows)), Gather(b.Input("clean", s.stream), base), x), c
}

// buildFirst is a block of the first run: all that is kept is the base's. It returns what receivers read, if they do, and the stream above.
func (s *stack) buildFirst(b *programs.Builder, kind int, sends, receives bool) []*Node {
	source := ExpandDims(b.Index("source", s.rows), -1)
	tables, hits := map[interv.Component]*Node{}, map[interv.Component]*Node{}
	for _, c := range s.written {
		if tables[c] = b.Input("written "+string(c), s.shapes[c]); sends && slices.Contains(s.senders, c) {
			hits[c] = is(s.hits(b, "sends", c))
		}
	}
	mixed := is(b.Index("mixes", s.rows))
	weights, base, x, c := s.enter(b, kind)
	read, mixes := map[interv.Component]*Node{}, false
	tap := interv.NewTap(func(_ *interv.Tap, a interv.Activation) *Node {
		at := a.Site.Component
		switch table := tables[at]; {
		case table == nil:
		case at == transformer.AttentionOutput && mixes:
			a.Value = Where(mixed, a.Value, Gather(table, base))
		case at == transformer.AttentionOutput, at == transformer.MLPOutput && !s.ThroughMLPs,
			at != transformer.MLPOutput && sends && !mixes: // heads' values: nothing below computes them
			a.Value = Gather(table, base)
		}
		if hits[at] != nil {
			mixes = mixes || at == transformer.HeadAttentionValueOutput || at == transformer.AttentionValueOutput
			a.Value = Where(hits[at], Gather(tables[at], source), a.Value)
		}
		read[at] = a.Value
		return a.Value
	})
	above, _, _ := s.blocks.Block(weights, kind, x, c, tap)
	if !receives {
		return []*Node{above}
	}
	var results []*Node
	for _, at := range s.ends {
		results = append(results, read[at])
	}
	if s.goesOn {
		results = append(results, above)
	}
	return results
}

// receiving is a tap that puts receivers in, and notes everything.
func (s *stack) receiving(b *programs.Builder, c interv.Columns, noted map[interv.Component]*Node) *interv.Tap {
	return interv.NewTap(func(_ *interv.Tap, a interv.Activation) *Node {
		if at := a.Site.Component; slices.Contains(s.ends, at) {
			hits, read := s.hits(b, "receives", at), b.Input("read "+string(at), s.shapes[at])
			if a.Value.Shape().Dim(-2) != s.extent.Positions {
				hits, read = Squeeze(c.Read(ExpandDims(hits, -1)), -1), c.Read(read)
			}
			a.Value = Where(is(hits), read, a.Value)
		}
		noted[a.Site.Component] = a.Value
		return a.Value
	})
}

// buildBlock is a block of clean runs, and of the second run, into which receivers are put. It returns the stream above and what is written.
func (s *stack) buildBlock(b *programs.Builder, kind int) []*Node {
	weights, _, x, c := s.enter(b, kind)
	noted := map[interv.Component]*Node{}
	above, _, _ := s.blocks.Block(weights, kind, x, c, s.receiving(b, c, noted))
	results := []*Node{above}
	for _, at := range s.written {
		results = append(results, noted[at])
	}
	return results
}

// buildFinish is the last block where the metric reads, the head and the metric, [rows], and, if it reads the clean run, the logits.
func (s *stack) buildFinish(b *programs.Builder) []*Node {
	kind := s.blocks.Kind(s.layers - 1)
	weights, base, x, c := s.enter(b, kind)
	c.Reads = b.Index("reads", s.rows, 1)
	x, _, _ = s.blocks.Block(weights, kind, x, c, s.receiving(b, c, map[interv.Component]*Node{}))
	outer := s.outer(b)
	data := interv.Nodes{}
	for name, t := range s.reading.Data {
		data[name] = b.Input("data "+name, shapes.Make(t.DType(), append([]int{s.rows}, t.Shape().Dimensions[1:]...)...))
	}
	tap := (*interv.Tap)(nil)
	if s.final {
		var received *Node
		note := interv.NewTap(func(_ *interv.Tap, a interv.Activation) *Node {
			if a.Site.Component == transformer.FinalNorm {
				received = a.Value
			}
			return a.Value
		})
		s.blocks.Head(outer, c.Read(b.Input("sent", s.stream)), nil, note)
		hits := is(b.Index("receives "+string(transformer.FinalNorm), s.rows))
		tap = interv.NewTap(func(_ *interv.Tap, a interv.Activation) *Node {
			if a.Site.Component == transformer.FinalNorm {
				a.Value = Where(hits, received, a.Value)
			}
			return a.Value
		})
	}
	if name := interv.TokenData(s.Metric); name != "" { // no other logits are computed
		tokens := Reshape(data[name], s.rows, 1, -1)
		return []*Node{s.oneNumber(s.reading.OfTokens(Reshape(s.blocks.Head(outer, x, tokens, tap), s.rows, -1), data))}
	}
	logits := Reshape(s.blocks.Head(outer, x, nil, tap), s.rows, -1)
	in := interv.Rows{Logits: ConvertDType(logits, s.model.Weights().ResultDType()), Data: data}
	if !interv.ReadsClean(s.Metric) {
		return []*Node{s.oneNumber(s.reading.Of(in))}
	}
	in.Clean = Gather(b.Input("clean logits", s.logitsShape()), base)
	return []*Node{s.oneNumber(s.reading.Of(in)), in.Logits}
}

func (s *stack) logitsShape() shapes.Shape {
	return shapes.Make(s.model.Weights().ResultDType(), s.rows, s.outputs)
}

// oneNumber refuses a metric of several numbers.
func (s *stack) oneNumber(value *Node) *Node {
	if value.Rank() != 1 {
		panic(&interv.Error{Where: "metric " + s.Metric.Name(), Axis: "value", Got: value.Shape().String(), Wanted: "one number for each run"})
	}
	return value
}
