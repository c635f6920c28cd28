package das

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/adam"
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
	if err := first(checkLabels(backend, model, "training examples", train, train.Labels), checkLabels(backend, model, "held-out examples", held, held.Labels)); err != nil {
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
		found, err := p.all(ctx, saved)
		if err != nil {
			return nil, interv.Within(place.String(), err)
		}
		result.Alignments = append(result.Alignments, found...)
	}
	return result, nil
}

// all searches with all ranks and seeds.
func (p *placed) all(ctx context.Context, saved *checkpoint) (list []Alignment, err error) {
	var starts []start
	for _, rank := range p.settings.Ranks {
		for seed := range p.settings.Seeds {
			starts = append(starts, start{rank, seed})
		}
	}
	for chunk := range slices.Chunk(starts, p.settings.chunk()) {
		found, err := p.search(ctx, chunk, saved)
		if err != nil {
			return nil, err
		}
		list = append(list, found...)
	}
	return list, nil
}

// chunk is how many alignments a program has.
func (s *Search) chunk() int { return max(1, s.MaxRows/s.Batch) }

// MustRun is Run that panics on an error.
func MustRun(ctx context.Context, backend compute.Backend, model interv.Model, s Search, train, held Data) *Result {
	return must.Of(Run(ctx, backend, model, s, train, held))
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
	if !s.Kind.learns() {
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
		temperature := s.temperature(t.steps, p.width)
		if !(temperature > 0) || math.IsInf(temperature, 0) {
			return nil, &interv.Error{Axis: fmt.Sprintf("temperature at step %d", t.steps), Got: fmt.Sprint(temperature), Wanted: "a finite number above 0"}
		}
		ok, err := p.take(t, int32s(order[first:first+s.Batch]), factor, temperature)
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
func (p *placed) take(t *stack, index *tensors.Tensor, factor, temperature float64) (sound *tensors.Tensor, err error) {
	s, rates := p.settings, make([]float32, len(t.starts))
	for i := range rates {
		if !t.stopped[i] {
			rates[i] = float32(s.Rate * factor)
		}
	}
	unbiasMean, unbiasSquare := adam.Usual.Unbias(t.steps)
	arguments := append(slices.Concat(p.weights, p.train.arguments), index, t.rotations.value, t.selected, t.there, tensors.FromFlatDataAndDimensions(rates, len(rates)),
		tensors.FromScalar(float32(s.MaskRate/s.Rate)), tensors.FromScalar(float32(unbiasMean)), tensors.FromScalar(float32(unbiasSquare)), tensors.FromScalar(float32(temperature)))
	if s.Kind.learnsRotation() {
		arguments = append(arguments, t.rotations.mean, t.rotations.square)
	}
	if s.Kind.masks() {
		arguments = append(arguments, t.mask.value, t.mask.mean, t.mask.square)
	}
	out, err := p.step.Call(arguments...)
	if err != nil {
		return nil, err
	}
	for i, l := range t.learns(s.Kind) {
		for _, old := range []*tensors.Tensor{l.value, l.mean, l.square} {
			old.FinalizeAll()
		}
		l.value, l.mean, l.square = out[3*i], out[3*i+1], out[3*i+2]
	}
	return out[len(out)-1], nil
}

// evaluate looks at the held-out examples, and keeps the alignments that are better than before: more accurate, or as accurate at a lower loss.
// Where masks are learned, the loss with its penalty decides: else an early mask of many dimensions would be kept.
func (p *placed) evaluate(t *stack) error {
	if t.mask != nil {
		t.selected.FinalizeAll()
		columns := t.there.Shape().Dim(1)
		t.selected = tensors.FromFlatDataAndDimensions(p.settings.Kind.sharp(t.mask.value, columns), p.variables, len(t.starts), columns)
	}
	correct, loss, err := p.measure(t.rotations.value, t.selected, p.held)
	if err != nil {
		return err
	}
	rotations, selected := tensors.MustCopyFlatData[float32](t.rotations.value), tensors.MustCopyFlatData[float32](t.selected)
	for i := range correct {
		if t.stopped[i] {
			continue
		}
		accuracy := share(correct[i])
		better := accuracy > t.accuracy[i]
		tie := accuracy == t.accuracy[i] && loss[i] < t.loss[i]
		if p.settings.Kind.masks() {
			loss[i] += p.settings.Penalty * t.exchanged(i, selected)
			better, tie = t.accuracy[i] < 0 || loss[i] < t.loss[i], false
		}
		if t.waits[i]++; better {
			t.waits[i] = 0
		}
		if better || tie {
			t.keep(i, rotations, selected, accuracy, loss[i], correct[i])
		}
		t.stopped[i] = t.waits[i] >= p.settings.Patience
	}
	return nil
}

// measure tells for each alignment of a stack which examples it is right on, and the mean cross-entropy of their labels.
func (p *placed) measure(rotations, selected *tensors.Tensor, e examples) (correct [][]bool, loss []float64, err error) {
	count := rotations.Shape().Dim(0)
	correct, loss = make([][]bool, count), make([]float64, count)
	err = p.batches(e.count, func(batch []int, real int) error {
		out, err := p.look.Call(append(slices.Concat(p.weights, e.arguments), int32s(batch), rotations, selected)...)
		if err != nil {
			return err
		}
		flags, entropies := tensors.MustCopyFlatData[float32](out[0]), tensors.MustCopyFlatData[float32](out[1])
		for k := range real {
			for i := range correct {
				correct[i] = append(correct[i], flags[k*count+i] == 1)
				loss[i] += float64(entropies[k*count+i]) / float64(e.count)
			}
		}
		return nil
	})
	return correct, loss, err
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
