package interv_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/gomlx/compute/dtypes"

	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/gru"
)

// scene is a random model with a base, a source, and a site to intervene on.
type scene struct {
	random           *rand.Rand
	model            interv.Model
	batch, positions int
	base, source     interv.Inputs
	site             interv.Site
	sites            interv.Sites
	unit             interv.Unit
}

func scenes(t *testing.T, check func(t *testing.T, s scene)) {
	count := 12
	if testing.Short() || slow {
		count = 2
	}
	for seed := range uint64(count) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 99))
			layers, width := 1+r.IntN(2), 1+r.IntN(5)
			s := scene{random: r, batch: 1 + r.IntN(4), positions: 2 + r.IntN(4)}
			if seed%2 == 0 {
				s.model = gru.MustNewClassifier(gru.Config{Layers: layers, Width: width, NoBias: r.IntN(2) == 0}, seed)
			} else {
				s.model = newAttention(layers, width, 1+r.IntN(3), 1+r.IntN(3), dtypes.Float32, seed)
			}
			s.base, s.source = embeds(random(seed+100, s.batch, s.positions, width)), embeds(random(seed+200, s.batch, s.positions, width))
			s = s.at(pick(r, s.model.Catalogue().All()))
			t.Logf("%s, unit %s, batch %d, %d positions, width %d", s.site, s.unit, s.batch, s.positions, width)
			check(t, s)
		})
	}
}

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

// at is the scene at another site.
func (s scene) at(site interv.Site) scene {
	sites, err := s.model.Catalogue().Find(site)
	if err != nil {
		panic(err)
	}
	s.site, s.sites, s.unit = site, sites, pick(s.random, sites.Units)
	return s
}

// rotatable is the scene at a site of fixed width.
func (s scene) rotatable() scene {
	for s.sites.Width == 0 {
		s = s.at(pick(s.random, s.model.Catalogue().All()))
	}
	return s
}

func (s scene) representation(intervention interv.Intervention) interv.Representation {
	return interv.Representation{Layer: s.site.Layer, Component: s.site.Component, Unit: s.unit, Intervention: intervention}
}

// with intervenes at the site, several times in a row.
func (s scene) with(interventions ...interv.Intervention) *interv.Intervenable {
	var config interv.Config
	for _, i := range interventions {
		config.Representations = append(config.Representations, s.representation(i))
	}
	return interv.MustNew(engine, s.model, config)
}

// location draws units of each example, different numbers in different ones, that are read and written.
func (s scene) location() *interv.Location {
	heads, positions := max(1, s.sites.Heads), s.positions
	if s.unit == interv.Head {
		positions = heads
	}
	l := interv.FromTo(s.lists(positions))
	if s.unit == interv.HeadPosition {
		headsFrom, headsTo := s.lists(heads)
		for i := range headsFrom { // as many on both sides
			headsFrom[i] = headsFrom[i][:len(headsTo[i])]
		}
		l = l.Heads(headsFrom, headsTo)
	}
	return l
}

func (s scene) lists(count int) (from, to [][]int) {
	for range s.batch {
		n := 1 + s.random.IntN(count)
		from, to = append(from, s.random.Perm(count)[:n]), append(to, s.random.Perm(count)[:n])
	}
	return from, to
}

// onto reads and writes the units that a location writes.
func onto(l *interv.Location) *interv.Location {
	return &interv.Location{Source: l.Base, Base: l.Base, SourceHeads: l.BaseHeads, BaseHeads: l.BaseHeads, Everywhere: l.Everywhere}
}

// write is a location without its source.
func write(l *interv.Location) *interv.Location {
	return &interv.Location{Base: l.Base, BaseHeads: l.BaseHeads, Everywhere: l.Everywhere}
}

func (s scene) call(source interv.Inputs, l *interv.Location) interv.Call {
	return interv.Call{Base: s.base, Sources: []interv.Inputs{source}, Locations: []*interv.Location{l}}
}
