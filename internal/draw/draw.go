// Package draw fills tensors with random numbers.
package draw

import (
	"hash/fnv"
	"io"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/gomlx/gomlx/core/tensors"
)

// Tensor is a float32 tensor of numbers from a generator, such as the NormFloat64 of a rand.Rand, in the order of the elements.
func Tensor(next func() float64, dimensions ...int) *tensors.Tensor {
	size := 1
	for _, d := range dimensions {
		size *= d
	}
	flat := make([]float32, size)
	for i := range flat {
		flat[i] = float32(next())
	}
	return tensors.FromFlatDataAndDimensions(flat, dimensions...)
}

// blockSize is how many elements one generator serves.
const blockSize = 1 << 16

// Blocks has fill draw the elements of a large tensor on all cores, block by block: elements from to to−1 with a generator of the block's
// own. Which that is follows from the seed, the tensor's name and the block, so that any number of cores draws the same numbers.
func Blocks(seed uint64, name string, size int, fill func(from, to int, random *rand.Rand)) {
	hash := fnv.New64a()
	io.WriteString(hash, name) // which never fails
	stream, count := hash.Sum64(), (size+blockSize-1)/blockSize
	var workers sync.WaitGroup
	var next atomic.Int64
	for range min(count, runtime.GOMAXPROCS(0)) {
		workers.Go(func() {
			for block := int(next.Add(1)) - 1; block < count; block = int(next.Add(1)) - 1 {
				from := block * blockSize
				fill(from, min(size, from+blockSize), rand.New(rand.NewPCG(seed, stream+uint64(block))))
			}
		})
	}
	workers.Wait()
}
