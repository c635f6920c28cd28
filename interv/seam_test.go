package interv_test

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/gru"
)

// These tests prove what the tap seam must carry beyond single interventions: sweeps, stacked rotations, attribution and resident
// models. They use taps directly, on a two-layer GRU and on a toy attention block.

// engine is the backend that GOMLX_BACKEND names, shared by the tests of this package.
var engine = backend.MustNew()

const attended interv.Component = "attention_output"

// attentionBlocks is a toy of two attention blocks over [batch, positions, d], with a mask [batch, positions] that depends on the
// example, announcing each block's output.
func attentionBlocks(x, mask *Node, tap *interv.Tap) *Node {
	for layer := range 2 {
		scores := MulScalar(Einsum("bqd,bkd->bqk", x, x), 0.5+float64(layer))
		rows := BroadcastToDims(ExpandDims(tap.Rows(mask), 1), scores.Shape().Dimensions...)
		scores = Where(GreaterThan(rows, ZerosLike(rows)), scores, AddScalar(ZerosLike(scores), -1e9))
		y := Einsum("bqk,bkd->bqd", Softmax(scores, -1), x)
		x = tap.At(interv.Site{Layer: layer, Component: attended}, Add(x, y))
	}
	return x
}

// scale returns a tap that multiplies the activation at one site (at one step, or at all for step −1) by a factor.
func scale(site interv.Site, step int, factor float64) *interv.Tap {
	return interv.NewTap(func(_ *interv.Tap, a interv.Activation) *Node {
		if a.Site == site && (step < 0 || a.Offset == step) {
			return MulScalar(a.Value, factor)
		}
		return a.Value
	})
}

// joinScaled returns a tap that, at the same place, lets a copy of the whole batch join and multiplies only the copy.
func joinScaled(site interv.Site, step, batch int, factor float64) *interv.Tap {
	return interv.NewTap(func(tap *interv.Tap, a interv.Activation) *Node {
		if a.Site != site || step >= 0 && a.Offset != step {
			return a.Value
		}
		origins := make([]int, batch)
		for i := range origins {
			origins[i] = i
		}
		joined := tap.Join(a.Value, origins...)
		before := Slice(joined, AxisRange(0, a.Value.Shape().Dim(0)))
		copies := Slice(joined, AxisRange(a.Value.Shape().Dim(0)))
		return Concatenate([]*Node{before, MulScalar(copies, factor)}, 0)
	})
}

func TestRowsJoinAtTheTappedLayer(t *testing.T) {
	const batch = 3
	type run func(tap *interv.Tap) []float32
	model := gru.MustNewClassifier(gru.Config{Layers: 2, Width: 4}, 7)
	gruRun := func(tap *interv.Tap) []float32 { return forwardGRU(model, random(1, batch, 5, 4), tap) }
	mask := tensors.FromValue([][]int32{{1, 1, 1}, {1, 1, 0}, {1, 0, 0}})
	attentionRun := func(tap *interv.Tap) []float32 {
		return flat(MustExecOnce(engine, func(x, mask *Node) *Node { return attentionBlocks(x, mask, tap) }, random(2, batch, 3, 2), mask))
	}
	gruClean, attentionClean := gruRun(nil), attentionRun(nil)
	for _, c := range []struct {
		name string
		run  run
		site interv.Site
		step int
	}{
		{"gru state, layer 0, step 2", gruRun, interv.Site{Layer: 0, Component: gru.CellOutput}, 2},
		{"gru state, layer 1, step 4", gruRun, interv.Site{Layer: 1, Component: gru.CellOutput}, 4},
		{"gru gate, layer 0, step 1", gruRun, interv.Site{Layer: 0, Component: gru.ResetGateOutput}, 1},
		{"gru gate, layer 1, step 0", gruRun, interv.Site{Layer: 1, Component: gru.UpdateGateOutput}, 0},
		{"gru projection, layer 0, step 3", gruRun, interv.Site{Layer: 0, Component: gru.NewH2HOutput}, 3},
		{"gru new gate, layer 0, step 4", gruRun, interv.Site{Layer: 0, Component: gru.NewGateOutput}, 4},
		{"gru input, layer 1", gruRun, interv.Site{Layer: 1, Component: gru.X2HOutput}, -1},
		{"attention, layer 0", attentionRun, interv.Site{Layer: 0, Component: attended}, -1},
		{"attention, layer 1", attentionRun, interv.Site{Layer: 1, Component: attended}, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			clean := gruClean
			if c.site.Component == attended {
				clean = attentionClean
			}
			want := slices.Concat(clean, c.run(scale(c.site, c.step, -2)))
			got := c.run(joinScaled(c.site, c.step, batch, -2))
			wantClose(t, "base rows, then patched rows", got, want, 1e-6)
			wantDifferent(t, want[:len(want)/2], want[len(want)/2:])
		})
	}
}

// forwardGRU runs a model once with a tap, weights as constants of the graph.
func forwardGRU(model *gru.Model, x *tensors.Tensor, tap *interv.Tap) []float32 {
	return flat(MustExecOnce(engine, func(x *Node) *Node { return model.Forward(constants(model, x), interv.Nodes{"inputs_embeds": x}, tap) }, x))
}

func constants(model *gru.Model, x *Node) interv.Nodes {
	nodes := interv.Nodes{}
	for name, value := range model.Weights().All() {
		nodes[name] = ConstTensor(x.Graph(), value)
	}
	return nodes
}

func TestBlocksOfRowsWithTheirOwnRotation(t *testing.T) {
	model := gru.MustNewClassifier(gru.Config{Layers: 2, Width: 4}, 7)
	source := rand.New(rand.NewPCG(3, 3))
	first, second := interv.RandomOrthonormal(4, 2, source), interv.RandomOrthonormal(4, 2, source)
	x, target := random(4, 3, 5, 4), random(5, 3, 4)
	site := interv.Site{Layer: 0, Component: gru.CellOutput}
	low := func(base, target, r *Node) *Node {
		change := DotGeneral(Sub(target, base), []int{-1}, nil, r, []int{0}, nil)
		return Add(base, DotGeneral(change, []int{-1}, nil, r, []int{1}, nil))
	}
	alone := func(r *tensors.Tensor) []float32 {
		return flat(MustExecOnce(engine, func(x, target, r *Node) *Node {
			tap := interv.NewTap(func(_ *interv.Tap, a interv.Activation) *Node {
				if a.Site == site && a.Offset == 2 {
					return low(a.Value, target, r)
				}
				return a.Value
			})
			return model.Forward(constants(model, x), interv.Nodes{"inputs_embeds": x}, tap)
		}, x, target, r))
	}
	stacked := tensors.FromFlatDataAndDimensions(append(flat(first), flat(second)...), 2, 4, 2)
	got := flat(MustExecOnce(engine, func(x, target, rotations *Node) *Node {
		tap := interv.NewTap(func(tap *interv.Tap, a interv.Activation) *Node {
			if a.Site != site || a.Offset != 2 {
				return a.Value
			}
			blocks := Reshape(tap.Join(a.Value, 0, 1, 2), 2, 3, 4)
			change := Sub(BroadcastToDims(ExpandDims(target, 0), 2, 3, 4), blocks)
			change = Einsum("sbk,sdk->sbd", Einsum("sbd,sdk->sbk", change, rotations), rotations)
			return Reshape(Add(blocks, change), 6, 4)
		})
		return model.Forward(constants(model, x), interv.Nodes{"inputs_embeds": x}, tap)
	}, x, target, stacked))
	wantClose(t, "both rotations in one program", got, append(alone(first), alone(second)...), 1e-6)
	wantDifferent(t, got[:len(got)/2], got[len(got)/2:])
}

func TestGradientsAtAllSitesInOneBackwardPass(t *testing.T) {
	model := gru.MustNewClassifier(gru.Config{Layers: 2, Width: 3}, 11)
	x := random(6, 2, 4, 3)
	sites := map[interv.Site]int{}
	gradients := MustExecOnceN(engine, func(x *Node) []*Node {
		var announced []*Node
		tap := interv.NewTap(func(_ *interv.Tap, a interv.Activation) *Node {
			sites[a.Site] += a.Positions()
			announced = append(announced, a.Value)
			return a.Value
		})
		output := model.Forward(constants(model, x), interv.Nodes{"inputs_embeds": x}, tap)
		return append(Gradient(ReduceAllSum(output), announced...), announced...)
	}, x)
	for _, site := range model.Catalogue().All() {
		if sites[site] != 4 {
			t.Errorf("%s: announced at %d of 4 positions", site, sites[site])
		}
	}
	// A gradient predicts what a small change does: checked for the layer 1 state at the last step, announced last.
	last := len(gradients)/2 - 1
	slope := float64(0)
	for i, g := range flat(gradients[last]) {
		slope += float64(g) * float64(flat(gradients[len(gradients)-1])[i])
	}
	const step = 1e-2
	site := interv.Site{Layer: 1, Component: gru.CellOutput}
	sum := func(values []float32) (total float64) {
		for _, value := range values {
			total += float64(value)
		}
		return total
	}
	measured := (sum(forwardGRU(model, x, scale(site, 3, 1+step))) - sum(forwardGRU(model, x, scale(site, 3, 1-step)))) / (2 * step)
	wantClose(t, "slope along the state", []float32{float32(slope)}, []float32{float32(measured)}, 1e-4)
}

func TestStepsAreAnnouncedInOrderWithAbsolutePositions(t *testing.T) {
	model := gru.MustNewClassifier(gru.Config{Layers: 2, Width: 3}, 11)
	clean := forwardGRU(model, random(6, 2, 4, 3), nil)
	for step := range 4 {
		factor := scale(interv.Site{Layer: 0, Component: gru.CellOutput}, step, 3)
		wantDifferent(t, forwardGRU(model, random(6, 2, 4, 3), factor), clean)
	}
}

func TestOneSetOfWeightsServesProgramsAndGoroutines(t *testing.T) {
	model := gru.MustNewClassifier(gru.Config{Layers: 2, Width: 4}, 7)
	iv := interv.MustNew(engine, model, interv.Config{Representations: []interv.Representation{
		{Layer: 1, Component: gru.CellOutput, Intervention: interv.Vanilla{}}}})
	calls := make([]interv.Call, 2) // two shapes: two programs
	var want [2][]float32
	for i, steps := range []int{4, 6} {
		calls[i] = interv.Call{Base: interv.Inputs{"inputs_embeds": random(1, 3, steps, 4)},
			Sources:   []interv.Inputs{{"inputs_embeds": random(2, 3, steps, 4)}},
			Locations: []*interv.Location{interv.FromTo(interv.Repeat(3, 1), interv.Repeat(3, 2))}}
		want[i] = flat(iv.MustRun(calls[i]).Output)
	}
	var group sync.WaitGroup
	for worker := range 8 {
		group.Add(1)
		go func() {
			defer group.Done()
			for range 20 {
				result, err := iv.Run(calls[worker%2])
				if err != nil {
					t.Error(err)
					return
				}
				for i, value := range flat(result.Output) {
					if value != want[worker%2][i] {
						t.Errorf("goroutine %d: element %d: got %g, wanted %g", worker, i, value, want[worker%2][i])
						return
					}
				}
			}
		}()
	}
	group.Wait()
	if stats := iv.Stats(); stats.Programs != 2 || stats.Calls != 162 {
		t.Errorf("got %v, wanted 2 programs and 162 calls", stats)
	}
}
