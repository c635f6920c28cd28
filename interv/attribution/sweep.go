package attribution

import (
	"fmt"
	"slices"

	"github.com/govene/govene/internal/must"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/sweep"
)

// Like is what a sweep of vanilla patches on the same pairs would have measured, by estimate: the same cells, each with the base's metric and
// the effects of its units added up. It prints and plots as the sweep does. A cell of a site that was not estimated, of features, or with
// a direction, and a sweep of other pairs are errors.
func (r *Result) Like(measured *sweep.Result) (*sweep.Result, error) {
	if len(measured.Base) != len(r.Base) {
		return nil, &interv.Error{Where: "sweep", Axis: "pairs", Got: fmt.Sprint(len(measured.Base)), Wanted: fmt.Sprintf("%d, which were estimated", len(r.Base))}
	}
	like := &sweep.Result{Cells: measured.Cells, Base: r.Base, Source: r.Source, Metric: r.Metric}
	for i, cell := range measured.Cells {
		site := interv.Site{Layer: cell.Layer, Component: cell.Component}
		at := slices.IndexFunc(r.Effects, func(e Effect) bool { return e.Site == site })
		refuse := func(got, wanted string) (*sweep.Result, error) {
			return nil, &interv.Error{Where: fmt.Sprintf("sweep, cell %d", i), Axis: site.String(), Got: got, Wanted: wanted}
		}
		switch {
		case at < 0:
			return refuse("no estimate", "one of the sites that were estimated")
		case cell.Features != nil || cell.Place.Source != nil || cell.Direction != 0 || cell.Scale != 0 && cell.Scale != 1:
			return refuse("features, source positions or a direction", "whole units, from the same positions")
		case cell.Place.At != nil && len(cell.Place.At) != 1 && len(cell.Place.At) != len(r.Base):
			return refuse(fmt.Sprintf("positions for %d pairs", len(cell.Place.At)), fmt.Sprintf("for 1, or for each of the %d", len(r.Base)))
		}
		values := make([]float64, len(r.Base))
		for pair := range values {
			sum, err := r.Effects[at].sum(pair, cell, r.ends[pair])
			if err != nil {
				return nil, interv.Within(fmt.Sprintf("sweep, cell %d", i), err)
			}
			values[pair] = r.Base[pair] + sum
		}
		like.Values = append(like.Values, values)
	}
	return like, nil
}

// Sweep is what a sweep of vanilla patches of all sites would have measured, by estimate: one head at one place a cell, and nil for every
// position. It prints and plots as a sweep does.
func (r *Result) Sweep(places []sweep.Place) (*sweep.Result, error) {
	if places != nil && len(places) == 0 {
		return nil, &interv.Error{Where: "sweep", Axis: "positions", Got: "an empty list", Wanted: "at least one place, or nil for every position"}
	}
	like := &sweep.Result{Base: r.Base}
	for _, e := range r.Effects {
		at := places
		if at == nil {
			at = sweep.UpTo(e.Positions)
		}
		for head := range e.Heads {
			var heads []int
			if e.Heads > 1 {
				heads = []int{head}
			}
			for _, place := range at {
				like.Cells = append(like.Cells, sweep.Cell{Component: e.Site.Component, Layer: e.Site.Layer, Place: place, Heads: heads, Scale: 1})
			}
		}
	}
	return r.Like(like)
}

// MustSweep is Sweep that panics on an error.
func (r *Result) MustSweep(places []sweep.Place) *sweep.Result { return must.Of(r.Sweep(places)) }

// Agrees is how well the estimates say what a sweep measured: its [Compare] over what all cells change in all pairs.
func (r *Result) Agrees(measured *sweep.Result) (Agreement, error) {
	like, err := r.Like(measured)
	if err != nil {
		return Agreement{}, err
	}
	var estimates, changes []float64
	for cell, values := range like.Values {
		for pair, value := range values {
			estimates, changes = append(estimates, value-r.Base[pair]), append(changes, measured.Values[cell][pair]-measured.Base[pair])
		}
	}
	return Compare(estimates, changes)
}

// sum adds up the effects of a cell's units in a pair that ends at a position.
func (e Effect) sum(pair int, cell sweep.Cell, end int) (sum float64, err error) {
	heads, positions := cell.Heads, interv.Range(0, e.Positions)
	if heads == nil {
		heads = interv.Range(0, e.Heads)
	}
	if at := cell.Place.At; at != nil {
		positions = at[pair%len(at)]
	}
	if len(positions) == 0 {
		return 0, &interv.Error{Axis: fmt.Sprintf("positions of pair %d", pair), Got: "an empty list", Wanted: "at least one position, or nil for all of them"}
	}
	for _, head := range heads {
		var seen []int
		for _, n := range positions {
			position := n
			if n < 0 {
				position += end
			}
			if slices.Contains(seen, position) {
				return 0, &interv.Error{Axis: fmt.Sprintf("positions of pair %d", pair), Got: fmt.Sprintf("%d again", n), Wanted: "each at most once"}
			}
			seen = append(seen, position)
			if head < 0 || head >= e.Heads || position < 0 || position >= e.Positions {
				return 0, &interv.Error{Axis: "unit", Got: fmt.Sprintf("head %d, position %d", head, position), Wanted: fmt.Sprintf("less than %d and %d", e.Heads, e.Positions)}
			}
			sum += e.Of(pair, head, position)
		}
	}
	return sum, nil
}
