package interv

import . "github.com/gomlx/gomlx/core/graph"

// Model is a network whose activations can be intervened on.
type Model interface {
	// Catalogue lists the model's sites.
	Catalogue() Catalogue

	// Weights are the model's tensors.
	Weights() *Weights

	// Check validates the inputs of one run, and tells its extent.
	Check(inputs Inputs) (Extent, error)

	// Forward adds one run to a graph and returns the model's output, [batch, …]. It announces every activation of the
	// catalogue to tap, once for each position, and reads nothing but its arguments: so the same function makes clean,
	// collecting and intervened runs. A nil tap makes a clean one.
	Forward(weights, inputs Nodes, tap *Tap) *Node
}
