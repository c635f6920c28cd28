package safetensors

import (
	"encoding/json"
	"fmt"
	"path"
	"strings"
)

// ParseIndex reads model.safetensors.index.json, the table of contents of a checkpoint in several files, and returns for each
// tensor the file that holds it: a plain name in the index's own folder.
func ParseIndex(text []byte) (files map[string]string, err error) {
	fields, err := objectFields(text)
	if err != nil {
		return nil, err
	}
	for _, field := range fields {
		if field.name == "weight_map" {
			return parseWeightMap(field.value)
		}
	}
	return nil, fmt.Errorf(`got no "weight_map", wanted one that names the file of each tensor`)
}

func parseWeightMap(text []byte) (map[string]string, error) {
	fields, err := objectFields(text)
	if err != nil {
		return nil, fmt.Errorf("weight_map: %w", err)
	}
	if len(fields) == 0 {
		return nil, fmt.Errorf("weight_map: got no tensors, wanted at least one")
	}
	files := make(map[string]string, len(fields))
	for _, field := range fields {
		var file string
		if err := json.Unmarshal(field.value, &file); err != nil {
			return nil, fmt.Errorf("weight_map, %q: %w", field.name, err)
		}
		if file != path.Base(file) || strings.ContainsAny(file, `\:`) || path.Ext(file) != ".safetensors" {
			return nil, fmt.Errorf("weight_map, %q: got file %q, wanted a plain name that ends with .safetensors", field.name, file)
		}
		files[field.name] = file
	}
	return files, nil
}
