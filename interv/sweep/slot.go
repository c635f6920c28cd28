package sweep

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/interv"
)

// slot is an intervention on a component: in any number of layers, places and cells.
type slot struct {
	role
	component     interv.Component
	sites         interv.Sites
	intervention  interv.Intervention
	parameters    map[string]*tensors.Tensor
	from          From                             // empty if it reads no run
	tables        map[int]*tensors.Tensor          // what it reads in place of a run, for each layer [rows, width]; nil if it reads a run, or nothing
	row           func(c Cell, head, unit int) int // the row of a table for a unit; nil without tables
	readComponent interv.Component                 // where it reads a run
	features      int                              // of the intervention; 0 if it has no subspaces
}

// role tells the cell's own intervention from the corruption.
type role int

const (
	corrupting role = iota
	trying
)

// slot finds or makes the slot of a role on a site's component.
func (j *job) slot(r role, site interv.Site, sites interv.Sites, intervention interv.Intervention, from From) (*slot, error) {
	for _, s := range j.slots {
		if s.component == site.Component && s.role == r {
			return s, nil
		}
	}
	s := &slot{role: r, component: site.Component, sites: sites, intervention: intervention, readComponent: site.Component}
	if err := s.setParameters(j, site.Layer); err != nil {
		return nil, err
	}
	if subspaced, ok := intervention.(interv.Subspaced); ok && sites.Width > 0 {
		s.features = subspaced.Features(sites.Width)
	}
	if _, ok := intervention.(interv.InputReader); ok {
		s.readComponent = sites.Input
	}
	if err := s.setFrom(j, from); err != nil {
		return nil, err
	}
	j.slots = append(j.slots, s)
	return s, nil
}

// setParameters gives the slot's intervention its parameters, and checks it as a config's would be in a layer that has the component.
func (s *slot) setParameters(j *job, layer int) error {
	if _, collects := s.intervention.(interv.Collect); collects {
		return &interv.Error{Axis: "intervention", Got: s.intervention.Name(), Wanted: "one that changes something"}
	}
	iv, err := interv.New(j.backend, j.model, interv.Config{Seed: j.Seed, Representations: []interv.Representation{{Layer: layer, Component: s.component, Intervention: s.intervention}}})
	if err != nil {
		return err
	}
	if s.role == trying && j.Parameters != nil {
		if err := iv.SetParametersOf(0, j.Parameters); err != nil {
			return err
		}
	}
	s.parameters = map[string]*tensors.Tensor{}
	for name, value := range iv.Parameters() {
		s.parameters[strings.TrimPrefix(name, "0.")] = value
	}
	return nil
}

// setFrom settles what the slot's intervention reads.
func (s *slot) setFrom(j *job, from From) error {
	_, sourceless := s.intervention.(interv.Sourceless)
	_, draws := s.intervention.(interv.Drawer)
	directed := s.role == trying && j.Directions != nil
	given := map[int]*tensors.Tensor{}
	switch {
	case sourceless && s.role == trying && (directed || j.From != ""):
		return &interv.Error{Axis: "intervention", Got: s.intervention.Name() + ", which reads nothing", Wanted: "one that reads directions, or what From says"}
	case directed && j.From != "":
		return &interv.Error{Axis: "from", Got: fmt.Sprintf("%q as well as directions", j.From), Wanted: "one of the two"}
	case sourceless:
	case directed:
		s.tables, s.row = given, func(c Cell, _, _ int) int { return slices.Index(j.vectors, vector{c.Direction, c.Scale}) }
	case draws:
		s.tables, s.row = given, func(_ Cell, _, unit int) int { return unit }
	case from == FromMean:
		s.tables, s.from, s.row = given, from, func(_ Cell, head, _ int) int { return head }
	case from == "" || from == FromSource && !j.hasSources:
		return &interv.Error{Axis: "source", Got: "none", Wanted: "one: " + s.intervention.Name() + " reads a source"}
	case from != FromSource && from != FromBase && from != FromOther:
		return interv.UnknownName("", "from", from, []From{FromSource, FromBase, FromMean, FromOther})
	default:
		s.from = from
	}
	return nil
}
