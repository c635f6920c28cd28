package interv

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gomlx/compute"

	"github.com/govene/govene/internal/nearest"
)

// The files of a saved Intervenable, and the version of their format.
const (
	configFile     = "config.json"
	parametersFile = "parameters.safetensors"
	saveVersion    = 1
)

// saved is the form of config.json.
type saved struct {
	Version int    `json:"version"`
	Model   string `json:"model"` // what the catalogue calls it
	Config
}

// Save writes the config and the parameters of the interventions into a folder, which is made if need be: config.json and
// parameters.safetensors. The model's weights are not among them. The same state gives the same bytes. An intervention that is a
// Go function is refused before anything is written.
func (iv *Intervenable) Save(folder string) error {
	text, err := json.MarshalIndent(saved{saveVersion, iv.model.Catalogue().Model, iv.config}, "", "  ")
	if err != nil {
		var refusal *Error
		if errors.As(err, &refusal) {
			return refusal
		}
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	if err := SaveTensors(filepath.Join(folder, parametersFile), iv.Parameters()); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, configFile), append(text, '\n'), 0o644)
}

// Load reads what Save wrote, for the same kind of model. Everything is checked before anything is returned: the version, the
// config against the model's catalogue, and the parameters' names, shapes and values.
func Load(backend compute.Backend, model Model, folder string) (*Intervenable, error) {
	path := filepath.Join(folder, configFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var file saved
	if err := decodeStrictly(bytes.TrimSpace(text), &file); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if file.Version != saveVersion {
		return nil, &Error{Where: path, Axis: "version", Got: fmt.Sprint(file.Version), Wanted: fmt.Sprint(saveVersion)}
	}
	if name := model.Catalogue().Model; file.Model != name {
		return nil, &Error{Where: path, Axis: "model", Got: file.Model, Wanted: name}
	}
	iv, err := New(backend, model, file.Config)
	if err != nil {
		return nil, Within(path, err)
	}
	path = filepath.Join(folder, parametersFile)
	values, err := LoadTensors(path)
	if err != nil {
		return nil, err
	}
	for _, key := range iv.keys() {
		if _, ok := values[key.String()]; !ok {
			return nil, &Error{Where: path, Axis: key.String(), Got: "no such tensor", Wanted: "one", Nearest: nearest.Name(key.String(), sortedKeys(values))}
		}
	}
	return iv, Within(path, iv.SetParameters(values))
}
