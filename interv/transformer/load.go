package transformer

import (
	"maps"
	"slices"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/checkpoint"
	"github.com/govene/govene/internal/hub"
	"github.com/govene/govene/internal/must"
	"github.com/govene/govene/interv"
)

// New makes a model with random weights; the same seed gives the same bits, on any number of cores. Matrices, embeddings and sinks are drawn from a normal
// distribution of standard deviation 0.02, norms do nothing and biases are 0, as transformers initializes them.
func New(config Config, seed uint64) (*Model, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	f, err := config.family()
	if err != nil {
		return nil, err
	}
	values := map[string]*tensors.Tensor{}
	for _, w := range config.weights(naming{f, f.base}) {
		values[w.Name] = w.draw(seed)
	}
	return WithWeights(config, values)
}

// MustNew is New that panics on an error.
func MustNew(config Config, seed uint64) *Model { return must.Of(New(config, seed)) }

// WithWeights makes a model from tensors under a checkpoint's names; each must be there, of the right shape, and finite. Besides them
// there may be only what checkpoints contain that is no parameter. Names may lack what a checkpoint of the bare model lacks:
// "h.0.ln_1.weight" for "transformer.h.0.ln_1.weight". The matrices of single experts are copied into tensors of all of them, which is how
// the model has them; these may be given as well.
func WithWeights(config Config, values map[string]*tensors.Tensor) (*Model, error) {
	if err := config.validate(); err != nil {
		return nil, err
	}
	f, err := config.family()
	if err != nil {
		return nil, err
	}
	m := &Model{config: config.clone(), naming: namingOf(f, func(name string) bool { return values[name] != nil })}
	kept, err := config.parameters(m.naming, values)
	if err != nil {
		return nil, interv.Within(config.name(), err)
	}
	listed := config.weights(m.naming)
	if err := stack(listed, kept); err != nil {
		return nil, interv.Within(config.name(), err)
	}
	var shapes []interv.WeightShape
	for _, w := range listed {
		shapes = append(shapes, w.WeightShape)
	}
	if m.weights, err = interv.NewWeights(shapes, kept); err != nil {
		return nil, interv.Within(config.name(), err)
	}
	return m, nil
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

// Load reads a checkpoint as Hugging Face lays it out, in any floating-point type, as float32. It is given by its folder, or by its id
// on the hub ("gpt2", "owner/name", "owner/name@revision"), which is taken from the cache if it is there.
// Of a multimodal checkpoint it loads the text model, and [Model.LeftOut] names the rest.
func Load(idOrFolder string) (*Model, error) { return LoadWith(idOrFolder, nil) }

// LoadWith is Load that tells how far it is; see [Bar].
func LoadWith(idOrFolder string, progress Progress) (*Model, error) {
	if progress == nil {
		progress = func(string, int64, int64) {}
	}
	folder, err := checkpoint.Resolve(idOrFolder, hub.Progress(progress))
	if err != nil {
		return nil, err
	}
	file, err := checkpoint.Open(folder)
	if err != nil {
		return nil, err
	}
	defer file.Close()
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
	values, err := file.Load(func(done, total int64) { progress("weights", done, total) }, names...)
	if err != nil {
		return nil, err
	}
	for name, plain := range own {
		if value := values[name]; name != plain {
			if values[plain] != nil {
				return nil, &interv.Error{Where: folder, Axis: plain, Got: "it and " + name, Wanted: "one of the two"}
			}
			delete(values, name)
			values[plain] = value
		}
	}
	m, err := WithWeights(config, values)
	if err != nil {
		return nil, interv.Within(folder, err)
	}
	m.leftOut = leftOut
	return m, nil
}

// MustLoad is Load that panics on an error.
func MustLoad(idOrFolder string) *Model { return must.Of(Load(idOrFolder)) }
