package interv

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gomlx/compute"

	"github.com/govene/govene/internal/nearest"
)

// The files of a saved Intervenable, and the version of their format: 2 added names, groups, the mode and the digest.
const (
	configFile     = "config.json"
	parametersFile = "parameters.safetensors"
	saveVersion    = 2
)

// saved is the form of config.json.
type saved struct {
	Version int    `json:"version"`
	Model   string `json:"model"`            // what the catalogue calls it
	Digest  string `json:"digest,omitempty"` // of the rest of this file and of the parameters' file; see digest
	Config
}

// digest is the SHA-256, in hexadecimal, of the file's JSON without its digest followed by the bytes of the parameters' file.
func (s saved) digest(parameters []byte) (string, error) {
	s.Digest = ""
	text, err := json.Marshal(s)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(append(text, parameters...))
	return hex.EncodeToString(sum[:]), nil
}

// Save writes the config and the parameters of the interventions into a folder, which is made if need be: config.json and
// parameters.safetensors, with a digest of both. The model's weights are not among them. The same state gives the same bytes. An
// intervention that is a Go function is refused before anything is written.
func (iv *Intervenable) Save(folder string) error {
	file := saved{Version: saveVersion, Model: iv.model.Catalogue().Model, Config: iv.config}
	if _, err := file.digest(nil); err != nil {
		var refusal *Error
		if errors.As(err, &refusal) {
			return refusal
		}
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	path := filepath.Join(folder, parametersFile)
	if err := SaveTensors(path, iv.Parameters()); err != nil {
		return err
	}
	parameters, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if file.Digest, err = file.digest(parameters); err != nil {
		return err
	}
	text, err := json.MarshalIndent(file, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, configFile), append(text, '\n'), 0o644)
}

// Load reads what Save wrote, for the same kind of model. Everything is checked before anything is returned: the version, the digest,
// the config against the model's catalogue, and the parameters' names, shapes and values. Files of older versions load.
func Load(backend compute.Backend, model Model, folder string) (*Intervenable, error) {
	path := filepath.Join(folder, configFile)
	file, err := readSaved(path)
	if err != nil {
		return nil, err
	}
	if name := model.Catalogue().Model; file.Model != name {
		return nil, &Error{Where: path, Axis: "model", Got: file.Model, Wanted: name}
	}
	iv, err := New(backend, model, file.Config)
	if err != nil {
		return nil, Within(path, err)
	}
	path = filepath.Join(folder, parametersFile)
	parameters, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if digest, err := file.digest(parameters); err != nil {
		return nil, err
	} else if file.Version > 1 && digest != file.Digest {
		return nil, &Error{Where: folder, Axis: "digest of " + configFile + " and " + parametersFile, Got: digest,
			Wanted: fmt.Sprintf("%s, as when they were saved", file.Digest)}
	}
	values, err := tensorsFrom(path, parameters)
	if err != nil {
		return nil, err
	}
	for _, key := range iv.keys() {
		if _, ok := values[key.String()]; !ok {
			return nil, &Error{Where: path, Axis: key.String(), Got: "no such tensor", Wanted: "one", Nearest: nearest.Name(key.String(), sortedKeys(values))}
		}
	}
	if err := iv.SetParameters(values); err != nil {
		return nil, Within(path, err)
	}
	return iv, nil
}

// MustLoad is Load that panics on an error.
func MustLoad(backend compute.Backend, model Model, folder string) *Intervenable {
	return must(Load(backend, model, folder))
}

// readSaved reads config.json, of this version or an older one.
func readSaved(path string) (*saved, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var header struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(text, &header); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if header.Version < 1 || header.Version > saveVersion {
		return nil, &Error{Where: path, Axis: "version", Got: fmt.Sprint(header.Version), Wanted: fmt.Sprintf("1 to %d", saveVersion)}
	}
	var file saved
	if err := decodeStrictly(bytes.TrimSpace(text), &file); err != nil {
		return nil, Within(path, err)
	}
	return &file, nil
}
