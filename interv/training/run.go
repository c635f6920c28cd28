// Package training trains models: on labels, and on interchange interventions.
//
//	trained := training.MustRun(ctx, engine, model, examples, training.Settings{Steps: 2000, Rate: 3e-3}).Model
//
// Examples are a [Stream] of calls. A call that has inputs and labels alone is factual: the loss is that of the model's output. One with
// sources and locations, for the interventions of Settings.Config, is an interchange, and the loss that of the counterfactual output: so
// a model is induced to compute as a causal model does (Geiger et al., "Inducing Causal Structure for Interpretable Neural Networks",
// 2022).
package training

import (
	"context"
	"fmt"
	"math"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/must"
	"github.com/govene/govene/interv"
)

// Trainable is a model that can be made anew with other weights of the same names and shapes.
type Trainable[M any] interface {
	interv.Model
	WithWeights(weights map[string]*tensors.Tensor) (M, error)
}

// Settings say how a model is trained.
type Settings struct {
	Steps    int                    // 0 means 1000
	Rate     float64                // Adam's learning rate; 0 means 1e-3
	Schedule func(step int) float64 // what the rate is multiplied with; nil for 1, see [interv.Linear], [interv.Cosine], [interv.WarmUp]
	Decays   [2]float64             // Adam's β₁ and β₂; 0 means 0.9 and 0.999
	Loss     interv.Loss            // nil for [CrossEntropy]

	// WeightDecay is by which share of the rate each step takes weight matrices towards 0, as with AdamW; 0 for none. See [interv.Adam].
	WeightDecay float64

	// Config has the interventions of the calls, for interchange intervention training. Their parameters, such as rotations, are trained as
	// well.
	Config interv.Config

	// Held are the examples of looks, which should be in no batch; several calls where one would be too large. With none, a look is at the batch
	// of the next step, for which the stream must have one more batch than there are steps.
	Held []interv.Call

	Every    int          // steps from one look to the next; 0 means a twentieth of all
	Watch    Number       // the number of looks that decides when training ends
	Patience int          // looks without a better number after which it ends early, and the model is that of the best look; 0 for no end
	Enough   float64      // training ends at a look with a number as good as this; 0 for no end
	Progress func(Curves) // at each look; may be nil, see [Printed] and [Plotted]

	// Checkpoint is a file that the state of training is written to at each look, whole or not at all. Training that finds it there goes on from
	// it, and comes to the same bits as one that never stopped. That of other settings, weights or examples, held out or of the first batch, is
	// refused, though two losses of one's own cannot be told apart. Empty for none.
	Checkpoint string
}

// Number is one of what a look finds.
type Number int

// The numbers that can be watched.
const (
	Loss     Number = iota // the less the better
	Accuracy               // the more the better; of an interchange with base labels, the lesser of both accuracies
)

// Result is a trained model, and how it came to be.
type Result[M any] struct {
	Model  M
	Curves Curves
	Best   int // the step that the model is of: with Patience that of the best look, else the last

	// Parameters are those of the interventions of Settings.Config, by the names that [interv.Intervenable.Parameters] uses.
	Parameters map[string]*tensors.Tensor
}

// Run trains a model, which is itself not changed. It ends early, between two steps, when the context does; what the checkpoint has by
// then is not lost. A batch that does not fit the model, that has a number which is not finite, labels outside of the classes or other shapes
// than the first, is refused before anything is trained on it, as is a step that leads to numbers which are not finite.
func Run[M Trainable[M]](ctx context.Context, backend compute.Backend, model M, stream Stream, s Settings) (*Result[M], error) {
	r, err := newRun(backend, model, stream, s)
	if err != nil {
		return nil, interv.Within("training", err)
	}
	if err := r.all(ctx); err != nil {
		return nil, err
	}
	weights, parameters := r.kept()
	trained, err := model.WithWeights(weights)
	if err != nil {
		return nil, err
	}
	return &Result[M]{Model: trained, Curves: r.curves, Best: r.best(), Parameters: parameters}, nil
}

// MustRun is Run that panics on an error.
func MustRun[M Trainable[M]](ctx context.Context, backend compute.Backend, model M, stream Stream, s Settings) *Result[M] {
	return must.Of(Run(ctx, backend, model, stream, s))
}

// run is training under way.
type run struct {
	Settings
	iv      *interv.Intervenable
	trainer *interv.Trainer
	numbers func(*interv.Prepared) ([]float64, error)
	border  *border
	held    []*interv.Prepared
	stream  Stream
	saved   *checkpoint

	curves  Curves
	sum     float64                    // of the losses since the last look
	bestAt  int                        // the look whose weights are the best
	weights map[string]*tensors.Tensor // the trainer's state at the best look; nil unless there is Patience
}

func newRun(backend compute.Backend, model interv.Model, stream Stream, s Settings) (*run, error) {
	if err := s.fill(stream); err != nil {
		return nil, err
	}
	iv, err := interv.New(backend, model, s.Config)
	if err != nil {
		return nil, err
	}
	r := &run{Settings: s, iv: iv, stream: stream, curves: Curves{Steps: s.Steps}}
	loss := s.Loss
	if loss == nil {
		loss = CrossEntropy
	}
	trainer, err := iv.Trainer(loss, interv.Adam{Rate: s.Rate, Schedule: s.Schedule, Decay: s.Decays[0], SquareDecay: s.Decays[1], WeightDecay: s.WeightDecay})
	if err != nil {
		return nil, err
	}
	if r.trainer, err = trainer.OfModel(); err != nil {
		return nil, err
	}
	r.border = &border{backend: backend, model: model, iv: iv, needsLabels: s.Loss == nil || s.Watch == Accuracy}
	r.numbers = r.trainer.Numbers(numbersOf(loss))
	for i, call := range s.Held {
		p, err := r.border.prepare(call, false)
		if err != nil {
			return nil, interv.Within(fmt.Sprintf("held-out call %d", i), err)
		}
		r.held = append(r.held, p)
	}
	if r.saved, err = r.open(model); err != nil {
		return nil, err
	}
	return r, r.saved.restore(r)
}

// fill puts in what 0 stands for, and refuses what nothing can be trained with.
func (s *Settings) fill(stream Stream) error {
	refuse := func(axis, got, wanted string) error { return &interv.Error{Axis: axis, Got: got, Wanted: wanted} }
	if stream == nil {
		return refuse("stream", "none", "one, such as training.Fresh")
	}
	for _, n := range []struct {
		name  string
		value *int
		or    int
	}{{"steps", &s.Steps, 1000}, {"every", &s.Every, 0}, {"patience", &s.Patience, 0}} {
		if *n.value < 0 {
			return refuse(n.name, fmt.Sprint(*n.value), "0 or more")
		}
		if *n.value == 0 {
			*n.value = n.or
		}
	}
	if s.Every == 0 {
		s.Every = max(1, s.Steps/20)
	}
	if s.Watch < Loss || s.Watch > Accuracy {
		return refuse("watch", fmt.Sprint(int(s.Watch)), "Loss or Accuracy")
	}
	if math.IsNaN(s.Enough) {
		return refuse("enough", "NaN", "a number")
	}
	return nil
}

// all takes all steps that are left, with looks between them.
func (r *run) all(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	next := r.batches(ctx, r.trainer.Steps())
	defer func() {
		cancel()
		for range next { // until nobody calls the stream any more, which other training may call now
		}
	}()
	for step := r.trainer.Steps(); !r.curves.Ended; step++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		batch, more := <-next
		if !more {
			return ctx.Err()
		}
		if batch.err != nil {
			return interv.Within(fmt.Sprintf("training, batch of step %d", step), batch.err)
		}
		if step == r.Steps || step%r.Every == 0 && r.curves.last() < step {
			if err := r.look(step, batch.prepared); err != nil {
				return err
			}
			if r.curves.Ended {
				break
			}
		}
		loss, err := r.trainer.StepOn(batch.prepared)
		if err != nil {
			return err
		}
		r.sum += loss
	}
	return ctx.Err()
}

// batch is what a step trains on, or why it cannot.
type batch struct {
	prepared *interv.Prepared
	err      error
}

// batches makes those of a step and of all after it while the steps before are computed.
func (r *run) batches(ctx context.Context, step int) <-chan batch {
	next := make(chan batch, 2)
	go func() {
		defer close(next)
		for ; ; step++ {
			var b batch
			if step < r.Steps || len(r.held) == 0 {
				var call interv.Call
				if call, b.err = r.stream.batch(step); b.err == nil {
					b.prepared, b.err = r.border.prepare(call, true)
				}
			}
			select {
			case next <- b:
			case <-ctx.Done():
				return
			}
			if step == r.Steps || b.err != nil {
				return
			}
		}
	}()
	return next
}

// look finds the numbers of a step, tells them, and decides whether training ends.
func (r *run) look(step int, batch *interv.Prepared) error {
	list := r.held
	if len(list) == 0 {
		list = []*interv.Prepared{batch}
	}
	look := Look{Step: step, Loss: math.NaN()}
	if past := step - max(0, r.curves.last()); past > 0 {
		look.Loss = r.sum / float64(past)
	}
	var sums tally
	for _, p := range list {
		numbers, err := r.numbers(p)
		if err != nil {
			return err
		}
		sums.add(numbers)
	}
	look.HeldLoss, look.Accuracy, look.BaseAccuracy = sums.means()
	number := look.number(r.Watch)
	if math.IsNaN(number) || math.IsInf(number, 0) {
		return &interv.Error{Where: fmt.Sprintf("training, look at step %d", step), Axis: r.Watch.String(), Got: fmt.Sprint(number), Wanted: "a finite number"}
	}
	r.sum = 0
	r.curves.Looks = append(r.curves.Looks, look)
	if best := r.curves.Looks[r.bestAt].number(r.Watch); len(r.curves.Looks) == 1 || r.Watch.better(number, best) {
		r.bestAt = len(r.curves.Looks) - 1
		if r.Patience > 0 {
			r.weights = r.trainer.State()
		}
	}
	waited := len(r.curves.Looks) - 1 - r.bestAt
	enough := r.Enough != 0 && !r.Watch.better(r.Enough, number)
	r.curves.Ended = step == r.Steps || enough || r.Patience > 0 && waited >= r.Patience
	if err := r.saved.write(r); err != nil {
		return err
	}
	if r.Progress != nil {
		r.Progress(r.curves.clone())
	}
	return nil
}

// best is the step whose weights are kept.
func (r *run) best() int {
	if r.Patience > 0 {
		return r.curves.Looks[r.bestAt].Step
	}
	return r.curves.last()
}

// kept are the weights and the parameters of that step.
func (r *run) kept() (weights, parameters map[string]*tensors.Tensor) {
	if r.Patience > 0 {
		must.Of(0, r.trainer.SetState(r.weights))
	}
	return r.trainer.Weights(), r.iv.Parameters()
}
