package interv

import (
	"fmt"
	"maps"
	"slices"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/garbage"
	"github.com/govene/govene/internal/nearest"
)

// Weights are a model's tensors by name. They are made once, never change, and lie on a device once for all programs that use
// them; any number of goroutines may share them.
type Weights struct {
	names   []string
	tensors map[string]*tensors.Tensor
	dtype   dtypes.DType
}

// WeightShape is what a model expects of one of its weights.
type WeightShape struct {
	Name       string
	Dimensions []int
}

// NewWeights checks tensors against what the model expects, both ways: a tensor that is missing, one too many, of the wrong shape
// or type, or with an element that is not finite is an error that names it. Weights are all float32, all float64, or all of another type
// that the model computes in. The tensors are kept, not copied.
func NewWeights(expected []WeightShape, got map[string]*tensors.Tensor, others ...dtypes.DType) (*Weights, error) {
	const where = "weights"
	types := append([]dtypes.DType{dtypes.Float32, dtypes.Float64}, others...)
	w := &Weights{tensors: make(map[string]*tensors.Tensor, len(got))}
	for _, want := range expected {
		t, ok := got[want.Name]
		if !ok {
			return nil, &Error{Where: where, Axis: want.Name, Got: "no such tensor",
				Wanted: fmt.Sprintf("%v", want.Dimensions), Nearest: nearest.Name(want.Name, sortedKeys(got))}
		}
		if !slices.Equal(t.Shape().Dimensions, want.Dimensions) {
			return nil, &Error{Where: where, Axis: want.Name, Got: fmt.Sprintf("shape %v", t.Shape().Dimensions),
				Wanted: fmt.Sprintf("%v", want.Dimensions)}
		}
		if w.dtype == dtypes.InvalidDType {
			w.dtype = t.DType()
		}
		if t.DType() != w.dtype || !slices.Contains(types, t.DType()) {
			return nil, &Error{Where: where, Axis: want.Name, Got: typeNames(t.DType()), Wanted: "all weights of one type: " + typeNames(types...)}
		}
		if err := CheckFinite(where+", "+want.Name, t); err != nil {
			return nil, err
		}
		w.names = append(w.names, want.Name)
		w.tensors[want.Name] = t
	}
	for _, name := range sortedKeys(got) {
		if _, ok := w.tensors[name]; !ok {
			return nil, &Error{Where: where, Axis: name, Got: "a tensor the model does not have", Wanted: "none",
				Nearest: nearest.Name(name, w.names)}
		}
	}
	return w, nil
}

// Names lists the weights in the order in which the model declares them.
func (w *Weights) Names() []string { return slices.Clone(w.names) }

// Tensor returns a weight, nil if there is none of that name. It must not be changed.
func (w *Weights) Tensor(name string) *tensors.Tensor { return w.tensors[name] }

// DType is the element type of the weights, and so of the model's activations.
func (w *Weights) DType() dtypes.DType { return w.dtype }

// ResultDType is the element type of what a model of these weights takes and returns, and of the parameters of interventions on it: float64
// if that is the weights', else float32.
func (w *Weights) ResultDType() dtypes.DType {
	if w.dtype == dtypes.Float64 {
		return dtypes.Float64
	}
	return dtypes.Float32
}

// upload moves the weights to the device, where they are not already. Each copy in Go's memory is released once its tensor is on the device,
// so that the model is never held twice.
func (w *Weights) upload(backend compute.Backend) error {
	var released garbage.Bytes
	defer released.Done()
	for _, name := range w.names {
		t := w.tensors[name]
		if t.IsOnDevice(0) {
			continue
		}
		if _, err := t.Buffer(backend, 0); err != nil {
			return Within("weights, "+name, err)
		}
		released.Drop(int(t.ByteSize()))
	}
	return nil
}

// Size is the number of parameters.
func (w *Weights) Size() int {
	size := 0
	for _, t := range w.tensors {
		size += t.Size()
	}
	return size
}

// All returns the weights by name. They must not be changed.
func (w *Weights) All() map[string]*tensors.Tensor { return maps.Clone(w.tensors) }
