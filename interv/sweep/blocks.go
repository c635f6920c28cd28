package sweep

import (
	"fmt"
	"maps"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/estimate"
	"github.com/govene/govene/internal/gpu"
	"github.com/govene/govene/internal/programs"
	"github.com/govene/govene/interv"
)

// packed runs a sweep on a model made of blocks. Base and source of each pair run once, clean; what a cell changes, a segment, is computed
// from the block where it enters on, many segments of any layers, positions and pairs side by side. One compiled block serves all of a
// kind: layers, positions, heads and weights are its inputs. Three programs do it all: the embedding, the block, and the finish, which is the
// last block where the metric reads, the head and the metric. Where so much is computed that it pays, clean runs have programs of their
// own, so that chunks of segments may be larger, and no wider than their rows are full.
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
	ofClean  pieces
	ofChunks pieces
	finish   *programs.Program
	stream   shapes.Shape               // of one column
	nothing  map[[3]int]*tensors.Tensor // indices of one number
	zero     map[string]*tensors.Tensor
}

// pieces are programs for rows and columns of one shape.
type pieces struct {
	embed *programs.Program         // nil where nothing is embedded
	block map[int]*programs.Program // by kind
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
		case ofWhole(s.intervention):
			return nil, s.intervention.Name() + " may compute a unit from others"
		}
	}
	return blocks, ""
}

// ofWhole tells whether an intervention is a function of the whole activation for all that is known.
func ofWhole(i interv.Intervention) bool {
	switch i := i.(type) {
	case interv.Func, interv.BaseFunc:
		return true
	case interv.Constant:
		return ofWhole(i.Of)
	}
	return false
}

// newPacked lays a job out; it compiles nothing. It returns nil, and why, for a job that cannot be packed.
func newPacked(j *job) (*packed, string, error) {
	blocks, why := j.packs()
	if why != "" {
		return nil, why, nil
	}
	p := &packed{job: j, blocks: blocks, nothing: map[[3]int]*tensors.Tensor{}, zero: map[string]*tensors.Tensor{}}
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
	p.costs = p.measure(deviceOf(p.backend))
	p.changes = map[item]bool{}
	for _, s := range p.segments() {
		p.changes[item{s.cell, s.pair}] = true
	}
	if !p.layOut() {
		return nil, "", j.tooSmall(p.bytes(p.layout))
	}
	return p, "", nil
}

// layOut chooses the layout, or, where none fits, the smallest.
func (p *packed) layOut() (fits bool) {
	perPair := 1
	if p.hasSources {
		perPair = 2
	}
	p.layout, fits = choose(p.segments(), p.extent.Batch, perPair, p.costs, func(l layout) bool { return p.fits(p.bytes(l)) })
	return fits
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

// device is what a layout depends on of the machine that runs it.
type device struct {
	compiling      float64 // multiplications in about the time that an embedding and a block take to compile
	calling        float64 // and that a call takes by itself
	columns, reads int     // of a chunk, at most: larger ones are no faster
}

// A GPU could do a hundred to a thousand times the work of a CPU in the time that a call or a compilation takes.
var (
	onCPU = device{compiling: 2.5e10, columns: 1024, reads: 256}
	onGPU = device{compiling: 5e13, calling: 1e10, columns: 16384, reads: 4096}
)

func deviceOf(backend compute.Backend) device {
	if gpu.Runs(backend) {
		return onGPU
	}
	return onCPU
}

// measure is what things cost on a device, by multiplications.
func (p *packed) measure(on device) costs {
	block := estimate.Multiplications(p.model.Weights(), p.blocks.BlockWeights(p.blocks.Blocks()-1))
	keys, values := p.blocks.KeyShapes(0, 1, 1)
	d := float64(p.stream.Dim(-1))
	before := float64(keys.Size()+values.Size()) * d / block
	return costs{device: on, multiplications: block, positions: p.extent.Positions, blocks: p.blocks.Blocks(), keys: min(1, before),
		read: max(0, 1-before) + d*float64(p.logits())/block, overhead: 32 + on.calling/block, programs: on.compiling / block}
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

// topmost tells whether a patch is of what the last block returns, where no position is read by another.
func (p *packed) topmost(patch patch) bool {
	return patch.component == p.output && patch.layer == p.blocks.Blocks()-1
}

// segments are what all cells change in all pairs. A cell that changes nothing before the column that is read has none in that pair.
func (p *packed) segments() []segment {
	var list []segment
	for cell, patches := range p.patches {
		for pair := range p.extent.Batch {
			s := segment{cell: cell, pair: pair, first: p.extent.Positions, last: p.job.reads[pair], entry: p.blocks.Blocks()}
			for _, patch := range patches {
				for _, position := range patch.base[pair] {
					if position == s.last || position < s.last && !p.topmost(patch) {
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
	return b.Inputs("outer", p.blocks.OuterWeights(), p.model.Weights().Shape)
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
func (p *packed) compile() error {
	p.ofClean, p.ofChunks = pieces{block: map[int]*programs.Program{}}, pieces{block: map[int]*programs.Program{}}
	alike := p.alike(p.extent.Positions)
	var err error
	compile := func(to **programs.Program, name string, add func(b *programs.Builder) []*Node) {
		if err == nil {
			*to, err = programs.Compile(p.backend, name, add)
		}
	}
	if alike {
		compile(&p.ofClean.embed, "embedding", p.buildEmbedding)
	} else {
		compile(&p.ofClean.embed, "embedding of clean runs", p.buildCleanEmbedding)
		if p.embedsChunks() {
			compile(&p.ofChunks.embed, "embedding", p.buildEmbedding)
		}
	}
	for block := range p.blocks.Blocks() {
		kind := p.blocks.Kind(block)
		if p.ofClean.block[kind] != nil {
			continue
		}
		var clean, chunks *programs.Program
		if !alike {
			compile(&clean, fmt.Sprintf("block %d of clean runs", kind), func(b *programs.Builder) []*Node { return p.buildCleanBlock(b, kind) })
		}
		compile(&chunks, fmt.Sprintf("block %d", kind), func(b *programs.Builder) []*Node { return p.buildBlock(b, kind) })
		if p.ofClean.block[kind], p.ofChunks.block[kind] = clean, chunks; alike {
			p.ofClean.block[kind] = chunks
		}
	}
	if alike {
		p.ofChunks.embed = p.ofClean.embed
	}
	compile(&p.finish, "finish", p.buildFinish)
	if err != nil {
		p.finalize()
	}
	return err
}

// embedsChunks tells whether any cell changes something below all blocks.
func (p *packed) embedsChunks() bool {
	return slices.ContainsFunc(p.chunks, func(list []chunk) bool {
		return slices.ContainsFunc(list, func(c chunk) bool { return c.entry() < 0 })
	})
}

// programs are those that have been built.
func (p *packed) programs() (list []*programs.Program) {
	for _, of := range []pieces{p.ofClean, p.ofChunks, {embed: p.finish}} {
		for _, q := range append(slices.Collect(maps.Values(of.block)), of.embed) {
			if q != nil && !slices.Contains(list, q) {
				list = append(list, q)
			}
		}
	}
	return list
}

// finalize gives the programs back, as Go's collector would later; a run after it compiles them anew.
func (p *packed) finalize() {
	for _, q := range p.programs() {
		q.Finalize()
	}
	p.ofClean, p.ofChunks, p.finish = pieces{}, pieces{}, nil
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
