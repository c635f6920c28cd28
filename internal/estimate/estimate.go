// Package estimate tells about what runs of a model take, before anything runs: for plans that say what they will do.
package estimate

import (
	"fmt"

	"github.com/govene/govene/interv"
)

// Multiplications are those of a column, or of a recurrent step, with some weights: an element of a matrix is one.
func Multiplications(weights *interv.Weights, names []string) (count float64) {
	for _, name := range names {
		if shape := weights.Shape(name); shape.Rank() > 1 {
			count += float64(shape.Size())
		}
	}
	return count
}

// OfModel are the multiplications of a column in all blocks; in all of a model that is not made of blocks.
func OfModel(model interv.Model) (count float64) {
	blocks, ok := model.(interv.Blocks)
	if !ok {
		return Multiplications(model.Weights(), model.Weights().Names())
	}
	for block := range blocks.Blocks() {
		count += Multiplications(model.Weights(), blocks.BlockWeights(block))
	}
	return count
}

// OfBlock is about how many numbers a block of a model computes in so many columns of sequences of some length; OfRun those that all of its
// blocks compute, which is what a run keeps that is gone back through for gradients.
func OfBlock(catalogue interv.Catalogue, columns, length int) (numbers int) {
	for _, sites := range catalogue.Sites {
		numbers += columns * max(1, sites.Heads) * max(sites.Width, 2*length)
	}
	return numbers
}

// OfRun is OfBlock for all blocks of a run.
func OfRun(catalogue interv.Catalogue, columns, length int) (numbers int) {
	for _, site := range catalogue.All() {
		if sites, err := catalogue.Find(site); err == nil {
			numbers += columns * max(1, sites.Heads) * max(sites.Width, 2*length)
		}
	}
	return numbers
}

// Memory says how much memory is taken besides the weights.
func Memory(bytes int) string {
	return fmt.Sprintf("about %.0f MiB besides the weights", float64(bytes)/(1<<20))
}
