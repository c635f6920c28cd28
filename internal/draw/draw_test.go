package draw

import (
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
)

func normals(seed uint64, name string, size int) []float64 {
	values := make([]float64, size)
	Blocks(seed, name, size, func(from, to int, random *rand.Rand) {
		for i := from; i < to; i++ {
			values[i] = random.NormFloat64()
		}
	})
	return values
}

// Any number of cores draws the same; another seed or name, other numbers.
func TestBlocksOnAnyCores(t *testing.T) {
	const size = 5*blockSize + 3
	want := normals(1, "a", size)
	for _, cores := range []int{1, 2, 3, 8} {
		func() {
			defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(cores))
			if !slices.Equal(normals(1, "a", size), want) {
				t.Errorf("%d cores draw other numbers", cores)
			}
		}()
	}
	if got := normals(1, "a", 7); !slices.Equal(got, want[:7]) {
		t.Errorf("got %v, wanted the beginning, %v", got, want[:7])
	}
	if len(normals(1, "a", 0)) != 0 {
		t.Error("got numbers, wanted none")
	}
	for _, other := range [][]float64{normals(2, "a", size), normals(1, "b", size)} {
		if same := count(other, want); same > 0 {
			t.Errorf("%d numbers are the same with another seed or name", same)
		}
	}
}

// Numbers, and blocks one after the other, are normal and independent.
func TestBlocksAreIndependent(t *testing.T) {
	const blocks = 8
	x := normals(3, "weight", blocks*blockSize)
	bound := 5 / math.Sqrt(blockSize) // five standard deviations of a mean of that many
	correlation := func(a, b []float64) float64 {
		sum := 0.0
		for i := range a {
			sum += a[i] * b[i] / float64(len(a))
		}
		return sum
	}
	for i := range blocks {
		block := x[i*blockSize : (i+1)*blockSize]
		if variance := correlation(block, block); math.Abs(variance-1) > bound*math.Sqrt2 {
			t.Errorf("block %d: got a variance of %g, wanted 1", i, variance)
		}
		for j := range i {
			if c := correlation(block, x[j*blockSize:(j+1)*blockSize]); math.Abs(c) > bound {
				t.Errorf("blocks %d and %d: got a correlation of %g, wanted 0", j, i, c)
			}
		}
	}
}

func count(a, b []float64) (same int) {
	for i := range a {
		if a[i] == b[i] {
			same++
		}
	}
	return same
}
