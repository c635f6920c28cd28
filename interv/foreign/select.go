package foreign

import (
	"fmt"
	"slices"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"
)

// Selector finds a site in the graph of a run. It must find the same in every run, whatever its extent. None or several places are an
// error that names the site.
type Selector func(run *Run, want Want) []Place

// Want is what a selector is to find.
type Want struct {
	Layer int
	Dims  []int // the node's shape
}

// Place is where an activation is in a graph: a node and, of the nodes that read it, those that an edit reaches; nil for all.
type Place struct {
	Node    *Node
	Readers []*Node
}

// Places are nodes as places whose edits reach all readers.
func Places(nodes ...*Node) []Place {
	var places []Place
	for _, n := range nodes {
		if n != nil {
			places = append(places, Place{Node: n})
		}
	}
	return places
}

// Alias finds the node to which the model gave an alias ([Node.WithAlias]), relative to the alias scope in which the model was built.
// A verb in it stands for the layer: "layer_%d/mlp".
func Alias(alias string) Selector {
	return func(run *Run, want Want) []Place { return Places(run.Alias(numbered(alias, want.Layer))) }
}

// numbered puts the layer into a name that has a verb for it.
func numbered(name string, layer int) string {
	if strings.Contains(name, "%") {
		return fmt.Sprintf(name, layer)
	}
	return name
}

// Nth finds, of the nodes of one type and of the site's shape, number first + layer·step, counted from 0 in the graph's order. Types and
// numbers of nodes differ between backends, since some have fused operations: an alias or [Module] is safer where there is one.
func Nth(kind NodeType, first, step int) Selector {
	return func(run *Run, want Want) []Place {
		number := first + want.Layer*step
		for _, n := range run.Nodes() {
			if n.Type() == kind && want.fits(n) {
				if number == 0 {
					return Places(n)
				}
				number--
			}
		}
		return nil
	}
}

func (w Want) fits(n *Node) bool {
	return n.NumOutputs() == 1 && slices.Equal(n.Shape().Dimensions, w.Dims)
}

// Module finds the output of the module whose weights are those below a path: "/layer_%d/mlp", where a verb stands for the layer. It is
// the first node that depends on an input of the run and on each of these weights, reshaped to the site's shape if the model does so.
func Module(path string) Selector {
	return func(run *Run, want Want) []Place {
		output := run.module(numbered(path, want.Layer))
		if output == nil {
			return nil
		}
		for !want.fits(output) {
			readers := run.Readers(output)
			if len(readers) != 1 || readers[0].Type() != NodeTypeReshape {
				break
			}
			output = readers[0]
		}
		return Places(output)
	}
}

// weightsBelow are the weights below a path.
func (r *Run) weightsBelow(path string) (weights []*Node) {
	for name, weight := range r.Weights {
		if name == path || strings.HasPrefix(name, strings.TrimSuffix(path, "/")+"/") {
			weights = append(weights, weight)
		}
	}
	return weights
}

// module is the first node that depends on an input and on every weight below path; nil if there is none.
func (r *Run) module(path string) *Node {
	weights := r.weightsBelow(path)
	if len(weights) == 0 {
		return nil
	}
	sets := make([]nodeSet, len(weights))
	for i, weight := range weights {
		sets[i] = r.downstream(weight)
	}
	for _, n := range r.live {
		if r.fed.has(n) && !slices.ContainsFunc(sets, func(s nodeSet) bool { return !s.has(n) }) {
			return n
		}
	}
	return nil
}

// Reads finds what modules read: the node to which the weights below the paths are first applied. An edit of it reaches these modules
// and nothing else, whatever else reads the node, such as a residual path. It is made for modules that begin with a product of their
// input and weights, as dense layers do: a norm has done half its work before it meets a weight.
func Reads(paths ...string) Selector {
	return func(run *Run, want Want) []Place {
		readers := map[*Node][]*Node{}
		for _, path := range paths {
			run.entries(numbered(path, want.Layer), want, readers)
		}
		var places []Place
		for _, n := range run.all {
			if readers[n] != nil {
				places = append(places, Place{n, readers[n]})
			}
		}
		return places
	}
}

// entries adds to readers, for each node that enters the module below path, the nodes that take it in. They include nodes that the output
// does not depend on, namely those through which fused operations are differentiated.
func (r *Run) entries(path string, want Want, readers map[*Node][]*Node) {
	output := r.module(path)
	if output == nil {
		return
	}
	inside := r.downstream(r.weightsBelow(path)...)
	for _, reader := range r.all {
		if reader.Id() > output.Id() || !inside.has(reader) || !r.fed.has(reader) {
			continue
		}
		for _, n := range reader.Inputs() {
			if !r.fed.has(n) || inside.has(n) {
				continue
			}
			reader := reader
			for n.Type() == NodeTypeReshape && !want.fits(n) {
				reader, n = n, n.Inputs()[0]
			}
			if !slices.Contains(readers[n], reader) {
				readers[n] = append(readers[n], reader)
			}
		}
	}
}

// Then finds the node that reads what another selector finds, such as the sum of a module's output and the residual path.
func Then(selector Selector) Selector {
	return func(run *Run, want Want) []Place {
		var nodes []*Node
		for _, place := range selector(run, want) {
			nodes = append(nodes, run.Readers(place.Node)...)
		}
		return Places(nodes...)
	}
}
