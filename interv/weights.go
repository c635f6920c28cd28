package interv

import (
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/must"
	"github.com/govene/govene/internal/nearest"
	"github.com/govene/govene/internal/stored"
)

// Weights are a model's tensors by name. They are made once, never change, and lie on a device once for all programs that use
// them; any number of goroutines may share them. Those of a checkpoint lie in its files until they are needed.
type Weights struct {
	names  []string
	shapes map[string]shapes.Shape
	dtype  dtypes.DType
	stored map[string]*stored.Tensor // of those that lie in files
	tell   func(done, total int64)   // of bytes of files; nil for nobody
	total  int64

	uploading sync.Mutex      // held while weights are brought to a device, so that this is done once
	on        compute.Backend // whose device all of them are on; nil before

	mu      sync.Mutex                 // guards what follows; never held where tell is called, which may ask for weights
	values  map[string]*tensors.Tensor // those that were given or have been read
	done    int64                      // bytes
	told    int64                      // of these
	telling bool                       // tell is being called
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
	w, err := checkWeights(expected, got, others)
	if err != nil {
		return nil, err
	}
	for _, name := range w.names {
		if err := CheckFinite("weights, "+name, got[name]); err != nil {
			return nil, err
		}
	}
	w.values = maps.Clone(got)
	return w, nil
}

// StoredWeights is NewWeights of tensors that lie in files. They are read when they are needed: all of them, by whoever holds the memory of
// the device, before the first program runs on it; or a single one, here, for who asks for it. What is found wrong then, an element that is
// not finite or a file that has changed, is an error of that moment, which names tensor and file. A tell that is not nil is told how many
// bytes of the files are read by then, from one goroutine at a time. It may ask for weights, but must not run the model, which waits for them.
func StoredWeights(expected []WeightShape, got map[string]*stored.Tensor, tell func(done, total int64), others ...dtypes.DType) (*Weights, error) {
	w, err := checkWeights(expected, got, others)
	if err != nil {
		return nil, err
	}
	for _, name := range w.names {
		if err := got[name].Check(); err != nil {
			return nil, Within("weights, "+name, err)
		}
		w.total += got[name].Bytes()
	}
	w.stored, w.tell = maps.Clone(got), tell
	return w, nil
}

// checkWeights is what can be checked without the numbers.
func checkWeights[T interface{ Shape() shapes.Shape }](expected []WeightShape, got map[string]T, others []dtypes.DType) (*Weights, error) {
	const where = "weights"
	types := append([]dtypes.DType{dtypes.Float32, dtypes.Float64}, others...)
	w := &Weights{shapes: make(map[string]shapes.Shape, len(got)), values: map[string]*tensors.Tensor{}}
	for _, want := range expected {
		t, ok := got[want.Name]
		if !ok {
			return nil, &Error{Where: where, Axis: want.Name, Got: "no such tensor",
				Wanted: fmt.Sprintf("%v", want.Dimensions), Nearest: nearest.Name(want.Name, sortedKeys(got))}
		}
		shape := t.Shape()
		if !slices.Equal(shape.Dimensions, want.Dimensions) {
			return nil, &Error{Where: where, Axis: want.Name, Got: fmt.Sprintf("shape %v", shape.Dimensions),
				Wanted: fmt.Sprintf("%v", want.Dimensions)}
		}
		if w.dtype == dtypes.InvalidDType {
			w.dtype = shape.DType
		}
		if shape.DType != w.dtype || !slices.Contains(types, shape.DType) {
			return nil, &Error{Where: where, Axis: want.Name, Got: typeNames(shape.DType), Wanted: "all weights of one type: " + typeNames(types...)}
		}
		w.names = append(w.names, want.Name)
		w.shapes[want.Name] = shape
	}
	for _, name := range sortedKeys(got) {
		if _, ok := w.shapes[name]; !ok {
			return nil, &Error{Where: where, Axis: name, Got: "a tensor the model does not have", Wanted: "none",
				Nearest: nearest.Name(name, w.names)}
		}
	}
	return w, nil
}

// Names lists the weights in the order in which the model declares them.
func (w *Weights) Names() []string { return slices.Clone(w.names) }

// Shape is that of a weight, without reading it; invalid if there is none of that name.
func (w *Weights) Shape(name string) shapes.Shape { return w.shapes[name] }

// Tensor returns a weight, nil if there is none of that name. It must not be changed. One that cannot be read from its file, see
// [StoredWeights], panics with the error.
func (w *Weights) Tensor(name string) *tensors.Tensor { return must.Of(w.tensor(name)) }

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

// Size is the number of parameters.
func (w *Weights) Size() int {
	size := 0
	for _, shape := range w.shapes {
		size += shape.Size()
	}
	return size
}

// Values returns the weights by name. They must not be changed. Those in files are read, see [StoredWeights].
func (w *Weights) Values() (map[string]*tensors.Tensor, error) {
	all := make(map[string]*tensors.Tensor, len(w.names))
	for _, name := range w.names {
		t, err := w.tensor(name)
		if err != nil {
			return nil, err
		}
		all[name] = t
	}
	return all, nil
}

// All is [Weights.Values] that panics on an error.
func (w *Weights) All() map[string]*tensors.Tensor { return must.Of(w.Values()) }
