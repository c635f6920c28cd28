package das

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/interv"
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

// Intervenable is the alignment as interventions on a model, one for each variable, which are saved and loaded as any: linked, each with its
// own columns of one rotation. An alignment in which a variable has no dimension is refused.
func (a Alignment) Intervenable(backend compute.Backend, model interv.Model) (*interv.Intervenable, error) {
	r := interv.Representation{Layer: a.Place.Layer, Component: a.Place.Component, Unit: interv.Position, Link: "alignment"}
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
