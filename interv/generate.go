package interv

import (
	"context"

	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/must"
)

// Decoder is a language model that can go on where an earlier chunk of a sequence ended.
type Decoder interface {
	Model

	// State describes what one chunk hands to the next, by name: keys and values for a capacity of so many columns.
	State(batch, capacity int) map[string]shapes.Shape

	// Continue adds a chunk of a run to a graph. Its inputs are input_ids [batch, chunk]; attention_mask [batch, capacity], 1 for the
	// columns that hold tokens, those of the chunk included; and offset, the int32 column of the chunk's first token. It returns the
	// logits of the chunk's last token, [batch, vocabulary], and the next state.
	Continue(weights, inputs, state Nodes, tap *Tap) (logits *Node, next Nodes)
}

// Lengths is a [Decoder] that cannot go on from every length to every other.
type Lengths interface {
	// CheckLengths refuses a generation that has processed some tokens of an example with its prompt, and more when it ends.
	CheckLengths(prompt, end int) error
}

// Generation says how tokens are generated, and when interventions act.
//
// The prompt is processed at once: there a call's Locations act, as in Run, and what they change stays in the keys and values that later
// tokens see. Then each new token but the last is processed by itself; at these steps the representations act that Steps names, on that
// one token (at the heads of its location, if it has one).
type Generation struct {
	// NewTokens is how many tokens are generated at most.
	NewTokens int

	// Steps tells whether a representation acts when the new token of a step, counting from 0, is processed; nil for never. There it
	// reads the call's Activations or, if it reads a source, what that has at the last position of each example's source location.
	Steps func(step, representation int) bool

	// Temperature divides the logits before a token is drawn; 0 takes the likeliest. TopK keeps the K likeliest (0: all), TopP the
	// fewest that have the probability P together (0: all). The same Seed draws the same tokens.
	Temperature, TopP float64
	TopK              int
	Seed              uint64

	// Stop ends an example with the first of these tokens, after which it is filled up with that token; when all examples have ended,
	// generation does.
	Stop []int

	// Logits asks for the logits from which each token was chosen.
	Logits bool

	// OnToken, if not nil, is told each step's new tokens, one an example, as soon as they are known.
	OnToken func(step int, tokens []int)
}

// EveryStep is a Generation's Steps for all representations at every step.
func EveryStep(int, int) bool { return true }

// Generated is what a generation returns.
type Generated struct {
	Tokens    *tensors.Tensor // [batch, prompt + new] int32, the prompt as it was given
	New       [][]int         // [example][step]
	Logits    *tensors.Tensor // [batch, new, vocabulary], if asked for
	Metrics   []Measured      // what the call's metrics say of the logits from which each token was chosen, [batch, new, …]
	Collected [][]Collected   // what each Collect returned for the prompt, and then for each step
}

// Generate generates tokens after the prompts of call.Base, input_ids [batch, positions] with attention_mask where prompts differ in
// length, padded on either side. The call's Sources, Locations, Subspaces and Activations act on the prompt; its Metrics, which
// name no positions, measure every new token. It ends early when the context does.
func (iv *Intervenable) Generate(ctx context.Context, call Call, how Generation) (*Generated, error) {
	g, err := iv.newGeneration(call, how)
	if err != nil {
		return nil, err
	}
	result, err := g.start()
	for step := 0; err == nil; step++ {
		tokens := g.choose(result.Output)
		if g.take(step, tokens) {
			return g.result(), nil
		}
		if err = ctx.Err(); err == nil {
			result, err = g.process(step, tokens)
		}
	}
	return nil, err
}

// MustGenerate is Generate, without a context, that panics on an error.
func (iv *Intervenable) MustGenerate(call Call, how Generation) *Generated {
	return must.Of(iv.Generate(context.Background(), call, how))
}
