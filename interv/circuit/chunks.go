package circuit

import (
	"slices"

	"github.com/govene/govene/internal/host"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/sweep"
)

// chunks are the pairs that runs with edges take at once, as many as there is room for: all chunks have the same number of rows, so that one
// program serves them, and the rows that the last has too many are the first pair.
func (j *job) chunks(memory sweep.Bytes, gradients bool) (list [][]int) {
	if memory == 0 {
		memory = 2 << 30
	}
	pairs := j.extent.Batch
	most := max(1, int(memory)/j.bytes(gradients))
	count := (pairs + most - 1) / most
	rows := (pairs + count - 1) / count
	for chunk := range slices.Chunk(interv.Range(0, pairs), rows) {
		list = append(list, chunk)
	}
	return list
}

// filled are the rows of a chunk as long as the first.
func filled(chunks [][]int, chunk []int) []int {
	return append(slices.Clone(chunk), make([]int, len(chunks[0])-len(chunk))...)
}

// bytes is about how much memory a pair takes in a run with edges: each reader's stream and what its norm keeps, and, in each layer for queries,
// keys, values and the MLP, what all writers before add to the stream. Gradients keep all of it to go back through; else a layer is enough.
func (j *job) bytes(gradients bool) int {
	perReader, layers := 8*len(j.readers), j.layers
	perWriter := 4 * layers * len(j.writers) / 2
	if !gradients {
		perReader, perWriter = perReader/layers, 4*len(j.writers)
	}
	return j.dtype.Size() * j.extent.Positions * j.width * (perReader + perWriter)
}

// of are the activations of some pairs.
func (a activations) of(pairs []int) activations {
	picked := activations{}
	for site, t := range a {
		picked[site] = host.Rows(t, pairs)
	}
	return picked
}
