package transformer

import (
	. "github.com/gomlx/gomlx/core/graph"

	"github.com/govene/govene/interv"
)

// AttentionScores is the same model with another output: what the softmax of attention is taken of, scaled, capped, and −1e30 where a position
// does not see another. The output is [batch, layers, heads, query position, key position]; in families with sinks the last axis has one more
// entry, a head's sink, which takes its share of the probability and is not a position. Interventions act as on the model.
func (m *Model) AttentionScores() interv.Model { return attentionScores{m} }

type attentionScores struct{ *Model }

// Forward runs the model and keeps the scores.
func (m attentionScores) Forward(weights, inputs interv.Nodes, tap *interv.Tap) *Node {
	r := m.newRun(weights, inputs, tap)
	r.stream(inputs)
	for i, scores := range r.scores {
		r.scores[i] = r.rows(scores)
	}
	return Stack(r.scores, 1)
}
