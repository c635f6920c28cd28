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

	"github.com/govene/govene/internal/must"
	"github.com/govene/govene/internal/nearest"
	"github.com/govene/govene/internal/strict"
)

// The files of a saved Intervenable, and the version of their format: 2 added names, groups, the mode and the digest, 3 what is frozen.
const (
	configFile     = "config.json"
	parametersFile = "parameters.safetensors"
	saveVersion    = 3
)

// saved is the form of config.json.
type saved struct {
	Version int    `json:"version"`
	Model   string `json:"model"`            // what the catalogue calls it
	Digest  string `json:"digest,omitempty"` // see digestOf
	Config
	Frozen []string `json:"frozen,omitempty"` // parameters that training leaves alone
}

// digestOf is the SHA-256, in hexadecimal, of a config.json without its digest and without white space between its values, followed by
// the bytes of the parameters' file.
func digestOf(config []byte, digest string, parameters []byte) (string, error) {
	var text bytes.Buffer
	if err := json.Compact(&text, config); err != nil {
		return "", err
	}
	rest := bytes.Replace(text.Bytes(), fmt.Appendf(nil, `"digest":%q,`, digest), nil, 1)
	sum := sha256.Sum256(append(rest, parameters...))
	return hex.EncodeToString(sum[:]), nil
}

// Save writes the config and the parameters of the interventions into a folder, which is made if need be: config.json and
// parameters.safetensors, with a digest of both. The model's weights are not among them. The same state gives the same bytes. An
// intervention that is a Go function is refused before anything is written.
func (iv *Intervenable) Save(folder string) error {
	file := saved{Version: saveVersion, Model: iv.model.Catalogue().Model, Config: iv.config}
	for _, key := range iv.keys() {
		if iv.frozenNow()[key] {
			file.Frozen = append(file.Frozen, key.String())
		}
	}
	text, err := json.Marshal(file)
	var refusal *Error
	if errors.As(err, &refusal) {
		return refusal
	} else if err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	path := filepath.Join(folder, parametersFile)
	if err := SaveTensors(path, iv.named()); err != nil {
		return err
	}
	parameters, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if file.Digest, err = digestOf(text, "", parameters); err != nil {
		return err
	}
	if text, err = json.MarshalIndent(file, "", "  "); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, configFile), append(text, '\n'), 0o644)
}

// Load reads what Save wrote, for the same kind of model. Everything is checked before anything is returned: the version, the digest,
// the config against the model's catalogue, and the parameters' names, shapes and values. Files of older versions load.
func Load(backend compute.Backend, model Model, folder string) (*Intervenable, error) {
	if err := checkBoth(backend, model); err != nil {
		return nil, err
	}
	path := filepath.Join(folder, configFile)
	file, parameters, err := readSaved(folder)
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
	if err := iv.Freeze(file.Frozen...); err != nil {
		return nil, Within(path, err)
	}
	path = filepath.Join(folder, parametersFile)
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
	return must.Of(Load(backend, model, folder))
}

// readSaved reads the files, of this version or an older one, and compares the digest, which the first version had not.
func readSaved(folder string) (*saved, []byte, error) {
	path := filepath.Join(folder, configFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	var header struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(text, &header); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	if header.Version < 1 || header.Version > saveVersion {
		return nil, nil, &Error{Where: path, Axis: "version", Got: fmt.Sprint(header.Version), Wanted: fmt.Sprintf("1 to %d", saveVersion)}
	}
	var file saved
	if err := strict.Unmarshal(text, &file); err != nil {
		return nil, nil, Within(path, err)
	}
	parameters, err := os.ReadFile(filepath.Join(folder, parametersFile))
	if err != nil {
		return nil, nil, err
	}
	digest, err := digestOf(text, file.Digest, parameters)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", path, err)
	}
	if digest != file.Digest && (file.Version > 1 || file.Digest != "") {
		return nil, nil, &Error{Where: folder, Axis: "digest of " + configFile + " and " + parametersFile, Got: digest,
			Wanted: fmt.Sprintf("%s, as when they were saved", file.Digest)}
	}
	return &file, parameters, nil
}
