// Package circuit finds out which part of a transformer does a task: it scores the edges between heads and MLPs by gradients, and measures how
// much of what the model does is left when all but some heads, or some edges, are ablated.
//
//	scores := circuit.MustAttribute(engine, model, circuit.Attribution{Base: clean, Source: corrupted, Measure: measure})
//	result := circuit.MustEvaluate(engine, model, circuit.Evaluation{Base: clean, Source: corrupted, Metric: measure.Metric,
//		Circuits: []circuit.Circuit{scores.Top(50), {Nodes: []circuit.Node{circuit.Embedding, circuit.Head(0, 1), circuit.Head(1, 3)}}}})
//	fmt.Println(result.Faithfulness(0), result.Faithfulness(1))
//
// # Nodes and edges
//
// Nodes that write into the residual stream are the embedding, every head and every MLP; nodes that read it are the queries of every head,
// the keys and values of every key and value head, every MLP's input, and the final norm, before the logits. There is an edge from each writer to
// each reader that comes after it. Elhage et al., "A Mathematical Framework for Transformer Circuits" (2021).
//
// With edges, a run holds a stream for each reader, and all that every writer adds to it: of GPT-2 small, with its 32,491 edges, about 0.7 GB for
// a pair of 32 tokens. So as many pairs are one batch as Memory allows.
package circuit

import (
	"fmt"
	"slices"

	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/transformer"
)

// Node is what writes into the residual stream (embedding, head_attention_value_output, mlp_output) or reads it (head_query_output,
// head_key_output, head_value_output, mlp_input, final_norm).
type Node struct {
	Layer     int
	Component interv.Component
	Head      int // a key and value head at keys and values; 0 where there are no heads
}

// Embedding writes the first of the stream, of tokens alone. Position embeddings, where a model adds them, and biases of the output projections
// of heads are no node's: they stay whatever is ablated.
var Embedding = Node{Component: transformer.Embedding}

// Head is the head of a layer.
func Head(layer, head int) Node {
	return Node{Layer: layer, Component: transformer.HeadAttentionValueOutput, Head: head}
}

// MLP is the MLP of a layer, or its mixture of experts.
func MLP(layer int) Node { return Node{Layer: layer, Component: transformer.MLPOutput} }

// names are what nodes are called, for short.
var names = map[interv.Component]string{transformer.Embedding: "embedding", transformer.HeadAttentionValueOutput: "head", transformer.MLPOutput: "mlp",
	transformer.HeadQueryOutput: "query", transformer.HeadKeyOutput: "key", transformer.HeadValueOutput: "value", transformer.MLPInput: "mlp", transformer.FinalNorm: "logits"}

// String is "head 2.3", "query 2.3" (layer and head), "mlp 2", "embedding" or "logits".
func (n Node) String() string {
	name, ok := names[n.Component]
	switch {
	case !ok:
		return fmt.Sprintf("layer %d %s, head %d", n.Layer, n.Component, n.Head)
	case n.Component == transformer.Embedding || n.Component == transformer.FinalNorm:
		return name
	case name == "mlp":
		return fmt.Sprintf("mlp %d", n.Layer)
	}
	return fmt.Sprintf("%s %d.%d", name, n.Layer, n.Head)
}

// Edge is from a node that writes to one that reads.
type Edge struct{ From, To Node }

// String is "head 0.1 → query 2.3".
func (e Edge) String() string { return fmt.Sprintf("%s → %s", e.From, e.To) }

// Circuit is a part of a model: some edges or, if Edges is nil, all edges from some nodes that write.
type Circuit struct {
	Nodes []Node
	Edges []Edge
}

// Nodes are all nodes of a model that write: the embedding and, layer by layer, its heads and its MLP. Any model but a [transformer.Model]
// is an error.
func Nodes(model interv.Model) ([]Node, error) {
	p, err := partsOf(model)
	if err != nil {
		return nil, interv.Within("circuit", err)
	}
	return p.writers, nil
}

// Edges are all edges of a model, by the node that reads. Any model but a [transformer.Model] is an error.
func Edges(model interv.Model) ([]Edge, error) {
	p, err := partsOf(model)
	if err != nil {
		return nil, interv.Within("circuit", err)
	}
	var edges []Edge
	for _, to := range p.readers {
		for _, from := range p.writers {
			if e := (Edge{from, to}); p.has(e) {
				edges = append(edges, e)
			}
		}
	}
	return edges, nil
}

// parts are the nodes of a model, in the order in which transformer.Edges has them.
type parts struct {
	writers, readers []Node
	parallel         bool
	layers, width    int // of the model and of its stream
}

func partsOf(model interv.Model) (*parts, error) {
	m, ok := model.(*transformer.Model)
	if !ok {
		return nil, &interv.Error{Axis: "model", Got: fmt.Sprintf("%T", model), Wanted: "a transformer"}
	}
	config := m.Config()
	p := &parts{writers: []Node{Embedding}, parallel: config.Parallel, layers: config.Layers, width: config.Width}
	for layer := range config.Layers {
		for head := range config.Attention.Heads {
			p.writers = append(p.writers, Head(layer, head))
			p.readers = append(p.readers, Node{layer, transformer.HeadQueryOutput, head})
		}
		for _, component := range []interv.Component{transformer.HeadKeyOutput, transformer.HeadValueOutput} {
			for head := range config.Attention.KeyValueHeads {
				p.readers = append(p.readers, Node{layer, component, head})
			}
		}
		p.writers = append(p.writers, MLP(layer))
		p.readers = append(p.readers, Node{Layer: layer, Component: transformer.MLPInput})
	}
	p.readers = append(p.readers, Node{Component: transformer.FinalNorm})
	return p, nil
}

// has tells whether what an edge's writer writes is there when its reader reads.
func (p *parts) has(e Edge) bool {
	switch from, to := e.From, e.To; {
	case to.Component == transformer.FinalNorm || from.Component == transformer.Embedding || from.Layer < to.Layer:
		return true
	default:
		return from.Layer == to.Layer && from.Component == transformer.HeadAttentionValueOutput && to.Component == transformer.MLPInput && !p.parallel
	}
}

// check refuses nodes and edges that the model has not.
func (p *parts) check(c Circuit) error {
	if c.Edges != nil && c.Nodes != nil {
		return &interv.Error{Got: "nodes and edges", Wanted: "one of the two"}
	}
	for i, n := range c.Nodes {
		if !slices.Contains(p.writers, n) {
			return &interv.Error{Axis: fmt.Sprintf("node %d", i), Got: n.String(), Wanted: p.list(p.writers)}
		}
	}
	for i, e := range c.Edges {
		axis := fmt.Sprintf("edge %d", i)
		switch {
		case !slices.Contains(p.writers, e.From):
			return &interv.Error{Axis: axis, Got: fmt.Sprintf("from %s", e.From), Wanted: "from " + p.list(p.writers)}
		case !slices.Contains(p.readers, e.To):
			return &interv.Error{Axis: axis, Got: fmt.Sprintf("to %s", e.To), Wanted: "to " + p.list(p.readers)}
		case !p.has(e):
			return &interv.Error{Axis: axis, Got: e.String(), Wanted: "a reader that comes after the writer"}
		}
	}
	return nil
}

// list names the first and the last of each kind, for messages: "embedding, head 0.0 to head 1.3 or mlp 0 to mlp 1".
func (p *parts) list(nodes []Node) (text string) {
	var kinds []interv.Component
	first, last := map[interv.Component]Node{}, map[interv.Component]Node{}
	for _, n := range nodes {
		if _, ok := first[n.Component]; !ok {
			kinds, first[n.Component] = append(kinds, n.Component), n
		}
		last[n.Component] = n
	}
	for i, kind := range kinds {
		switch {
		case i > 0 && i == len(kinds)-1:
			text += " or "
		case i > 0:
			text += ", "
		}
		text += first[kind].String()
		if last[kind] != first[kind] {
			text += " to " + last[kind].String()
		}
	}
	return text
}
