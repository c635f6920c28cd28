package transformer

import (
	"maps"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/checkpoint"
	"github.com/govene/govene/internal/hub"
	"github.com/govene/govene/internal/must"
	"github.com/govene/govene/internal/stored"
	"github.com/govene/govene/interv"
)

// New makes a model with random weights; the same seed gives the same bits, on any number of cores. They are float32 unless
// a precision is named. Matrices, embeddings and sinks are drawn from a normal
// distribution of standard deviation 0.02, norms do nothing and biases are 0, as transformers initializes them.
func New(config Config, seed uint64, precision ...Precision) (*Model, error) {
	dtype, err := dtypeOf(precision)
	if err != nil {
		return nil, err
	}
	if err := config.validate(); err != nil {
		return nil, err
	}
	f, err := config.family()
	if err != nil {
		return nil, err
	}
	values := map[string]*tensors.Tensor{}
	for _, w := range config.weights(naming{f, f.base}) {
		values[w.Name] = w.draw(seed, dtype)
	}
	return withWeights(config, values)
}

// MustNew is New that panics on an error.
func MustNew(config Config, seed uint64, precision ...Precision) *Model {
	return must.Of(New(config, seed, precision...))
}

// WithWeights makes a model from tensors under a checkpoint's names; each must be there, of the right shape, and finite. Besides them
// there may be only what checkpoints contain that is no parameter. Names may lack what a checkpoint of the bare model lacks:
// "h.0.ln_1.weight" for "transformer.h.0.ln_1.weight". The matrices of single experts are copied into tensors of all of them, which is how
// the model has them; these may be given as well.
func WithWeights(config Config, values map[string]*tensors.Tensor) (*Model, error) {
	return withWeights(config, maps.Clone(values))
}

// withWeights is WithWeights that empties the map, so that nothing is held twice.
func withWeights(config Config, values map[string]*tensors.Tensor) (*Model, error) {
	return assemble(config, values, given{}, func(shapes []interv.WeightShape, kept map[string]*tensors.Tensor) (*interv.Weights, error) {
		return interv.NewWeights(shapes, kept, dtypes.BFloat16, dtypes.Float16)
	})
}

// withStored is withWeights of tensors that lie in files, and are not read yet.
func withStored(config Config, places map[string]*stored.Tensor, progress func(done, total int64)) (*Model, error) {
	return assemble(config, places, inFiles{}, func(shapes []interv.WeightShape, kept map[string]*stored.Tensor) (*interv.Weights, error) {
		return interv.StoredWeights(shapes, kept, progress, dtypes.BFloat16, dtypes.Float16)
	})
}

// assemble makes a model of what are tensors, or will be; it empties the map.
func assemble[T source](config Config, values map[string]T, of kind[T], weights func([]interv.WeightShape, map[string]T) (*interv.Weights, error)) (*Model, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	f, err := config.family()
	if err != nil {
		return nil, err
	}
	m := &Model{config: config.clone(), naming: namingOf(f, func(name string) bool { return there(values, name) })}
	kept, err := parameters(config, m.naming, values, of)
	if err != nil {
		return nil, interv.Within(config.name(), err)
	}
	clear(values)
	listed := config.weights(m.naming)
	if err := stack(listed, kept, of); err != nil {
		return nil, interv.Within(config.name(), err)
	}
	var shapes []interv.WeightShape
	for _, w := range listed {
		shapes = append(shapes, w.WeightShape)
	}
	if m.weights, err = weights(shapes, kept); err != nil {
		return nil, interv.Within(config.name(), err)
	}
	return m, nil
}

// WithWeights is the model with other weights of the same names and shapes.
func (m *Model) WithWeights(weights map[string]*tensors.Tensor) (*Model, error) {
	return WithWeights(m.config, weights)
}

// Save writes config.json and model.safetensors into a folder, which is made if need be, in the layout of transformers. The config must
// be one that [ParseConfig] read.
func (m *Model) Save(folder string) error {
	weights, err := m.unstacked()
	if err != nil {
		return interv.Within(m.config.name(), err)
	}
	return interv.SaveModel(folder, m.config, weights)
}

// Load reads a checkpoint as Hugging Face lays it out, in any floating-point type, as float32 unless a [Precision] is among the options. It
// is given by its folder, or by its id on the hub ("gpt2", "owner/name", "owner/name@revision"), which is taken from the cache if it is
// there. Of a multimodal checkpoint it loads the text model, and [Model.LeftOut] names the rest.
//
// Load reads the config and says which tensors it means, and refuses what can be seen by their names, shapes and types. The tensors stay in
// their files, which must not be changed, until a program needs them: see [interv.StoredWeights]. A [Progress] among the options is told how
// far that is:
//
//	model, err := transformer.Load("owner/name", transformer.BFloat16, transformer.Bar(os.Stderr))
func Load(idOrFolder string, options ...Option) (*Model, error) {
	how := loading{progress: func(string, int64, int64) {}}
	for _, option := range options {
		option.set(&how)
	}
	progress := how.progress
	dtype, err := dtypeOf(how.precisions)
	if err != nil {
		return nil, err
	}
	folder, err := checkpoint.Resolve(idOrFolder, hub.Progress(progress))
	if err != nil {
		return nil, err
	}
	file, err := checkpoint.Open(folder)
	if err != nil {
		return nil, err
	}
	config, err := ParseConfig(file.Config())
	if err != nil {
		return nil, interv.Within(folder, err)
	}
	var names []string
	for _, t := range file.Tensors() {
		if !notParameter(t.Name) {
			names = append(names, t.Name)
		}
	}
	own, leftOut := map[string]string(nil), []string(nil)
	if _, inside, _ := textConfig(file.Config()); inside {
		own, leftOut = textNames(names)
		names = slices.Sorted(maps.Keys(own))
	}
	places, err := file.Stored(dtype, names...)
	if err != nil {
		return nil, err
	}
	for name, plain := range own {
		if place := places[name]; name != plain {
			if places[plain] != nil {
				return nil, &interv.Error{Where: folder, Axis: plain, Got: "it and " + name, Wanted: "one of the two"}
			}
			delete(places, name)
			places[plain] = place
		}
	}
	m, err := withStored(config, places, func(done, total int64) { progress("weights", done, total) })
	if err != nil {
		return nil, interv.Within(folder, err)
	}
	m.leftOut = leftOut
	return m, nil
}

// MustLoad is Load that panics on an error.
func MustLoad(idOrFolder string, options ...Option) *Model {
	return must.Of(Load(idOrFolder, options...))
}

// Option says how [Load] loads: a [Precision] or a [Progress].
type Option interface{ set(how *loading) }

// loading is what options set.
type loading struct {
	precisions []Precision
	progress   Progress
}

func (p Precision) set(how *loading) { how.precisions = append(how.precisions, p) }

func (p Progress) set(how *loading) {
	if p != nil {
		how.progress = p
	}
}
