package interv

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Component names a kind of activation in a model, such as "mlp_output" or "cell_output". Models declare theirs as constants.
type Component string

// Site is one place in a model: a component of a layer. Layers count from 0.
type Site struct {
	Layer     int
	Component Component
}

// String is "layer 3 mlp_output".
func (s Site) String() string { return fmt.Sprintf("layer %d %s", s.Layer, s.Component) }

// Unit is what a location counts at a site.
type Unit string

// The units that locations count in.
const (
	Position     Unit = "pos"   // positions of a sequence
	Head         Unit = "h"     // attention heads, at all positions
	HeadPosition Unit = "h.pos" // heads × positions
	Step         Unit = "t"     // time steps of a recurrent model
)

// Sites describes the sites of one component, one in each of its layers. The activation at such a site is
// [batch, positions, width], or [batch, heads, positions, width] where Heads is not 0.
type Sites struct {
	Component Component
	Layers    int       // the component exists in layers 0 to Layers-1
	Only      []int     // or, of these, only in those listed, ascending; nil for all
	Width     int       // size of the last axis; 0 if it varies with the run, as that of attention weights
	Heads     int       // size of the axis of heads, or of whatever else comes in kinds, such as experts; 0 for none
	Units     []Unit    // the units a location may count in; the first is the default
	Stepwise  bool      // computed and announced one position at a time, as in a recurrent cell
	Input     Component // what the module whose output this is has as its input, of the same width; empty if it is no module's
}

// Catalogue lists every site of a model, in the order in which a layer computes them. It is made without weights and without a
// graph, so that a config can be checked before anything is loaded.
type Catalogue struct {
	Model string // what messages call the model: "gru classifier"
	Sites []Sites
}

// Find returns the description of a site, or an error that names the nearest component or the layers that there are.
func (c Catalogue) Find(site Site) (Sites, error) {
	i := slices.IndexFunc(c.Sites, func(s Sites) bool { return s.Component == site.Component })
	if i < 0 {
		components := make([]Component, len(c.Sites))
		for j, s := range c.Sites {
			components[j] = s.Component
		}
		return Sites{}, UnknownName(c.Model, "component", site.Component, components)
	}
	if found := c.Sites[i]; found.in(site.Layer) {
		return found, nil
	}
	return Sites{}, &Error{Where: c.Model, Axis: "layer of " + string(site.Component), Got: fmt.Sprint(site.Layer), Wanted: c.Sites[i].layers()}
}

// in tells whether a layer has the component.
func (s Sites) in(layer int) bool {
	return layer >= 0 && layer < s.Layers && (s.Only == nil || slices.Contains(s.Only, layer))
}

// layers lists the layers that have the component, for messages: "0 to 11", "1, 3 or 5".
func (s Sites) layers() string {
	if s.Only == nil {
		return fmt.Sprintf("0 to %d", s.Layers-1)
	}
	var text strings.Builder
	for i, layer := range s.Only {
		switch {
		case i > 0 && i == len(s.Only)-1:
			text.WriteString(" or ")
		case i > 0:
			text.WriteString(", ")
		}
		text.WriteString(strconv.Itoa(layer))
	}
	return text.String()
}

// Of lists the sites of some components, layer by layer. An unknown component has none; see [Catalogue.Find].
func (c Catalogue) Of(components ...Component) []Site {
	return slices.DeleteFunc(c.All(), func(site Site) bool { return !slices.Contains(components, site.Component) })
}

// All lists every site, layer by layer.
func (c Catalogue) All() []Site {
	var all []Site
	layers := 0
	for _, s := range c.Sites {
		layers = max(layers, s.Layers)
	}
	for layer := range layers {
		for _, s := range c.Sites {
			if s.in(layer) {
				all = append(all, Site{layer, s.Component})
			}
		}
	}
	return all
}
