package circuit

import (
	"maps"
	"slices"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/transformer"
)

// ablated is a transformer whose nodes write what they are told to where they are not inside a circuit.
type ablated struct {
	*transformer.Model
	*parts
}

const (
	insideInput = "inside" // [pair, writer]: 1 for what is inside
	outside     = "outside "
)

// with are inputs with the nodes inside and what those outside write.
func (m ablated) with(inputs interv.Inputs, inside *tensors.Tensor, written activations) interv.Inputs {
	all := maps.Clone(inputs)
	all[insideInput] = inside
	for site, t := range written {
		all[outside+site.String()] = t
	}
	return all
}

// Check is the model's.
func (m ablated) Check(inputs interv.Inputs) (interv.Extent, error) {
	own := maps.Clone(inputs)
	delete(own, insideInput)
	for _, site := range m.sites() {
		delete(own, outside+site.String())
	}
	return m.Model.Check(own)
}

// Forward runs the model with what it is told.
func (m ablated) Forward(weights, inputs interv.Nodes, tap *interv.Tap) *graph.Node {
	first := map[interv.Site]int{} // of a site's writers
	for i := len(m.writers) - 1; i >= 0; i-- {
		first[interv.Site{Layer: m.writers[i].Layer, Component: m.writers[i].Component}] = i
	}
	return m.Model.Forward(weights, inputs, interv.NewTap(func(_ *interv.Tap, a interv.Activation) *graph.Node {
		x := a.Value
		if at, ok := first[a.Site]; ok {
			count := 1
			if x.Rank() == 4 {
				count = x.Shape().Dim(1)
			}
			inside := graph.SliceAxis(inputs[insideInput], 1, graph.AxisRange(at, at+count))
			inside = graph.Reshape(inside, append([]int{x.Shape().Dim(0), count}, slices.Repeat([]int{1}, x.Rank()-2)...)...)
			is := graph.BroadcastToDims(graph.GreaterThan(inside, graph.ScalarZero(x.Graph(), inside.DType())), x.Shape().Dimensions...)
			x = graph.Where(is, x, graph.ConvertDType(inputs[outside+a.Site.String()], x.DType()))
		}
		return tap.AtOffset(a.Site, a.Offset, x)
	}))
}
