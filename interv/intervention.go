package interv

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// Nodes are the nodes of one graph by name: a model's weights, a run's inputs, an intervention's parameters.
type Nodes map[string]*Node

// Values is what an intervention computes with, inside a graph.
type Values struct {
	// Base is the activation to be replaced and Source the one to take from, both [batch, …, width]; Source is nil for a
	// [Sourceless] intervention. Where the base is not located, Source is arbitrary and the result is not used. The width of an
	// intervention with parameters is that of all the units that it takes together (Representation.MaxUnits). They have the model's
	// element type; those of an intervention with parameters have its, float32 where the model computes in fewer bits.
	Base, Source *Node

	// Selected is 1 for the features in the call's subspace and 0 for others, broadcast to the rank of Base: [batch, 1, …,
	// features]. It is nil when the call selects no subspace, which means all features.
	Selected *Node

	// Parameters holds the intervention's parameters by name.
	Parameters Nodes
}

// Intervention computes what replaces an activation. Name is the name that configs and saved files know it by; Apply adds the
// computation to the graph and returns a node of the shape of Base.
//
// That is all that an intervention needs. One that owns tensors is also [Parameterized], one that takes subspaces [Subspaced], one that
// reads no source [Sourceless], one that reads a module's input [InputReader], and one that makes its own source [Drawer]. Where the
// value itself is an intervention, a config takes no pointer to it.
type Intervention interface {
	Name() string
	Apply(v Values) *Node
}

// Parameterized is an intervention that owns tensors. Parameters makes them for a site of the given width, with their initial
// values drawn from random.
type Parameterized interface {
	Intervention
	Parameters(width int, random *rand.Rand) ([]Owned, error)
}

// Subspaced is an intervention that can act on some of its features only. Features is how many there are to select from at a
// site of the given width: dimensions of the activation, columns of a rotation.
type Subspaced interface {
	Intervention
	Features(width int) int
}

// Sourceless is an intervention that reads no source: zero, collect.
type Sourceless interface {
	Intervention
	Sourceless()
}

// InputReader is an intervention whose source is not the site's own activation but, in the source run, the input of the module whose
// output that is.
type InputReader interface {
	Intervention
	ReadsInput()
}

// Drawer is an intervention that makes its own source where a call gives it none: activations [units, width], the same for every
// example. It draws the same numbers each time.
type Drawer interface {
	Intervention
	Draw(units, width int) *tensors.Tensor
}

// Owned is a tensor that an intervention owns: one of its parameters.
type Owned struct {
	Name  string
	Kind  Kind
	Value *tensors.Tensor
}

// Kind says how a parameter may change in training.
type Kind int

// The kinds of parameters.
const (
	Free        Kind = iota // any finite value
	Orthonormal             // a matrix [d, r] with orthonormal columns: RᵀR = I
	Fixed                   // not trained
)

// String names the kind.
func (k Kind) String() string {
	if k < Free || k > Fixed {
		return fmt.Sprintf("kind %d", int(k))
	}
	return [...]string{"free", "orthonormal", "fixed"}[k]
}

// registry holds the interventions that a config in JSON can name.
var registry = map[string]reflect.Type{}

// Register makes a type of intervention known to configs in JSON and to saved files, under the prototype's name. The type is a
// struct whose exported fields are its settings. To be called from an init function of the package that declares the type; a
// name that is taken panics.
func Register(prototype Intervention) {
	name := prototype.Name()
	if _, taken := registry[name]; taken {
		panic("interv.Register: intervention " + name + " is already registered")
	}
	registry[name] = reflect.TypeOf(prototype)
}

// blend returns to where selected is 1 and from elsewhere; to for all when nothing is selected in particular.
func blend(selected, from, to *Node) *Node {
	if selected == nil {
		return to
	}
	chosen := GreaterThan(selected, ScalarZero(selected.Graph(), selected.DType()))
	return Where(BroadcastToDims(chosen, from.Shape().Dimensions...), to, from)
}

// project multiplies the last axis of x by matrix: [batch, …, d] × [d, r] → [batch, …, r].
func project(x, matrix *Node) *Node { return productOfRows(x, matrix, 0) }

// unproject multiplies the last axis of z by the transpose of matrix: [batch, …, r] × [d, r]ᵀ → [batch, …, d].
func unproject(z, matrix *Node) *Node { return productOfRows(z, matrix, 1) }

// productOfRows contracts the last axis of x with an axis of a matrix. It is a product of two matrices, as is then its gradient: with more
// axes that takes a quarter longer.
func productOfRows(x, matrix *Node, axis int) *Node {
	dimensions := slices.Clone(x.Shape().Dimensions)
	dimensions[len(dimensions)-1] = matrix.Shape().Dim(1 - axis)
	return Reshape(product(rowsOf(x), []int{-1}, matrix, []int{axis}), dimensions...)
}
