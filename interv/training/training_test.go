package training_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/foreign"
	"github.com/govene/govene/interv/gru"
	"github.com/govene/govene/interv/mlp"
	"github.com/govene/govene/interv/training"
	"github.com/govene/govene/interv/transformer"
	"github.com/govene/govene/plotting"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// onXLA tells whether the backend is XLA.
func onXLA() bool {
	_, ok := engine.(interface{ PluginName() string })
	return ok
}

func drawn(t testing.TB, size int) interv.Call {
	call, err := product(size)(rand.New(rand.NewPCG(7, 0)))
	must(t, err)
	return call
}

func small() *mlp.Model { return mlp.MustNewClassifier(mlp.Config{Layers: 2, Width: 8}, 1) }

// bits are all bits of weights.
func bits(weights map[string]*tensors.Tensor) (raw []byte) {
	for _, name := range slices.Sorted(maps.Keys(weights)) {
		must := weights[name].ConstBytes(func(data []byte) { raw = append(append(raw, name...), data...) })
		if must != nil {
			panic(must)
		}
	}
	return raw
}

// learns wants a model to do better on one batch after some steps, and the numbers of the last look to be those of the model that is
// returned.
func learns[M training.Trainable[M]](t *testing.T, model M, call interv.Call, accuracy float64) {
	t.Helper()
	before := bits(model.Weights().All())
	result, err := training.Run(t.Context(), engine, model, training.Always(call), training.Settings{Steps: 200, Rate: 0.02, Every: 50})
	must(t, err)
	looks := result.Curves.Looks
	if len(looks) != 5 || !math.IsNaN(looks[0].Loss) || looks[4].HeldLoss > looks[0].HeldLoss/2 || looks[4].Accuracy < accuracy {
		t.Errorf("got looks %+v, wanted half the loss and an accuracy of %g", looks, accuracy)
	}
	if !bytes.Equal(before, bits(model.Weights().All())) {
		t.Error("the model that was given has changed")
	}
	if again := interv.MustNew(engine, result.Model, interv.Config{}).MustForward(call.Base); math.Abs(crossEntropy(again, call.Labels[training.Label])-looks[4].HeldLoss) > 1e-5 {
		t.Errorf("got a loss of %g of the model, wanted that of the last look, %g", crossEntropy(again, call.Labels[training.Label]), looks[4].HeldLoss)
	}
}

// crossEntropy on the host.
func crossEntropy(logits, labels *tensors.Tensor) float64 {
	flat, classes := numbers(logits), logits.Shape().Dim(-1)
	sum, count := 0.0, 0.0
	for i, label := range tensors.MustCopyFlatData[int32](labels) {
		if label < 0 {
			continue
		}
		row, total := flat[i*classes:(i+1)*classes], 0.0
		for _, logit := range row {
			total += math.Exp(logit)
		}
		sum, count = sum+math.Log(total)-row[label], count+1
	}
	return sum / count
}

func numbers(t *tensors.Tensor) (list []float64) {
	t.MustConstFlatData(func(flat any) {
		switch flat := flat.(type) {
		case []float32:
			for _, x := range flat {
				list = append(list, float64(x))
			}
		case []float64:
			list = slices.Clone(flat)
		}
	})
	return list
}

func TestModelsLearn(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 0))
	t.Run("mlp", func(t *testing.T) { learns(t, small(), drawn(t, 64), 0.95) })
	t.Run("gru", func(t *testing.T) {
		x, labels := make([]float32, 32*3*4), make([]int32, 32)
		for i := range x {
			x[i] = float32(random.NormFloat64())
		}
		for i := range labels {
			if x[i*12]+x[i*12+4] > 0 { // of the first two steps
				labels[i] = 1
			}
		}
		learns(t, gru.MustNewClassifier(gru.Config{Layers: 1, Width: 4}, 1), interv.Call{
			Base:   interv.Inputs{interv.InputsEmbeds: tensors.FromFlatDataAndDimensions(x, 32, 3, 4)},
			Labels: interv.Inputs{training.Label: tensors.FromFlatDataAndDimensions(labels, 32)}}, 0.9)
	})
	t.Run("transformer", func(t *testing.T) {
		if testing.Short() || onXLA() {
			t.Skip("compiles for seconds; package toy trains a transformer on every backend")
		}
		ids, mask := make([]int32, 8*5), slices.Repeat([]int32{1}, 8*5)
		for i := range ids {
			ids[i] = int32(random.IntN(11))
		}
		mask[4] = 0
		inputs := interv.Inputs{interv.InputIDs: tensors.FromFlatDataAndDimensions(ids, 8, 5), interv.AttentionMask: tensors.FromFlatDataAndDimensions(mask, 8, 5)}
		labels, err := training.NextTokens(inputs, 1)
		must(t, err)
		config, err := transformer.ParseConfig([]byte(`{"model_type": "llama", "vocab_size": 11, "max_position_embeddings": 8, "hidden_size": 12, "num_hidden_layers": 1,
			"num_attention_heads": 3, "intermediate_size": 20}`))
		must(t, err)
		learns(t, transformer.MustNew(config, 1), interv.Call{Base: inputs, Labels: interv.Inputs{training.Label: labels}}, 0.9)
	})
	t.Run("foreign", func(t *testing.T) {
		if onXLA() {
			t.Skip("compiles for seconds")
		}
		weights := map[string]*tensors.Tensor{"w": tensors.FromFlatDataAndDimensions(make([]float32, 2*8), 2, 8)}
		model, err := foreign.New(engine, foreign.Description{Name: "linear", Inputs: []foreign.Input{{Name: interv.InputsEmbeds, DType: weights["w"].DType(),
			Dims: []int{foreign.Batch, 1, 8}}}}, weights, func(w, in interv.Nodes) *graph.Node {
			return graph.DotGeneral(graph.Squeeze(in[interv.InputsEmbeds], 1), []int{1}, nil, w["w"], []int{1}, nil)
		})
		must(t, err)
		call := drawn(t, 16)
		labels := make([]int32, 16)
		for i, x := range tensors.MustCopyFlatData[float32](call.Base[interv.InputsEmbeds]) {
			if i%8 == 0 && x > 0 {
				labels[i/8] = 1
			}
		}
		call.Labels = interv.Inputs{training.Label: tensors.FromFlatDataAndDimensions(labels, 16)}
		learns(t, model, call, 0.9)
	})
}

func TestLabels(t *testing.T) {
	ids := interv.Inputs{interv.InputIDs: tensors.FromValue([][]int32{{5, 6, 7, 8}, {1, 2, 3, 0}}), interv.AttentionMask: tensors.FromValue([][]int32{{1, 1, 1, 1}, {1, 1, 1, 0}})}
	labels, err := training.NextTokens(ids, 1)
	must(t, err)
	if got, want := tensors.MustCopyFlatData[int32](labels), []int32{-1, 7, 8, -1, -1, 3, -1, -1}; !slices.Equal(got, want) {
		t.Errorf("got %v, wanted %v", got, want)
	}
	left := interv.Inputs{interv.InputIDs: tensors.FromValue([][]int32{{0, 0, 1, 2, 3}, {5, 6, 7, 8, 9}, {0, 0, 0, 0, 4}}),
		interv.AttentionMask: tensors.FromValue([][]int32{{0, 0, 1, 1, 1}, {1, 1, 1, 1, 1}, {0, 0, 0, 0, 1}})}
	labels, err = training.NextTokens(left, 1)
	must(t, err)
	if got, want := tensors.MustCopyFlatData[int32](labels), []int32{-1, -1, -1, 3, -1, -1, 7, 8, 9, -1, -1, -1, -1, -1, -1}; !slices.Equal(got, want) {
		t.Errorf("with padding on the left: got %v, wanted %v", got, want)
	}
	at, err := training.LabelsAt(-2, 3, []int{4, 5})
	must(t, err)
	if got, want := tensors.MustCopyFlatData[int32](at), []int32{-1, 4, -1, -1, 5, -1}; !slices.Equal(got, want) {
		t.Errorf("got %v, wanted %v", got, want)
	}
	_, err = training.LabelsAt(3, 3, []int{0})
	wanted.Refusal(t, err, "position", "3")
	_, err = training.NextTokens(interv.Inputs{}, 0)
	wanted.Refusal(t, err, "input_ids")
}

// Each epoch has each example once, in an order of its own, whichever batch is asked for first.
func TestEpochs(t *testing.T) {
	inputs := interv.Inputs{"x": tensors.FromValue([][]float32{{0, 1}, {10, 11}, {20, 21}, {30, 31}, {40, 41}})}
	labels := interv.Inputs{"label": tensors.FromValue([]int32{0, 1, 2, 3, 4})}
	stream, err := training.Epochs(inputs, labels, 2, 5)
	must(t, err)
	other, err := training.Epochs(inputs, labels, 2, 5)
	must(t, err)
	orders := map[string]bool{}
	for epoch := range 8 {
		var seen []int32
		for batch := range 2 {
			call, err := stream(2*epoch + batch)
			must(t, err)
			rows := tensors.MustCopyFlatData[int32](call.Labels["label"])
			for i, x := range tensors.MustCopyFlatData[float32](call.Base["x"]) {
				if x != float32(10*rows[i/2]+int32(i%2)) {
					t.Errorf("got %g beside label %d", x, rows[i/2])
				}
			}
			seen = append(seen, rows...)
		}
		orders[fmt.Sprint(seen)] = true
		slices.Sort(seen)
		if len(slices.Compact(seen)) != 4 {
			t.Errorf("epoch %d: got examples %v, wanted four different ones", epoch, seen)
		}
	}
	if len(orders) < 6 {
		t.Errorf("got %d orders in 8 epochs", len(orders))
	}
	late, _ := other(13)
	early, _ := stream(13)
	if !bytes.Equal(bits(late.Base), bits(early.Base)) {
		t.Error("batch 13 depends on what was asked for before")
	}
	for name, call := range map[string]func() error{
		"4, as others": func() error {
			_, err := training.Epochs(inputs, interv.Inputs{"label": tensors.FromValue([]int32{0, 1, 2, 3})}, 1, 0)
			return err
		},
		"batch": func() error { _, err := training.Epochs(inputs, labels, 6, 0); return err },
	} {
		wanted.Refusal(t, call(), "epochs", strings.Split(name, ",")[0])
	}
}

func TestTheBestLookIsKept(t *testing.T) {
	steps := 0
	settings := training.Settings{Steps: 60, Rate: 0.05, Every: 5, Patience: 3, Held: []interv.Call{drawn(t, 50)}, Progress: func(training.Curves) { steps++ }}
	result := training.MustRun(t.Context(), engine, small(), training.Always(drawn(t, 6)), settings) // too few not to be learned by heart
	looks := result.Curves.Looks
	best := slices.MinFunc(looks, func(a, b training.Look) int {
		if a.HeldLoss < b.HeldLoss {
			return -1
		}
		return 1
	})
	last := looks[len(looks)-1]
	if result.Best != best.Step || last.Step != best.Step+15 || last.Step == 60 || steps != len(looks) {
		t.Errorf("got the model of step %d of looks %+v, wanted that of %d and an end 15 later", result.Best, looks, best.Step)
	}
	output := interv.MustNew(engine, result.Model, interv.Config{}).MustForward(settings.Held[0].Base)
	if loss := crossEntropy(output, settings.Held[0].Labels[training.Label]); math.Abs(loss-best.HeldLoss) > 1e-5 {
		t.Errorf("got a loss of %g, wanted that of the best look, %g", loss, best.HeldLoss)
	}
}

// Nobody calls a stream any more when training has ended, so that the next training may have the same.
func TestTheStreamIsLeftAlone(t *testing.T) {
	var ended atomic.Bool
	draw := training.Fresh(1, product(16))
	stream := func(step int) (interv.Call, error) {
		time.Sleep(time.Duration(min(step, 1)) * 20 * time.Millisecond)
		if ended.Load() {
			t.Errorf("the batch of step %d was asked for after the end", step)
		}
		return draw(step)
	}
	training.MustRun(t.Context(), engine, small(), stream, training.Settings{Enough: 1e9, Held: []interv.Call{drawn(t, 6)}}) // ends at the first look
	ended.Store(true)
	time.Sleep(50 * time.Millisecond)
}

// What a stream panics with is the error of the run, also where another goroutine asks for the batch.
func TestStreamsThatPanic(t *testing.T) {
	if engine.Name() == "xla" {
		t.Skip("compiles for each, and nothing of it depends on the backend")
	}
	draw := training.Fresh(1, product(16))
	for want, panics := range map[string]func(){
		"the stream, at step 0: no such word":                                      func() { panic(errors.New("no such word")) },
		"the stream, at step 0: by hand":                                           func() { panic("by hand") },
		"the stream, at step 0: runtime error: index out of range [3] with length": func() { _ = interv.Range(0, 1)[3] },
	} {
		for at := range 2 {
			_, err := training.Run(t.Context(), engine, small(), func(step int) (interv.Call, error) {
				if step == at {
					panics()
				}
				return draw(step)
			}, training.Settings{Steps: 3})
			if want := strings.Replace(want, "step 0", fmt.Sprint("step ", at), 1); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, wanted %q", err, want)
			}
		}
	}
}

// killed is the training of the test that kills.
func killed(t testing.TB, checkpoint string) *training.Result[*mlp.Model] {
	return training.MustRun(t.Context(), engine, small(), training.Fresh(3, product(256)), training.Settings{Steps: 1500, Rate: 0.01,
		Schedule: interv.WarmUp(20, interv.Cosine(1, 0, 1480)), Every: 30, Patience: 40, Held: []interv.Call{drawn(t, 500)}, Checkpoint: checkpoint})
}

// Training whose process is killed at any moment goes on from its file, and comes to the same bits.
func TestTrainingGoesOnAfterKill(t *testing.T) {
	if path := os.Getenv("GOVENE_TRAINING_CHECKPOINT"); path != "" {
		killed(t, path)
		return
	}
	if testing.Short() {
		t.Skip("takes seconds")
	}
	rounds := 2
	if onXLA() {
		rounds = 1 // it compiles for seconds
	}
	if os.Getenv("GOVENE_LONG") != "" {
		rounds = 20
	}
	started := time.Now()
	want := killed(t, "")
	whole := time.Since(started)
	random := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	for range rounds {
		path := filepath.Join(t.TempDir(), "training.safetensors")
		for kills := range 2 {
			child := exec.Command(os.Args[0], "-test.run=^TestTrainingGoesOnAfterKill$")
			child.Env = append(os.Environ(), "GOVENE_TRAINING_CHECKPOINT="+path)
			must(t, child.Start())
			time.Sleep(time.Duration(random.Int64N(int64(whole)))) // at a random step; at times before the first or after the last
			_ = child.Process.Kill()
			_ = child.Wait()
			_, err := os.Stat(path)
			t.Logf("kill %d: a checkpoint: %t", kills, err == nil)
		}
		got := killed(t, path)
		if !bytes.Equal(bits(got.Model.Weights().All()), bits(want.Model.Weights().All())) || got.Best != want.Best || fmt.Sprint(got.Curves) != fmt.Sprint(want.Curves) {
			t.Error("got other bits than those of training that was not killed")
		}
	}
}

func TestCheckpoints(t *testing.T) {
	path := filepath.Join(t.TempDir(), "training.safetensors")
	settings := training.Settings{Steps: 20, Every: 5, Checkpoint: path}
	stream := training.Fresh(1, product(16))
	ctx, cancel := context.WithCancel(t.Context())
	settings.Progress = func(c training.Curves) {
		if c.Last().Step == 10 {
			cancel()
		}
	}
	if _, err := training.Run(ctx, engine, small(), stream, settings); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, wanted that it was cancelled", err)
	}
	settings.Progress = nil
	resumed := training.MustRun(t.Context(), engine, small(), stream, settings)
	finished := training.MustRun(t.Context(), engine, small(), stream, settings)
	settings.Checkpoint = ""
	whole := training.MustRun(t.Context(), engine, small(), stream, settings)
	for name, other := range map[string]*training.Result[*mlp.Model]{"resumed": resumed, "finished": finished} {
		if !bytes.Equal(bits(other.Model.Weights().All()), bits(whole.Model.Weights().All())) || len(other.Curves.Looks) != 5 {
			t.Errorf("%s training came to other bits, or looks: %v", name, other.Curves)
		}
	}
	settings.Checkpoint, settings.Rate = path, 0.5
	_, err := training.Run(t.Context(), engine, small(), stream, settings)
	wanted.Refusal(t, err, path, "other training")
	settings.Rate, settings.Loss = 0, training.CrossEntropy
	_, err = training.Run(t.Context(), engine, small(), stream, settings)
	wanted.Refusal(t, err, path, "other training")

	// One that lacks part of the best look's state is refused, too.
	settings.Checkpoint, settings.Loss, settings.Patience = path+".patient", nil, 5
	training.MustRun(t.Context(), engine, small(), stream, settings)
	state, err := interv.LoadTensors(settings.Checkpoint)
	must(t, err)
	maps.DeleteFunc(state, func(name string, _ *tensors.Tensor) bool { return strings.HasPrefix(name, "best, value") })
	must(t, interv.SaveTensors(settings.Checkpoint, state))
	_, err = training.Run(t.Context(), engine, small(), stream, settings)
	wanted.Refusal(t, err, settings.Checkpoint, "value")
	must(t, os.WriteFile(path, []byte("nonsense"), 0o600))
	settings.Checkpoint = path
	if _, err = training.Run(t.Context(), engine, small(), stream, settings); err == nil {
		t.Error("nonsense was taken for a checkpoint")
	}
}

// What cannot be trained on is refused, and nothing is trained on it.
func TestRefusals(t *testing.T) {
	call := drawn(t, 4)
	with := func(change func(c *interv.Call)) interv.Call {
		c := call
		c.Base, c.Labels = maps.Clone(call.Base), maps.Clone(call.Labels)
		change(&c)
		return c
	}
	label := func(values any) interv.Call {
		return with(func(c *interv.Call) { c.Labels[training.Label] = tensors.MustFromAnyValue(values) })
	}
	for name, bad := range map[string]struct {
		call  interv.Call
		words []string
	}{
		"a number that is none": {with(func(c *interv.Call) {
			c.Base[interv.InputsEmbeds] = tensors.FromFlatDataAndDimensions(slices.Repeat([]float32{float32(math.NaN())}, 32), 4, 1, 8)
		}), []string{"NaN", "finite"}},
		"a class too many":   {label([]int32{0, 1, 2, 0}), []string{"label, element 2", "got 2", "0 to 1"}},
		"a class below 0":    {label([]int32{0, 1, -1, 0}), []string{"label, element 2", "got -1", "0 to 1"}},
		"too few labels":     {label([]int32{0, 1, 1}), []string{"label", "[3]", "[4]"}},
		"labels of floats":   {label([]float32{0, 1, 1, 0}), []string{"label", "Float32", "int32"}},
		"no labels":          {with(func(c *interv.Call) { c.Labels = nil }), []string{"label", "none"}},
		"base labels alone":  {with(func(c *interv.Call) { c.Labels[training.BaseLabel] = c.Labels[training.Label] }), []string{"base_label", "WithBase"}},
		"an input too many":  {with(func(c *interv.Call) { c.Base["x"] = c.Base[interv.InputsEmbeds] }), []string{"x"}},
		"other shapes":       {drawn(t, 5), []string{"shapes", "first batch"}},
		"sources of nothing": {with(func(c *interv.Call) { c.Sources = []interv.Inputs{c.Base} }), []string{"sources"}},
	} {
		t.Run(name, func(t *testing.T) {
			for at := range 2 {
				if at == 0 && name == "other shapes" || at == 1 && name != "other shapes" && name != "a number that is none" {
					continue // what comes later is refused in the same place, and to get there takes compiling
				}
				steps := 0
				_, err := training.Run(t.Context(), engine, small(), func(step int) (interv.Call, error) {
					if step == at {
						return bad.call, nil
					}
					return call, nil
				}, training.Settings{Steps: 3, Every: 1, Progress: func(c training.Curves) { steps = c.Last().Step }})
				wanted.Refusal(t, err, append(bad.words, fmt.Sprintf("step %d", at))...)
				if steps > max(0, at-1) {
					t.Errorf("%d steps were taken, wanted %d", steps, at)
				}
			}
		})
	}
	for name, bad := range map[string]struct {
		settings training.Settings
		words    []string
	}{
		"steps":    {training.Settings{Steps: -1}, []string{"steps", "-1"}},
		"every":    {training.Settings{Every: -1}, []string{"every", "-1"}},
		"patience": {training.Settings{Patience: -1}, []string{"patience", "-1"}},
		"rate":     {training.Settings{Rate: math.NaN()}, []string{"rates", "NaN"}},
		"decay":    {training.Settings{Decays: [2]float64{0.9, 1}}, []string{"decays", "1"}},
		"watch":    {training.Settings{Watch: 2}, []string{"watch", "2"}},
		"enough":   {training.Settings{Enough: math.NaN()}, []string{"enough"}},
		"held":     {training.Settings{Held: []interv.Call{{}}}, []string{"held-out call 0"}},
		"schedule": {training.Settings{Schedule: func(int) float64 { return -1 }}, []string{"schedule", "-1"}},
		"too fast": {training.Settings{Rate: 1e38, Steps: 5}, []string{"training"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := training.Run(t.Context(), engine, small(), training.Always(call), bad.settings)
			wanted.Refusal(t, err, bad.words...)
		})
	}
	_, err := training.Run(t.Context(), engine, small(), nil, training.Settings{})
	wanted.Refusal(t, err, "stream")
	broken := errors.New("broken")
	if _, err := training.Run(t.Context(), engine, small(), func(int) (interv.Call, error) { return call, broken }, training.Settings{}); !errors.Is(err, broken) {
		t.Errorf("got %v, wanted the stream's error", err)
	}
}

func TestCurvesAreShown(t *testing.T) {
	var text bytes.Buffer
	var plots []plotting.Plot
	printed, plotted := training.Printed(&text), training.Plotted(func(p plotting.Plot) { plots = append(plots, p) })
	curves := training.Curves{Steps: 20}
	for i, look := range []training.Look{{0, math.NaN(), 0.7, 0.5, math.NaN()}, {10, 0.5, 0.4, 0.75, math.NaN()}, {20, 0.25, 0.2, 1, math.NaN()}} {
		curves.Looks, curves.Ended = append(curves.Looks, look), i == 2
		printed(curves)
		plotted(curves)
	}
	for _, want := range []string{"\rstep 10 of 20: loss 0.5, held-out loss 0.4, held-out accuracy 0.75  █▅", "█▅▃", "\n"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("got %q, wanted it to have %q", text.String(), want)
		}
	}
	if len(plots) != 2 {
		t.Fatalf("got %d plots, wanted 2", len(plots))
	}
	document, err := plots[1].Bytes()
	must(t, err)
	if !bytes.Contains(document, []byte("held-out accuracy")) || bytes.Contains(document, []byte("of the base")) {
		t.Errorf("got %s", document)
	}
}

// Weight decay takes matrices towards 0 by its share of the rate, apart from the gradients, and leaves biases alone.
func TestWeightDecay(t *testing.T) {
	const rate, decay = 0.01, 0.25
	after := func(decay float64) map[string]*tensors.Tensor {
		result, err := training.Run(t.Context(), engine, small(), training.Always(drawn(t, 50)), training.Settings{Steps: 1, Rate: rate, WeightDecay: decay})
		must(t, err)
		return result.Model.Weights().All()
	}
	plain, decayed := after(0), after(decay)
	for name, start := range small().Weights().All() {
		first, a, b := numbers(start), numbers(plain[name]), numbers(decayed[name])
		for i := range first {
			want := a[i]
			if start.Rank() > 1 {
				want -= rate * decay * first[i]
			}
			if math.Abs(b[i]-want) > 1e-6 {
				t.Fatalf("%s, element %d: got %g, wanted %g", name, i, b[i], want)
			}
		}
	}
	_, err := training.Run(t.Context(), engine, small(), training.Always(drawn(t, 50)), training.Settings{Steps: 1, WeightDecay: -1})
	wanted.Refusal(t, err, "weight decay", "-1")
}
