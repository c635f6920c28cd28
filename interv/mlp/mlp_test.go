package mlp_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/mlp"
)

func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		config mlp.Config
		words  []string
	}{
		{mlp.Config{Layers: -1, Width: 2}, []string{"Layers", "at least 0"}},
		{mlp.Config{Layers: 1}, []string{"Width"}},
		{mlp.Config{Layers: 1, Width: 2, Classes: -1}, []string{"Classes", "-1"}},
		{mlp.Config{Layers: 1, Width: 2, Activation: "geluu"}, []string{"Activation", `did you mean "gelu"?`}},
	} {
		_, err := mlp.NewClassifier(c.config, 1)
		wanted.Refusal(t, err, c.words...)
	}
	model := mlp.MustNewClassifier(mlp.Config{Layers: 1, Width: 2}, 1)
	weights := model.Weights().All()
	delete(weights, "score.bias")
	_, err := mlp.WithWeights(model.Config(), weights)
	wanted.Refusal(t, err, "mlp classifier", "score.bias")
	for _, c := range []struct {
		inputs interv.Inputs
		words  []string
	}{
		{interv.Inputs{"input_embeds": tensors.FromFlatDataAndDimensions([]float32{1, 2}, 1, 1, 2)}, []string{`"inputs_embeds"`}},
		{interv.Inputs{"inputs_embeds": tensors.FromFlatDataAndDimensions([]float32{1, 2, 3, 4}, 1, 2, 2)}, []string{"[≥1 1 2]"}},
		{interv.Inputs{"inputs_embeds": tensors.FromFlatDataAndDimensions([]float32{1, 2}, 1, 2)}, []string{"[≥1 1 2]"}},
		{interv.Inputs{"inputs_embeds": tensors.FromFlatDataAndDimensions([]float32{1, float32(math.NaN())}, 1, 1, 2)}, []string{"NaN"}},
		{interv.Inputs{"inputs_embeds": tensors.FromFlatDataAndDimensions([]float64{1, 2}, 1, 1, 2)}, []string{"Float64", "Float32"}},
		{nil, []string{"inputs_embeds"}},
	} {
		_, err := model.Check(c.inputs)
		wanted.Refusal(t, err, c.words...)
	}
	_, err = model.Catalogue().Find(interv.Site{Layer: 0, Component: "mlp_activations"})
	wanted.Refusal(t, err, `"mlp_activation"`)
}

func TestSaveAndLoad(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "model")
	for _, config := range []mlp.Config{
		{Layers: 2, Width: 3},
		{Layers: 1, Width: 2, Classes: 4, Activation: mlp.Relu, NoBias: true, KeepPositions: true},
	} {
		model := mlp.MustNewClassifier(config, 5)
		if err := model.Save(folder); err != nil {
			t.Fatal(err)
		}
		loaded, err := mlp.Load(folder)
		if err != nil {
			t.Fatal(err)
		}
		if loaded.Config() != model.Config() {
			t.Errorf("config %+v, wanted %+v", loaded.Config(), model.Config())
		}
		for name, want := range model.Weights().All() {
			if !loaded.Weights().Tensor(name).Equal(want) {
				t.Errorf("%s changed", name)
			}
		}
	}
	if err := os.WriteFile(filepath.Join(folder, "config.json"), []byte(`{"n_layers": 2}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := mlp.Load(folder); err == nil || !strings.Contains(err.Error(), "n_layers") {
		t.Errorf("an unknown field: %v", err)
	}
	if _, err := mlp.Load(filepath.Join(folder, "nowhere")); err == nil {
		t.Error("a folder that does not exist was loaded")
	}
}

// The same seed gives the same weights, which lie in ±1/√d and nearly fill it.
func TestInitialWeights(t *testing.T) {
	config := mlp.Config{Layers: 2, Width: 16}
	model, again, other := mlp.MustNewClassifier(config, 1), mlp.MustNewClassifier(config, 1), mlp.MustNewClassifier(config, 2)
	largest := float32(0)
	for name, weight := range model.Weights().All() {
		if !weight.Equal(again.Weights().Tensor(name)) || weight.Equal(other.Weights().Tensor(name)) {
			t.Errorf("%s: the seed does not decide", name)
		}
		for _, value := range tensors.MustCopyFlatData[float32](weight) {
			largest = max(largest, value, -value)
		}
	}
	if largest > 0.25 || largest < 0.24 {
		t.Errorf("largest weight %g, wanted nearly 0.25", largest)
	}
}

// Without layers a model is its head: a linear classifier, which has no sites.
func TestWithoutLayersItIsLinear(t *testing.T) {
	model := mlp.MustNewClassifier(mlp.Config{Width: 3}, 1)
	x := []float32{1, -2, 3}
	got := tensors.MustCopyFlatData[float32](interv.MustNew(engine, model, interv.Config{}).MustForward(
		interv.Inputs{interv.InputsEmbeds: tensors.FromFlatDataAndDimensions(x, 1, 1, 3)}))
	weight, bias := tensors.MustCopyFlatData[float32](model.Weights().Tensor("score.weight")), tensors.MustCopyFlatData[float32](model.Weights().Tensor("score.bias"))
	for class := range 2 {
		want := bias[class]
		for d := range x {
			want += weight[3*class+d] * x[d]
		}
		if math.Abs(float64(got[class]-want)) > 1e-6 {
			t.Errorf("class %d: got %g, wanted %g", class, got[class], want)
		}
	}
	_, err := interv.New(engine, model, interv.Single(0, mlp.BlockOutput, interv.Vanilla{}))
	wanted.Refusal(t, err, "block_output", "mlp classifier")
}

func FuzzConfig(f *testing.F) {
	f.Add([]byte(`{"n_layer": 2, "h_dim": 5, "num_classes": 3, "include_bias": true, "activation_function": "gelu", "squeeze_output": true}`))
	f.Add([]byte(`{"n_layer": 1, "include_bias": false, "squeeze_output": false}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var config, again mlp.Config
		if json.Unmarshal(data, &config) != nil {
			return
		}
		text, err := json.Marshal(config)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &again); err != nil || again != config {
			t.Errorf("%+v became %+v, %v", config, again, err)
		}
	})
}
