package das

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/must"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/metric"
	"github.com/govene/govene/plotting"
)

// Result is what a search has found: by place, rank and seed, in the order of the search.
type Result struct{ Alignments []Alignment }

// Best is the alignment of the greatest accuracy on the held-out examples, of equals that of the lowest loss.
func (r *Result) Best() Alignment {
	return slices.MaxFunc(r.Alignments, Alignment.compare)
}

func (a Alignment) compare(b Alignment) int {
	return cmp.Or(cmp.Compare(a.Accuracy, b.Accuracy), cmp.Compare(b.Loss, a.Loss))
}

func (a Alignment) worse(b Alignment) bool { return a.compare(b) < 0 }

// cell is the alignments of a place and a rank.
type cell struct {
	place Place
	rank  int
	seeds []Alignment
}

func (c cell) spread() (mean, least, most float64) {
	least = 1
	for _, a := range c.seeds {
		mean += a.Accuracy / float64(len(c.seeds))
		least, most = min(least, a.Accuracy), max(most, a.Accuracy)
	}
	return mean, least, most
}

func (r *Result) cells() (cells []cell) {
	for _, a := range r.Alignments {
		i := slices.IndexFunc(cells, func(c cell) bool { return c.place == a.Place && c.rank == a.Rank })
		if i < 0 {
			i, cells = len(cells), append(cells, cell{place: a.Place, rank: a.Rank})
		}
		cells[i].seeds = append(cells[i].seeds, a)
	}
	return cells
}

// String is a table: a line for each place and rank, with the mean accuracy of its seeds, the least and the greatest.
func (r *Result) String() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%-36s %5s %6s %7s %7s %7s\n", "place", "rank", "seeds", "mean", "least", "most")
	for _, c := range r.cells() {
		mean, least, most := c.spread()
		fmt.Fprintf(&text, "%-36s %5d %6d %7.3f %7.3f %7.3f\n", c.place, c.rank, len(c.seeds), mean, least, most)
	}
	return text.String()
}

// Frame is the same table as data: place, rank, accuracy (the mean), and a label with the spread over seeds.
func (r *Result) Frame() *plotting.Frame {
	var places, labels []string
	var ranks []int
	var accuracies []float64
	for _, c := range r.cells() {
		mean, least, most := c.spread()
		label := fmt.Sprintf("%.2f", mean)
		if len(c.seeds) > 1 {
			label += fmt.Sprintf(" (%.2f–%.2f)", least, most)
		}
		places, ranks, labels, accuracies = append(places, c.place.String()), append(ranks, c.rank), append(labels, label), append(accuracies, mean)
	}
	return plotting.MustFrame(plotting.NewColumn("place", places), plotting.NewColumn("rank", ranks).Levels(),
		plotting.NewColumn("accuracy", accuracies), plotting.NewColumn("spread", labels))
}

// HeatMap shows the mean accuracy of each place and rank, with the spread over seeds.
func (r *Result) HeatMap() plotting.Plot {
	return plotting.New(r.Frame(), plotting.Aes{X: "rank", Y: "place", Fill: "accuracy", Label: "spread"}).Add(plotting.Tile{}, plotting.Text{},
		plotting.Labels{Title: "Interchange intervention accuracy", Subtitle: "On held-out examples: the mean of all seeds, the least and the greatest"})
}

// Along is the alignment that gives each variable one direction at a place, such as a probe's: made of length 1, and orthogonal to those of
// the variables before it. Directions of other lengths than the first, or of which nothing is left, are errors.
func Along(place Place, directions ...[]float32) (Alignment, error) {
	if len(directions) == 0 || len(directions[0]) == 0 {
		return Alignment{}, &interv.Error{Where: place.String(), Axis: "directions", Got: "none", Wanted: "one for each variable"}
	}
	width := len(directions[0])
	var columns [][]float64
	flat := make([]float32, width*len(directions))
	for v, direction := range directions {
		where := fmt.Sprintf("direction %d at %s", v, place)
		if len(direction) != width {
			return Alignment{}, &interv.Error{Where: where, Axis: "numbers", Got: fmt.Sprint(len(direction)), Wanted: fmt.Sprintf("%d, as the first has", width)}
		}
		column := make([]float64, width)
		for d, x := range direction {
			column[d] = float64(x)
		}
		before := product(column, column)
		orthogonal(column, columns)
		left := product(column, column)
		if !(left > 1e-10*before) || math.IsInf(before, 0) {
			return Alignment{}, &interv.Error{Where: where, Axis: "length", Got: fmt.Sprintf("%g of %g without what the directions before it have", math.Sqrt(left), math.Sqrt(before)),
				Wanted: "more, and finite numbers"}
		}
		for d := range column {
			column[d] /= math.Sqrt(left)
			flat[d*len(directions)+v] = float32(column[d])
		}
		columns = append(columns, column)
	}
	return Alignment{Place: place, Rank: 1, Ranks: slices.Repeat([]int{1}, len(directions)),
		Rotation: tensors.FromFlatDataAndDimensions(flat, width, len(directions))}, nil
}

// MustAlong is Along that panics on an error.
func MustAlong(place Place, directions ...[]float32) Alignment {
	return must.Of(Along(place, directions...))
}

// Measure is the interchange intervention accuracy of the alignment on examples: the share whose label the model gives.
func (a Alignment) Measure(backend compute.Backend, model interv.Model, d Data) (float64, error) {
	iv, err := a.Intervenable(backend, model)
	if err != nil {
		return 0, err
	}
	call := a.Call(d)
	call.Metrics = []interv.Measure{{Metric: metric.Accuracy{Labels: d.Labels}}}
	result, err := iv.Run(call)
	if err != nil {
		return 0, err
	}
	right, err := result.Metric("accuracy")
	sum := 0.0
	for _, one := range right {
		sum += one
	}
	return sum / float64(len(right)), err
}

// MustMeasure is Measure that panics on an error.
func (a Alignment) MustMeasure(backend compute.Backend, model interv.Model, d Data) float64 {
	return must.Of(a.Measure(backend, model, d))
}

// Intervenable is the alignment as interventions on a model, one for each variable, which are saved and loaded as any: linked, each with its
// own columns of one rotation. An alignment in which a variable has no dimension is refused.
func (a Alignment) Intervenable(backend compute.Backend, model interv.Model) (*interv.Intervenable, error) {
	r := interv.Representation{Layer: a.Place.Layer, Component: a.Place.Component, Link: "alignment"}
	columns := 0
	for v, rank := range a.Ranks {
		if rank < 1 {
			return nil, &interv.Error{Where: a.Place.String(), Axis: fmt.Sprintf("dimensions of variable %d", v), Got: fmt.Sprint(rank), Wanted: "at least 1"}
		}
		r.SubspacePartition = append(r.SubspacePartition, interv.Range(columns, columns+rank))
		columns += rank
	}
	r.Intervention = interv.LowRankRotatedSpace{Rank: columns}
	iv, err := interv.New(backend, model, interv.Config{Representations: slices.Repeat([]interv.Representation{r}, len(a.Ranks))})
	if err != nil {
		return nil, err
	}
	return iv, iv.SetParameters(map[string]*tensors.Tensor{"0.rotation": a.Rotation})
}

// Call is the call of the alignment's Intervenable on examples.
func (a Alignment) Call(d Data) interv.Call {
	examples := len(d.Labels)
	at := interv.Repeat(examples, a.Place.Position)
	call := interv.Call{Base: d.Base, Sources: d.Sources}
	for v := range a.Ranks {
		call.Locations = append(call.Locations, interv.FromTo(at, at))
		call.Subspaces = append(call.Subspaces, interv.Repeat(examples, v))
	}
	return call
}
