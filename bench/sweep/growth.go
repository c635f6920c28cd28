package main

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/must"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/metric"
	"github.com/govene/govene/interv/sweep"
	"github.com/govene/govene/interv/transformer"
	"github.com/govene/govene/plotting"
)

// size is how large a sweep is: block outputs of layer 0 at so many positions, evenly spaced, of pairs of so many tokens, in a model of so many
// layers. What has to be computed is proportional to each of the four, but for attention, which grows with the length once more.
type size struct{ cells, layers, pairs, length int }

var usual = size{cells: 8, layers: 8, pairs: 16, length: 32}

// growing are the axes along which a sweep grows, by factors ¼ to 4.
var growing = []struct {
	name string
	of   func(s *size) *int
}{
	{"cells", func(s *size) *int { return &s.cells }}, {"layers", func(s *size) *int { return &s.layers }},
	{"pairs", func(s *size) *int { return &s.pairs }}, {"length", func(s *size) *int { return &s.length }},
}

// growth is one measurement of how time grows.
type growth struct {
	Library string  `json:"library"`
	Backend string  `json:"backend"`
	Name    string  `json:"name"`
	Axis    string  `json:"axis"`
	Size    int     `json:"size"`
	Running float64 `json:"running_s"` // the better of two sweeps, compiling left out
}

// grow prints how long sweeps take that are smaller and larger along one axis, and plots it into a file.
func (b *bench) grow(path string) {
	var axis []string
	var doubled []int
	var seconds []float64
	add := func(name string, d int, s float64) {
		axis, doubled, seconds = append(axis, name), append(doubled, d), append(seconds, s)
	}
	middle := 0.0
	for _, a := range growing {
		for d := -2; d <= 2; d++ {
			s := usual
			*a.of(&s) = *a.of(&s) << (d + 2) / 4
			took := b.running(s)
			check(json.NewEncoder(os.Stdout).Encode(growth{"govene", b.backend, "growth", a.name, *a.of(&s), took}))
			add(a.name, d, took)
			if d == 0 {
				middle += took / float64(len(growing))
			}
		}
	}
	for d := -2; d <= 2; d++ {
		add("proportional", d, middle*float64(int(1)<<(d+2))/4)
	}
	plot := plotting.New(plotting.MustFrame(plotting.NewColumn("times doubled", doubled), plotting.NewColumn("seconds", seconds), plotting.NewColumn("what grows", axis)),
		plotting.Aes{X: "times doubled", Y: "seconds", Colour: "what grows"}).Add(plotting.Line{}, plotting.Point{}, plotting.LogY{}, plotting.Labels{
		Title:    "How the time of a sweep grows",
		Subtitle: fmt.Sprintf("From %d cells in a model of %d layers, %d pairs of %d tokens; %s", usual.cells, usual.layers, usual.pairs, usual.length, b.backend)})
	file := must.Of(os.Create(path))
	check(plot.WriteSVG(file))
	check(file.Close())
}

// running is how long a sweep of a size takes, compiling left out: the better of two.
func (b *bench) running(s size) float64 {
	model := must.Of(transformer.New(transformer.MustParseConfig(fmt.Sprintf(
		`{"model_type": "gpt2", "vocab_size": 500, "n_positions": 128, "n_embd": 384, "n_layer": %d, "n_head": 6}`, s.layers)), 1))
	random := rand.New(rand.NewPCG(1, 0))
	inputs := func() interv.Inputs {
		ids := make([]int32, s.pairs*s.length)
		for i := range ids {
			ids[i] = int32(random.IntN(500))
		}
		return interv.Inputs{interv.InputIDs: tensors.FromFlatDataAndDimensions(ids, s.pairs, s.length)}
	}
	positions := make([]int, s.cells)
	for i := range positions {
		positions[i] = i * s.length / s.cells
	}
	plan := must.Of(sweep.Sweep{Base: inputs(), Source: inputs(), Components: []interv.Component{transformer.BlockOutput}, Layers: []int{0},
		Positions: sweep.At(positions...), Metric: metric.LogitDifference{Right: metric.Each(5), Wrong: metric.Each(6)}}.Plan(b.engine, model))
	best := 0.0
	for i := range 2 {
		took := must.Of(plan.Run(context.Background())).Stats.Running.Seconds()
		if i == 0 || took < best {
			best = took
		}
	}
	return best
}
