package das

import (
	"fmt"
	"math"
	"slices"

	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/interv"
)

// Kind is how an alignment comes about.
type Kind int

// The kinds of alignments.
const (
	// Trained learns R, [d, variables · rank]: the columns of a variable are given. Geiger et al. (2023).
	Trained Kind = iota

	// Random draws R, and learns nothing: a control.
	Random

	// Principal takes for R the principal directions of the base's activations, those of most variance first: a baseline that knows nothing of
	// variables.
	Principal

	// Means takes for the columns of a variable the directions in which the means of the source's activations for each of its values differ from
	// the mean of all: the largest difference, then the largest of what is left of the others. Of two values that is the difference of means.
	// Columns of a variable are orthogonal to those of the variables before it. There is one fewer than a variable has values at most, whatever the
	// rank.
	Means

	// Boundless learns R, [d, d], and boundaries β_v between the columns of one variable and the next, softened by the temperature T:
	//
	//	m_vk = σ((k + ½ − b_{v−1})/T) · σ((b_v − k − ½)/T),   b_v = d · (β_1 + … + β_v),   k = 0 … d−1
	//
	// without the first factor for the first variable. Each β_v begins at 1/(2 · variables), and stays between 0.001 and 1. What is looked at and
	// kept is sharp: the columns from one boundary to the next. Wu et al., "Interpretability at Scale: Identifying Causal Mechanisms in Alpaca"
	// (2023); [interv.BoundlessRotatedSpace] has its mask for one variable, where the first column is exchanged by half.
	Boundless

	// Masks learns which of the model's own dimensions (R = I) belong to which variable, softened by the temperature T; a dimension belongs to one
	// variable at most:
	//
	//	m_vk = exp(l_vk/T) / (1 + Σ_u exp(l_uk/T))
	//
	// For one variable that is σ(l/T), the mask of [interv.SigmoidMask]. All l begin at 0, and what is looked at and kept is sharp: the largest
	// l_vk, where it is above 0. With a penalty this is differential binary masking (Davies et al., "Discovering Variable Binding Circuitry with
	// Desiderata", 2023, after Csordás et al., "Are Neural Nets Modular? Inspecting Functional Modularity Through Differentiable Weight Masks", 2021),
	// without their noise.
	Masks
)

var kinds = [...]string{"trained", "random", "principal", "means", "boundless", "masks"}

// String is the kind's name in files: "trained".
func (k Kind) String() string {
	if k < 0 || int(k) >= len(kinds) {
		return fmt.Sprintf("kind %d", int(k))
	}
	return kinds[k]
}

// MarshalText writes the kind's name.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads a kind's name.
func (k *Kind) UnmarshalText(text []byte) error {
	i := slices.Index(kinds[:], string(text))
	if i < 0 {
		return interv.UnknownName("", "kind", string(text), kinds[:])
	}
	*k = Kind(i)
	return nil
}

// masks tells whether the kind finds out which columns belong to a variable.
func (k Kind) masks() bool { return k == Boundless || k == Masks }

// drawn tells whether seeds matter.
func (k Kind) drawn() bool { return k == Trained || k == Random || k == Boundless }

// learnsRotation and learns tell whether R is learned, and whether anything is.
func (k Kind) learnsRotation() bool { return k == Trained || k == Boundless }
func (k Kind) learns() bool         { return k.learnsRotation() || k == Masks }

// leastBoundary is the least share of dimensions that a variable has.
const leastBoundary = 0.001

// newMask is what masks of a kind start from: [alignments, variables] boundaries, or [alignments, variables, columns].
func (k Kind) newMask(alignments, variables, columns int) *tensors.Tensor {
	if k == Masks {
		return tensors.FromFlatDataAndDimensions(make([]float32, alignments*variables*columns), alignments, variables, columns)
	}
	boundaries := make([]float32, alignments*variables)
	for i := range boundaries {
		boundaries[i] = 0.5 / float32(variables)
	}
	return tensors.FromFlatDataAndDimensions(boundaries, alignments, variables)
}

// soft is the mask of columns [variables, alignments, columns], and the share of dimensions that it exchanges, summed over all alignments.
func (k Kind) soft(mask, temperature *Node, columns int) (selected, share *Node) {
	if k == Masks {
		alignments, variables := mask.Shape().Dim(0), mask.Shape().Dim(1)
		none := Zeros(mask.Graph(), mask.Shape())
		none = SliceAxis(none, 1, AxisRange(0, 1))
		m := Softmax(Div(Concatenate([]*Node{none, mask}, 1), temperature), 1)
		selected = Transpose(SliceAxis(m, 1, AxisRange(1, variables+1)), 0, 1)
		selected = Reshape(selected, variables, alignments, columns)
		return selected, DivScalar(ReduceAllSum(selected), float64(columns))
	}
	alignments, variables := mask.Shape().Dim(0), mask.Shape().Dim(1)
	at := AddScalar(Iota(mask.Graph(), shapes.Make(mask.DType(), alignments, columns), 1), 0.5)
	var list []*Node
	var boundary *Node // [alignments, columns]
	for v := range variables {
		width := BroadcastToDims(MulScalar(SliceAxis(mask, 1, AxisRange(v, v+1)), float64(columns)), alignments, columns)
		m := (*Node)(nil)
		if v == 0 {
			boundary = width
		} else {
			m = Sigmoid(Div(Sub(at, boundary), temperature))
			boundary = Add(boundary, width)
		}
		below := Sigmoid(Div(Sub(boundary, at), temperature))
		if m != nil {
			below = Mul(m, below)
		}
		list = append(list, ExpandDims(below, 0))
	}
	return Concatenate(list, 0), ReduceAllSum(mask)
}

// sharp is the mask of columns at a temperature of 0, [variables, alignments, columns].
func (k Kind) sharp(mask *tensors.Tensor, columns int) []float32 {
	flat, alignments, variables := tensors.MustCopyFlatData[float32](mask), mask.Shape().Dim(0), mask.Shape().Dim(1)
	selected := make([]float32, variables*alignments*columns)
	for i := range alignments {
		for column := range columns {
			owner, least, boundary := -1, float32(0), float32(0)
			for v := range variables {
				if k == Masks {
					if l := flat[(i*variables+v)*columns+column]; l > least {
						owner, least = v, l
					}
					continue
				}
				boundary += flat[i*variables+v] * float32(columns)
				if owner < 0 && float32(column)+0.5 < boundary {
					owner = v
				}
			}
			if owner >= 0 {
				selected[(owner*alignments+i)*columns+column] = 1
			}
		}
	}
	return selected
}

// temperature is that of a step where none is given: from a quarter of the width, or from 1, to 0.1 by the same factor at each step.
func (s *Search) temperature(step, width int) float64 {
	if s.Temperature != nil {
		return s.Temperature(step)
	}
	from := 1.0
	if s.Kind == Boundless {
		from = max(1, float64(width)/4)
	}
	return from * math.Pow(0.1/from, float64(step)/float64(max(1, s.Steps-1)))
}

// checkValues refuses values of variables that tell no directions.
func (d Data) checkValues() error {
	refuse := func(got, wanted string) error {
		return &interv.Error{Where: "training examples", Axis: "values", Got: got, Wanted: wanted}
	}
	if len(d.Values) != len(d.Sources) {
		return refuse(fmt.Sprintf("of %d variables", len(d.Values)), fmt.Sprintf("of %d: alignments of the kind means are made from them", len(d.Sources)))
	}
	for v, values := range d.Values {
		if len(values) != len(d.Labels) {
			return refuse(fmt.Sprintf("%d of variable %d", len(values), v), fmt.Sprintf("%d, one for each example", len(d.Labels)))
		}
		if slices.Min(values) < 0 {
			return refuse(fmt.Sprintf("%d of variable %d", slices.Min(values), v), "0 or more")
		}
		if count := different(values); count < 2 {
			return refuse(fmt.Sprintf("%d different of variable %d", count, v), "at least 2")
		}
	}
	return nil
}

// different counts values, each once.
func different(values []int) int {
	seen := map[int]bool{}
	for _, value := range values {
		seen[value] = true
	}
	return len(seen)
}

// differences are the directions of differences of means: [width, variables · rank], from the activations [examples, width] of each source.
func differences(sources []*tensors.Tensor, values [][]int, rank int) ([]float32, error) {
	width := sources[0].Shape().Dim(1)
	var columns [][]float64
	for v, source := range sources {
		flat := tensors.MustCopyFlatData[float32](source)
		all := make([]float64, width)
		classes, counts := make([][]float64, slices.Max(values[v])+1), make([]int, slices.Max(values[v])+1)
		for i, value := range values[v] {
			if classes[value] == nil {
				classes[value] = make([]float64, width)
			}
			counts[value]++
			for d, x := range flat[i*width : (i+1)*width] {
				classes[value][d] += float64(x)
				all[d] += float64(x) / float64(len(values[v]))
			}
		}
		classes = slices.DeleteFunc(classes, func(class []float64) bool { return class == nil })
		counts = slices.DeleteFunc(counts, func(count int) bool { return count == 0 })
		scale := 0.0
		for c, class := range classes {
			for d := range class {
				class[d] = class[d]/float64(counts[c]) - all[d]
			}
			scale = max(scale, product(class, class))
		}
		for range rank {
			var largest []float64
			for _, class := range classes {
				if orthogonal(class, columns); largest == nil || product(class, class) > product(largest, largest) {
					largest = class
				}
			}
			length := product(largest, largest)
			if !(length > 1e-10*scale) {
				return nil, &interv.Error{Axis: fmt.Sprintf("means of variable %d", v), Got: "no difference that variables before it leave", Wanted: "a smaller rank, or other places"}
			}
			column := slices.Clone(largest)
			for d := range column {
				column[d] /= math.Sqrt(length)
			}
			columns = append(columns, column)
		}
	}
	flat := make([]float32, width*len(columns))
	for c, column := range columns {
		for d, x := range column {
			flat[d*len(columns)+c] = float32(x)
		}
	}
	return flat, nil
}

// orthogonal leaves of x what is orthogonal to orthonormal columns.
func orthogonal(x []float64, columns [][]float64) {
	for range 2 { // twice for accuracy
		for _, c := range columns {
			along := product(x, c)
			for d := range x {
				x[d] -= along * c[d]
			}
		}
	}
}

func product(a, b []float64) (sum float64) {
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}
