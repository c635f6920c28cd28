package foreign

import (
	"fmt"
	"slices"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/govene/govene/interv"
)

// located is a site that was found in a run.
type located struct {
	Place
	site  interv.Site
	sites *Sites
	step  int // at stepwise sites
}

// locate finds all sites in a run and sorts them in the graph's order. At one node, sites whose edits reach all readers come first.
func (m *Model) locate(run *Run) (all []located) {
	for _, site := range m.Catalogue().All() {
		i := slices.IndexFunc(m.description.Sites, func(s Sites) bool { return s.Component == site.Component })
		sites := &m.description.Sites[i]
		places, err := sites.find(run, site.Layer)
		if err != nil {
			panic(interv.Within(m.description.Name+", "+site.String(), err))
		}
		for step, place := range places {
			if place.Node.DType() != m.weights.DType() {
				panic(&interv.Error{Where: m.description.Name + ", " + site.String(), Axis: "element type", Got: place.Node.DType().String(),
					Wanted: m.weights.DType().String() + ", the weights'"})
			}
			all = append(all, located{place, site, sites, step})
		}
	}
	slices.SortStableFunc(all, func(a, b located) int {
		switch {
		case a.Node != b.Node:
			return int(a.Node.Id() - b.Node.Id())
		case (a.Readers == nil) != (b.Readers == nil) && a.Readers == nil:
			return -1
		case (a.Readers == nil) != (b.Readers == nil):
			return 1
		}
		return 0
	})
	m.checkReaders(all)
	return all
}

// checkReaders refuses sites at one node that share some readers and not all: an edit at one would be lost at the other, or half of it.
func (m *Model) checkReaders(all []located) {
	for i, a := range all {
		for _, b := range all[i+1:] {
			if b.Node != a.Node {
				break
			}
			shared := 0
			for _, reader := range b.Readers {
				if slices.Contains(a.Readers, reader) {
					shared++
				}
			}
			if shared > 0 && shared < max(len(a.Readers), len(b.Readers)) {
				panic(&interv.Error{Where: m.description.Name + ", " + b.site.String(), Axis: "readers",
					Got: fmt.Sprintf("%d, of which %s has %d too", len(b.Readers), a.site, shared), Wanted: "all of its readers or none"})
			}
		}
	}
}

// find finds a site's place, at a stepwise site its places in order.
func (s *Sites) find(run *Run, layer int) ([]Place, error) {
	want := Want{Layer: layer, Dims: run.of(s.dims())}
	places := s.Find(run, want)
	wanted := 1
	if s.Stepwise {
		wanted = run.positions
	}
	if len(places) != wanted {
		return nil, &interv.Error{Axis: "selector", Got: list(places), Wanted: fmt.Sprintf("%d of shape %v", wanted, want.Dims)}
	}
	for i, place := range places {
		switch {
		case !run.Has(place.Node):
			return nil, &interv.Error{Axis: "selector", Got: fmt.Sprintf("%s, which the output does not depend on", place.Node), Wanted: "one of the run's nodes"}
		case !want.fits(place.Node):
			return nil, &interv.Error{Axis: "shape", Got: fmt.Sprintf("%v of %s", place.Node.Shape().Dimensions, place.Node),
				Wanted: fmt.Sprintf("%v, as declared: %s", want.Dims, describe(s.dims()))}
		case i > 0 && places[i-1].Node.Id() >= place.Node.Id():
			return nil, &interv.Error{Axis: "selector", Got: list(places), Wanted: "the steps in order"}
		}
	}
	return places, nil
}

func list(places []Place) string {
	var nodes []string
	for _, place := range places {
		nodes = append(nodes, place.Node.String())
	}
	if len(nodes) == 0 {
		return "no node"
	}
	return fmt.Sprintf("%d nodes: %s", len(nodes), strings.Join(nodes, "; "))
}

// announce announces the site's value and keeps the edit, if it is one.
func (l located) announce(replay *replay, tap *interv.Tap) {
	e := replay.run.extent
	value := l.sites.view(e, replay.at(l.Place))
	var edited *Node
	if l.sites.Stepwise {
		edited = tap.AtStep(l.site, l.step, value)
	} else {
		edited = tap.At(l.site, value)
	}
	if edited == value {
		return
	}
	if !edited.Shape().Equal(value.Shape()) {
		panic(&interv.Error{Where: l.site.String(), Axis: "edited value", Got: edited.Shape().String(),
			Wanted: value.Shape().String() + ", the announced: no rows can join the batch of a graph that is already built"})
	}
	replay.edit(l.Place, l.sites.unview(e, edited))
}
