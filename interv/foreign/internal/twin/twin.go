// Package twin compares two models that are meant to be one: a foreign one, and one that is written with taps.
package twin

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/interv"
)

// Pair is two models that should give the same, and two runs to patch between.
type Pair struct {
	Backend      compute.Backend
	Got, Want    interv.Model
	Base, Source interv.Inputs
	Tolerance    float64 // relative to the largest number of a tensor
}

// Compare compares the catalogues, what all sites announce, and what interventions on all sites do, a few sites at a time: outputs,
// collected activations and gradients.
func (p Pair) Compare(t *testing.T) {
	t.Helper()
	for _, sites := range p.Got.Catalogue().Sites {
		want, err := p.Want.Catalogue().Find(interv.Site{Component: sites.Component})
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(sites) != fmt.Sprint(want) {
			t.Errorf("got sites %+v, wanted %+v", sites, want)
		}
	}
	t.Run("all sites", func(t *testing.T) { p.all(t) })
	random := rand.New(rand.NewPCG(1, 7))
	sites := p.Got.Catalogue().All()
	random.Shuffle(len(sites), func(i, j int) { sites[i], sites[j] = sites[j], sites[i] })
	for i, some := range slices.Collect(slices.Chunk(sites, 6)) {
		if strings.HasPrefix(p.Backend.Name(), "xla") && (i > 0 || testing.Short()) {
			break // XLA compiles each for seconds
		}
		t.Run(fmt.Sprint("some sites ", i), func(t *testing.T) { p.some(t, some, i, random) })
	}
}

// all collects everything.
func (p Pair) all(t *testing.T) {
	var config interv.Config
	var call = interv.Call{Base: p.Base}
	for _, site := range p.Got.Catalogue().All() {
		config.Representations = append(config.Representations, interv.Representation{Layer: site.Layer, Component: site.Component,
			Intervention: interv.Collect{}})
		call.Locations = append(call.Locations, interv.Everywhere())
	}
	p.compare(t, config, call)
}

// interventions are what sites get in turn.
var interventions = []interv.Intervention{interv.Vanilla{}, interv.LowRankRotatedSpace{Rank: 2}, interv.Addition{}, interv.Collect{},
	interv.BoundlessRotatedSpace{}, interv.Zero{}, interv.Vanilla{}}

// some acts on some sites in one call.
func (p Pair) some(t *testing.T, sites []interv.Site, number int, random *rand.Rand) {
	extent, err := p.Got.Check(p.Base)
	if err != nil {
		t.Fatal(err)
	}
	config, call := interv.Config{}, interv.Call{Base: p.Base, WithBase: true}
	if number%3 == 2 {
		config.Mode = interv.Serial
	}
	for i, site := range sites {
		r := interv.Representation{Layer: site.Layer, Component: site.Component, Intervention: interventions[(i+number)%len(interventions)]}
		found, err := p.Got.Catalogue().Find(site)
		if err != nil {
			t.Fatal(err)
		}
		_, parameterized := r.Intervention.(interv.Parameterized)
		_, sourceless := r.Intervention.(interv.Sourceless)
		if parameterized && found.Width == 0 || sourceless && i > 0 && config.Mode == interv.Serial { // a link of the chain reads the one before
			r.Intervention, sourceless = interv.Vanilla{}, false
		}
		r.Unit = found.Units[random.IntN(len(found.Units))]
		config.Representations = append(config.Representations, r)
		call.Locations = append(call.Locations, location(random, r.Unit, found.Heads, extent, sourceless))
		call.Sources = append(call.Sources, []interv.Inputs{p.Source, p.Base, p.Source}[i%3])
		if sourceless {
			call.Sources[i] = nil
		}
	}
	p.compare(t, config, call)
}

// location draws one or two units an example.
func location(random *rand.Rand, unit interv.Unit, heads int, extent interv.Extent, sourceless bool) *interv.Location {
	units := min(2, extent.Positions)
	draw := func(size, count int) [][]int {
		rows := make([][]int, extent.Batch)
		for i := range rows {
			rows[i] = random.Perm(size)[:count]
		}
		return rows
	}
	l := &interv.Location{Base: draw(extent.Positions, units), Source: draw(extent.Positions, units)}
	switch unit {
	case interv.Head:
		l.Base, l.Source = draw(heads, 1), draw(heads, 1)
	case interv.HeadPosition:
		l.BaseHeads, l.SourceHeads = draw(heads, 1), draw(heads, 1)
	}
	if sourceless {
		l.Source, l.SourceHeads = nil, nil
	}
	return l
}

// compare makes one call on both models.
func (p Pair) compare(t *testing.T, config interv.Config, call interv.Call) {
	t.Helper()
	run := func(model interv.Model) *interv.GradientResult {
		iv, err := interv.New(p.Backend, model, config)
		if err != nil {
			t.Fatal(err)
		}
		result, err := iv.Gradient(func(o interv.Outcome) *Node { return ReduceAllMean(Square(o.Output)) }).Run(call)
		if err != nil { // nothing is trained
			plain, err := iv.Run(call)
			if err != nil {
				t.Fatal(err)
			}
			return &interv.GradientResult{Result: *plain}
		}
		return result
	}
	got, want := run(p.Got), run(p.Want)
	p.near(t, "output", got.Output, want.Output)
	if call.WithBase {
		p.near(t, "base output", got.BaseOutput, want.BaseOutput)
		if changes(config) && got.Output.Equal(got.BaseOutput) {
			t.Error("no intervention had any effect")
		}
	}
	for i := range want.Collected {
		p.near(t, want.Collected[i].Name, got.Collected[i].Value, want.Collected[i].Value)
	}
	if len(got.Gradients) != len(want.Gradients) {
		t.Errorf("got %d gradients, wanted %d", len(got.Gradients), len(want.Gradients))
	}
	for name := range want.Gradients {
		p.near(t, "gradient of "+name, got.Gradients[name], want.Gradients[name])
	}
}

// changes says whether a config edits the base: in serial mode, the last representation alone does.
func changes(config interv.Config) bool {
	all := config.Representations
	if config.Mode == interv.Serial {
		all = all[len(all)-1:]
	}
	return slices.ContainsFunc(all, func(r interv.Representation) bool { return r.Intervention != interv.Collect{} })
}

func (p Pair) near(t *testing.T, what string, got, want *tensors.Tensor) {
	t.Helper()
	if !got.Shape().Equal(want.Shape()) {
		t.Errorf("%s: got %s, wanted %s", what, got.Shape(), want.Shape())
		return
	}
	a, b := tensors.MustCopyFlatData[float32](got), tensors.MustCopyFlatData[float32](want)
	largest := 0.0
	for _, value := range b {
		largest = max(largest, math.Abs(float64(value)))
	}
	for i := range b {
		if !(math.Abs(float64(a[i])-float64(b[i])) <= p.Tolerance*largest) {
			t.Errorf("%s: element %d of %s: got %g, wanted %g", what, i, got.Shape(), a[i], b[i])
			return
		}
	}
}
