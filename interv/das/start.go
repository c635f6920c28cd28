package das

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/eigen"
	"github.com/govene/govene/interv"
)

// start is the rank and the seed of an alignment.
type start struct{ rank, seed int }

// learned is a parameter of a stack, and Adam's running means of its gradient and of its square.
type learned struct{ value, mean, square *tensors.Tensor }

func newLearned(value *tensors.Tensor) *learned {
	return &learned{value, tensors.FromShape(value.Shape()), tensors.FromShape(value.Shape())}
}

// parts are the tensors, with the names that checkpoints have for them.
func (l *learned) parts(name string) []named {
	return []named{{name, &l.value}, {name + " mean", &l.mean}, {name + " square", &l.square}}
}

type named struct {
	name string
	at   **tensors.Tensor
}

// stack is a chunk of alignments in training. Column v · rank + k of a rotation is dimension k of variable v, or, where masks are learned,
// column k that of all variables.
type stack struct {
	name            string // among those of a checkpoint
	starts          []start
	rotations, mask *learned        // [alignments, width, columns]; the kind's mask, nil where columns are given
	selected, there *tensors.Tensor // [variables, alignments, columns], [alignments, columns]: 1 for columns of the variable, or of any
	steps           int
	finished        bool

	kept         []float32 // the best rotations so far
	keptSelected []float32 // and which of their columns belong to which variable, sharply
	accuracy     []float64 // of these
	loss         []float64
	correct      [][]bool
	best, waits  []int
	stopped      []bool
}

// learns are the parameters that the kind learns.
func (t *stack) learns(k Kind) (list []*learned) {
	if k.learnsRotation() {
		list = append(list, t.rotations)
	}
	if k.masks() {
		list = append(list, t.mask)
	}
	return list
}

func (p *placed) newStack(starts []start) (*stack, error) {
	count, kind := len(starts), p.settings.Kind
	t := &stack{starts: starts, accuracy: make([]float64, count), loss: make([]float64, count), correct: make([][]bool, count), best: make([]int, count),
		waits: make([]int, count), stopped: make([]bool, count), name: fmt.Sprintf("%s, from rank %d, seed %d", p.place, starts[0].rank, starts[0].seed)}
	columns := 0
	for i, s := range starts {
		columns, t.accuracy[i] = max(columns, s.rank*p.variables), -1
	}
	if kind.masks() {
		columns = p.width
		t.mask = newLearned(kind.newMask(count, p.variables, columns))
	}
	rotations, there := make([]float32, count*p.width*columns), make([]float32, count*columns)
	selected := make([]float32, p.variables*len(there))
	for i, s := range starts {
		r, err := p.columns(s)
		if err != nil {
			return nil, err
		}
		size := len(r) / p.width
		for d := range p.width {
			copy(rotations[(i*p.width+d)*columns:], r[d*size:(d+1)*size])
		}
		for column := range size {
			there[i*columns+column] = 1
			if !kind.masks() {
				selected[(column/(size/p.variables)*count+i)*columns+column] = 1
			}
		}
	}
	if kind.masks() {
		selected = kind.sharp(t.mask.value, columns)
	}
	t.kept, t.keptSelected = slices.Clone(rotations), slices.Clone(selected)
	t.rotations = newLearned(tensors.FromFlatDataAndDimensions(rotations, count, p.width, columns))
	t.selected, t.there = tensors.FromFlatDataAndDimensions(selected, p.variables, count, columns), tensors.FromFlatDataAndDimensions(there, count, columns)
	return t, nil
}

// columns is what an alignment starts from, [width, …]: as many columns as all variables have, or the width where masks are learned.
func (p *placed) columns(s start) ([]float32, error) {
	size := s.rank * p.variables
	switch p.settings.Kind {
	case Masks:
		identity := make([]float32, p.width*p.width)
		for d := range p.width {
			identity[d*p.width+d] = 1
		}
		return identity, nil
	case Principal:
		return directions(p.train.base, p.place.Position, size)
	case Means:
		rank := s.rank
		for _, values := range p.values {
			rank = min(rank, different(values)-1)
		}
		return differences(p.train.sources, p.values, rank)
	case Boundless:
		size = p.width
	}
	return tensors.MustCopyFlatData[float32](interv.RandomOrthonormal(p.width, size, rand.New(rand.NewPCG(uint64(s.seed), uint64(s.rank))))), nil
}

// directions are the principal directions of activations [examples, positions, width] at a position, those of most variance first, [width,
// count]. They are eigenvectors of the covariance itself, not of standardized activations.
func directions(base *tensors.Tensor, position, count int) ([]float32, error) {
	examples, positions, width := base.Shape().Dim(0), base.Shape().Dim(1), base.Shape().Dim(2)
	flat := tensors.MustCopyFlatData[float32](base)
	rows, mean := make([]float64, 0, examples*width), make([]float64, width)
	for i := range examples {
		for d, value := range flat[(i*positions+position)*width : (i*positions+position+1)*width] {
			rows = append(rows, float64(value))
			mean[d] += float64(value) / float64(examples)
		}
	}
	for i := range rows {
		rows[i] -= mean[i%width]
	}
	vectors, err := eigen.Vectors(eigen.Covariance(rows, width), width)
	if err != nil {
		return nil, err
	}
	columns := make([]float32, width*count)
	for i := range columns {
		columns[i] = float32(vectors[i%count*width+i/count])
	}
	return columns, nil
}

// exchanged is the share of dimensions that alignment i takes from sources.
func (t *stack) exchanged(i int, selected []float32) (share float64) {
	count, columns := len(t.starts), t.there.Shape().Dim(1)
	for first := i * columns; first < len(selected); first += count * columns {
		for _, one := range selected[first : first+columns] {
			share += float64(one) / float64(columns)
		}
	}
	return share
}

// keep takes what alignment i is now for the best so far.
func (t *stack) keep(i int, rotations, selected []float32, accuracy, loss float64, correct []bool) {
	count := len(t.starts)
	t.accuracy[i], t.loss[i], t.correct[i], t.best[i] = accuracy, loss, correct, t.steps
	size := len(rotations) / count
	copy(t.kept[i*size:(i+1)*size], rotations[i*size:(i+1)*size])
	columns := t.there.Shape().Dim(1)
	for first := i * columns; first < len(selected); first += count * columns { // of one variable after the other
		copy(t.keptSelected[first:first+columns], selected[first:first+columns])
	}
}

// alignments are the best of a stack.
func (t *stack) alignments(p *placed) []Alignment {
	list := make([]Alignment, len(t.starts))
	columns := t.there.Shape().Dim(1)
	for i, s := range t.starts {
		a := Alignment{Place: p.place, Rank: s.rank, Ranks: make([]int, p.variables), Seed: s.seed, Accuracy: t.accuracy[i], Loss: t.loss[i], Correct: t.correct[i], Steps: t.best[i]}
		var order []int
		for v := range p.variables {
			for column := range columns {
				if t.keptSelected[(v*len(t.starts)+i)*columns+column] == 1 {
					order = append(order, column)
					a.Ranks[v]++
				}
			}
		}
		rotation := make([]float32, 0, p.width*len(order))
		for d := range p.width {
			for _, column := range order {
				rotation = append(rotation, t.kept[(i*p.width+d)*columns+column])
			}
		}
		if len(order) > 0 {
			a.Rotation = tensors.FromFlatDataAndDimensions(rotation, p.width, len(order))
		}
		list[i] = a
	}
	return list
}
