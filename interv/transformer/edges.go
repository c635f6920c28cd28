package transformer

import (
	"maps"
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/must"
	"github.com/govene/govene/interv"
)

// Edges is the same model in which what each reader of the residual stream gets of each writer can be changed on its own. Writers u are the
// embedding and, layer by layer, each head and the MLP; readers v are, layer by layer, the queries of each head, the keys and the
// values of each key and value head, and the MLP, and last the head of the model. With x the stream, a sum, reader v reads
//
//	x + Σ_u cut(v, u) · (ablated_u − z_u)
//
// at every position, with z_u what writer u adds to the stream in this run, and ablated_u what it adds in others' place; then come its own norm
// and projection. Where cut is 1 everywhere, every reader sees ablated writers alone; where it is 0, the model is what it was.
//
// Inputs beside the model's are made by [Edges.With]. Cut is also announced at every position, at layer 0, as the activation [Edge]: [batch,
// readers, positions, writers], readers in the place of heads, so that its gradient is that with respect to every edge. AttentionInput is not:
// heads read streams of their own.
//
// Elhage et al., "A Mathematical Framework for Transformer Circuits" (2021), have the stream as a sum; Goldowsky-Dill et al., "Localizing Model
// Behavior with Path Patching" (2023), such readers.
type Edges struct{ *Model }

var _ interv.Model = (*Edges)(nil)

// Edge is where [Edges] announces which edges are cut.
const Edge interv.Component = "edge"

// Edges makes it. Classifiers are an error, and families that normalize what attention adds, or the stream after that (Gemma 2 and 3, OLMo 2, OPT 350M):
// what a head adds is then not its own.
func (m *Model) Edges() (*Edges, error) {
	switch {
	case m.config.classifier():
		return nil, noVocabulary(m)
	case m.config.Norm.Sum || m.config.Norm.After:
		return nil, &interv.Error{Where: m.config.name(), Axis: "edges", Got: "a stream to which heads add what is normalized together", Wanted: "one that is the sum of what heads and MLPs add (nodes are told apart in every family)"}
	}
	return &Edges{m}, nil
}

// MustEdges is Edges that panics on an error.
func (m *Model) MustEdges() *Edges { return must.Of(m.Edges()) }

// Writers counts the writers.
func (m *Edges) Writers() int { return 1 + m.config.Layers*(m.config.Attention.Heads+1) }

// Readers counts the readers.
func (m *Edges) Readers() int {
	return m.config.Layers*(m.config.Attention.Heads+2*m.config.Attention.KeyValueHeads+1) + 1
}

// WrittenAt are the sites whose activations say what writers add, in the writers' order.
func (m *Edges) WrittenAt() []interv.Site {
	sites := []interv.Site{{Component: Embedding}}
	for layer := range m.config.Layers {
		sites = append(sites, interv.Site{Layer: layer, Component: HeadAttentionValueOutput}, interv.Site{Layer: layer, Component: MLPOutput})
	}
	return sites
}

const (
	cutInput = "cut"
	ablated  = "ablated "
	original = "original "
)

// With are inputs together with what is cut, [batch, readers, writers], the activations of ablated writers at the sites of WrittenAt, and, if
// there are any, activations that stand for z in place of those of this run.
func (m *Edges) With(inputs interv.Inputs, cut *tensors.Tensor, with, inPlaceOf map[interv.Site]*tensors.Tensor) interv.Inputs {
	all := maps.Clone(inputs)
	all[cutInput] = cut
	for site, t := range with {
		all[ablated+site.String()] = t
	}
	for site, t := range inPlaceOf {
		all[original+site.String()] = t
	}
	return all
}

// Catalogue is the model's, with edges and without what attention reads.
func (m *Edges) Catalogue() interv.Catalogue {
	c := m.Model.Catalogue()
	c.Sites = slices.DeleteFunc(c.Sites, func(s interv.Sites) bool { return s.Component == AttentionInput })
	for i := range c.Sites {
		if c.Sites[i].Input == AttentionInput {
			c.Sites[i].Input = ""
		}
	}
	c.Sites = append(c.Sites, interv.Sites{Component: Edge, Layers: 1, Heads: m.Readers(), Width: m.Writers(), Units: []interv.Unit{interv.Head, interv.HeadPosition}})
	return c
}

// Check is the model's, of inputs with those that With adds.
func (m *Edges) Check(inputs interv.Inputs) (interv.Extent, error) {
	own := maps.Clone(inputs)
	delete(own, cutInput)
	for _, site := range m.WrittenAt() {
		delete(own, ablated+site.String())
		delete(own, original+site.String())
	}
	extent, err := m.Model.Check(own)
	if err != nil {
		return extent, err
	}
	dtype := m.weights.ResultDType()
	if _, err := inputs.Require(cutInput, dtype, extent.Batch, m.Readers(), m.Writers()); err != nil {
		return extent, err
	}
	replaced := inputs[original+m.WrittenAt()[0].String()] != nil
	for _, site := range m.WrittenAt() {
		shape := []int{extent.Batch, extent.Positions, m.config.Width}
		if site.Component == HeadAttentionValueOutput {
			shape = []int{extent.Batch, m.config.Attention.Heads, extent.Positions, m.config.Attention.HeadWidth}
		}
		if _, err := inputs.Require(ablated+site.String(), dtype, shape...); err != nil {
			return extent, err
		}
		if replaced {
			if _, err := inputs.Require(original+site.String(), dtype, shape...); err != nil {
				return extent, err
			}
		}
	}
	return extent, nil
}

// Forward runs the model with a stream for each reader.
func (m *Edges) Forward(weights, inputs interv.Nodes, tap *interv.Tap) *Node {
	tap, written := recording(tap)
	e := &edgesRun{run: m.newRun(weights, inputs, tap), inputs: inputs, written: written}
	x := e.embed(inputs)
	cut := ExpandDims(inputs[cutInput], 2)
	e.cut = e.layer(0).at(Edge, BroadcastToDims(cut, cut.Shape().Dim(0), m.Readers(), x.Shape().Dim(1), m.Writers()))
	e.wrote(interv.Site{Component: Embedding}, func(difference *Node) *Node { return ExpandDims(difference, 1) })
	for l := range m.config.Layers {
		x = e.block(e.layer(l), x)
	}
	return e.head(e.normalized(Squeeze(e.streams(x, 1), 1)))
}

// edgesRun is a run in which readers have streams of their own.
type edgesRun struct {
	*run
	inputs  interv.Nodes
	written map[interv.Site]*Node
	cut     *Node   // [batch, readers, positions, writers]
	readers int     // that have read so far
	changes []*Node // ablated − z of the writers so far, [batch, writers, positions, d]
}

// wrote adds writers: what they write is linear in the activation at a site, and add makes it of a difference there.
func (e *edgesRun) wrote(site interv.Site, add func(difference *Node) *Node) {
	z := e.inputs[original+site.String()]
	if z == nil {
		z = wide(e.written[site])
	}
	e.changes = append(e.changes, add(Sub(e.inputs[ablated+site.String()], z)))
}

// streams are what the next readers read, [batch, readers, positions, d].
func (e *edgesRun) streams(x *Node, count int) *Node {
	changes := Concatenate(e.changes, 1)
	cut := features(SliceAxis(e.cut, 1, AxisRange(e.readers, e.readers+count)), 0, changes.Shape().Dim(1))
	e.readers += count
	change := Transpose(DotGeneral(cut, []int{3}, []int{0, 2}, changes, []int{1}, []int{0, 2}), 1, 2) // from [batch, positions, readers, d]
	return narrow(Add(BroadcastToDims(wide(ExpandDims(x, 1)), change.Shape().Dimensions...), change), x)
}

// block is layer.block with a stream for each reader.
func (e *edgesRun) block(l layer, x *Node) *Node {
	norm, a := l.config.Norm, l.config.Attention
	x = l.at(BlockInput, x)
	var projected [3]*Node
	weights, biases := l.queryKeyValueWeights()
	for i, heads := range []int{a.Heads, a.KeyValueHeads, a.KeyValueHeads} {
		streams := l.normIf(norm.Before, attentionNorm, e.streams(x, heads))
		weight := Transpose(Reshape(weights[i], -1, heads, a.HeadWidth), 0, 1) // [heads, d, head width]
		y := DotGeneral(streams, []int{3}, []int{1}, weight, []int{1}, []int{0})
		projected[i] = sideBySide(Transpose(y, 0, 1))
		if biases[i] != nil {
			projected[i] = Add(projected[i], biases[i])
		}
	}
	scale := l.config.ResidualScale
	attended := scaled(l.attend(projected[0], projected[1], projected[2]), scale)
	read := x // by the MLP
	if !l.config.Parallel {
		read = l.at(ResidualMiddle, Add(x, attended))
		e.wroteHeads(l)
	}
	part := mlpNorm
	if norm.Shared {
		part = attentionNorm
	}
	y := scaled(l.mlp(l.at(MLPInput, l.normIf(norm.Before, part, Squeeze(e.streams(read, 1), 1)))), scale)
	if l.config.Parallel {
		e.wroteHeads(l)
		y = Add(attended, y)
	}
	e.wrote(interv.Site{Layer: l.index, Component: MLPOutput}, func(difference *Node) *Node { return ExpandDims(scaled(difference, scale), 1) })
	return l.at(BlockOutput, Add(read, y))
}

func (e *edgesRun) wroteHeads(l layer) {
	e.wrote(interv.Site{Layer: l.index, Component: HeadAttentionValueOutput}, func(difference *Node) *Node {
		return scaled(Transpose(l.eachHeadOutput(difference), 0, 1), l.config.ResidualScale)
	})
}

// queryKeyValueWeights are the projections of queries, keys and values, [1, d, heads · head width], and their biases, [1, 1, heads · head width],
// nil if there are none.
func (l layer) queryKeyValueWeights() (weights, biases [3]*Node) {
	of := func(p part) (weight, bias *Node) {
		if weight = l.weight(l.index, p, ".weight"); !l.naming.inputMajor {
			weight = Transpose(weight, 0, 1)
		}
		if bias = l.weight(l.index, p, ".bias"); bias != nil {
			bias = Reshape(bias, 1, 1, -1)
		}
		return ExpandDims(weight, 0), bias
	}
	if l.config.Attention.Projections == Separate {
		for i, p := range []part{queryProjection, keyProjection, valueProjection} {
			weights[i], biases[i] = of(p)
		}
		return weights, biases
	}
	weight, bias := of(queryKeyValueProjection)
	weights[0], weights[1], weights[2] = l.split(weight)
	if bias != nil {
		biases[0], biases[1], biases[2] = l.split(bias)
	}
	return weights, biases
}
