package attribution

import (
	"fmt"
	"strings"

	"github.com/govene/govene/internal/estimate"
	"github.com/govene/govene/internal/plural"
)

// explain counts what run does.
func (j *job) explain() string {
	var b strings.Builder
	units := 0
	for _, site := range j.Sites {
		sites, _ := j.model.Catalogue().Find(site)
		units += max(1, sites.Heads) * j.extent.Positions
	}
	fmt.Fprintf(&b, "%s, %s in each of %s, by %s\n", plural.Of(len(j.Sites), "site"), plural.Of(units, "unit"), plural.Of(j.extent.Batch, "pair"), j.Measure.Metric.Name())
	runs, why := 2, "base and source"
	switch {
	case j.Steps > 1:
		runs, why = runs+j.Steps, fmt.Sprintf("%s, and %s along %s", why, plural.Of(j.Steps, "step"), j.Along)
	case len(j.gates) > 0:
		runs, why = runs+len(j.layers()), fmt.Sprintf("%s, and %s of which something is dropped", why, plural.Of(len(j.layers()), "layer"))
	}
	fmt.Fprintf(&b, "1 program: all pairs at once, forward and backward, runs %d times: %s\n", runs, why)
	forward := 0
	if j.softmax != nil {
		forward = 3
		fmt.Fprintf(&b, "1 more program: attention's scores, runs %d times: as they are, with the source's queries, and with its keys\n", forward)
	}
	columns := j.extent.Batch * j.extent.Positions
	fmt.Fprintf(&b, "about %.3g operations\n", 2*float64(columns)*estimate.OfModel(j.model)*float64(3*runs+forward)) // backward is two products for each forward
	fmt.Fprintln(&b, estimate.Memory(j.bytes()))
	return b.String()
}

// bytes is about how much memory is taken besides weights: what a run keeps to go back through, and the activations and gradients of two runs,
// which are also read on the host in float64.
func (j *job) bytes() int {
	columns := j.extent.Batch * j.extent.Positions
	size := j.model.Weights().ResultDType().Size()
	total := size * estimate.OfRun(j.model.Catalogue(), columns, j.extent.Positions)
	for _, site := range j.at {
		sites, _ := j.model.Catalogue().Find(site)
		width := sites.Width
		if width == 0 {
			width = j.extent.Positions
		}
		total += 2 * (2*size + 8) * columns * max(1, sites.Heads) * width
	}
	return total
}
