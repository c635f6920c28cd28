package checkpoint

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/safetensors"
	"github.com/govene/govene/internal/stored"
)

// folder makes a checkpoint's folder from the texts of its files and the tensors of its safetensors files.
func folder(t testing.TB, texts map[string]string, weights map[string][]safetensors.Tensor) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range texts {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name, list := range weights {
		if err := safetensors.Write(filepath.Join(dir, name), list, map[string]string{"format": "pt"}); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// encoded is a tensor of the given element type, from numbers that all types hold exactly.
func encoded(name, dtype string, shape []int, values ...float32) safetensors.Tensor {
	var data []byte
	for _, value := range values {
		bits := math.Float32bits(value)
		switch dtype {
		case "F64":
			data = binary.LittleEndian.AppendUint64(data, math.Float64bits(float64(value)))
		case "F32":
			data = binary.LittleEndian.AppendUint32(data, bits)
		case "BF16":
			data = binary.LittleEndian.AppendUint16(data, uint16(bits>>16))
		case "F16":
			half := uint16(bits>>16)&0x8000 | uint16(bits>>13)&1023
			if value != 0 {
				half |= uint16(int(bits>>23&255)-127+15) << 10
			}
			data = binary.LittleEndian.AppendUint16(data, half)
		}
	}
	return safetensors.Tensor{Name: name, DType: dtype, Shape: shape, Data: data}
}

// read reads a tensor.
func read(t *testing.T, from *stored.Tensor) *tensors.Tensor {
	t.Helper()
	into, failed := tensors.FromShape(from.Shape()), error(nil)
	if err := into.MutableBytes(func(data []byte) { failed = from.Read(data, nil) }); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	return into
}

func flat(t *tensors.Tensor) []float32 { return tensors.MustCopyFlatData[float32](t) }

func TestStored(t *testing.T) {
	values := []float32{1.5, -2, 0, 0.25, 96, -0.0078125}
	shape := []int{2, 3}
	one := []safetensors.Tensor{encoded("a", "F32", shape, values...), encoded("b", "F16", shape, values...)}
	two := []safetensors.Tensor{encoded("c", "BF16", shape, values...), encoded("d", "F64", shape, values...),
		encoded("scalar", "F32", []int{}, 7), encoded("none", "F32", []int{0, 3}), {Name: "mask", DType: "BOOL", Shape: []int{1}, Data: []byte{1}}}
	layouts := map[string]string{
		"one file": folder(t, map[string]string{ConfigFile: "{}"}, map[string][]safetensors.Tensor{weightsFile: slices.Concat(one, two)}),
		"shards": folder(t, map[string]string{ConfigFile: "{}", indexFile: `{"metadata": {}, "weight_map": {"a": "1.safetensors",
			"b": "1.safetensors", "c": "2.safetensors", "d": "2.safetensors", "scalar": "2.safetensors", "none": "2.safetensors",
			"mask": "2.safetensors"}}`}, map[string][]safetensors.Tensor{"1.safetensors": one, "2.safetensors": two}),
	}
	for layout, dir := range layouts {
		t.Run(layout, func(t *testing.T) {
			c, err := Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			var listed []string
			for _, tensor := range c.Tensors() {
				listed = append(listed, fmt.Sprint(tensor.Name, tensor.DType, tensor.Shape))
			}
			if want := "[aF32[2 3] bF16[2 3] cBF16[2 3] dF64[2 3] maskBOOL[1] noneF32[0 3] scalarF32[]]"; fmt.Sprint(listed) != want {
				t.Errorf("got tensors %v, wanted %s", listed, want)
			}
			places, err := c.Stored(dtypes.Float32, "a", "b", "c", "d", "scalar", "none", "a")
			if err != nil {
				t.Fatal(err)
			}
			loaded, bytes := map[string]*tensors.Tensor{}, int64(0)
			for name, place := range places {
				loaded[name] = read(t, place)
				bytes += place.Bytes()
			}
			for _, name := range []string{"a", "b", "c", "d"} {
				if got := loaded[name]; !slices.Equal(flat(got), values) || !slices.Equal(got.Shape().Dimensions, shape) {
					t.Errorf("%s: got %v", name, got)
				}
			}
			if got := flat(loaded["scalar"]); !slices.Equal(got, []float32{7}) || loaded["none"].Size() != 0 {
				t.Errorf("got scalar %v, none %v", got, loaded["none"])
			}
			const total = 6*(4+2+2+8) + 4
			if bytes != total {
				t.Errorf("got %d bytes, wanted %d", bytes, total)
			}
			for name, words := range map[string]string{"mask": "got element type BOOL", "scalars": `did you mean "scalar"`} {
				if _, err := c.Stored(dtypes.Float32, "a", name); err == nil || !strings.Contains(err.Error(), words) {
					t.Errorf("%s: got %v, wanted an error that says %q", name, err, words)
				}
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	a := []safetensors.Tensor{encoded("a", "F32", []int{2}, 1, 2)}
	whole, err := safetensors.Encode(a, nil)
	if err != nil {
		t.Fatal(err)
	}
	config := func(more ...string) map[string]string {
		texts := map[string]string{ConfigFile: "{}"}
		for i := 0; i < len(more); i += 2 {
			texts[more[i]] = more[i+1]
		}
		return texts
	}
	shard := map[string][]safetensors.Tensor{"1.safetensors": a}
	overlap := `{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`
	for name, c := range map[string]struct {
		folder string
		words  string
	}{
		"no folder":      {filepath.Join(t.TempDir(), "none"), "wanted a folder with config.json"},
		"no config":      {folder(t, nil, map[string][]safetensors.Tensor{weightsFile: a}), "config.json"},
		"no weights":     {folder(t, config(), nil), "got neither weights nor their index, wanted model.safetensors"},
		"pickle":         {folder(t, config("pytorch_model.bin", "x"), nil), "safe_serialization=True"},
		"other name":     {folder(t, config(), map[string][]safetensors.Tensor{"adapter.safetensors": a}), "got adapter.safetensors, wanted model.safetensors"},
		"cut short":      {folder(t, config(weightsFile, string(whole[:len(whole)-1])), nil), "cut short"},
		"cut header":     {folder(t, config(weightsFile, string(whole[:20])), nil), "cut short"},
		"overlap":        {folder(t, config(weightsFile, string(binary.LittleEndian.AppendUint64(nil, uint64(len(overlap))))+overlap+"xx"), nil), "overlap"},
		"broken index":   {folder(t, config(indexFile, `{"weight_map": 3}`), nil), "weight_map"},
		"missing shard":  {folder(t, config(indexFile, `{"weight_map": {"a": "1.safetensors", "b": "2.safetensors"}}`), shard), "got no file 2.safetensors, wanted it for 1 tensors"},
		"missing tensor": {folder(t, config(indexFile, `{"weight_map": {"a": "1.safetensors", "b": "1.safetensors"}}`), shard), `got no tensor "b", wanted it, as the index says`},
		"climbing index": {folder(t, config(indexFile, `{"weight_map": {"a": "../1.safetensors"}}`), shard), "plain name"},
	} {
		t.Run(name, func(t *testing.T) {
			opened, err := Open(c.folder)
			if err == nil || !strings.Contains(err.Error(), c.words) || opened != nil {
				t.Errorf("got %v, wanted an error that says %q", err, c.words)
			}
		})
	}
}

// A checkpoint in several files of which the index names only a part.
func TestOnlyWhatTheIndexNames(t *testing.T) {
	dir := folder(t, map[string]string{ConfigFile: "{}", indexFile: `{"weight_map": {"b": "1.safetensors"}}`}, map[string][]safetensors.Tensor{
		"1.safetensors": {encoded("a", "F32", []int{1}, 1), encoded("b", "F32", []int{1}, 2)}})
	c, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Tensors(); len(got) != 1 || got[0].Name != "b" {
		t.Errorf("got %v, wanted b alone", got)
	}
}
