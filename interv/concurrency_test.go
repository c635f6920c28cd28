package interv_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/interv"
)

// inGoroutines runs f in 16 goroutines and waits for them.
func inGoroutines(f func(worker int)) {
	var group sync.WaitGroup
	for worker := range 16 {
		group.Add(1)
		go func() {
			defer group.Done()
			f(worker)
		}()
	}
	group.Wait()
}

// Sixteen goroutines share an Intervenable, with calls of different shapes, places and subspaces, whose programs they compile as they
// go: each gets what it gets alone.
func TestGoroutinesShareAnIntervenable(t *testing.T) {
	model := newAttention(1, 4, 2, 3, dtypes.Float32, 1)
	config := interv.Config{Representations: []interv.Representation{
		{Component: headMixed, Unit: interv.HeadPosition, Intervention: interv.Vanilla{}},
		{Component: blockOutput, Intervention: interv.LowRankRotatedSpace{Rank: 3}},
		{Component: blockOutput, Intervention: interv.Collect{}}}}
	shapes := 4
	if slow {
		shapes = 2
	}
	r := rand.New(rand.NewPCG(1, 1))
	alone := interv.MustNew(engine, model, config)
	calls, want := make([]interv.Call, 32), make([]*interv.Result, 32)
	for i := range calls {
		batch, positions := 1+i%shapes, 3+i%shapes
		source := embeds(normal(r, dtypes.Float32, batch, positions, 4))
		at := func() [][]int { return interv.Repeat(batch, r.IntN(positions)-positions) }
		calls[i] = interv.Call{Base: embeds(normal(r, dtypes.Float32, batch, positions, 4)), Sources: []interv.Inputs{source, source, nil},
			Locations: []*interv.Location{interv.FromTo(at(), at()).Heads(interv.Repeat(batch, r.IntN(2)), interv.Repeat(batch, r.IntN(2))),
				interv.FromTo(at(), at()), interv.At(at())},
			Subspaces: [][][]int{nil, interv.Repeat(batch, r.IntN(3)), nil}}
		want[i] = alone.MustRun(calls[i])
	}
	shared := interv.MustNew(engine, model, config)
	gradient := shared.Gradient(sumOfSquares)
	slopes := gradient.MustRun(calls[0]).Gradients["1.rotation"]
	inGoroutines(func(worker int) {
		for k := range calls {
			i := (k + worker) % len(calls)
			result, err := shared.Run(calls[i])
			if err != nil {
				t.Error(err)
				return
			}
			if !result.Output.Equal(want[i].Output) || !result.Collected[0].Value.Equal(want[i].Collected[0].Value) {
				t.Errorf("goroutine %d, call %d: got another result than alone", worker, i)
			}
			if i == 0 && !gradient.MustRun(calls[0]).Gradients["1.rotation"].Equal(slopes) {
				t.Errorf("goroutine %d: got another gradient than alone", worker)
			}
		}
	})
	if stats := shared.Stats(); stats.Programs != shapes+1 || stats.Calls != 16*33+1 {
		t.Errorf("got %v, wanted %d programs, each compiled once, and %d calls", stats, shapes+1, 16*33+1)
	}
}

// Calls that run while parameters are set, or trained, see all of the old values or all of the new.
func TestCallsSeeParametersOfOneMoment(t *testing.T) {
	model, call := stretch(3, dtypes.Float32)
	constant := interv.Representation{Component: attends, Intervention: interv.Constant{Of: interv.Addition{}, Trainable: true}}
	iv := interv.MustNew(engine, model, interv.Config{Representations: []interv.Representation{constant, constant}})
	call = unread(call)
	call.Locations = append(call.Locations, call.Locations[0])
	set := func(value float32) error { // the two constants cancel
		vector := []float32{value, value, value}
		return iv.SetParameters(map[string]*tensors.Tensor{"0.constant": tensors.FromValue(vector),
			"1.constant": tensors.FromValue([]float32{-value, -value, -value})})
	}
	want := iv.MustRun(call).Output
	trainer := patch(model, attends, interv.RotatedSpace{}).MustTrainer(sumOfSquares, interv.Adam{})
	_, train := stretch(3, dtypes.Float32)
	train.Subspaces = [][][]int{interv.Repeat(2, 1)}
	var reading atomic.Int32
	reading.Store(12)
	inGoroutines(func(worker int) {
		switch {
		case worker == 0:
			for k := 0; reading.Load() > 0; k++ {
				if err := set(float32(int(1) << (k % 8))); err != nil {
					t.Error(err)
				}
			}
		case worker < 4:
			for range 30 {
				if _, err := trainer.Step(train); err != nil {
					t.Error(err)
				}
			}
		default:
			defer reading.Add(-1)
			for range 200 {
				result, err := iv.Run(call)
				if err != nil {
					t.Error(err)
					return
				}
				for i, got := range flat(result.Output) {
					if d := got - flat(want)[i]; !(d < 1e-3 && d > -1e-3) {
						t.Errorf("goroutine %d: got %g, wanted %g: constants of different moments", worker, got, flat(want)[i])
						return
					}
				}
			}
		}
	})
	if trainer.Steps() != 90 {
		t.Errorf("got %d steps, wanted 3 goroutines of 30", trainer.Steps())
	}
}

// 10,000 calls with new inputs, places and gradients: neither the heap nor the process grows.
func TestMemoryStaysFlat(t *testing.T) {
	if !long {
		t.Skip("takes minutes: set GOVENE_LONG to run it")
	}
	model := newAttention(2, 16, 2, 8, dtypes.Float32, 1)
	iv := patch(model, attends, interv.LowRankRotatedSpace{Rank: 4})
	gradient := iv.Gradient(sumOfSquares)
	trainer := iv.MustTrainer(sumOfSquares, interv.Adam{})
	r := rand.New(rand.NewPCG(1, 1))
	var heaps, sizes []float64
	for i := range 10_000 {
		units := interv.Repeat(4, r.IntN(8))
		call := exchange(normal(r, dtypes.Float32, 4, 8, 16), normal(r, dtypes.Float32, 4, 8, 16), units, units)
		switch i % 3 {
		case 0:
			iv.MustRun(call)
		case 1:
			gradient.MustRun(call)
		case 2:
			trainer.MustStep(call)
		}
		if i%1000 == 999 {
			heap, size := memory(t)
			heaps, sizes = append(heaps, heap), append(sizes, size)
		}
	}
	t.Logf("MiB after 1,000 to 10,000 calls: heap %.1f, process %.1f", heaps, sizes)
	if start, end := heaps[0], heaps[len(heaps)-1]; end > start+1 {
		t.Errorf("the heap went from %.1f to %.1f MiB", start, end)
	}
	if half, end := slices.Max(sizes[:5]), slices.Max(sizes[5:]); end > half+8 {
		t.Errorf("the process went from %.1f to %.1f MiB", half, end)
	}
	if stats := iv.Stats(); stats.Programs != 3 {
		t.Errorf("got %v, wanted 3 programs", stats)
	}
}

// memory is the live heap and the resident size of the process, in MiB; the second is 0 where the system does not tell.
func memory(t *testing.T) (heap, process float64) {
	t.Helper()
	runtime.GC()
	runtime.GC() // tensors are finalized by the first, and freed by the second
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	if status, err := os.ReadFile("/proc/self/status"); err == nil {
		_, after, _ := strings.Cut(string(status), "VmRSS:")
		if process, err = strconv.ParseFloat(strings.Fields(after)[0], 64); err != nil {
			t.Fatal(fmt.Errorf("resident size: %w", err))
		}
	}
	return float64(stats.HeapAlloc) / (1 << 20), process / (1 << 10)
}
