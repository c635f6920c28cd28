package gru

import "github.com/govene/govene/interv"

// The components of a layer, in the order in which it computes them; [Model] has the equations. x2h and h2h stand for the
// projections of the cell's input and of its state, each of width 3d: the parts for the reset, the update and the new gate.
const (
	CellInput        interv.Component = "cell_input" // what this layer reads; a lower layer's state is not changed with it
	X2HOutput        interv.Component = "x2h_output"
	ResetX2HOutput   interv.Component = "reset_x2h_output"
	UpdateX2HOutput  interv.Component = "update_x2h_output"
	NewX2HOutput     interv.Component = "new_x2h_output"
	H2HOutput        interv.Component = "h2h_output"
	ResetH2HOutput   interv.Component = "reset_h2h_output"
	UpdateH2HOutput  interv.Component = "update_h2h_output"
	NewH2HOutput     interv.Component = "new_h2h_output"
	ResetGateInput   interv.Component = "reset_gate_input"
	ResetGateOutput  interv.Component = "reset_gate_output"
	UpdateGateInput  interv.Component = "update_gate_input"
	UpdateGateOutput interv.Component = "update_gate_output"
	NewGateInput     interv.Component = "new_gate_input"
	NewGateOutput    interv.Component = "new_gate_output"
	CellOutput       interv.Component = "cell_output" // the new state: next step's, the next layer's input
)

// Catalogue lists the sites of a classifier with this config: all components in every layer, each with time steps as its unit. A language
// model has the same ones.
func (c Config) Catalogue() interv.Catalogue { return c.catalogue(classifier) }

func (c Config) catalogue(h head) interv.Catalogue {
	catalogue := interv.Catalogue{Model: h.String()}
	for _, component := range []interv.Component{
		CellInput, X2HOutput, ResetX2HOutput, UpdateX2HOutput, NewX2HOutput, H2HOutput, ResetH2HOutput, UpdateH2HOutput, NewH2HOutput,
		ResetGateInput, ResetGateOutput, UpdateGateInput, UpdateGateOutput, NewGateInput, NewGateOutput, CellOutput,
	} {
		width := c.Width
		if component == X2HOutput || component == H2HOutput {
			width = 3 * c.Width
		}
		sites := interv.Sites{Component: component, Layers: c.Layers, Width: width, Units: []interv.Unit{interv.Step}}
		switch component {
		case CellInput, X2HOutput, ResetX2HOutput, UpdateX2HOutput, NewX2HOutput:
		default: // depends on the state
			sites.Stepwise = true
		}
		switch component {
		case ResetGateOutput:
			sites.Input = ResetGateInput
		case UpdateGateOutput:
			sites.Input = UpdateGateInput
		case NewGateOutput:
			sites.Input = NewGateInput
		case CellOutput:
			sites.Input = CellInput
		}
		catalogue.Sites = append(catalogue.Sites, sites)
	}
	return catalogue
}
