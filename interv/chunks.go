package interv

import (
	"slices"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// Further inputs of chunks, by name.
const (
	offset      = "offset"
	statePrefix = "state " // before the names of the state's tensors
)

// chunks is a Decoder as a Model whose inputs may be a chunk with the state before it, known by the offset, as well as a whole sequence.
type chunks struct{ Decoder }

var _ stateful = chunks{}

// inChunks is the same interventions on chunks, with the parameters of now and the programs of earlier generations.
func (iv *Intervenable) inChunks(decoder Decoder) *Intervenable {
	iv.mu.Lock()
	defer iv.mu.Unlock()
	if iv.chunked == nil {
		iv.chunked = newIntervenable(iv.backend, chunks{decoder}, iv.config, iv.plan, iv.declared)
	}
	iv.chunked.setValues(iv.parameters)
	return iv.chunked
}

// Check trusts a chunk, which is the generation's own, and has the decoder check a sequence.
func (c chunks) Check(inputs Inputs) (Extent, error) {
	if inputs[offset] == nil {
		return c.Decoder.Check(inputs)
	}
	ids, mask := inputs[InputIDs].Shape(), inputs[AttentionMask]
	extent := Extent{Batch: ids.Dim(0), Positions: ids.Dim(1), Starts: make([]int, ids.Dim(0))}
	if columns := mask.Shape().Dim(1); extent.Positions > 1 {
		tensors.MustConstFlatData(mask, func(flat []int32) {
			for example := range extent.Starts {
				extent.Starts[example] = slices.Index(flat[example*columns:(example+1)*columns], 1)
			}
		})
	}
	return extent, nil
}

// forwardState continues from the state among the inputs, or runs a whole sequence.
func (c chunks) forwardState(weights, inputs Nodes, tap *Tap) (output *Node, next Nodes) {
	if inputs[offset] == nil {
		return c.Decoder.Forward(weights, inputs, tap), nil
	}
	chunk, state := Nodes{}, Nodes{}
	for name, node := range inputs {
		if plain, ok := strings.CutPrefix(name, statePrefix); ok {
			state[plain] = node
		} else {
			chunk[name] = node
		}
	}
	return c.Continue(weights, chunk, state, tap)
}

// nextState is the task that returns the state after the chunk, in the order of names.
type nextState struct{}

func (nextState) key() string { return "chunk " }

func (nextState) build(b *builder, _ Outcome) []*Node {
	var nodes []*Node
	for _, name := range sortedKeys(b.state) {
		nodes = append(nodes, b.state[name])
	}
	return nodes
}
