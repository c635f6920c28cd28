package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/govene/govene/internal/strict"
)

// sizes are the bytes of one element, by the format's names of element types.
var sizes = map[string]int64{
	"F64": 8, "I64": 8, "U64": 8, "C64": 8, "F32": 4, "I32": 4, "U32": 4,
	"F16": 2, "BF16": 2, "I16": 2, "U16": 2, "I8": 1, "U8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "BOOL": 1,
}

// maxHeader bounds the header's length, as other readers of the format do.
const maxHeader = 100_000_000

// Header is what a file says of its tensors.
type Header struct {
	Tensors  []Info // in the order of their bytes, which follow one another without gaps
	Metadata map[string]string
}

// Info is what the header says of one tensor.
type Info struct {
	Name       string
	DType      string // F32, F64, F16, BF16, I64, I32, …
	Shape      []int
	Start, End int64 // its bytes in the file
}

// ReadHeader reads and checks the header of a file of the given size, and nothing else. What it returns fits the file: the
// tensors fill it to the last byte.
func ReadHeader(file io.ReaderAt, size int64) (*Header, error) {
	var first [8]byte
	if n, err := file.ReadAt(first[:], 0); n < len(first) {
		if err == io.EOF {
			return nil, fmt.Errorf("got %d bytes, wanted at least 8: not a safetensors file", n)
		}
		return nil, err
	}
	length := binary.LittleEndian.Uint64(first[:])
	if length > maxHeader {
		return nil, fmt.Errorf("got %s, wanted a safetensors file: its first 8 bytes are no length of a header", looksLike(first[:]))
	}
	start := 8 + int64(length)
	if size < start {
		return nil, fmt.Errorf("got %d bytes after the length, wanted a header of %d: the file is cut short", size-8, length)
	}
	text := make([]byte, length)
	if n, err := file.ReadAt(text, 8); n < len(text) {
		return nil, err
	}
	return parseHeader(text, start, size)
}

// looksLike tells by its first bytes what a foreign file may be.
func looksLike(data []byte) string {
	switch {
	case bytes.HasPrefix(data, []byte("PK\x03\x04")):
		return "a zip archive (torch.save writes such)"
	case bytes.HasPrefix(data, []byte("version ")):
		return "a pointer of Git LFS, without the file it points to"
	case data[0] == 0x80:
		return "a Python pickle"
	case data[0] == '{':
		return "JSON text"
	}
	return "a file of another format"
}

// parseHeader reads the header's text; the tensors' bytes lie from start to end of the file.
func parseHeader(text []byte, start, end int64) (*Header, error) {
	fields, err := objectFields(text)
	if err != nil {
		return nil, fmt.Errorf("header: %w", err)
	}
	header := &Header{}
	for _, field := range fields {
		if field.name == "__metadata__" {
			if err := json.Unmarshal(field.value, &header.Metadata); err != nil {
				return nil, fmt.Errorf("header, __metadata__: %w", err)
			}
			continue
		}
		info, err := parseInfo(field, start, end)
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", field.name, err)
		}
		header.Tensors = append(header.Tensors, info)
	}
	slices.SortStableFunc(header.Tensors, func(a, b Info) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.End, b.End))
	})
	at := start
	for _, info := range header.Tensors {
		if info.Start != at {
			return nil, fmt.Errorf("tensor %q: got bytes from %d, wanted from %d: tensors overlap or leave a gap",
				info.Name, info.Start-start, at-start)
		}
		at = info.End
	}
	if at != end {
		return nil, fmt.Errorf("got %d bytes of tensors, wanted %d", end-start, at-start)
	}
	return header, nil
}

func parseInfo(field field, start, end int64) (Info, error) {
	var entry struct {
		DType   string    `json:"dtype"`
		Shape   []int     `json:"shape"`
		Offsets []float64 `json:"data_offsets"`
	}
	if err := strict.Unmarshal(field.value, &entry); err != nil {
		return Info{}, err
	}
	size, ok := sizes[entry.DType]
	if !ok {
		return Info{}, fmt.Errorf("got element type %q, wanted one of those of the format", entry.DType)
	}
	if entry.Shape == nil {
		return Info{}, fmt.Errorf("got no shape, wanted one")
	}
	for _, d := range entry.Shape {
		if d < 0 || d > 0 && size > math.MaxInt64/int64(d) {
			return Info{}, fmt.Errorf("got shape %v, wanted sizes from 0 whose product fits", entry.Shape)
		}
		size *= int64(d)
	}
	if len(entry.Offsets) != 2 {
		return Info{}, fmt.Errorf("got offsets %v, wanted [start, end]", entry.Offsets)
	}
	from, to := entry.Offsets[0], entry.Offsets[1]
	if from != math.Trunc(from) || to != math.Trunc(to) || from < 0 || to < from {
		return Info{}, fmt.Errorf("got offsets %v, wanted [start, end]", entry.Offsets)
	}
	if to > float64(end-start) {
		return Info{}, fmt.Errorf("got bytes up to %.0f, wanted them within the %d that the file has: it is cut short", to, end-start)
	}
	if int64(to-from) != size {
		return Info{}, fmt.Errorf("got %.0f bytes, wanted %d for %s%v", to-from, size, entry.DType, entry.Shape)
	}
	return Info{field.name, entry.DType, append([]int{}, entry.Shape...), start + int64(from), start + int64(to)}, nil
}

type field struct {
	name  string
	value json.RawMessage
}

// objectFields reads the fields of a JSON object in order, and refuses a name that comes twice.
func objectFields(text []byte) ([]field, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
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
	if rest := bytes.TrimSpace(text[decoder.InputOffset():]); len(rest) > 0 {
		return nil, fmt.Errorf("%d bytes after the object", len(rest))
	}
	return fields, nil
}
