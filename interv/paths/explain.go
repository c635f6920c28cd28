package paths

import (
	"fmt"
	"slices"
	"strings"

	"github.com/govene/govene/internal/estimate"
	"github.com/govene/govene/internal/plural"
	"github.com/govene/govene/interv"
)

// explain counts what run does.
func (s *stack) explain(w *strings.Builder) {
	count := 2
	for _, in := range []func(layer int) bool{s.isBlock, s.sendsAlone, s.carries, s.receives} {
		count += len(s.kinds(in))
	}
	clean, first, second, finishes := 0, 0, 0, 0
	for pairs := range slices.Chunk(interv.Range(0, s.extent.Batch), s.rows/2) {
		clean, finishes = clean+s.layers, finishes+1
		for items := range slices.Chunk(s.items(pairs), s.rows) {
			start := s.through + 1
			for _, it := range items {
				start = min(start, s.job.senders[it.sender].entry())
			}
			first, second, finishes = first+s.through+1-max(0, start), second+s.layers-1-s.begins(start), finishes+1
		}
	}
	fmt.Fprintf(w, "block by block: %s × %s at a time\n", plural.Of(s.rows, "row"), plural.Of(s.extent.Positions, "position"))
	fmt.Fprintf(w, "%d programs: the embedding, the finish, and blocks that run whole, send, carry on or receive; whole blocks run %s, parts of them %s, the finish %s\n",
		count, plural.Of(clean+second, "time"), plural.Of(first, "time"), plural.Of(finishes, "time"))
	columns := float64(s.rows * s.extent.Positions)
	block := estimate.OfModel(s.model) / float64(s.layers)
	fmt.Fprintf(w, "at most %.3g operations, had parts of blocks all of their products\n", 2*columns*block*float64(clean+first+second+finishes))
	fmt.Fprintln(w, estimate.Memory(s.bytes()))
}

// begins is the block at which the second run begins, the lowest that receives of those from a layer on.
func (s *stack) begins(from int) int {
	for layer := max(0, from); layer < s.layers; layer++ {
		if s.receivesIn[layer] {
			return layer
		}
	}
	return s.layers - 1
}

// bytes is about how much memory is taken besides weights: the clean runs of some pairs, and one block of a chunk.
func (s *stack) bytes() int {
	columns := s.rows * s.extent.Positions
	kept := (s.layers + 1) * s.stream.Size()
	for _, c := range s.written {
		kept += s.layers * s.shapes[c].Size()
	}
	logits := s.rows * s.outputs
	if name := interv.TokenData(s.Metric); name != "" { // no other logits are computed
		logits = s.rows * s.reading.Data[name].Shape().Dim(1)
	}
	return s.stream.DType.Size() * (kept + estimate.OfBlock(s.model.Catalogue(), columns, s.extent.Positions) + logits)
}

// explain counts what run does.
func (r *batched) explain(w *strings.Builder) {
	items := len(r.senders) * r.extent.Batch
	batches := (items + r.rows - 2) / (r.rows - 1)
	columns := float64(2*r.extent.Batch+2*batches*r.rows) * float64(r.extent.Positions)
	fmt.Fprintf(w, "in batches of %s, since the model is not made of blocks\n", plural.Of(r.rows-1, "path"))
	fmt.Fprintf(w, "3 programs: the clean runs, which run 2 times; what is sent, up to the receivers, and the run that these are put into, %s each\n", plural.Of(batches, "time"))
	fmt.Fprintf(w, "at most %.3g operations\n", 2*columns*estimate.OfModel(r.model))
	kept := 0
	for _, p := range r.places {
		kept += 2 * r.rows * r.extent.Positions * max(1, p.sites.Heads) * p.sites.Width
	}
	n := r.rows * r.extent.Positions
	fmt.Fprintln(w, estimate.Memory(r.model.Weights().ResultDType().Size()*(kept+estimate.OfBlock(r.model.Catalogue(), n, r.extent.Positions))))
}
