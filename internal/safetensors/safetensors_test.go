package safetensors

import (
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// file is the bytes of a file with this header and body.
func file(header string, body ...byte) []byte {
	return append(append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...), body...)
}

func TestRoundTrip(t *testing.T) {
	tensors := []Tensor{
		FromFloat32s("b", []int{2, 1}, []float32{1.5, -2}),
		FromFloat64s("a", []int{}, []float64{math.Pi}),
		{"empty", "I32", []int{0, 3}, nil},
		{"c", "I64", []int{1}, binary.LittleEndian.AppendUint64(nil, math.MaxUint64)},
	}
	path := filepath.Join(t.TempDir(), "x.safetensors")
	if err := Write(path, tensors, map[string]string{"format": "pt"}); err != nil {
		t.Fatal(err)
	}
	read, err := Read(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range tensors {
		got, ok := read.Find(want.Name)
		if !ok || got.DType != want.DType || !slices.Equal(got.Shape, want.Shape) || !bytes.Equal(got.Data, want.Data) {
			t.Errorf("%s: got %v, wanted %v", want.Name, got, want)
		}
	}
	for name := range 9 { // data begins at a multiple of 8, as readers that map the file want it
		text, err := Encode([]Tensor{FromFloat32s(strings.Repeat("x", 1+name), []int{1}, []float32{1})}, nil)
		if err != nil || binary.LittleEndian.Uint64(text)%8 != 0 {
			t.Errorf("a name of %d letters: a header of %d bytes (%v)", 1+name, binary.LittleEndian.Uint64(text), err)
		}
	}
	if read.Metadata["format"] != "pt" {
		t.Errorf("metadata: got %v", read.Metadata)
	}
	again, err := Encode(read.Tensors, read.Metadata)
	first, _ := os.ReadFile(path)
	if err != nil || !bytes.Equal(again, first) {
		t.Errorf("the second encoding differs from the first (%v)", err)
	}
}

func TestConversions(t *testing.T) {
	half := Tensor{"h", "F16", []int{5}, []byte{0x00, 0x3c, 0x00, 0xc0, 0x01, 0x00, 0x00, 0x7c, 0x00, 0x80}}
	got, err := half.Float32s()
	want := []float32{1, -2, float32(math.Ldexp(1, -24)), float32(math.Inf(1)), 0}
	if err != nil || !slices.Equal(got, want) || !math.Signbit(float64(got[4])) {
		t.Errorf("F16: got %v, wanted %v (%v)", got, want, err)
	}
	brain := Tensor{"b", "BF16", []int{1}, []byte{0x80, 0xbf}}
	if got, err := brain.Float32s(); err != nil || got[0] != -1 {
		t.Errorf("BF16: got %v, wanted -1 (%v)", got, err)
	}
	wide := Tensor{"w", "I64", []int{1}, binary.LittleEndian.AppendUint64(nil, 1<<40)}
	if _, err := wide.Int32s(); err == nil || !strings.Contains(err.Error(), "32 bits") {
		t.Errorf("I64 of 2⁴⁰ as int32: got %v", err)
	}
	for _, whole := range []Tensor{
		{"i", "I32", []int{3}, []byte{1, 0, 0, 0, 2, 0, 0, 0, 255, 255, 255, 255}},
		{"l", "I64", []int{3}, []byte{1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255}},
	} {
		if got, err := whole.Int32s(); err != nil || !slices.Equal(got, []int32{1, 2, -1}) {
			t.Errorf("%s: got %v, wanted [1 2 -1] (%v)", whole.DType, got, err)
		}
	}
	if _, err := wide.Float32s(); err == nil {
		t.Error("integers were read as floats")
	}
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		data []byte
		word string
	}{
		"short":             {[]byte{1, 2}, "at least 8"},
		"zip":               {[]byte("PK\x03\x04 and so on"), "zip archive"},
		"pickle":            {[]byte("\x80\x02}q\x00X\x05\x00\x00"), "pickle"},
		"json":              {[]byte(`{"a": 1, "b": 2}`), "JSON text"},
		"cut header":        {file(`{}`)[:9], "cut short"},
		"huge header":       {binary.LittleEndian.AppendUint64(nil, 1<<40), "no length of a header"},
		"no object":         {file(`[1]`), "JSON object"},
		"twice":             {file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 1), "twice"},
		"unknown type":      {file(`{"a":{"dtype":"Q8","shape":[1],"data_offsets":[0,1]}}`, 1), `"Q8"`},
		"unknown field":     {file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1}}`, 1), `field: got "x"`},
		"negative shape":    {file(`{"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}}`, 1), "[-1]"},
		"overflowing shape": {file(`{"a":{"dtype":"F64","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`), "product fits"},
		"wrong size":        {file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`, 1, 2, 3, 4), "got 4 bytes, wanted 8"},
		"beyond the file":   {file(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}`, 1), "cut short"},
		"gap":               {file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 1, 2), "gap"},
		"surplus bytes":     {file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 1, 2), "wanted 1"},
		"overlap": {file(`{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 1, 2),
			"overlap"},
		"no shape":              {file(`{"a":{"dtype":"U8","data_offsets":[0,1]}}`, 1), "no shape"},
		"fractional offset":     {file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0.5,1]}}`, 1), "[start, end]"},
		"three offsets":         {file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}}`, 1), "[start, end]"},
		"pointer":               {[]byte("version https://git-lfs.github.com/spec/v1\n"), "Git LFS"},
		"text after the header": {file(`{} {}`), "after the object"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Decode(c.data); err == nil || !strings.Contains(err.Error(), c.word) {
				t.Errorf("got %v, wanted an error that says %q", err, c.word)
			}
		})
	}
}

func TestParseIndex(t *testing.T) {
	files, err := ParseIndex([]byte(`{"metadata": {"total_size": 8}, "weight_map": {"a": "x-1-of-2.safetensors", "b": "x-2-of-2.safetensors"}}`))
	if err != nil || len(files) != 2 || files["b"] != "x-2-of-2.safetensors" {
		t.Errorf("got %v (%v)", files, err)
	}
	for text, word := range map[string]string{
		``:                         "JSON object",
		`{}`:                       "weight_map",
		`{"weight_map": 1}`:        "JSON object",
		`{"weight_map": {}}`:       "no tensors",
		`{"weight_map": {"a": 1}}`: `"a"`,
		`{"weight_map": {"a": "../x.safetensors"}}`:                        "plain name",
		`{"weight_map": {"a": "c:x.safetensors"}}`:                         "plain name",
		`{"weight_map": {"a": "\\x.safetensors"}}`:                         "plain name",
		`{"weight_map": {"a": "x.bin"}}`:                                   "plain name",
		`{"weight_map": {"a": "x.safetensors", "a": "y.safetensors"}}`:     "twice",
		`{"weight_map": {"a": "x.safetensors"}, "weight_map": {"b": "y"}}`: "twice",
	} {
		if _, err := ParseIndex([]byte(text)); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%s: got %v, wanted an error that says %q", text, err, word)
		}
	}
}

func FuzzParseIndex(f *testing.F) {
	f.Add([]byte(`{"metadata": {"total_size": 8}, "weight_map": {"a": "x-1-of-2.safetensors", "b": "x-2-of-2.safetensors"}}`))
	f.Add([]byte(`{"weight_map": {"a": "../x.safetensors"}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		files, err := ParseIndex(text)
		for name, file := range files {
			if err != nil || filepath.Base(file) != file || filepath.Ext(file) != ".safetensors" {
				t.Errorf("%q: got file %q (%v)", name, file, err)
			}
		}
	})
}

func FuzzDecode(f *testing.F) {
	f.Add(file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"__metadata__":{"k":"v"}}`, 1))
	f.Add(file(`{"a":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"b":{"dtype":"I64","shape":[0],"data_offsets":[4,4]}}`, 0, 0, 128, 63))
	f.Add(file(`{}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		read, err := Decode(data)
		if err != nil {
			return
		}
		for _, tensor := range read.Tensors {
			tensor.Float64s()
			tensor.Int32s()
		}
		encoded, err := Encode(read.Tensors, read.Metadata)
		if err != nil {
			t.Fatalf("what was read cannot be written: %v", err)
		}
		again, err := Decode(encoded)
		if err != nil || len(again.Tensors) != len(read.Tensors) {
			t.Fatalf("what was written cannot be read: %v", err)
		}
	})
}
