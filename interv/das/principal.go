package das

import (
	"math"
	"slices"
)

// principal returns the eigenvectors of the covariance of rows [examples, width] with the largest eigenvalues, largest first, as columns
// [width, count], by Jacobi's rotations.
func principal(rows []float64, examples, width, count int) []float32 {
	mean, a, vectors := make([]float64, width), make([]float64, width*width), make([]float64, width*width)
	for i, x := range rows {
		mean[i%width] += x / float64(examples)
	}
	for row := range slices.Chunk(rows, width) {
		for i := range width {
			for j := range width {
				a[i*width+j] += (row[i] - mean[i]) * (row[j] - mean[j]) / float64(examples)
			}
		}
	}
	for i := range width {
		vectors[i*width+i] = 1
	}
	turn := func(m []float64, i, j int, c, s float64) {
		m[i], m[j] = c*m[i]-s*m[j], s*m[i]+c*m[j]
	}
	for range 60 {
		off, all := 0.0, 0.0
		for i := range a {
			all += a[i] * a[i]
			if i/width != i%width {
				off += a[i] * a[i]
			}
		}
		if off <= 1e-24*all {
			break
		}
		for p := range width {
			for q := p + 1; q < width; q++ {
				if a[p*width+q] == 0 {
					continue
				}
				theta := (a[q*width+q] - a[p*width+p]) / (2 * a[p*width+q])
				t := 1 / (math.Abs(theta) + math.Sqrt(theta*theta+1))
				if theta < 0 {
					t = -t
				}
				c := 1 / math.Sqrt(t*t+1)
				for k := range width {
					turn(a, k*width+p, k*width+q, c, t*c)
					turn(vectors, k*width+p, k*width+q, c, t*c)
				}
				for k := range width {
					turn(a, p*width+k, q*width+k, c, t*c)
				}
			}
		}
	}
	order := make([]int, width)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		switch x, y := a[i*width+i], a[j*width+j]; {
		case x > y:
			return -1
		case x < y:
			return 1
		}
		return 0
	})
	columns := make([]float32, width*count)
	for d := range width {
		for k := range count {
			columns[d*count+k] = float32(vectors[d*width+order[k]])
		}
	}
	return columns
}
