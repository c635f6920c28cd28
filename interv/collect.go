package interv

import (
	"fmt"
	"math"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/bfloat16"
	"github.com/gomlx/compute/dtypes/float16"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/host"
	"github.com/govene/govene/internal/must"
)

// CollectAll runs a model on inputs and returns what some components compute, in every layer and at every position, padding included, as
// the result's Collected, each under its site's name: [batch, positions, width], or [batch, heads, positions, width] at sites with heads.
// No component, one that the model does not have and inputs that do not fit are errors.
func CollectAll(backend compute.Backend, model Model, inputs Inputs, components ...Component) (*Result, error) {
	if err := checkBoth(backend, model); err != nil {
		return nil, err
	}
	catalogue := model.Catalogue()
	if len(components) == 0 {
		return nil, &Error{Where: "collecting", Axis: "components", Got: "none", Wanted: "at least one"}
	}
	for _, component := range components {
		if len(catalogue.Of(component)) == 0 {
			_, err := catalogue.Find(Site{Component: component})
			return nil, err
		}
	}
	var config Config
	call := Call{Base: inputs}
	for _, site := range catalogue.Of(components...) {
		config.Representations = append(config.Representations, Representation{Layer: site.Layer, Component: site.Component, Intervention: Collect{}})
		call.Locations = append(call.Locations, Everywhere())
	}
	iv, err := New(backend, model, config)
	if err != nil {
		return nil, err
	}
	return iv.Run(call)
}

// MustCollectAll is CollectAll that panics on an error.
func MustCollectAll(backend compute.Backend, model Model, inputs Inputs, components ...Component) *Result {
	return must.Of(CollectAll(backend, model, inputs, components...))
}

// SaveCollected writes what was collected to a safetensors file, by name, whole or not at all. A result without is an error.
func (r *Result) SaveCollected(path string) error {
	if len(r.Collected) == 0 {
		return &Error{Where: path, Axis: "collected", Got: "nothing", Wanted: "a result with activations: of CollectAll, or of a config with a Collect"}
	}
	values := map[string]*tensors.Tensor{}
	for _, c := range r.Collected {
		values[c.Name] = c.Value
	}
	return SaveTensors(path, values)
}

// MustSaveCollected is SaveCollected that panics on an error.
func (r *Result) MustSaveCollected(path string) { must.Do(r.SaveCollected(path)) }

// Contrast is the direction in which a site's activations differ between two sets of inputs, [width]:
//
//	factor · (mean of a over these − mean of a over those),
//
// with a the activation at each example's last position that is not padding. Added to other runs, it steers them: Turner et al., "Activation
// Addition" (2023), for a pair of prompts; Rimsky et al., "Steering Llama 2 via Contrastive Activation Addition" (2024), for sets of them. A
// site with heads, or whose width varies with the run, and a factor that is not finite are errors.
func Contrast(backend compute.Backend, model Model, site Site, factor float64, these, those Inputs) (*tensors.Tensor, error) {
	iv, err := New(backend, model, Single(site.Layer, site.Component, Collect{}))
	if err != nil {
		return nil, err
	}
	if sites := iv.plan.representations[0].sites; sites.Heads > 0 || sites.Width == 0 {
		return nil, &Error{Where: site.String(), Axis: "heads and width", Got: fmt.Sprintf("%d and %d", sites.Heads, sites.Width), Wanted: "a site without heads, of a fixed width"}
	}
	if math.IsNaN(factor) || math.IsInf(factor, 0) {
		return nil, &Error{Where: site.String(), Axis: "factor", Got: fmt.Sprint(factor), Wanted: "a finite number"}
	}
	var sum []float64
	var dtype dtypes.DType
	for _, side := range []struct {
		name   string
		inputs Inputs
		sign   float64
	}{{"these", these, factor}, {"those", those, -factor}} {
		extent, err := iv.extent(side.name, side.inputs)
		if err != nil {
			return nil, err
		}
		result, err := iv.Run(Call{Base: side.inputs, Locations: []*Location{At(Repeat(extent.Batch, -1))}})
		if err != nil {
			return nil, Within(side.name, err)
		}
		value := result.Collected[0].Value
		width := value.Shape().Dim(-1)
		if dtype = value.DType(); sum == nil {
			sum = make([]float64, width)
		}
		for i, x := range host.Floats(value) {
			sum[i%width] += side.sign * x / float64(extent.Batch)
		}
	}
	return ofDType(tensors.FromFlatDataAndDimensions(sum, len(sum)), dtype), nil
}

// MustContrast is Contrast that panics on an error.
func MustContrast(backend compute.Backend, model Model, site Site, factor float64, these, those Inputs) *tensors.Tensor {
	return must.Of(Contrast(backend, model, site, factor, these, those))
}

// StandardDeviation is that of all n numbers of a tensor of floats, √(Σ (x − mean)²/n): of a model's token embeddings, the unit in which causal
// tracing measures [Noise]. It panics where there is no such tensor.
func StandardDeviation(t *tensors.Tensor) float64 {
	if t == nil {
		panic(&Error{Axis: "tensor", Got: describeShape(t), Wanted: "one of floats"})
	}
	var values []float64
	switch t.DType() {
	case dtypes.BFloat16:
		tensors.MustConstFlatData(t, func(flat []bfloat16.BFloat16) {
			for _, x := range flat {
				values = append(values, x.Float64())
			}
		})
	case dtypes.Float16:
		tensors.MustConstFlatData(t, func(flat []float16.Float16) {
			for _, x := range flat {
				values = append(values, float64(x.Float32()))
			}
		})
	default:
		values = host.Floats(t)
	}
	mean, squares := 0.0, 0.0
	for _, x := range values {
		mean += x / float64(len(values))
	}
	for _, x := range values {
		squares += (x - mean) * (x - mean) / float64(len(values))
	}
	return math.Sqrt(squares)
}
