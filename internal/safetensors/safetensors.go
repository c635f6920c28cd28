// Package safetensors reads and writes files of named tensors in the safetensors format: eight bytes with the length of a JSON
// header, the header, and the tensors' bytes without gaps, little-endian, row by row. Reading never runs code, and refuses a file
// that is cut short, overlapping or of another format with a reason.
package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
)

// sizes are the bytes of one element, by the format's names of element types.
var sizes = map[string]int{
	"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4,
	"F16": 2, "BF16": 2, "I16": 2, "U16": 2, "I8": 1, "U8": 1, "BOOL": 1,
}

// maxHeader bounds the header's length, as other readers of the format do.
const maxHeader = 100_000_000

// Tensor is one named tensor of a file.
type Tensor struct {
	Name  string
	DType string // F32, F64, F16, BF16, I64, I32, …
	Shape []int
	Data  []byte
}

// File is what a file holds.
type File struct {
	Tensors  []Tensor // in the order of their bytes
	Metadata map[string]string
}

// Find returns the tensor of a name.
func (f *File) Find(name string) (Tensor, bool) {
	i := slices.IndexFunc(f.Tensors, func(t Tensor) bool { return t.Name == name })
	if i < 0 {
		return Tensor{}, false
	}
	return f.Tensors[i], true
}

// Read reads a whole file.
func Read(path string) (*File, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	file, err := Decode(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return file, nil
}

// entry is what the header says of one tensor.
type entry struct {
	DType   string    `json:"dtype"`
	Shape   []int     `json:"shape"`
	Offsets []float64 `json:"data_offsets"`
}

// Decode reads the bytes of a file. Tensors keep pointing into data.
func Decode(data []byte) (*File, error) {
	header, body, err := cut(data)
	if err != nil {
		return nil, err
	}
	fields, err := objectFields(header)
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	file := &File{}
	starts := map[string]int{}
	for _, field := range fields {
		if field.name == "__metadata__" {
			if err := json.Unmarshal(field.value, &file.Metadata); err != nil {
				return nil, fmt.Errorf("header, __metadata__: %w", err)
			}
			continue
		}
		t, start, err := decodeEntry(field.name, field.value, body)
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", field.name, err)
		}
		starts[t.Name] = start
		file.Tensors = append(file.Tensors, t)
	}
	slices.SortStableFunc(file.Tensors, func(a, b Tensor) int {
		if starts[a.Name] != starts[b.Name] {
			return starts[a.Name] - starts[b.Name]
		}
		return len(a.Data) - len(b.Data)
	})
	end := 0
	for _, t := range file.Tensors {
		if starts[t.Name] != end {
			return nil, fmt.Errorf("tensor %q: got bytes from %d, wanted from %d: tensors overlap or leave a gap", t.Name, starts[t.Name], end)
		}
		end += len(t.Data)
	}
	if end != len(body) {
		return nil, fmt.Errorf("got %d bytes of tensors, wanted %d", len(body), end)
	}
	return file, nil
}

// cut splits a file into header and tensors' bytes.
func cut(data []byte) (header, body []byte, err error) {
	if len(data) < 8 {
		return nil, nil, fmt.Errorf("got %d bytes, wanted at least 8: not a safetensors file", len(data))
	}
	length := binary.LittleEndian.Uint64(data)
	if length > maxHeader {
		return nil, nil, fmt.Errorf("got %s, wanted a safetensors file: its first 8 bytes are no length of a header", looksLike(data))
	}
	if uint64(len(data)-8) < length {
		return nil, nil, fmt.Errorf("got %d bytes after the length, wanted a header of %d: the file is cut short", len(data)-8, length)
	}
	return data[8 : 8+length], data[8+length:], nil
}

// looksLike tells by its first bytes what a foreign file may be.
func looksLike(data []byte) string {
	switch {
	case bytes.HasPrefix(data, []byte("PK\x03\x04")):
		return "a zip archive (torch.save writes such)"
	case data[0] == 0x80:
		return "a Python pickle"
	case data[0] == '{':
		return "JSON text"
	}
	return "a file of another format"
}

type field struct {
	name  string
	value json.RawMessage
}

// objectFields reads the fields of a JSON object in order, and refuses a name that comes twice.
func objectFields(header []byte) ([]field, error) {
	decoder := json.NewDecoder(bytes.NewReader(header))
	if token, err := decoder.Token(); err != nil || token != json.Delim('{') {
		return nil, fmt.Errorf("wanted a JSON object")
	}
	var fields []field
	seen := map[string]bool{}
	for decoder.More() {
		token, err := decoder.Token()
		if err != nil {
			return nil, err
		}
		name := token.(string)
		if seen[name] {
			return nil, fmt.Errorf("%q comes twice", name)
		}
		seen[name] = true
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return nil, err
		}
		fields = append(fields, field{name, value})
	}
	if _, err := decoder.Token(); err != nil {
		return nil, err
	}
	if rest := bytes.TrimSpace(header[decoder.InputOffset():]); len(rest) > 0 {
		return nil, fmt.Errorf("%d bytes after the object", len(rest))
	}
	return fields, nil
}

func decodeEntry(name string, value json.RawMessage, body []byte) (t Tensor, start int, err error) {
	var e entry
	decoder := json.NewDecoder(bytes.NewReader(value))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&e); err != nil {
		return t, 0, err
	}
	size, ok := sizes[e.DType]
	if !ok {
		return t, 0, fmt.Errorf("got element type %q, wanted one of those of the format", e.DType)
	}
	for _, d := range e.Shape {
		if d < 0 || d > 0 && size > math.MaxInt/d {
			return t, 0, fmt.Errorf("got shape %v, wanted sizes from 0 whose product fits", e.Shape)
		}
		size *= d
	}
	if len(e.Offsets) != 2 || e.Offsets[0] < 0 || e.Offsets[0] > e.Offsets[1] || e.Offsets[1] > float64(len(body)) ||
		e.Offsets[0] != math.Trunc(e.Offsets[0]) || e.Offsets[1] != math.Trunc(e.Offsets[1]) {
		return t, 0, fmt.Errorf("got offsets %v, wanted [start, end] within %d bytes", e.Offsets, len(body))
	}
	start, end := int(e.Offsets[0]), int(e.Offsets[1])
	if end-start != size {
		return t, 0, fmt.Errorf("got %d bytes, wanted %d for %s%v", end-start, size, e.DType, e.Shape)
	}
	return Tensor{Name: name, DType: e.DType, Shape: append([]int{}, e.Shape...), Data: body[start:end:end]}, start, nil
}

// Write writes tensors to a file, which appears whole or not at all. The same content gives the same bytes.
func Write(path string, tensors []Tensor, metadata map[string]string) error {
	data, err := Encode(tensors, metadata)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), ".safetensors-*")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name())
	if _, err = temporary.Write(data); err == nil {
		err = temporary.Chmod(0o644)
	}
	if closed := temporary.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	return os.Rename(temporary.Name(), path)
}

// Encode is the bytes of a file, tensors in order of name.
func Encode(tensors []Tensor, metadata map[string]string) ([]byte, error) {
	tensors = slices.Clone(tensors)
	slices.SortFunc(tensors, func(a, b Tensor) int { return bytes.Compare([]byte(a.Name), []byte(b.Name)) })
	header := map[string]any{}
	if len(metadata) > 0 {
		header["__metadata__"] = metadata
	}
	end := 0
	for _, t := range tensors {
		size, ok := sizes[t.DType]
		for _, d := range t.Shape {
			size *= d
		}
		if !ok || size != len(t.Data) {
			return nil, fmt.Errorf("tensor %q: got %d bytes, wanted %d for %s%v", t.Name, len(t.Data), size, t.DType, t.Shape)
		}
		if _, twice := header[t.Name]; twice {
			return nil, fmt.Errorf("tensor %q: the name comes twice", t.Name)
		}
		header[t.Name] = map[string]any{"dtype": t.DType, "shape": append([]int{}, t.Shape...), "data_offsets": []int{end, end + size}}
		end += size
	}
	text, err := json.Marshal(header)
	if err != nil {
		return nil, err
	}
	for len(text)%8 != 0 {
		text = append(text, ' ')
	}
	data := binary.LittleEndian.AppendUint64(make([]byte, 0, 8+len(text)+end), uint64(len(text)))
	data = append(data, text...)
	for _, t := range tensors {
		data = append(data, t.Data...)
	}
	return data, nil
}
