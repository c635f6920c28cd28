package transformer

import (
	"slices"

	"github.com/govene/govene/interv"
)

// The components of a layer, in the order in which it computes them; [Model] has the equations. Where a value enters a module, editing
// it changes what that module reads and nothing else, except that BlockInput is the whole block's, residual path included.
//
// EachExpertOutput is what every expert of a mixture computes for every token, before it is weighted by its share: [batch, experts,
// positions, d], with experts in the place of heads (units h and h.pos; [interv.Location] lists experts as heads). Editing it replaces what
// the experts give; that of an expert whose share is 0 changes nothing. Layers without a mixture have MLPActivation in the place of the
// router's and experts' components.
const (
	Embedding interv.Component = "embedding" // of the tokens, scaled, before position embeddings are added; at layer 0

	BlockInput               interv.Component = "block_input"
	AttentionInput           interv.Component = "attention_input"             // what the query, key and value projections read
	QueryOutput              interv.Component = "query_output"                // of the projection, before norm and rotation
	HeadQueryOutput          interv.Component = "head_query_output"           // the same, by heads
	KeyOutput                interv.Component = "key_output"                  // of the projection, before norm and rotation
	HeadKeyOutput            interv.Component = "head_key_output"             // the same, by key and value heads
	ValueOutput              interv.Component = "value_output"                // of the projection
	HeadValueOutput          interv.Component = "head_value_output"           // the same, by key and value heads
	AttentionWeight          interv.Component = "attention_weight"            // probabilities: [batch, heads, query position, key position]
	HeadAttentionValueOutput interv.Component = "head_attention_value_output" // the mixed values, by heads
	AttentionValueOutput     interv.Component = "attention_value_output"      // the same side by side: what the output projection reads
	AttentionOutput          interv.Component = "attention_output"            // of the output projection, before any norm after it
	ResidualMiddle           interv.Component = "residual_middle"             // block input plus attention; not in parallel blocks
	MLPInput                 interv.Component = "mlp_input"
	MLPActivation            interv.Component = "mlp_activation" // output of the activation function, before the product with up
	RouterInput              interv.Component = "router_input"
	RouterScores             interv.Component = "router_scores" // of each expert: [batch, positions, experts]; the highest count
	RouterOutput             interv.Component = "router_output" // share of each expert in the output, 0 for those that do not count
	ExpertInput              interv.Component = "expert_input"  // of all experts
	EachExpertOutput         interv.Component = "each_expert_output"
	ExpertOutput             interv.Component = "expert_output" // the mixture of all experts' outputs
	MLPOutput                interv.Component = "mlp_output"    // before any norm after it
	BlockOutput              interv.Component = "block_output"

	FinalNorm interv.Component = "final_norm" // what the head reads; at layer 0
)

// Catalogue lists the sites of a model with this config.
func (c Config) Catalogue() interv.Catalogue {
	a, d := c.Attention, c.Width
	catalogue := interv.Catalogue{Model: c.name()}
	add := func(component interv.Component, width int, input interv.Component) {
		catalogue.Sites = append(catalogue.Sites, interv.Sites{Component: component, Layers: c.Layers, Width: width,
			Units: []interv.Unit{interv.Position}, Input: input})
	}
	addHeads := func(component interv.Component, heads, width int) {
		catalogue.Sites = append(catalogue.Sites, interv.Sites{Component: component, Layers: c.Layers, Width: width, Heads: heads,
			Units: []interv.Unit{interv.Head, interv.HeadPosition}})
	}
	// once makes the component added last one of the model, not of each layer.
	once := func() { catalogue.Sites[len(catalogue.Sites)-1].Layers = 1 }

	add(Embedding, d, "")
	once()
	add(BlockInput, d, "")
	add(AttentionInput, d, "")
	add(QueryOutput, a.Heads*a.HeadWidth, "")
	addHeads(HeadQueryOutput, a.Heads, a.HeadWidth)
	add(KeyOutput, a.KeyValueHeads*a.HeadWidth, "")
	addHeads(HeadKeyOutput, a.KeyValueHeads, a.HeadWidth)
	add(ValueOutput, a.KeyValueHeads*a.HeadWidth, "")
	addHeads(HeadValueOutput, a.KeyValueHeads, a.HeadWidth)
	addHeads(AttentionWeight, a.Heads, 0)
	addHeads(HeadAttentionValueOutput, a.Heads, a.HeadWidth)
	add(AttentionValueOutput, a.Heads*a.HeadWidth, "")
	add(AttentionOutput, d, AttentionInput)
	if !c.Parallel {
		add(ResidualMiddle, d, "")
	}
	add(MLPInput, d, "")
	mixture, dense := c.Mixture, c.Mixture.Dense
	from := len(catalogue.Sites)
	if len(dense) > 0 || mixture.Experts == 0 {
		add(MLPActivation, c.MLP.Width, "")
		catalogue.Sites[from].Only = slices.Clone(dense)
	}
	if from = len(catalogue.Sites); mixture.Experts > 0 && len(dense) < c.Layers {
		add(RouterInput, d, "")
		add(RouterScores, mixture.Experts, "")
		add(RouterOutput, mixture.Experts, "")
		add(ExpertInput, d, "")
		addHeads(EachExpertOutput, mixture.Experts, d)
		add(ExpertOutput, d, ExpertInput)
	}
	if len(dense) > 0 {
		mixed := c.mixing()
		for i := range catalogue.Sites[from:] {
			catalogue.Sites[from+i].Only = mixed
		}
	}
	add(MLPOutput, d, MLPInput)
	add(BlockOutput, d, BlockInput)
	add(FinalNorm, d, "")
	once()
	return catalogue
}
