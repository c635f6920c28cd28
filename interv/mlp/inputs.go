package mlp

import "github.com/govene/govene/interv"

// Check validates the inputs of one run: inputs_embeds [batch, 1, d] of the weights' type; with KeepPositions [batch, positions, d].
func (m *Model) Check(inputs interv.Inputs) (interv.Extent, error) {
	if err := inputs.Only(interv.InputsEmbeds); err != nil {
		return interv.Extent{}, err
	}
	positions := 1
	if m.config.KeepPositions {
		positions = interv.Any
	}
	x, err := inputs.Require(interv.InputsEmbeds, m.weights.DType(), interv.Any, positions, m.config.Width)
	if err != nil {
		return interv.Extent{}, err
	}
	return interv.Extent{Batch: x.Shape().Dim(0), Positions: x.Shape().Dim(1)}, nil
}
