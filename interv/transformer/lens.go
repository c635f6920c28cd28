package transformer

import (
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/govene/govene/interv"
)

// Lens is the same model with another output, the logit lens: what it would say at every position, were a layer its last. The output is
// logits [batch, layers + 1, positions, vocabulary]: entry 0 reads the embeddings, entry l the residual stream after l blocks, each
// through the final norm and the head; the last is the model's own output. Interventions act as on the model.
//
// nostalgebraist, "interpreting GPT: the logit lens" (2020). A classifier has none: the Check of its lens refuses every input.
func (m *Model) Lens() interv.Model { return lens{m} }

type lens struct{ *Model }

// Check is the model's, of one with a language-model head.
func (l lens) Check(inputs interv.Inputs) (interv.Extent, error) {
	if l.config.classifier() {
		return interv.Extent{}, noVocabulary(l.Model)
	}
	return l.Model.Check(inputs)
}

func noVocabulary(m *Model) error {
	return &interv.Error{Where: m.config.name(), Axis: "head", Got: "a classifier", Wanted: "a language-model head, to read a stream as tokens"}
}

// Forward is the model's, with the head on every stream.
func (l lens) Forward(weights, inputs interv.Nodes, tap *interv.Tap) *Node {
	tap, written := recording(tap)
	r := l.newRun(weights, inputs, tap)
	last := r.logits(r.stream(inputs))
	streams := []*Node{written[interv.Site{Component: BlockInput}]}
	for layer := range l.config.Layers - 1 {
		streams = append(streams, written[interv.Site{Layer: layer, Component: BlockOutput}])
	}
	for i, stream := range streams {
		streams[i] = r.logits(r.final(stream))
	}
	return Stack(append(streams, last), 1)
}

// recording is a tap that announces to another and keeps what that makes of each activation.
func recording(tap *interv.Tap) (*interv.Tap, map[interv.Site]*Node) {
	written := map[interv.Site]*Node{}
	return interv.NewTap(func(_ *interv.Tap, a interv.Activation) *Node {
		written[a.Site] = tap.AtOffset(a.Site, a.Offset, a.Value)
		return written[a.Site]
	}), written
}
