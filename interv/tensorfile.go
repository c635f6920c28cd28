package interv

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/host"
	"github.com/govene/govene/internal/safetensors"
)

// weightsFile is the file of a model's weights, beside configFile.
const weightsFile = "model.safetensors"

// SaveModel writes a model's config.json and model.safetensors into a folder, which is made if need be.
func SaveModel(folder string, config json.Marshaler, weights *Weights) error {
	text, err := config.MarshalJSON()
	if err != nil {
		return err
	}
	var indented bytes.Buffer
	if err := json.Indent(&indented, bytes.TrimSpace(text), "", "  "); err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, configFile), append(indented.Bytes(), '\n'), 0o644); err != nil {
		return err
	}
	values, err := weights.Values()
	if err != nil {
		return err
	}
	return SaveTensors(filepath.Join(folder, weightsFile), values)
}

// LoadModel reads what SaveModel wrote: the config, of type Config, and the tensors, from both of which with makes the model.
func LoadModel[Config, Model any](folder string, with func(config Config, weights map[string]*tensors.Tensor) (Model, error)) (none Model, err error) {
	path := filepath.Join(folder, configFile)
	text, err := os.ReadFile(path)
	if err != nil {
		return none, err
	}
	var config Config
	if err := json.Unmarshal(text, &config); err != nil {
		return none, fmt.Errorf("%s: %w", path, err)
	}
	weights, err := LoadTensors(filepath.Join(folder, weightsFile))
	if err != nil {
		return none, err
	}
	return with(config, weights)
}

// SaveTensors writes floating-point tensors to a safetensors file. The same tensors give the same bytes, and the file appears
// whole or not at all.
func SaveTensors(path string, values map[string]*tensors.Tensor) error {
	var list []safetensors.Tensor
	for _, name := range sortedKeys(values) {
		t := values[name]
		switch t.DType() {
		case dtypes.Float32:
			tensors.MustConstFlatData(t, func(flat []float32) {
				list = append(list, safetensors.FromFloat32s(name, t.Shape().Dimensions, flat))
			})
		case dtypes.BFloat16, dtypes.Float16:
			format := map[dtypes.DType]string{dtypes.BFloat16: "BF16", dtypes.Float16: "F16"}[t.DType()]
			if err := t.ConstBytes(func(data []byte) {
				list = append(list, safetensors.Tensor{Name: name, DType: format, Shape: t.Shape().Dimensions, Data: bytes.Clone(data)})
			}); err != nil {
				return err
			}
		case dtypes.Float64:
			list = append(list, safetensors.FromFloat64s(name, t.Shape().Dimensions, host.Floats(t)))
		default:
			return &Error{Where: path, Axis: name, Got: t.DType().String(), Wanted: "float32, float64, bfloat16 or float16"}
		}
	}
	return safetensors.Write(path, list, map[string]string{"format": "pt"}) // without it, older versions of transformers load no model
}

// LoadTensors reads the tensors of a safetensors file: floating-point ones as float32 (float64 where the file has that), integers
// as int32.
func LoadTensors(path string) (map[string]*tensors.Tensor, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return tensorsFrom(path, data)
}

// tensorsFrom reads the bytes of a safetensors file; path is for messages.
func tensorsFrom(path string, data []byte) (map[string]*tensors.Tensor, error) {
	file, err := safetensors.Decode(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return toTensors(path, file.Tensors)
}

// toTensors converts what was read from a file, by name.
func toTensors(path string, list []safetensors.Tensor) (values map[string]*tensors.Tensor, err error) {
	values = map[string]*tensors.Tensor{}
	for _, t := range list {
		if values[t.Name], err = toTensor(t); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return values, nil
}

func toTensor(t safetensors.Tensor) (*tensors.Tensor, error) {
	switch t.DType {
	case "F64":
		values, err := t.Float64s()
		return tensors.FromFlatDataAndDimensions(values, t.Shape...), err
	case "I32", "I64":
		values, err := t.Int32s()
		if err != nil {
			return nil, err
		}
		return tensors.FromFlatDataAndDimensions(values, t.Shape...), nil
	}
	values, err := t.Float32s()
	if err != nil {
		return nil, err
	}
	return tensors.FromFlatDataAndDimensions(values, t.Shape...), nil
}
