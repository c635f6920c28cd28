package mlp

import "github.com/govene/govene/interv"

// The components of a layer, in the order in which it computes them; [Model] has the equations.
const (
	BlockInput       interv.Component = "block_input"
	MLPPreactivation interv.Component = "mlp_preactivation" // what the activation function reads; pyvene has no name for it
	MLPActivation    interv.Component = "mlp_activation"
	BlockOutput      interv.Component = "block_output" // equal to MLPActivation, unless edited: the next layer's input
)

// Catalogue lists the sites of a model with this config: all components in every layer, [batch, positions, d]. Without layers there are none.
func (c Config) Catalogue() interv.Catalogue {
	catalogue := interv.Catalogue{Model: "mlp classifier"}
	if c.Layers == 0 {
		return catalogue
	}
	for _, module := range []struct{ component, input interv.Component }{
		{BlockInput, ""}, {MLPPreactivation, ""}, {MLPActivation, MLPPreactivation}, {BlockOutput, BlockInput},
	} {
		catalogue.Sites = append(catalogue.Sites, interv.Sites{Component: module.component, Layers: c.Layers, Width: c.Width,
			Units: []interv.Unit{interv.Position}, Input: module.input})
	}
	return catalogue
}
