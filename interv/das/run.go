package das

import (
	"context"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/must"
	"github.com/govene/govene/interv"
)

// Run searches on training examples and measures what it finds on held-out ones, whose accuracy decides which rotation of each start is
// kept. It ends early, between two steps, when the context does; what the checkpoint has by then is not lost.
func Run(ctx context.Context, backend compute.Backend, model interv.Model, s Search, train, held Data) (*Result, error) {
	if backend == nil || model == nil {
		return nil, &interv.Error{Where: "search", Axis: "backend and model", Got: fmt.Sprintf("%T and %T", backend, model), Wanted: "both"}
	}
	if err := s.fill(model, train, held); err != nil {
		return nil, err
	}
	saved, err := s.open(model, train, held)
	if err != nil {
		return nil, err
	}
	result := &Result{}
	for _, place := range s.Places {
		p, err := newPlaced(backend, model, &s, place, train, held)
		if err != nil {
			return nil, interv.Within(place.String(), err)
		}
		var starts []start
		for _, rank := range s.Ranks {
			for seed := range s.Seeds {
				starts = append(starts, start{rank, seed})
			}
		}
		for chunk := range slices.Chunk(starts, max(1, s.MaxRows/s.Batch)) {
			found, err := p.search(ctx, chunk, saved)
			if err != nil {
				return nil, interv.Within(place.String(), err)
			}
			result.Alignments = append(result.Alignments, found...)
		}
	}
	return result, nil
}

// MustRun is Run that panics on an error.
func MustRun(ctx context.Context, backend compute.Backend, model interv.Model, s Search, train, held Data) *Result {
	return must.Of(Run(ctx, backend, model, s, train, held))
}

// start is the rank and the seed of an alignment.
type start struct{ rank, seed int }

// placed is what the programs of one place share: they take the weights, all examples, and the numbers of those of a batch.
type placed struct {
	settings    *Search
	place       Place
	width       int
	variables   int
	train, held examples
	step, look  *Exec
	weights     []any
}

// examples are data on the device, with what base and sources have at a place.
type examples struct {
	count     int
	arguments []any // inputs by name, base activations [examples, positions, width], those of each source [examples, width], labels
}

func newPlaced(backend compute.Backend, model interv.Model, s *Search, place Place, train, held Data) (p *placed, err error) {
	sites, err := model.Catalogue().Find(place.Site)
	if err != nil {
		return nil, err
	}
	p = &placed{settings: s, place: place, width: sites.Width, variables: len(train.Sources)}
	names := model.Weights().Names()
	for _, name := range names {
		p.weights = append(p.weights, model.Weights().Tensor(name))
	}
	if p.train, err = p.read(backend, model, train); err != nil {
		return nil, err
	}
	if p.held, err = p.read(backend, model, held); err != nil {
		return nil, err
	}
	inputs := slices.Sorted(maps.Keys(train.Base))
	// batch are the logits and labels of a batch, and the arguments that follow those of the examples.
	batch := func(in []*Node) (logits, labels *Node, rest []*Node) {
		weights := nodes(names, in)
		in = in[len(names):]
		all, rest := in[:len(inputs)+2+p.variables], in[len(inputs)+2+p.variables:]
		picked := make([]*Node, len(all))
		for i, x := range all {
			picked[i] = Gather(x, ExpandDims(rest[0], -1))
		}
		labels = picked[len(picked)-1]
		logits = intervened(model, weights, nodes(inputs, picked), place, rest[1], rest[2], picked[len(inputs)], picked[len(inputs)+1:len(picked)-1])
		return logits, labels, rest
	}
	p.step, err = NewExec(backend, func(in []*Node) []*Node {
		logits, labels, rest := batch(in)
		return trainingStep(ReduceAllSum(losses(logits, labels)), rest[1], rest[3], rest[4], rest[5], rest[6], rest[7], rest[8])
	})
	if err != nil {
		return nil, err
	}
	p.look, err = NewExec(backend, func(in []*Node) *Node {
		logits, labels, _ := batch(in)
		return right(logits, labels)
	})
	return p, err
}

func nodes(names []string, list []*Node) interv.Nodes {
	named := interv.Nodes{}
	for i, name := range names {
		named[name] = list[i]
	}
	return named
}

// read computes what a clean model has at the place on all examples, in batches, once.
func (p *placed) read(backend compute.Backend, model interv.Model, d Data) (examples, error) {
	names := model.Weights().Names()
	inputs := slices.Sorted(maps.Keys(d.Base))
	collect, err := NewExec(backend, func(in []*Node) *Node {
		picked := make([]*Node, len(inputs))
		for i := range inputs {
			picked[i] = Gather(in[len(names)+i], ExpandDims(in[len(in)-1], -1))
		}
		var seen *Node
		tap := interv.NewTap(func(_ *interv.Tap, a interv.Activation) *Node {
			if a.Site == p.place.Site {
				seen = a.Value
			}
			return a.Value
		})
		model.Forward(nodes(names, in), nodes(inputs, picked), tap)
		if seen == nil || seen.Rank() != 3 {
			panic(&interv.Error{Where: p.place.String(), Axis: "announcement", Got: "none, or one of a step", Wanted: "[batch, positions, width]"})
		}
		return seen
	})
	if err != nil {
		return examples{}, err
	}
	positions := 0
	activations := func(in interv.Inputs) (flat []float32, err error) {
		arguments := slices.Clone(p.weights)
		for _, name := range inputs {
			arguments = append(arguments, in[name])
		}
		err = p.batches(len(d.Labels), func(index *tensors.Tensor, real int) error {
			out, err := collect.Call1(append(arguments, index)...)
			if err != nil {
				return err
			}
			positions = out.Shape().Dim(1)
			flat = append(flat, tensors.MustCopyFlatData[float32](out)[:real*positions*p.width]...)
			return nil
		})
		return flat, err
	}
	e := examples{count: len(d.Labels)}
	for _, name := range inputs {
		e.arguments = append(e.arguments, d.Base[name])
	}
	base, err := activations(d.Base)
	if err != nil {
		return e, err
	}
	e.arguments = append(e.arguments, tensors.FromFlatDataAndDimensions(base, e.count, positions, p.width))
	for _, source := range d.Sources {
		all, err := activations(source)
		if err != nil {
			return e, err
		}
		here := make([]float32, 0, e.count*p.width)
		for i := range e.count {
			first := (i*positions + p.place.Position) * p.width
			here = append(here, all[first:first+p.width]...)
		}
		e.arguments = append(e.arguments, tensors.FromFlatDataAndDimensions(here, e.count, p.width))
	}
	e.arguments = append(e.arguments, int32s(d.Labels))
	return e, nil
}

// batches counts through examples in batches of one size; of the last, only the first so many are real.
func (p *placed) batches(count int, do func(index *tensors.Tensor, real int) error) error {
	for first := 0; first < count; first += p.settings.Batch {
		index := make([]int, p.settings.Batch)
		for i := range index {
			index[i] = min(first+i, count-1)
		}
		if err := do(int32s(index), min(p.settings.Batch, count-first)); err != nil {
			return err
		}
	}
	return nil
}

func int32s(values []int) *tensors.Tensor {
	flat := make([]int32, len(values))
	for i, value := range values {
		flat[i] = int32(value)
	}
	return tensors.FromFlatDataAndDimensions(flat, len(flat))
}

// search trains the alignments of one chunk.
func (p *placed) search(ctx context.Context, starts []start, saved *checkpoint) ([]Alignment, error) {
	s := p.settings
	t, err := p.newStack(starts)
	if err != nil {
		return nil, err
	}
	if err := saved.restore(t); err != nil {
		return nil, err
	}
	if s.Kind != Trained {
		if !t.finished {
			t.finished = true
			err = p.evaluate(t)
		}
		return t.alignments(p), err
	}
	var sound []*tensors.Tensor
	var order []int
	perEpoch, epoch := p.train.count/s.Batch, -1
	for !t.finished {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if now := t.steps / perEpoch; now != epoch {
			epoch = now
			order = rand.New(rand.NewPCG(s.Seed, uint64(epoch))).Perm(p.train.count)
		}
		first := t.steps % perEpoch * s.Batch
		factor := 1.0
		if s.Schedule != nil {
			factor = s.Schedule(t.steps)
		}
		if !(factor >= 0) || math.IsInf(factor, 0) {
			return nil, &interv.Error{Axis: fmt.Sprintf("schedule at step %d", t.steps), Got: fmt.Sprint(factor), Wanted: "a finite number, 0 or more"}
		}
		ok, err := p.take(t, int32s(order[first:first+s.Batch]), factor)
		if err != nil {
			return nil, err
		}
		sound = append(sound, ok)
		if t.steps++; t.steps%s.Every != 0 && t.steps != s.Steps {
			continue
		}
		for _, ok := range sound {
			if tensors.ToScalar[float32](ok) != 1 {
				return nil, &interv.Error{Axis: fmt.Sprintf("steps %d to %d", t.steps-len(sound), t.steps-1), Got: "an update that is not finite or by far too large",
					Wanted: "finite activations, and a rate that is not far above 1"}
			}
		}
		sound = sound[:0]
		if err := p.evaluate(t); err != nil {
			return nil, err
		}
		t.finished = t.steps >= s.Steps || !slices.Contains(t.stopped, false)
		if err := saved.write(t); err != nil {
			return nil, err
		}
		if s.Progress != nil {
			s.Progress(p.place, t.steps, slices.Clone(t.accuracy))
		}
	}
	return t.alignments(p), saved.write(t)
}

// take takes a step on the examples of an index.
func (p *placed) take(t *stack, index *tensors.Tensor, factor float64) (sound *tensors.Tensor, err error) {
	rates := make([]float32, len(t.starts))
	for i := range rates {
		if !t.stopped[i] {
			rates[i] = float32(p.settings.Rate * factor)
		}
	}
	unbias := func(decay float64) *tensors.Tensor {
		return tensors.FromScalar(float32(1 / (1 - math.Pow(decay, float64(t.steps+1)))))
	}
	arguments := append(slices.Concat(p.weights, p.train.arguments), index, t.rotations, t.selected, t.there, t.mean, t.square,
		tensors.FromFlatDataAndDimensions(rates, len(rates)), unbias(0.9), unbias(0.999))
	out, err := p.step.Call(arguments...)
	if err != nil {
		return nil, err
	}
	for _, old := range []*tensors.Tensor{t.rotations, t.mean, t.square} {
		old.FinalizeAll()
	}
	t.rotations, t.mean, t.square = out[0], out[1], out[2]
	return out[4], nil
}

// evaluate looks at the held-out examples, and keeps the rotations that are better than before.
func (p *placed) evaluate(t *stack) error {
	correct := make([][]bool, len(t.starts))
	err := p.batches(p.held.count, func(index *tensors.Tensor, real int) error {
		out, err := p.look.Call1(append(slices.Concat(p.weights, p.held.arguments), index, t.rotations, t.selected)...)
		if err != nil {
			return err
		}
		flat := tensors.MustCopyFlatData[float32](out)
		for i := range correct {
			for _, one := range flat[i*p.settings.Batch : i*p.settings.Batch+real] {
				correct[i] = append(correct[i], one == 1)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	rotations := tensors.MustCopyFlatData[float32](t.rotations)
	size := len(rotations) / len(correct)
	for i := range correct {
		accuracy := share(correct[i])
		switch {
		case t.stopped[i]:
		case accuracy > t.accuracy[i]:
			t.accuracy[i], t.correct[i], t.best[i], t.waits[i] = accuracy, correct[i], t.steps, 0
			copy(t.kept[i*size:(i+1)*size], rotations[i*size:(i+1)*size])
		default:
			t.waits[i]++
			t.stopped[i] = t.waits[i] >= p.settings.Patience
		}
	}
	return nil
}

func share(correct []bool) float64 {
	count := 0
	for _, one := range correct {
		if one {
			count++
		}
	}
	return float64(count) / float64(len(correct))
}

// stack is a chunk of alignments in training. Column v · widest + k of a rotation is dimension k of variable v.
type stack struct {
	name                    string // among those of a checkpoint
	starts                  []start
	widest                  int
	rotations, mean, square *tensors.Tensor // [alignments, width, columns]
	selected, there         *tensors.Tensor // [variables, alignments, columns], [alignments, columns]: 1 for columns of the variable, or of any
	steps                   int
	finished                bool

	kept        []float32 // the best rotations so far
	accuracy    []float64 // of these
	correct     [][]bool
	best, waits []int
	stopped     []bool
}

func (p *placed) newStack(starts []start) (*stack, error) {
	count := len(starts)
	t := &stack{starts: starts, accuracy: make([]float64, count), correct: make([][]bool, count), best: make([]int, count), waits: make([]int, count),
		stopped: make([]bool, count), name: fmt.Sprintf("%s, from rank %d, seed %d", p.place, starts[0].rank, starts[0].seed)}
	for i, s := range starts {
		t.widest, t.accuracy[i] = max(t.widest, s.rank), -1
	}
	columns := t.widest * p.variables
	rotations, there := make([]float32, count*p.width*columns), make([]float32, count*columns)
	selected := make([]float32, p.variables*len(there))
	var principal []float32
	if p.settings.Kind == Principal {
		var err error
		base := p.train.arguments[len(p.train.arguments)-2-p.variables].(*tensors.Tensor)
		if principal, err = directions(base, p.place.Position, slices.Max(p.settings.Ranks)*p.variables); err != nil {
			return nil, err
		}
	}
	for i, s := range starts {
		r := principal
		size := len(principal) / p.width
		if r == nil {
			size = s.rank * p.variables
			r = tensors.MustCopyFlatData[float32](interv.RandomOrthonormal(p.width, size, rand.New(rand.NewPCG(uint64(s.seed), uint64(s.rank)))))
		}
		for v := range p.variables {
			for k := range s.rank {
				column := v*t.widest + k
				there[i*columns+column] = 1
				selected[(v*count+i)*columns+column] = 1
				for d := range p.width {
					rotations[(i*p.width+d)*columns+column] = r[d*size+v*s.rank+k]
				}
			}
		}
	}
	t.kept = slices.Clone(rotations)
	zeros := func() *tensors.Tensor {
		return tensors.FromFlatDataAndDimensions(make([]float32, len(rotations)), count, p.width, columns)
	}
	t.rotations, t.mean, t.square = tensors.FromFlatDataAndDimensions(rotations, count, p.width, columns), zeros(), zeros()
	t.selected, t.there = tensors.FromFlatDataAndDimensions(selected, p.variables, count, columns), tensors.FromFlatDataAndDimensions(there, count, columns)
	return t, nil
}

// directions are the principal directions of activations [examples, positions, width] at a position, [width, count]. They are eigenvectors of
// the covariance itself, not of standardized activations.
func directions(base *tensors.Tensor, position, count int) ([]float32, error) {
	examples, positions, width := base.Shape().Dim(0), base.Shape().Dim(1), base.Shape().Dim(2)
	flat := tensors.MustCopyFlatData[float32](base)
	rows := make([]float64, 0, examples*width)
	for i := range examples {
		for _, value := range flat[(i*positions+position)*width : (i*positions+position+1)*width] {
			rows = append(rows, float64(value))
		}
	}
	return principal(rows, examples, width, count), nil
}

// alignments are the best of a stack.
func (t *stack) alignments(p *placed) []Alignment {
	list := make([]Alignment, len(t.starts))
	columns := t.widest * p.variables
	for i, s := range t.starts {
		rotation := make([]float32, 0, p.width*s.rank*p.variables)
		for d := range p.width {
			row := t.kept[(i*p.width+d)*columns : (i*p.width+d+1)*columns]
			for v := range p.variables {
				rotation = append(rotation, row[v*t.widest:v*t.widest+s.rank]...)
			}
		}
		list[i] = Alignment{Place: p.place, Rank: s.rank, Seed: s.seed, Variables: p.variables, Accuracy: t.accuracy[i], Correct: t.correct[i], Steps: t.best[i],
			Rotation: tensors.FromFlatDataAndDimensions(rotation, p.width, s.rank*p.variables)}
	}
	return list
}
