package sweep

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/gomlx/compute"

	"github.com/govene/govene/internal/host"
	"github.com/govene/govene/interv"
)

// job is a sweep that has been checked against a model: nothing of it can be refused any more.
type job struct {
	Sweep
	backend    compute.Backend
	model      interv.Model
	extent     interv.Extent // of base and source
	cells      []Cell
	slots      []*slot
	patches    [][]patch // of each cell
	reading    interv.Reading
	reads      []int // the position that is read in each pair: of an output without positions, the last that is not padding
	outputs    int   // logits at a position
	hasSources bool
	vectors    []vector // the rows of the table of directions
}

// vector is a direction with a scale.
type vector struct {
	direction int
	scale     float64
}

// patch is what a slot does in one layer, in one cell.
type patch struct {
	*slot
	layer        int
	heads        []int   // nil where the site has none
	base, source [][]int // positions, [pair]
	features     []int   // nil for all
	cell         Cell
}

// unit is one vector that a patch writes in a pair: at a head and a position of the base, from those of what is read.
type unit struct {
	head, position int
	read           int // the position read
	row            int // the row read of a table
}

// units lists what a patch writes in a pair.
func (p patch) units(pair int) []unit {
	var list []unit
	heads := p.heads
	if heads == nil {
		heads = []int{0}
	}
	for _, head := range heads {
		for k, position := range p.base[pair] {
			u := unit{head: head, position: position, read: position}
			if p.tables == nil && p.from != "" {
				u.read = p.source[pair][k]
			}
			if p.row != nil {
				u.row = p.row(p.cell, head, len(list))
			}
			list = append(list, u)
		}
	}
	return list
}

// check validates all of a sweep.
func (s Sweep) check(backend compute.Backend, model interv.Model) (*job, error) {
	j := &job{Sweep: s, backend: backend, model: model, hasSources: s.Source != nil}
	if backend == nil || model == nil {
		return nil, &interv.Error{Axis: "backend and model", Got: fmt.Sprintf("%T and %T", backend, model), Wanted: "both"}
	}
	err := s.Part.check()
	if err != nil {
		return nil, err
	}
	if j.extent, err = model.Check(s.Base); err != nil {
		return nil, interv.Within("base", err)
	}
	if err = j.checkSource(); err != nil {
		return nil, err
	}
	output, err := interv.OutputShape(backend, model, s.Base)
	if err != nil {
		return nil, err
	}
	if s.Window < 0 {
		return nil, &interv.Error{Axis: "window", Got: fmt.Sprint(s.Window), Wanted: "at least 0"}
	}
	if s.Metric == nil {
		return nil, &interv.Error{Axis: "metric", Got: "none", Wanted: "one"}
	}
	if j.reading, err = (interv.Measure{Metric: s.Metric, At: s.ReadAt}).Read(j.extent, output); err != nil {
		return nil, err
	}
	if err = j.reading.One(backend, output); err != nil {
		return nil, err
	}
	j.outputs, j.reads = output.Dim(-1), j.reading.Positions
	if j.reads == nil {
		for pair := range j.extent.Batch {
			_, end := j.extent.Real(pair)
			j.reads = append(j.reads, end-1)
		}
	}
	if j.cells, err = s.product(model.Catalogue()); err != nil {
		return nil, err
	}
	j.cells = slices.Clone(j.cells)
	return j, j.plan()
}

// checkSource wants sources that begin and end where the bases do.
func (j *job) checkSource() error {
	if j.From == FromOther {
		if j.hasSources {
			return &interv.Error{Axis: "source", Got: "a source", Wanted: "none: what is read is the base of another pair"}
		}
		if j.extent.Batch < 2 {
			return &interv.Error{Axis: "base", Got: "1 example", Wanted: "at least 2, to read from another"}
		}
		j.Source, j.hasSources = resampled(j.Base, j.Seed), true
	}
	if !j.hasSources {
		return nil
	}
	extent, err := j.model.Check(j.Source)
	if err != nil {
		return interv.Within("source", err)
	}
	for _, name := range sortedNames(j.Base) {
		if t := j.Source[name]; t == nil || t.Rank() != j.Base[name].Rank() || t.DType() != j.Base[name].DType() {
			return &interv.Error{Axis: "source", Got: fmt.Sprintf("inputs %v", sortedNames(j.Source)), Wanted: fmt.Sprintf("%v of the same types, as in the base", sortedNames(j.Base))}
		}
	}
	if err := j.extent.CheckSource(extent); err != nil {
		return err
	}
	return nil
}

// resampled moves every example to another's place: places are shuffled, and each takes the example of the next.
func resampled(inputs interv.Inputs, seed uint64) interv.Inputs {
	moved := interv.Inputs{}
	for name, t := range inputs {
		order := rand.New(rand.NewPCG(seed, 0)).Perm(t.Shape().Dim(0))
		rows := make([]int, len(order))
		for i, example := range order {
			rows[example] = order[(i+1)%len(order)]
		}
		moved[name] = host.Rows(t, rows)
	}
	return moved
}

// plan turns cells into patches.
func (j *job) plan() error {
	j.patches = make([][]patch, len(j.cells))
	for i := range j.cells {
		cell := &j.cells[i]
		if err := j.checkDirection(cell); err != nil {
			return interv.Within(cell.where(i), err)
		}
		if c := j.Corrupt; c != nil {
			from := FromSource
			if !j.hasSources {
				from = ""
			}
			p, err := j.patch(corrupting, Cell{Component: c.Component, Layer: c.Layer, Place: c.Place}, c.Layer, c.Intervention, from)
			if err != nil {
				return interv.Within("corruption", err)
			}
			j.patches[i] = append(j.patches[i], p)
		}
		if _, err := j.model.Catalogue().Find(interv.Site{Layer: cell.Layer, Component: cell.Component}); err != nil {
			return interv.Within(cell.where(i), err)
		}
		for _, layer := range j.layers(*cell, j.model.Catalogue()) {
			p, err := j.patch(trying, *cell, layer, j.main(), j.mainFrom())
			if err != nil {
				return interv.Within(cell.where(i), err)
			}
			j.patches[i] = append(j.patches[i], p)
		}
	}
	return j.fill()
}

// checkDirection wants a direction that there is, and notes it with its scale.
func (j *job) checkDirection(c *Cell) error {
	if j.Directions == nil {
		if c.Direction != 0 || c.Scale != 0 && c.Scale != 1 {
			return &interv.Error{Axis: "direction and scale", Got: fmt.Sprintf("%d and %g", c.Direction, c.Scale), Wanted: "none: the sweep has no directions"}
		}
		c.Scale = 1
		return nil
	}
	if c.Direction < 0 || c.Direction >= len(j.Directions) {
		return &interv.Error{Axis: "direction", Got: fmt.Sprint(c.Direction), Wanted: fmt.Sprintf("0 to %d", len(j.Directions)-1)}
	}
	if c.Scale == 0 && j.Cells != nil && j.Scales == nil {
		return &interv.Error{Axis: "scale", Got: "0, as where it is left out",
			Wanted: "the factor on the direction, such as 1; where 0 is meant, Scales has it, with each of which each cell is tried"}
	}
	if v := (vector{c.Direction, c.Scale}); !slices.Contains(j.vectors, v) {
		j.vectors = append(j.vectors, v)
	}
	return nil
}

func (c Cell) where(i int) string {
	return fmt.Sprintf("cell %d (%s)", i, interv.Site{Layer: c.Layer, Component: c.Component})
}

// main is the intervention of cells.
func (j *job) main() interv.Intervention {
	switch {
	case j.Intervention != nil:
		return j.Intervention
	case j.Directions != nil:
		return interv.Addition{}
	}
	return interv.Vanilla{}
}

// mainFrom is what the intervention of cells reads, if it reads anything.
func (j *job) mainFrom() From {
	switch {
	case j.From != "":
		return j.From
	case j.Corrupt != nil && !j.hasSources:
		return FromBase
	case j.hasSources:
		return FromSource
	}
	return ""
}

// patch checks what a cell does in a layer.
func (j *job) patch(r role, cell Cell, layer int, intervention interv.Intervention, from From) (patch, error) {
	p := patch{layer: layer, cell: cell}
	sites, err := j.model.Catalogue().Find(interv.Site{Layer: layer, Component: cell.Component})
	if err != nil {
		return p, err
	}
	if p.slot, err = j.slot(r, interv.Site{Layer: layer, Component: cell.Component}, sites, intervention, from); err != nil {
		return p, err
	}
	switch {
	case sites.Heads == 0 && cell.Heads != nil:
		return p, &interv.Error{Axis: "heads", Got: fmt.Sprint(cell.Heads), Wanted: "none: the component has no heads"}
	case sites.Heads > 0 && cell.Heads == nil:
		p.heads = interv.Range(0, sites.Heads)
	default:
		p.heads = cell.Heads
	}
	if cell.Heads != nil && len(cell.Heads) == 0 {
		return p, &interv.Error{Axis: "heads", Got: "an empty list", Wanted: "at least one head, or nil for all"}
	}
	for i, head := range cell.Heads {
		if head < 0 || head >= sites.Heads || slices.Contains(cell.Heads[:i], head) {
			return p, &interv.Error{Axis: "heads", Got: fmt.Sprint(cell.Heads), Wanted: fmt.Sprintf("0 to %d, each at most once", sites.Heads-1)}
		}
	}
	if p.base, err = cell.Place.resolve("positions", cell.Place.At, j.extent); err != nil {
		return p, err
	}
	p.source = p.base
	if cell.Place.Source != nil {
		if p.source, err = cell.Place.resolve("source positions", cell.Place.Source, j.extent); err != nil {
			return p, err
		}
	}
	for pair := range p.base {
		if len(p.base[pair]) != len(p.source[pair]) {
			return p, &interv.Error{Axis: fmt.Sprintf("source positions of pair %d", pair), Got: fmt.Sprint(len(p.source[pair])),
				Wanted: fmt.Sprintf("%d, as many as positions", len(p.base[pair]))}
		}
	}
	return p, p.checkFeatures(cell.Features)
}

func (p *patch) checkFeatures(features []int) error {
	if features == nil {
		return nil
	}
	if len(features) == 0 || p.slot.features == 0 {
		return &interv.Error{Axis: "features", Got: fmt.Sprint(features), Wanted: fmt.Sprintf("features of %s, which has %d", p.intervention.Name(), p.slot.features)}
	}
	for i, feature := range features {
		if feature < 0 || feature >= p.slot.features || slices.Contains(features[:i], feature) {
			return &interv.Error{Axis: "features", Got: fmt.Sprint(feature), Wanted: fmt.Sprintf("0 to %d, each at most once", p.slot.features-1)}
		}
	}
	p.features = features
	return nil
}
