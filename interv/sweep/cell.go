package sweep

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/govene/govene/interv"
)

// product lists the cells of the sweep, in the order of axes: component, layer, position, heads, features, direction, scale.
func (s Sweep) product(catalogue interv.Catalogue) ([]Cell, error) {
	if s.Scales != nil && s.Directions == nil {
		return nil, &interv.Error{Axis: "scales", Got: fmt.Sprint(s.Scales), Wanted: "none: the sweep has no directions"}
	}
	if s.Cells != nil {
		if s.Components != nil || s.Layers != nil || s.Positions != nil || s.Heads != nil || s.Features != nil {
			return nil, &interv.Error{Axis: "cells", Got: "a list of cells as well as axes", Wanted: "one of the two"}
		}
		return s.scaled()
	}
	if len(s.Components) == 0 {
		return nil, &interv.Error{Axis: "components", Got: "none", Wanted: "at least one, or a list of cells"}
	}
	places, heads, features := orWhole(s.Positions), [][]int{nil}, orWhole(s.Features)
	if s.Heads != nil {
		heads = nil
		for _, head := range s.Heads {
			heads = append(heads, []int{head})
		}
	}
	directions, scales := interv.Range(0, max(1, len(s.Directions))), s.Scales
	if scales == nil {
		scales = []float64{1}
	}
	var cells []Cell
	for _, component := range s.Components {
		layers := s.Layers
		if layers == nil {
			if layers = having(catalogue, component); layers == nil {
				_, err := catalogue.Find(interv.Site{Component: component})
				return nil, err
			}
		}
		for _, layer := range layers {
			for _, place := range places {
				for _, head := range heads {
					for _, list := range features {
						for _, direction := range directions {
							for _, scale := range scales {
								cells = append(cells, Cell{component, layer, place, head, list, direction, scale})
							}
						}
					}
				}
			}
		}
	}
	if len(cells) == 0 {
		return nil, errNoCells
	}
	return cells, nil
}

var errNoCells = &interv.Error{Axis: "cells", Got: "none", Wanted: "at least one entry on each axis"}

// scaled lists the cells that are listed, each with each of Scales where there are some.
func (s Sweep) scaled() (cells []Cell, err error) {
	if s.Scales == nil {
		return s.Cells, nil
	}
	if len(s.Scales) == 0 {
		return nil, errNoCells
	}
	for i, cell := range s.Cells {
		if cell.Scale != 0 {
			return nil, interv.Within(cell.where(i), &interv.Error{Axis: "scale", Got: fmt.Sprintf("%g, and scales %v", cell.Scale, s.Scales), Wanted: "one of the two"})
		}
		for _, cell.Scale = range s.Scales {
			cells = append(cells, cell)
		}
	}
	return cells, nil
}

// orWhole is an axis, or, where it is not swept, the one entry that stands for all.
func orWhole[T any](axis []T) []T {
	if axis == nil {
		return make([]T, 1)
	}
	return axis
}

// String is such as "block_output of layer 3 at 4, head 1": what of a cell is not all.
func (c Cell) String() string {
	text := fmt.Sprintf("%s of layer %d", c.Component, c.Layer)
	if c.Place.At != nil {
		text += " at " + c.Place.String()
	}
	if c.Heads != nil {
		text += ", heads " + listed(c.Heads)
	}
	if c.Features != nil {
		text += ", features " + listed(c.Features)
	}
	if c.Direction != 0 || c.Scale != 1 {
		text += fmt.Sprintf(", direction %d times %g", c.Direction, c.Scale)
	}
	return text
}

// String is what axes call the place: its name, or its positions.
func (p Place) String() string {
	switch {
	case p.Name != "":
		return p.Name
	case p.At == nil:
		return "all"
	case len(p.At) == 1 && len(p.At[0]) == 1:
		return strconv.Itoa(p.At[0][0])
	}
	return fmt.Sprint(p.At)
}

// resolve lists the positions of one side, of every pair, in an extent.
func (p Place) resolve(side string, at [][]int, extent interv.Extent) ([][]int, error) {
	rows := make([][]int, extent.Batch)
	if at != nil && len(at) != 1 && len(at) != extent.Batch {
		return nil, &interv.Error{Axis: side, Got: fmt.Sprintf("positions for %d pairs", len(at)), Wanted: fmt.Sprintf("for 1, or for each of the %d", extent.Batch)}
	}
	for pair := range rows {
		start, end := extent.Real(pair)
		if at == nil {
			rows[pair] = interv.Range(start, end)
			continue
		}
		listed := at[pair%len(at)]
		if len(listed) == 0 {
			return nil, &interv.Error{Axis: fmt.Sprintf("%s of pair %d", side, pair), Got: "an empty list", Wanted: "at least one position, or nil for all of them"}
		}
		for _, n := range listed {
			position := n
			if position < 0 {
				position += end
			}
			if position < start || position >= end {
				got := fmt.Sprint(n)
				if position >= 0 && position < extent.Positions {
					got += ", which is padding"
				}
				return nil, &interv.Error{Axis: fmt.Sprintf("%s of pair %d", side, pair), Got: got,
					Wanted: fmt.Sprintf("%d to %d, or -1 to %d from the end", start, end-1, start-end)}
			}
			if side == "positions" && slices.Contains(rows[pair], position) {
				return nil, &interv.Error{Axis: fmt.Sprintf("%s of pair %d", side, pair), Got: fmt.Sprintf("%d twice", n), Wanted: "each at most once"}
			}
			rows[pair] = append(rows[pair], position)
		}
	}
	return rows, nil
}

// labelled names places by the texts at their positions.
func labelled(places []Place, labels []string) []Place {
	count := map[string]int{}
	for _, label := range labels {
		count[label]++
	}
	named := slices.Clone(places)
	for i, p := range named {
		if p.Name != "" || len(p.At) == 0 || len(p.At[0]) != 1 {
			continue
		}
		position := p.At[0][0]
		if position < 0 {
			position += len(labels)
		}
		if position < 0 || position >= len(labels) {
			continue
		}
		named[i].Name = labels[position]
		if count[labels[position]] > 1 {
			named[i].Name += " " + strconv.Itoa(position)
		}
	}
	return named
}

// having lists the layers that have a component.
func having(catalogue interv.Catalogue, component interv.Component) (layers []int) {
	for _, site := range catalogue.All() {
		if site.Component == component {
			layers = append(layers, site.Layer)
		}
	}
	return layers
}

// layers are those that a cell patches.
func (s Sweep) layers(cell Cell, catalogue interv.Catalogue) []int {
	if s.Window <= 1 {
		return []int{cell.Layer}
	}
	first, end := cell.Layer-s.Window/2, cell.Layer+(s.Window+1)/2
	return slices.DeleteFunc(having(catalogue, cell.Component), func(layer int) bool { return layer < first || layer >= end })
}
