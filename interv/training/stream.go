package training

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"

	"github.com/gomlx/gomlx/core/tensors"
	"github.com/gomlx/gomlx/support/exceptions"

	"github.com/govene/govene/internal/host"
	"github.com/govene/govene/internal/must"
	"github.com/govene/govene/interv"
)

// Stream makes the batch of a step, which counts from 0. It depends on the step alone, so that training can go on from anywhere. Batches have
// the same shapes. It is called one step after the other, while earlier steps are computed, by another goroutine than Run's; what it panics
// with is Run's error.
type Stream func(step int) (interv.Call, error)

// batch is the batch of a step; a panic of the stream, which nobody above the goroutine that calls it would catch, is an error.
func (s Stream) batch(step int) (call interv.Call, err error) {
	defer func() {
		switch what := recover().(type) {
		case nil:
		case runtime.Error: // a fault of the program's: where it is helps
			err = fmt.Errorf("the stream, at step %d: %w\n%s", step, what, debug.Stack())
		case error:
			err = fmt.Errorf("the stream, at step %d: %w", step, what)
		default:
			err = fmt.Errorf("the stream, at step %d: %v", step, what)
		}
	}()
	return s(step)
}

// Fresh is a stream that draws each batch anew, with random numbers of its own that follow from the seed and the step. So nothing repeats
// unless draw makes it.
func Fresh(seed uint64, draw func(random *rand.Rand) (interv.Call, error)) Stream {
	return func(step int) (interv.Call, error) { return draw(rand.New(rand.NewPCG(seed, uint64(step)))) }
}

// Always is a stream of one batch: all examples at each step.
func Always(call interv.Call) Stream {
	return func(int) (interv.Call, error) { return call, nil }
}

// Labels are classes as the labels of a call, under the name [Label], int32 [examples].
func Labels(classes []int) interv.Inputs {
	flat := make([]int32, len(classes))
	for i, class := range classes {
		flat[i] = int32(class)
	}
	return interv.Inputs{Label: tensors.FromFlatDataAndDimensions(flat, len(flat))}
}

// Epochs is a stream that goes through examples again and again, in batches, each time in another order, which follows from the seed. What
// is left at the end of an epoch and fills no batch is left out of it. The first axis of all inputs and labels counts examples;
// other numbers of them, and a batch of none or of more than there are, are errors.
func Epochs(inputs, labels interv.Inputs, batch int, seed uint64) (Stream, error) {
	refuse := func(axis, got, wanted string) (Stream, error) {
		return nil, &interv.Error{Where: "epochs", Axis: axis, Got: got, Wanted: wanted}
	}
	examples := -1
	for _, list := range []interv.Inputs{inputs, labels} {
		for name, t := range list {
			if t == nil || t.Rank() == 0 {
				return refuse(name, "no axis of examples", "one")
			}
			if n := t.Shape().Dim(0); examples < 0 {
				examples = n
			} else if n != examples {
				return refuse(name, fmt.Sprintf("%d examples", n), fmt.Sprintf("%d, as others have", examples))
			}
		}
	}
	if batch < 1 || batch > examples {
		return refuse("batch", fmt.Sprint(batch), fmt.Sprintf("1 to the %d examples", max(0, examples)))
	}
	of, order := -1, []int(nil)
	return func(step int) (interv.Call, error) {
		epoch, at := step/(examples/batch), step%(examples/batch)
		if of != epoch {
			of, order = epoch, rand.New(rand.NewPCG(seed, uint64(epoch))).Perm(examples)
		}
		rows := order[at*batch : (at+1)*batch]
		call := interv.Call{}
		err := exceptions.TryCatch[error](func() { call.Base, call.Labels = host.Examples(inputs, rows), host.Examples(labels, rows) })
		return call, err
	}, nil
}

// MustEpochs is Epochs that panics on an error.
func MustEpochs(inputs, labels interv.Inputs, batch int, seed uint64) Stream {
	return must.Of(Epochs(inputs, labels, batch, seed))
}
