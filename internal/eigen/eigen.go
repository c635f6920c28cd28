// Package eigen has the principal directions of vectors: the covariance of their entries, and its eigenvectors.
package eigen

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/govene/govene/internal/refusal"
)

// Covariance of the columns of x, [rows, width], whose means are 0: xᵀx / rows.
func Covariance(x []float64, width int) []float64 {
	product := make([]float64, width*width)
	rows := float64(len(x) / width)
	for vector := range slices.Chunk(x, width) {
		for i, a := range vector {
			for j, b := range vector[:i+1] {
				product[i*width+j] += a * b / rows
			}
		}
	}
	for i := range width {
		for j := range i {
			product[j*width+i] = product[i*width+j]
		}
	}
	return product
}

// Vectors are the eigenvectors of a symmetric matrix [n, n], as rows of length 1 whose largest entry is positive, those of the largest
// eigenvalues first: cyclic Jacobi rotations (Golub and Van Loan, "Matrix Computations", 2013, section 8.5), until what is off the diagonal
// is rounding. A dozen sweeps are many. The matrix is overwritten.
func Vectors(matrix []float64, n int) ([]float64, error) {
	const sweeps = 100
	vectors := make([]float64, n*n)
	norm := 0.0
	for i := range n {
		vectors[i*n+i] = 1
		for j := range n {
			norm += matrix[i*n+j] * matrix[i*n+j]
		}
	}
	for off, sweep := math.Inf(1), 0; !(off <= 1e-24*norm); sweep++ {
		if sweep == sweeps {
			return nil, &refusal.Error{Axis: "eigenvectors", Got: fmt.Sprintf("%g of the norm off the diagonal after %d sweeps", math.Sqrt(off/norm), sweep), Wanted: "1e-12"}
		}
		off = 0
		for p := range n {
			for q := p + 1; q < n; q++ {
				off += 2 * matrix[p*n+q] * matrix[p*n+q]
				rotate(matrix, vectors, n, p, q)
			}
		}
	}
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return -cmp.Compare(matrix[a*n+a], matrix[b*n+b]) })
	sorted := make([]float64, 0, n*n)
	for _, i := range order {
		row := vectors[i*n : (i+1)*n]
		largest := slices.MaxFunc(row, func(a, b float64) int { return cmp.Compare(math.Abs(a), math.Abs(b)) })
		for _, value := range row {
			sorted = append(sorted, math.Copysign(1, largest)*value)
		}
	}
	return sorted, nil
}

// rotate makes the entry p, q of a symmetric matrix 0 by a rotation of these two axes, and rotates the rows of vectors along.
func rotate(matrix, vectors []float64, n, p, q int) {
	apq := matrix[p*n+q]
	if apq == 0 {
		return
	}
	tau := (matrix[q*n+q] - matrix[p*n+p]) / (2 * apq)
	t := math.Copysign(1, tau) / (math.Abs(tau) + math.Sqrt(1+tau*tau))
	c := 1 / math.Sqrt(1+t*t)
	s := t * c
	for k := range n {
		a, b := matrix[k*n+p], matrix[k*n+q]
		matrix[k*n+p], matrix[k*n+q] = c*a-s*b, s*a+c*b
	}
	for k := range n {
		a, b := matrix[p*n+k], matrix[q*n+k]
		matrix[p*n+k], matrix[q*n+k] = c*a-s*b, s*a+c*b
		a, b = vectors[p*n+k], vectors[q*n+k]
		vectors[p*n+k], vectors[q*n+k] = c*a-s*b, s*a+c*b
	}
}
