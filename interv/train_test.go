package interv_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/mlp"
)

// long is set to run the tests that take minutes.
var long = os.Getenv("GOVENE_LONG") != ""

// hostAdam is Adam on the host: Kingma and Ba (2015), algorithm 1. It returns the steps to subtract, without the rate.
type hostAdam struct {
	steps        float64
	mean, square []float64
}

func (a *hostAdam) update(gradient []float64) []float64 {
	if a.mean == nil {
		a.mean, a.square = make([]float64, len(gradient)), make([]float64, len(gradient))
	}
	a.steps++
	update := make([]float64, len(gradient))
	for i, g := range gradient {
		a.mean[i] = 0.9*a.mean[i] + 0.1*g
		a.square[i] = 0.999*a.square[i] + 0.001*g*g
		update[i] = a.mean[i] / (1 - math.Pow(0.9, a.steps)) / (math.Sqrt(a.square[i]/(1-math.Pow(0.999, a.steps))) + 1e-8)
	}
	return update
}

// stretch is a small model at whose site interventions are trained, and a call for it.
func stretch(width int, dtype dtypes.DType) (*attention, interv.Call) {
	call := exchange(as(dtype, random(1, 2, 3, width)), as(dtype, random(2, 2, 3, width)), interv.Repeat(2, 1), interv.Repeat(2, 2))
	return newAttention(1, width, 1, 2, dtype, 3), call
}

// unread is a call whose source is not there, as a Constant needs it.
func unread(call interv.Call) interv.Call {
	call.Sources, call.Locations = nil, []*interv.Location{write(call.Locations[0])}
	return call
}

// A free parameter follows Adam as the paper has it, at its own rate and schedule.
func TestAdamOfAFreeParameter(t *testing.T) {
	model, call := stretch(4, dtypes.Float64)
	iv := patch(model, attends, interv.Constant{Of: interv.Addition{}, Trainable: true})
	target := []float64{1, -2, 0.5, 3}
	loss := func(o interv.Outcome) *Node {
		return ReduceAllSum(Square(Sub(o.Parameters["0.constant"], o.Labels["target"])))
	}
	trainer := iv.MustTrainer(loss, interv.Adam{Rate: 7, Rates: map[string]float64{"0.constant": 0.2}, Schedule: interv.Linear(1, 0.5, 10)})
	call = unread(call)
	call.Labels = interv.Inputs{"target": tensors.FromValue(target)}
	adam, p := hostAdam{}, make([]float64, 4)
	for step := range 25 {
		want, gradient := 0.0, make([]float64, 4)
		for i := range p {
			want += (p[i] - target[i]) * (p[i] - target[i])
			gradient[i] = 2 * (p[i] - target[i])
		}
		if got := trainer.MustStep(call); math.Abs(got-want) > 1e-9 {
			t.Fatalf("step %d: got a loss of %g, wanted %g, that before the step", step, got, want)
		}
		rate := 0.2 * (1 - 0.5*min(1, float64(step)/10))
		p = both(p, adam.update(gradient), func(p, u float64) float64 { return p - rate*u })
		for i, got := range numbers(iv.Parameters()["0.constant"]) {
			if math.Abs(got-p[i]) > 1e-9 {
				t.Fatalf("step %d, entry %d: got %g, wanted %g", step, i, got, p[i])
			}
		}
	}
	if trainer.Steps() != 25 {
		t.Errorf("got %d steps, wanted 25", trainer.Steps())
	}
}

// A rotation follows Adam on the tangent part of its gradient, and is then the nearest orthonormal matrix.
func TestAdamOfARotation(t *testing.T) {
	model, call := stretch(5, dtypes.Float64)
	iv := patch(model, attends, interv.LowRankRotatedSpace{Rank: 2})
	must(t, iv.SetParameters(map[string]*tensors.Tensor{"0.rotation": polished(iv.Parameters()["0.rotation"])}))
	pull := normal(rand.New(rand.NewPCG(1, 1)), dtypes.Float64, 5, 2)
	trainer := iv.MustTrainer(func(o interv.Outcome) *Node {
		return ReduceAllSum(Mul(o.Parameters["0.rotation"], o.Labels["pull"])) // its gradient is pull, whatever R is
	}, interv.Adam{Rate: 0.3})
	call.Labels = interv.Inputs{"pull": pull}
	adam, r := hostAdam{}, numbers(iv.Parameters()["0.rotation"])
	for step := range 10 {
		trainer.MustStep(call)
		update := tangentOf(r, adam.update(tangentOf(r, numbers(pull), 5, 2)), 5, 2)
		r = polar(both(r, update, func(r, u float64) float64 { return r - 0.3*u }), 2)
		for i, got := range numbers(iv.Parameters()["0.rotation"]) {
			if math.Abs(got-r[i]) > 1e-6 {
				t.Fatalf("step %d, entry %d: got %g, wanted %g", step, i, got, r[i])
			}
		}
	}
}

// polar is the matrix with orthonormal columns nearest to x, whose width is 2: X (XᵀX)^(-1/2), from the formula for the root of a
// symmetric matrix G of two rows, (G + √det G · I) / √(tr G + 2 √det G).
func polar(x []float64, width int) []float64 {
	m := rows(x, width)
	g := times(turned(m), m)
	s := math.Sqrt(g[0][0]*g[1][1] - g[0][1]*g[1][0])
	t := math.Sqrt(g[0][0] + g[1][1] + 2*s)
	root := [][]float64{{(g[0][0] + s) / t, g[0][1] / t}, {g[1][0] / t, (g[1][1] + s) / t}}
	det := root[0][0]*root[1][1] - root[0][1]*root[1][0]
	inverse := [][]float64{{root[1][1] / det, -root[0][1] / det}, {-root[1][0] / det, root[0][0] / det}}
	return slices.Concat(times(m, inverse)...)
}

// Rotations of every rank stay orthonormal at ordinary rates and at harsh ones, and training goes on from there.
func TestRotationsStayOrthonormal(t *testing.T) {
	widths := []int{1, 2, 3, 5, 8}
	if slow || testing.Short() {
		widths = []int{1, 3}
	}
	for _, width := range widths {
		model, call := stretch(width, dtypes.Float32)
		for rank := 1; rank <= width; rank++ {
			iv := patch(model, attends, interv.LowRankRotatedSpace{Rank: rank})
			for _, rate := range []float64{1e-3, 1, 20} {
				trainer := iv.MustTrainer(sumOfSquares, interv.Adam{Rate: rate})
				for range 20 {
					trainer.MustStep(call)
					wantOrthonormal(t, iv.Parameters()["0.rotation"])
				}
				if slow {
					break // each trainer is a program
				}
			}
		}
	}
}

// 10,000 steps at a width of 64.
func TestRotationsStayOrthonormalForLong(t *testing.T) {
	if !long {
		t.Skip("takes minutes: set GOVENE_LONG to run it")
	}
	model, call := stretch(64, dtypes.Float32)
	for _, rank := range []int{1, 2, 7, 64} {
		t.Run(fmt.Sprint("rank ", rank), func(t *testing.T) {
			iv := patch(model, attends, interv.LowRankRotatedSpace{Rank: rank})
			trainer := iv.MustTrainer(sumOfSquares, interv.Adam{Rate: 0.01})
			start := time.Now()
			for step := range 10_000 {
				trainer.MustStep(call)
				if step%1000 == 999 {
					wantOrthonormal(t, iv.Parameters()["0.rotation"])
				}
			}
			t.Logf("%v a step", time.Since(start)/10_000)
		})
	}
}

func TestTemperatureSchedule(t *testing.T) {
	model, call := stretch(3, dtypes.Float32)
	iv := patch(model, attends, interv.BoundlessRotatedSpace{})
	loss := func(o interv.Outcome) *Node { return Square(o.Parameters["0.temperature"]) } // says which one the step had
	trainer := iv.MustTrainer(func(o interv.Outcome) *Node { return Add(loss(o), MulScalar(ReduceAllSum(o.Output), 1e-9)) },
		interv.Adam{Temperature: interv.Linear(50, 0.5, 4)})
	for step, want := range []float64{50, 37.625, 25.25, 12.875, 0.5, 0.5} {
		got := trainer.MustStep(call)
		if math.Abs(got-want*want) > 1e-3 || math.Abs(numbers(iv.Parameters()["0.temperature"])[0]-want) > 1e-5 {
			t.Errorf("step %d: got a temperature of %g and a loss of %g, wanted %g and its square", step, numbers(iv.Parameters()["0.temperature"])[0], got, want)
		}
	}
	before := flat(iv.Parameters()["0.boundary"])
	cold := iv.MustTrainer(loss, interv.Adam{Temperature: func(int) float64 { return 0 }})
	_, err := cold.Step(call)
	wanted.Refusal(t, err, "temperature", "above 0")
	wantSame(t, "the boundary", flat(iv.Parameters()["0.boundary"]), before)
	refused := iv.MustTrainer(loss, interv.Adam{Temperature: interv.Linear(7, 7, 1)})
	if _, err := refused.Step(interv.Call{}); err == nil || numbers(iv.Parameters()["0.temperature"])[0] != 0.5 {
		t.Errorf("got error %v and a temperature of %v, wanted a refusal that leaves 0.5", err, iv.Parameters()["0.temperature"])
	}
	none := patch(model, attends, interv.RotatedSpace{}).MustTrainer(sumOfSquares, interv.Adam{Temperature: interv.Linear(2, 1, 3)})
	_, err = none.Step(call)
	wanted.Refusal(t, err, "temperature", "none")
}

func TestFrozenParametersStay(t *testing.T) {
	model, call := stretch(3, dtypes.Float32)
	iv := patch(model, attends, interv.BoundlessRotatedSpace{})
	trainer := iv.MustTrainer(sumOfSquares, interv.Adam{Rate: 0.1})
	values := func() (rotation, boundary []float32) {
		return flat(iv.Parameters()["0.rotation"]), flat(iv.Parameters()["0.boundary"])
	}
	rotation, boundary := values()
	must(t, iv.Freeze("0.rotation"))
	if all, trainable := iv.Count(); all != 11 || trainable != 1 {
		t.Errorf("got %d parameters, %d trainable, wanted 11 and 1", all, trainable)
	}
	trainer.MustStep(call)
	nowRotation, nowBoundary := values()
	wantSame(t, "the rotation", nowRotation, rotation)
	wantDifferent(t, nowBoundary, boundary)
	if gradients := iv.Gradient(sumOfSquares).MustRun(call).Gradients; gradients["0.rotation"] != nil || gradients["0.boundary"] == nil {
		t.Errorf("got gradients of %v, wanted that of the boundary", sorted(gradients))
	}
	must(t, iv.Freeze("0.boundary"))
	_, err := trainer.Step(call)
	wanted.Refusal(t, err, "loss", "trainable parameters", "none")
	must(t, iv.Unfreeze("0.rotation", "0.boundary"))
	trainer.MustStep(call)
	nowRotation, _ = values()
	wantDifferent(t, nowRotation, rotation)
	wanted.Refusal(t, iv.Freeze("0.rotatoin"), `did you mean "0.rotation"`)
	wanted.Refusal(t, iv.Freeze("0.temperature"), "fixed", "one that is trained")
}

// Linked interventions are trained as one: their gradients add up.
func TestLinkedInterventionsTrainTogether(t *testing.T) {
	model := newAttention(2, 3, 1, 2, dtypes.Float64, 3)
	_, call := stretch(3, dtypes.Float64)
	call.Sources, call.Locations = append(call.Sources, call.Sources[0]), append(call.Locations, call.Locations[0])
	of := func(link string) *interv.Intervenable {
		r := interv.Representation{Component: attends, Intervention: interv.LowRankRotatedSpace{Rank: 2}, Link: link}
		above := r
		above.Layer = 1
		return interv.MustNew(engine, model, interv.Config{Representations: []interv.Representation{r, above}})
	}
	linked, apart := of("a"), of("")
	rotation := linked.Parameters()["0.rotation"]
	must(t, apart.SetParameters(map[string]*tensors.Tensor{"0.rotation": rotation, "1.rotation": rotation}))
	one, two := linked.Gradient(sumOfSquares).MustRun(call).Gradients, apart.Gradient(sumOfSquares).MustRun(call).Gradients
	if len(one) != 1 || len(two) != 2 {
		t.Fatalf("got %d and %d gradients, wanted 1 and 2", len(one), len(two))
	}
	for i, sum := range both(numbers(two["0.rotation"]), numbers(two["1.rotation"]), add) {
		if got := numbers(one["0.rotation"])[i]; math.Abs(got-sum) > 1e-9*max(1, math.Abs(sum)) {
			t.Errorf("entry %d: got %g, wanted %g", i, got, sum)
		}
	}
	linked.MustTrainer(sumOfSquares, interv.Adam{}).MustStep(call)
	if _, ok := linked.Parameters()["1.rotation"]; ok || linked.Parameters()["0.rotation"].Equal(rotation) {
		t.Error("got two parameters, or one that was not trained")
	}
}

// A step that cannot be taken is refused, and leaves parameters and optimizer as if it had never been asked for.
func TestRefusedStepsChangeNothing(t *testing.T) {
	model, call := stretch(3, dtypes.Float32)
	call.Labels = interv.Inputs{"x": tensors.FromScalar(float32(2))}
	bad := call
	bad.Labels = interv.Inputs{"x": tensors.FromScalar(float32(-1))}
	for name, c := range map[string]struct {
		loss  interv.Loss
		words []string
	}{
		"loss that is not a number": {func(o interv.Outcome) *Node { return Mul(ReduceAllSum(o.Output), Log(o.Labels["x"])) },
			[]string{"training step 1", "loss", "NaN"}},
		"gradient that is not a number": {func(o interv.Outcome) *Node {
			return Sqrt(ReduceAllSum(Mul(Square(o.Output), AddScalar(o.Labels["x"], 1))))
		}, []string{"training step 1", "update of 0.rotation", "not finite"}},
	} {
		t.Run(name, func(t *testing.T) {
			iv, other := patch(model, attends, interv.LowRankRotatedSpace{Rank: 2}), patch(model, attends, interv.LowRankRotatedSpace{Rank: 2})
			trainer, clean := iv.MustTrainer(c.loss, interv.Adam{Rate: 0.1}), other.MustTrainer(c.loss, interv.Adam{Rate: 0.1})
			trainer.MustStep(call)
			clean.MustStep(call)
			_, err := trainer.Step(bad)
			wanted.Refusal(t, err, c.words...)
			_, err = trainer.Step(interv.Call{})
			wanted.Refusal(t, err, "locations")
			trainer.MustStep(call)
			clean.MustStep(call)
			if trainer.Steps() != 2 {
				t.Errorf("got %d steps, wanted 2", trainer.Steps())
			}
			wantSame(t, "the rotation", flat(iv.Parameters()["0.rotation"]), flat(other.Parameters()["0.rotation"]))
		})
	}
}

// A step by far too large for its rotation to be made orthonormal again is refused too.
func TestStepsByFarTooLarge(t *testing.T) {
	model, call := stretch(3, dtypes.Float32)
	iv := patch(model, attends, interv.RotatedSpace{})
	call.Subspaces = [][][]int{interv.Repeat(2, 0)}
	before := flat(iv.Parameters()["0.rotation"])
	_, err := iv.MustTrainer(sumOfSquares, interv.Adam{Rate: 1e12}).Step(call)
	wanted.Refusal(t, err, "update of 0.rotation", "too large")
	wantSame(t, "the rotation", flat(iv.Parameters()["0.rotation"]), before)
}

func TestTrainerRefusals(t *testing.T) {
	model, call := stretch(3, dtypes.Float32)
	iv := patch(model, attends, interv.LowRankRotatedSpace{Rank: 2})
	for name, c := range map[string]struct {
		settings interv.Adam
		words    []string
	}{
		"negative rate":       {interv.Adam{Rate: -1}, []string{"rates", "-1", "above 0"}},
		"rate not a number":   {interv.Adam{Rate: math.NaN()}, []string{"rates", "NaN"}},
		"infinite rate":       {interv.Adam{Rate: math.Inf(1)}, []string{"rates", "Inf"}},
		"rate 0 of one":       {interv.Adam{Rates: map[string]float64{"0.rotation": 0}}, []string{"rates: 0.rotation", "got 0"}},
		"rate of what is not": {interv.Adam{Rates: map[string]float64{"0.mask": 1}}, []string{"rates", `"0.mask"`, "0.rotation"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := iv.Trainer(sumOfSquares, c.settings)
			wanted.Refusal(t, err, c.words...)
		})
	}
	_, err := iv.MustTrainer(func(o interv.Outcome) *Node { return o.Output }, interv.Adam{}).Step(call)
	wanted.Refusal(t, err, "loss", "a scalar")
	_, err = iv.MustTrainer(func(o interv.Outcome) *Node { return Scalar(o.Output.Graph(), dtypes.Float32, 1) }, interv.Adam{}).Step(call)
	wanted.Refusal(t, err, "loss", "depends on no parameter")
	_, err = iv.MustTrainer(sumOfSquares, interv.Adam{Schedule: func(int) float64 { return -1 }}).Step(call)
	wanted.Refusal(t, err, "step 0", "schedule", "-1")
	_, err = iv.MustTrainer(sumOfSquares, interv.Adam{Schedule: func(int) float64 { return math.Inf(1) }}).Step(call)
	wanted.Refusal(t, err, "step 0", "schedule", "Inf")
	_, err = iv.MustTrainer(func(o interv.Outcome) *Node { return MulScalar(sumOfSquares(o), 1e25) }, interv.Adam{}).Step(call) // its square is infinite
	wanted.Refusal(t, err, "step 0", "update of 0.rotation", "a finite gradient")
	_, err = iv.MustTrainer(sumOfSquares, interv.Adam{}).Train(t.Context(), slices.Values([]interv.Call{call}), 0)
	wanted.Refusal(t, err, "epochs", "got 0")
	_, err = iv.MustTrainer(sumOfSquares, interv.Adam{}).Step(interv.Call{})
	wanted.Refusal(t, err, "locations", "0 entries")
	_, err = patch(model, attends, interv.BoundlessRotatedSpace{}).Trainer(sumOfSquares, interv.Adam{Rates: map[string]float64{"0.temperature": 1}})
	wanted.Refusal(t, err, "rates", "0.temperature", "fixed")
}

func TestTrain(t *testing.T) {
	model, call := stretch(3, dtypes.Float32)
	iv := patch(model, attends, interv.LowRankRotatedSpace{Rank: 2})
	trainer := iv.MustTrainer(sumOfSquares, interv.Adam{Rate: 0.01})
	ctx, cancel := context.WithCancel(context.Background())
	last, err := trainer.Train(ctx, slices.Values([]interv.Call{call, call, call}), 2)
	must(t, err)
	if trainer.Steps() != 6 {
		t.Errorf("got %d steps, wanted 2 epochs of 3", trainer.Steps())
	}
	by := patch(model, attends, interv.LowRankRotatedSpace{Rank: 2}).MustTrainer(sumOfSquares, interv.Adam{Rate: 0.01})
	sum := 0.0
	for step := range 6 {
		if loss := by.MustStep(call); step >= 3 {
			sum += loss
		}
	}
	if math.Abs(last-sum/3) > 1e-6*sum {
		t.Errorf("got a mean of %g, wanted %g, that of the last epoch", last, sum/3)
	}
	taken := 0
	_, err = trainer.Train(ctx, func(yield func(interv.Call) bool) {
		for yield(call) {
			if taken++; taken == 4 {
				cancel()
			}
		}
	}, 1)
	if !errors.Is(err, context.Canceled) || trainer.Steps() != 10 {
		t.Errorf("got %v after %d steps, wanted the context's error after 10", err, trainer.Steps())
	}
	_, err = trainer.Train(context.Background(), slices.Values([]interv.Call{}), 1)
	wanted.Refusal(t, err, "training", "calls", "none")
}

// Distributed alignment search finds directions that were planted: in a model that turns its input and squeezes each coordinate, the
// first coordinates are to come from the source and the others from the base, which only the planted rows of the turn bring about.
func TestPlantedDirectionsAreFound(t *testing.T) {
	const width, examples = 6, 64
	r := rand.New(rand.NewPCG(8, 8))
	turn := interv.RandomOrthonormal(width, width, r)
	identity := make([]float32, width*width)
	for i := range width {
		identity[i*width+i] = 1
	}
	model, err := mlp.WithWeights(mlp.Config{Layers: 1, Width: width, Classes: width, Activation: mlp.Tanh, NoBias: true}, map[string]*tensors.Tensor{
		"mlp.h.0.ff1.weight": turn, "score.weight": tensors.FromFlatDataAndDimensions(identity, width, width)})
	must(t, err)
	base, source := normal(r, dtypes.Float32, examples, 1, width), normal(r, dtypes.Float32, examples, 1, width)
	squeezed := func(x *tensors.Tensor) [][]float64 {
		return each(times(rows(numbers(x), width), turned(matrix(turn))), math.Tanh)
	}
	for _, rank := range []int{1, 2} {
		wanted := squeezed(base)
		for i, from := range squeezed(source) {
			copy(wanted[i], from[:rank])
		}
		iv := patch(model, mlp.BlockInput, interv.LowRankRotatedSpace{Rank: rank})
		trainer := iv.MustTrainer(func(o interv.Outcome) *Node { return ReduceAllMean(Square(Sub(o.Output, o.Labels["wanted"]))) }, interv.Adam{Rate: 0.05})
		call := exchange(base, source, interv.Repeat(examples, 0), interv.Repeat(examples, 0))
		call.Labels = interv.Inputs{"wanted": as(dtypes.Float32, tensors.FromFlatDataAndDimensions(slices.Concat(wanted...), examples, width))}
		first := trainer.MustStep(call)
		for range 300 {
			trainer.MustStep(call)
		}
		shared := 0.0 // ‖VᵀR‖², the sum of squared cosines of the angles between the two subspaces
		for _, row := range times(matrix(turn)[:rank], matrix(iv.Parameters()["0.rotation"])) {
			for _, cosine := range row {
				shared += cosine * cosine
			}
		}
		if shared < float64(rank)*0.99*0.99 {
			t.Errorf("rank %d: got squared cosines of %.4f in all, wanted %d; the loss went from %g to %g", rank, shared, rank, first, trainer.MustStep(call))
		}
	}
}
