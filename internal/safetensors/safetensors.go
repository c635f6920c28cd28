// Package safetensors reads and writes files of named tensors in the safetensors format: eight bytes with the length of a JSON
// header, the header, and the tensors' bytes without gaps, little-endian, row by row. Reading never runs code, and refuses a file
// that is cut short, overlapping or of another format with a reason.
package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/govene/govene/internal/whole"
)

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

// Decode reads the bytes of a file. Tensors keep pointing into data.
func Decode(data []byte) (*File, error) {
	header, err := ReadHeader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, err
	}
	file := &File{Metadata: header.Metadata}
	for _, info := range header.Tensors {
		file.Tensors = append(file.Tensors, Tensor{info.Name, info.DType, info.Shape, data[info.Start:info.End:info.End]})
	}
	return file, nil
}

// Write writes tensors to a file, which appears whole or not at all. The same content gives the same bytes.
func Write(path string, tensors []Tensor, metadata map[string]string) error {
	data, err := Encode(tensors, metadata)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return whole.Write(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// Encode is the bytes of a file, tensors in order of name.
func Encode(tensors []Tensor, metadata map[string]string) ([]byte, error) {
	tensors = slices.Clone(tensors)
	slices.SortFunc(tensors, func(a, b Tensor) int { return bytes.Compare([]byte(a.Name), []byte(b.Name)) })
	header := map[string]any{}
	if len(metadata) > 0 {
		header["__metadata__"] = metadata
	}
	end := int64(0)
	for _, t := range tensors {
		size, ok := sizes[t.DType]
		for _, d := range t.Shape {
			size *= int64(d)
		}
		if !ok || size != int64(len(t.Data)) {
			return nil, fmt.Errorf("tensor %q: got %d bytes, wanted %d for %s%v", t.Name, len(t.Data), size, t.DType, t.Shape)
		}
		if _, twice := header[t.Name]; twice {
			return nil, fmt.Errorf("tensor %q: the name comes twice", t.Name)
		}
		header[t.Name] = map[string]any{"dtype": t.DType, "shape": append([]int{}, t.Shape...), "data_offsets": []int64{end, end + size}}
		end += size
	}
	text, err := json.Marshal(header)
	if err != nil {
		return nil, err
	}
	for len(text)%8 != 0 {
		text = append(text, ' ')
	}
	data := binary.LittleEndian.AppendUint64(make([]byte, 0, 8+int64(len(text))+end), uint64(len(text)))
	data = append(data, text...)
	for _, t := range tensors {
		data = append(data, t.Data...)
	}
	return data, nil
}
