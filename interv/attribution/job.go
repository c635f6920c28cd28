package attribution

import (
	"context"
	"fmt"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	. "github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/host"
	"github.com/govene/govene/interv"
)

// job is an attribution that has been checked. Its config has an addition at the site Along, if there is a path, and gates where
// something is dropped.
type job struct {
	Attribution
	model     interv.Model
	extent    interv.Extent
	dtype     dtypes.DType
	iv        *interv.Intervenable
	gradients *interv.Gradients
	reads     []interv.Sites // what each representation reads
	gates     []interv.Site
	at        []interv.Site // where gradients are taken: Sites, and what else they need
	softmax   *softmax      // nil unless Softmax
}

func (a Attribution) check(backend compute.Backend, model interv.Model) (*job, error) {
	j := &job{Attribution: a, model: model}
	wrong := func(axis, got, wanted string) (*job, error) {
		return nil, &interv.Error{Axis: axis, Got: got, Wanted: wanted}
	}
	if backend == nil || model == nil {
		return wrong("backend and model", fmt.Sprintf("%T and %T", backend, model), "both")
	}
	if err := j.checkPairs(model); err != nil {
		return nil, err
	}
	switch {
	case len(a.Sites) == 0:
		return wrong("sites", "none", "at least one")
	case a.Steps < 0:
		return wrong("steps", fmt.Sprint(a.Steps), "at least 1, or 0 for the gradient in the base")
	case a.Steps > 1 && len(a.Drop) > 0:
		return wrong("steps", "integrated gradients and something to drop", "one of the two")
	case a.Steps <= 1 && a.Along != interv.Site{}:
		return wrong("along", a.Along.String(), "none without steps")
	}
	j.dtype = model.Weights().DType()
	var config interv.Config
	catalogue := model.Catalogue()
	add := func(site interv.Site, intervention interv.Intervention) error {
		sites, err := catalogue.Find(site)
		if err != nil {
			return err
		}
		if sites.Width == 0 {
			return &interv.Error{Where: site.String(), Axis: "width", Got: "one that varies with the run", Wanted: "a site of a fixed width"}
		}
		j.reads = append(j.reads, sites)
		config.Representations = append(config.Representations, interv.Representation{Layer: site.Layer, Component: site.Component, Intervention: intervention})
		return nil
	}
	if a.Steps > 1 {
		if err := add(a.Along, interv.Addition{}); err != nil {
			return nil, interv.Within("along", err)
		}
	}
	for _, component := range a.Drop {
		sites := slices.DeleteFunc(catalogue.All(), func(s interv.Site) bool { return s.Component != component })
		if len(sites) == 0 {
			_, err := catalogue.Find(interv.Site{Component: component})
			return nil, interv.Within("drop", err)
		}
		for _, site := range sites {
			if err := add(site, gate); err != nil {
				return nil, interv.Within("drop", err)
			}
			j.gates = append(j.gates, site)
		}
	}
	if len(a.Drop) > 0 && len(j.layers()) < 2 {
		return wrong("drop", "one layer", "at least 2, to leave out one of them")
	}
	var err error
	if j.iv, err = interv.New(backend, model, config); err != nil {
		return nil, err
	}
	j.at = slices.Clone(a.Sites)
	if a.Steps > 1 && !slices.Contains(j.at, a.Along) {
		j.at = append(j.at, a.Along)
	}
	if a.Softmax {
		if j.softmax, err = newSoftmax(backend, model, a.Sites); err != nil {
			return nil, interv.Within("softmax", err)
		}
		for _, site := range j.softmax.reads() {
			if !slices.Contains(j.at, site) {
				j.at = append(j.at, site)
			}
		}
	}
	j.gradients = j.iv.GradientOf(a.Measure).At(j.at...)
	return j, nil
}

// checkPairs wants bases and sources of the same extent.
func (j *job) checkPairs(model interv.Model) error {
	var err error
	if j.extent, err = model.Check(j.Base); err != nil {
		return interv.Within("base", err)
	}
	source, err := model.Check(j.Source)
	if err != nil {
		return interv.Within("source", err)
	}
	return j.extent.CheckSource(source)
}

// gate lets gradients through where what it reads is 1, and not where that is 0.
var gate = interv.Func{Title: "gate", Build: func(base, source *Node) *Node {
	return Add(Mul(base, source), Mul(StopGradient(base), OneMinus(source)))
}}

// layers are those that have something to drop.
func (j *job) layers() (layers []int) {
	for _, site := range j.gates {
		if !slices.Contains(layers, site.Layer) {
			layers = append(layers, site.Layer)
		}
	}
	return layers
}

// call makes a run of inputs; activations are those of representations, in order.
func (j *job) call(inputs interv.Inputs, activations []*tensors.Tensor) (*interv.GradientResult, error) {
	call := interv.Call{Base: inputs, Activations: activations}
	for range j.reads {
		call.Locations = append(call.Locations, interv.Everywhere())
	}
	return j.gradients.Run(call)
}

// shapes are those of the activations that representations read.
func (j *job) shapes() (list [][]int) {
	for _, sites := range j.reads {
		shape := []int{j.extent.Batch, j.extent.Positions, sites.Width}
		if sites.Heads > 0 {
			shape = []int{j.extent.Batch, sites.Heads, j.extent.Positions, sites.Width}
		}
		list = append(list, shape)
	}
	return list
}

// constant has every representation read one number.
func (j *job) constant(value float64) (list []*tensors.Tensor) {
	for _, shape := range j.shapes() {
		size := 1
		for _, d := range shape {
			size *= d
		}
		list = append(list, j.tensor(slices.Repeat([]float64{value}, size), shape))
	}
	return list
}

func (j *job) tensor(values []float64, shape []int) *tensors.Tensor {
	if j.dtype == dtypes.Float64 {
		return tensors.FromFlatDataAndDimensions(values, shape...)
	}
	flat := make([]float32, len(values))
	for i, value := range values {
		flat[i] = float32(value)
	}
	return tensors.FromFlatDataAndDimensions(flat, shape...)
}

// run makes the runs and adds up their effects.
func (j *job) run(ctx context.Context) (*Result, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	still := j.constant(0)
	if len(j.gates) > 0 {
		still = j.constant(1)
	}
	base, err := j.call(j.Base, still)
	if err != nil {
		return nil, err
	}
	source, err := j.call(j.Source, still)
	if err != nil {
		return nil, err
	}
	r := &Result{Metric: base.Metrics[0].Name, Base: host.Floats(base.Metrics[0].Value), Source: host.Floats(source.Metrics[0].Value)}
	if interv.ReadsClean(j.Measure.Metric) { // of a source, it would compare with the source itself
		r.Source = nil
	}
	for pair := range j.extent.Batch {
		_, end := j.extent.Real(pair)
		r.ends = append(r.ends, end)
	}
	differences := make([][]float64, len(base.Activations))
	for i := range differences {
		differences[i] = host.Floats(source.Activations[i].Value)
		for k, b := range host.Floats(base.Activations[i].Value) {
			differences[i][k] -= b
		}
	}
	for i, site := range j.Sites {
		shape := base.Activations[i].Value.Shape()
		e := Effect{Site: site, Heads: 1, Positions: shape.Dim(-2), Values: make([]float64, shape.Size()/shape.Dim(-1))}
		if shape.Rank() == 4 {
			e.Heads = shape.Dim(1)
		}
		r.Effects = append(r.Effects, e)
	}
	if j.softmax != nil {
		if err := j.softmax.run(j.Base, base, source); err != nil {
			return nil, err
		}
	}
	switch {
	case j.Steps > 1:
		along := slices.IndexFunc(base.Activations, func(a interv.ActivationGradient) bool { return a.Site == j.Along })
		for k := range j.Steps {
			if err := context.Cause(ctx); err != nil {
				return nil, err
			}
			moved := slices.Clone(differences[along])
			for i := range moved {
				moved[i] *= (float64(k) + 0.5) / float64(j.Steps)
			}
			at, err := j.call(j.Base, []*tensors.Tensor{j.tensor(moved, j.shapes()[0])})
			if err != nil {
				return nil, err
			}
			j.add(r, at, differences, func(_ interv.Site, effect float64) float64 { return effect / float64(j.Steps) })
		}
	case len(j.gates) > 0:
		layers := j.layers()
		for _, layer := range layers {
			if err := context.Cause(ctx); err != nil {
				return nil, err
			}
			gates := slices.Clone(still)
			for i, site := range j.gates {
				if site.Layer == layer {
					gates[i] = j.tensor(make([]float64, still[i].Size()), j.shapes()[i])
				}
			}
			at, err := j.call(j.Base, gates)
			if err != nil {
				return nil, err
			}
			j.add(r, at, differences, func(site interv.Site, effect float64) float64 {
				if site.Layer == layer && slices.Contains(j.gates, site) { // what is dropped itself: its gradient is that above the gate
					return 0
				}
				return max(effect, -effect) / float64(len(layers)-1)
			})
		}
	default:
		j.add(r, base, differences, func(_ interv.Site, effect float64) float64 { return effect })
	}
	return r, nil
}

// add adds the effects by the gradients of a run.
func (j *job) add(r *Result, at *interv.GradientResult, differences [][]float64, part func(site interv.Site, effect float64) float64) {
	for i := range r.Effects {
		e := &r.Effects[i]
		sums := j.softmax.effects(e.Site, at)
		if sums == nil {
			sums = firstOrder(differences[i], host.Floats(at.Activations[i].Gradient), len(e.Values))
		}
		for unit, sum := range sums {
			e.Values[unit] += part(e.Site, sum)
		}
	}
}

// firstOrder is the difference times the gradient, summed over the features of each unit.
func firstOrder(difference, gradient []float64, units int) []float64 {
	sums, width := make([]float64, units), len(gradient)/units
	for k := range gradient {
		sums[k/width] += difference[k] * gradient[k]
	}
	return sums
}
