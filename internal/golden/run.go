package golden

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/interv"
)

// Run runs the case on a model, as the case.json says and nothing else, and compares all that it expects.
func (c *Case) Run(t *testing.T, backend compute.Backend, model interv.Model) {
	t.Helper()
	config, call, parameters := c.setUp(t)
	iv, err := interv.New(backend, model, config)
	if err != nil {
		t.Fatal(err)
	}
	if err := iv.SetParameters(parameters); err != nil {
		t.Fatal(err)
	}
	if c.Generation != nil {
		c.generate(t, iv, call)
		return
	}
	if c.Loss == nil {
		result, err := iv.Run(call)
		if err != nil {
			t.Fatal(err)
		}
		c.compareResult(t, result)
		return
	}
	if *c.Loss != "sum of output" {
		t.Fatalf("loss %q, wanted sum of output", *c.Loss)
	}
	result, err := iv.Gradient(func(o interv.Outcome) *Node { return ReduceAllSum(o.Output) }).Run(call)
	if err != nil {
		t.Fatal(err)
	}
	c.compareResult(t, &result.Result)
	c.compareGradients(t, result)
}

// generate runs a case of generation: clean, and with the interventions on the prompt, on later tokens, or both.
func (c *Case) generate(t *testing.T, iv *interv.Intervenable, call interv.Call) {
	t.Helper()
	how := interv.Generation{NewTokens: c.Generation.MaxNewTokens, Logits: true}
	clean, err := iv.Generate(t.Context(), interv.Call{Base: call.Base, Locations: make([]*interv.Location, len(call.Locations))}, how)
	if err != nil {
		t.Fatal(err)
	}
	c.compare(t, clean.Logits, c.Expected.BaseStepLogits, "", "")
	c.compareIDs(t, clean.Tokens, c.Expected.BaseTokenIDs)
	switch c.Generation.Intervene {
	case "prompt":
	case "decode":
		call.Locations = make([]*interv.Location, len(call.Locations))
		how.Steps = interv.EveryStep
	case "both":
		how.Steps = interv.EveryStep
	default:
		t.Fatalf("intervene %q, wanted prompt, decode or both", c.Generation.Intervene)
	}
	edited, err := iv.Generate(t.Context(), call, how)
	if err != nil {
		t.Fatal(err)
	}
	c.compare(t, edited.Logits, c.Expected.StepLogits, "", "")
	c.compareIDs(t, edited.Tokens, c.Expected.TokenIDs)
}

// compareIDs checks that tokens are exactly those expected.
func (c *Case) compareIDs(t *testing.T, got *tensors.Tensor, want string) {
	t.Helper()
	c.see(want, got)
	if ids := c.MustTensor(t, want); !ids.Equal(got) {
		t.Errorf("%s: got %v, wanted %v", want, got, ids)
	}
}

// setUp is the case as a config, a call, and the values of the interventions' parameters.
func (c *Case) setUp(t *testing.T) (interv.Config, interv.Call, map[string]*tensors.Tensor) {
	t.Helper()
	config := interv.Config{Mode: interv.Mode(c.Mode)}
	call := interv.Call{Base: c.MustInputs(t, c.Inputs.Base), Subspaces: c.Subspaces, WithBase: c.Expected.BaseOutput != ""}
	parameters := map[string]*tensors.Tensor{}
	seen := map[string]bool{} // links and groups
	for i, intervention := range c.Interventions {
		r := interv.Representation{Layer: intervention.Layer, Component: interv.Component(intervention.Component),
			Unit: interv.Unit(intervention.Unit), SubspacePartition: intervention.Parts()}
		if intervention.Link != nil {
			r.Link = fmt.Sprint("link ", *intervention.Link)
		}
		source := i
		if intervention.Group != nil {
			r.Group, source = fmt.Sprint("group ", *intervention.Group), *intervention.Group
		}
		if !seen[r.Group] {
			call.Sources = append(call.Sources, c.MustInputs(t, c.Inputs.Sources[source]))
		}
		seen[r.Group] = r.Group != ""
		location := c.location(t, i)
		if intervention.FlattenUnits {
			r.MaxUnits = len(location.Base[0])
		}
		var activations *tensors.Tensor
		for role, name := range intervention.Params {
			if role == "constant" || role == "noise" {
				activations = c.MustTensor(t, name)
			} else if !seen[r.Link] {
				parameters[strconv.Itoa(i)+"."+role] = c.MustTensor(t, name)
			}
		}
		seen[r.Link] = r.Link != ""
		r.Intervention = c.intervention(t, intervention)
		config.Representations = append(config.Representations, r)
		call.Activations = append(call.Activations, activations)
		call.Locations = append(call.Locations, location)
	}
	return config, call, parameters
}

// intervention is the case's intervention as a Go value, of the sizes that its parameters have.
func (c *Case) intervention(t *testing.T, i Intervention) interv.Intervention {
	t.Helper()
	settings := map[string]any{}
	size := func(parameter string, axis int) int { return c.MustTensor(t, i.Params[parameter]).Shape().Dim(axis) }
	switch i.Type {
	case "low_rank_rotated_space":
		settings["rank"] = *i.Rank
	case "pca_rotated_space":
		settings["components"] = size("components", 0)
	case "autoencoder":
		settings["latents"] = size("encoder_bias", 0)
	case "jumprelu_autoencoder":
		settings["latents"] = size("b_enc", 0)
	}
	text, err := json.Marshal(map[string]any{"component": "x", "layer": 0, "intervention_type": i.Type, "settings": settings})
	if err != nil {
		t.Fatal(err)
	}
	var representation interv.Representation
	if err := json.Unmarshal(text, &representation); err != nil {
		t.Fatal(err)
	}
	return representation.Intervention
}

// location is where intervention i reads and writes; nil where it is left out.
func (c *Case) location(t *testing.T, i int) *interv.Location {
	t.Helper()
	stored := c.Locations[i]
	if stored == nil {
		return nil
	}
	if c.Interventions[i].Unit != "h.pos" {
		return interv.FromTo(lists[[]int](t, stored.Source), lists[[]int](t, stored.Base))
	}
	type headsPositions struct{ Heads, Positions []int }
	location := &interv.Location{}
	for _, unit := range lists[headsPositions](t, stored.Source) {
		location.SourceHeads, location.Source = append(location.SourceHeads, unit.Heads), append(location.Source, unit.Positions)
	}
	for _, unit := range lists[headsPositions](t, stored.Base) {
		location.BaseHeads, location.Base = append(location.BaseHeads, unit.Heads), append(location.Base, unit.Positions)
	}
	return location
}

// lists reads one side of a location, one entry an example; nil for null.
func lists[Entry any](t *testing.T, side json.RawMessage) (entries []Entry) {
	t.Helper()
	if len(side) == 0 {
		return nil
	}
	if err := json.Unmarshal(side, &entries); err != nil {
		t.Fatal(err)
	}
	return entries
}

// MustTensor is a tensor of the case's file, float32 or int32.
func (c *Case) MustTensor(t *testing.T, name string) *tensors.Tensor {
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

// MustInputs are the inputs of one run; nil for none.
func (c *Case) MustInputs(t *testing.T, names map[string]string) interv.Inputs {
	t.Helper()
	if names == nil {
		return nil
	}
	inputs := interv.Inputs{}
	for input, name := range names {
		inputs[input] = c.MustTensor(t, name)
	}
	return inputs
}

// MustWeights are the model's tensors that the case's file holds.
func (c *Case) MustWeights(t *testing.T) map[string]*tensors.Tensor {
	t.Helper()
	weights := map[string]*tensors.Tensor{}
	for _, name := range c.Names("model.") {
		weights[strings.TrimPrefix(name, "model.")] = c.MustTensor(t, name)
	}
	return weights
}

func (c *Case) see(name string, got *tensors.Tensor) {
	if c.Seen != nil {
		c.Seen[name] = got
	}
}

// compare checks a float32 tensor against the case's expectation, where the compare mask, if any, is 1.
func (c *Case) compare(t *testing.T, got *tensors.Tensor, want, scale, mask string) {
	t.Helper()
	c.see(want, got)
	var values []float64
	tensors.MustConstFlatData(got, func(flat []float32) {
		for _, value := range flat {
			values = append(values, float64(value))
		}
	})
	if mask != "" {
		positions := tensors.MustCopyFlatData[int32](c.MustTensor(t, mask))
		for i := range values {
			if positions[i*len(positions)/len(values)] == 0 {
				values[i] = 0
			}
		}
	}
	if err := c.Compare(values, got.Shape().Dimensions, want, scale); err != nil {
		t.Error(err)
	}
}

func (c *Case) compareResult(t *testing.T, result *interv.Result) {
	t.Helper()
	c.compare(t, result.Output, c.Expected.Output, "", c.Expected.CompareMask)
	if c.Expected.BaseOutput != "" {
		c.compare(t, result.BaseOutput, c.Expected.BaseOutput, "", c.Expected.CompareMask)
	}
	if len(result.Collected) != len(c.Expected.Collected) {
		t.Fatalf("collected %d tensors, wanted %d", len(result.Collected), len(c.Expected.Collected))
	}
	for i, want := range c.Expected.Collected {
		c.compare(t, result.Collected[i].Value, want, "", "")
	}
}

// compareGradients checks every expected gradient; parameters are called params.0.rotation in cases, 0.rotation here.
func (c *Case) compareGradients(t *testing.T, result *interv.GradientResult) {
	t.Helper()
	if len(result.Gradients) != len(c.Expected.Gradients) || len(result.Tangents) != len(c.Expected.TangentGradients) {
		t.Errorf("got %d gradients and %d tangents, wanted %d and %d", len(result.Gradients), len(result.Tangents),
			len(c.Expected.Gradients), len(c.Expected.TangentGradients))
	}
	for parameter, want := range c.Expected.Gradients {
		c.compare(t, result.Gradients[strings.TrimPrefix(parameter, "params.")], want, "", "")
	}
	for parameter, want := range c.Expected.TangentGradients {
		c.compare(t, result.Tangents[strings.TrimPrefix(parameter, "params.")], want, c.Expected.Gradients[parameter], "")
	}
}
