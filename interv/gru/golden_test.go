package gru_test

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/internal/golden"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/gru"
)

// engine is the backend that GOMLX_BACKEND names, shared by the tests of this package.
var engine = backend.MustNew()

func TestGolden(t *testing.T) {
	for _, c := range golden.Cases(t, "gru_classifier") {
		t.Run(c.Name, func(t *testing.T) { runGolden(t, engine, c) })
	}
}

// tensorOf reads a tensor of the case.
func tensorOf(t *testing.T, c *golden.Case, name string) *tensors.Tensor {
	t.Helper()
	stored, err := c.Tensor(name)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(stored.DType, "I") {
		values, err := stored.Int32s()
		if err != nil {
			t.Fatal(err)
		}
		return tensors.FromFlatDataAndDimensions(values, stored.Shape...)
	}
	values, err := stored.Float32s()
	if err != nil {
		t.Fatal(err)
	}
	return tensors.FromFlatDataAndDimensions(values, stored.Shape...)
}

func inputsOf(t *testing.T, c *golden.Case, names map[string]string) interv.Inputs {
	t.Helper()
	if names == nil {
		return nil
	}
	inputs := interv.Inputs{}
	for input, name := range names {
		inputs[input] = tensorOf(t, c, name)
	}
	return inputs
}

// interventionOf is the case's intervention as a Go value.
func interventionOf(t *testing.T, i golden.Intervention) interv.Intervention {
	t.Helper()
	var representation interv.Representation
	file := map[string]any{"component": "x", "layer": 0, "intervention_type": i.Type}
	if i.Type == "low_rank_rotated_space" {
		file["settings"] = map[string]any{"rank": *i.Rank}
	}
	text, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &representation); err != nil {
		t.Fatal(err)
	}
	return representation.Intervention
}

func runGolden(t *testing.T, engine compute.Backend, c *golden.Case) {
	if c.Mode != "parallel" {
		t.Fatalf("mode %q, wanted parallel", c.Mode)
	}
	model := goldenModel(t, c)
	var config interv.Config
	parameters := map[string]*tensors.Tensor{}
	call := interv.Call{Base: inputsOf(t, c, c.Inputs.Base), Subspaces: c.Subspaces, WithBase: true}
	linked := map[string]bool{}
	for i, intervention := range c.Interventions {
		representation := interv.Representation{Layer: intervention.Layer, Component: interv.Component(intervention.Component),
			Unit: interv.Unit(intervention.Unit), Intervention: interventionOf(t, intervention), SubspacePartition: intervention.Parts()}
		if intervention.Link != nil {
			representation.Link = strconv.Itoa(*intervention.Link)
		}
		if intervention.Group != nil || intervention.FlattenUnits {
			t.Fatal("groups and flattened units have no meaning for a GRU")
		}
		config.Representations = append(config.Representations, representation)
		var activations *tensors.Tensor
		for role, name := range intervention.Params {
			if role == "constant" {
				activations = tensorOf(t, c, name)
			} else if !linked[representation.Link] {
				parameters[strconv.Itoa(i)+"."+role] = tensorOf(t, c, name)
			}
		}
		linked[representation.Link] = representation.Link != ""
		call.Activations = append(call.Activations, activations)
		call.Sources = append(call.Sources, inputsOf(t, c, c.Inputs.Sources[i]))
		var location *interv.Location
		if c.Locations[i] != nil {
			location = &interv.Location{Source: positions(t, c.Locations[i].Source), Base: positions(t, c.Locations[i].Base)}
		}
		call.Locations = append(call.Locations, location)
	}
	iv, err := interv.New(engine, model, config)
	if err != nil {
		t.Fatal(err)
	}
	if err := iv.SetParameters(parameters); err != nil {
		t.Fatal(err)
	}
	if c.Loss == nil {
		result, err := iv.Run(call)
		if err != nil {
			t.Fatal(err)
		}
		compareResult(t, c, result)
		return
	}
	result, err := iv.Gradient(func(output *Node, _ interv.Nodes) *Node { return ReduceAllSum(output) }).Run(call)
	if err != nil {
		t.Fatal(err)
	}
	compareResult(t, c, &result.Result)
	compareGradients(t, c, result)
}

func goldenModel(t *testing.T, c *golden.Case) *gru.Model {
	t.Helper()
	var config gru.Config
	if err := json.Unmarshal(c.Model.Config, &config); err != nil {
		t.Fatal(err)
	}
	weights := map[string]*tensors.Tensor{}
	for _, name := range c.Names("model.") {
		weights[strings.TrimPrefix(name, "model.")] = tensorOf(t, c, name)
	}
	model, err := gru.WithWeights(config, weights)
	if err != nil {
		t.Fatal(err)
	}
	return model
}

func positions(t *testing.T, location json.RawMessage) [][]int {
	t.Helper()
	rows, err := golden.Positions(location)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// compare checks a tensor against the case's expectation.
func compare(t *testing.T, c *golden.Case, got *tensors.Tensor, want, scale string) {
	t.Helper()
	var values []float64
	tensors.MustConstFlatData(got, func(flat []float32) {
		for _, value := range flat {
			values = append(values, float64(value))
		}
	})
	if err := c.Compare(values, got.Shape().Dimensions, want, scale); err != nil {
		t.Error(err)
	}
}

func compareResult(t *testing.T, c *golden.Case, result *interv.Result) {
	t.Helper()
	compare(t, c, result.Output, c.Expected.Output, "")
	compare(t, c, result.BaseOutput, c.Expected.BaseOutput, "")
	if len(result.Collected) != len(c.Expected.Collected) {
		t.Fatalf("collected %d tensors, wanted %d", len(result.Collected), len(c.Expected.Collected))
	}
	for i, want := range c.Expected.Collected {
		compare(t, c, result.Collected[i], want, "")
	}
}

// compareGradients checks every expected gradient; parameters are called params.0.rotation in cases, 0.rotation here.
func compareGradients(t *testing.T, c *golden.Case, result *interv.GradientResult) {
	t.Helper()
	if len(result.Gradients) != len(c.Expected.Gradients) || len(result.Tangents) != len(c.Expected.TangentGradients) {
		t.Errorf("got %d gradients and %d tangents, wanted %d and %d", len(result.Gradients), len(result.Tangents),
			len(c.Expected.Gradients), len(c.Expected.TangentGradients))
	}
	for parameter, want := range c.Expected.Gradients {
		compare(t, c, result.Gradients[strings.TrimPrefix(parameter, "params.")], want, "")
	}
	for parameter, want := range c.Expected.TangentGradients {
		compare(t, c, result.Tangents[strings.TrimPrefix(parameter, "params.")], want, c.Expected.Gradients[parameter])
	}
}
