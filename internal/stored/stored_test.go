package stored

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/bfloat16"
	"github.com/gomlx/compute/dtypes/float16"
	"github.com/gomlx/compute/shapes"

	"github.com/govene/govene/internal/safetensors"
)

// written is a file of three bytes and then values of an element type.
func written(t testing.TB, dtype string, values ...float32) *File {
	t.Helper()
	data := []byte{1, 2, 3}
	for _, value := range values {
		switch dtype {
		case "F64":
			data = binary.LittleEndian.AppendUint64(data, math.Float64bits(float64(value)))
		case "F32":
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(value))
		case "BF16":
			data = binary.LittleEndian.AppendUint16(data, uint16(bfloat16.FromFloat32(value)))
		case "F16":
			data = binary.LittleEndian.AppendUint16(data, uint16(float16.FromFloat32(value)))
		}
	}
	path := filepath.Join(t.TempDir(), "weights")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// at is a place in such a file.
func at(name string, f *File, dtype string, element int) Piece {
	return Piece{Name: name, File: f, Offset: 3 + int64(element*safetensors.Size(dtype)), DType: dtype}
}

func bytesOf(t testing.TB, from *Tensor) []byte {
	t.Helper()
	into := make([]byte, from.As.ByteSize())
	if err := from.Read(into, nil); err != nil {
		t.Fatal(err)
	}
	return into
}

func refused(t *testing.T, from *Tensor, words ...string) {
	t.Helper()
	err := from.Read(make([]byte, from.As.ByteSize()), nil)
	for _, word := range words {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("got %v, wanted an error that says %q", err, word)
		}
	}
}

// Tensors of several blocks, from each type to each, to the last bit, in one piece and in several that lie in another order.
func TestRead(t *testing.T) {
	source := rand.New(rand.NewPCG(1, 2))
	const piece, pieces = blockElements + 3, 3
	values := make([]float32, piece*pieces)
	for i := range values {
		values[i] = float32(source.NormFloat64())
	}
	for _, dtype := range []string{"F32", "F16", "BF16", "F64"} {
		f := written(t, dtype, values...)
		there := make([]float32, len(values)) // as the file has them
		data, err := os.ReadFile(f.Path)
		if err != nil {
			t.Fatal(err)
		}
		safetensors.ToFloat32(there, dtype, data[3:])
		for as, append1 := range map[dtypes.DType]func([]byte, float32) []byte{
			dtypes.Float32: func(to []byte, x float32) []byte { return binary.NativeEndian.AppendUint32(to, math.Float32bits(x)) },
			dtypes.BFloat16: func(to []byte, x float32) []byte {
				return binary.NativeEndian.AppendUint16(to, uint16(bfloat16.FromFloat32(x)))
			},
			dtypes.Float16: func(to []byte, x float32) []byte {
				return binary.NativeEndian.AppendUint16(to, uint16(float16.FromFloat32(x)))
			},
		} {
			whole := &Tensor{As: shapes.Make(as, pieces, piece), Pieces: []Piece{at("whole", f, dtype, 0)}}
			turned := &Tensor{As: whole.As, Pieces: []Piece{at("2", f, dtype, 2*piece), at("0", f, dtype, 0), at("1", f, dtype, piece)}}
			for from, order := range map[*Tensor][]int{whole: {0, 1, 2}, turned: {2, 0, 1}} {
				var want []byte
				for _, i := range order {
					for _, x := range there[i*piece : (i+1)*piece] {
						want = append1(want, x)
					}
				}
				if len(from.Pieces) > 1 && from.Part(piece-1, 2) != nil {
					t.Error("a part of two pieces")
				}
				if !slices.Equal(bytesOf(t, from), want) {
					t.Errorf("%s as %s in %d pieces has other bits", dtype, as, len(from.Pieces))
				}
				size := as.Size()
				if part := bytesOf(t, from.Part(piece+1, 5)); !slices.Equal(part, want[(piece+1)*size:(piece+6)*size]) {
					t.Errorf("%s as %s in %d pieces: a part has other bits", dtype, as, len(from.Pieces))
				}
				if bytes := int64(len(values) * safetensors.Size(dtype)); from.Bytes() != bytes {
					t.Errorf("got %d bytes, wanted %d", from.Bytes(), bytes)
				}
			}
		}
	}
}

// Of elements that are not finite the first is named, wherever a core finds another, and so is one that has no place in 16 bits.
func TestNotFinite(t *testing.T) {
	values := make([]float32, 5*blockElements)
	for i := blockElements + 7; i < len(values); i += 1000 {
		values[i] = float32(math.Inf(1))
	}
	for _, dtype := range []string{"F32", "F16", "BF16", "F64"} {
		f := written(t, dtype, values...)
		for _, as := range []dtypes.DType{dtypes.Float32, dtypes.BFloat16, dtypes.Float16} {
			refused(t, &Tensor{As: shapes.Make(as, len(values)), Pieces: []Piece{at("w", f, dtype, 0)}},
				f.Path+", w: element 65543 of", "got +Inf, wanted a finite number")
		}
	}
	f := written(t, "F32", 1, 2, 1e6, 3, 4, 5)
	two := []Piece{at("a", f, "F32", 3), at("b", f, "F32", 0)}
	refused(t, &Tensor{As: shapes.Make(dtypes.Float16, 2, 3), Pieces: two}, "b: element 2 of", "+Inf")
	bytesOf(t, &Tensor{As: shapes.Make(dtypes.BFloat16, 2, 3), Pieces: two})
}

func TestTwin(t *testing.T) {
	f := written(t, "F32", 1, 2, 1.0009765625, 2, 3, 2)
	as := func(dtype dtypes.DType, other int) *Tensor {
		twin := at("head", f, "F32", other)
		return &Tensor{As: shapes.Make(dtype, 2), Pieces: []Piece{at("embedding", f, "F32", 0)}, Twin: &twin}
	}
	bytesOf(t, as(dtypes.BFloat16, 2)) // the same once they are rounded
	refused(t, as(dtypes.Float32, 2), "head: got other values than in embedding")
	refused(t, as(dtypes.BFloat16, 4), "head: got other values than in embedding")
	if as(dtypes.Float32, 2).Bytes() != 16 {
		t.Error("a twin is not read")
	}
}

// A file that was written to, or cut, since it was opened is refused; one that another has taken the place of is still there.
func TestChangedFiles(t *testing.T) {
	f := written(t, "F32", 1, 2, 3)
	from := &Tensor{As: shapes.Make(dtypes.Float32, 3), Pieces: []Piece{at("w", f, "F32", 0)}}
	want := bytesOf(t, from)
	elsewhere := &Tensor{As: from.As, Pieces: []Piece{at("w", Named(f.Identity), "F32", 0)}}
	if !slices.Equal(bytesOf(t, elsewhere), want) || elsewhere.Key() != from.Key() {
		t.Error("the same file opened by its name has other bits, or another key")
	}
	again := Named(f.Identity)
	if err := os.Remove(f.Path); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(f.Path, make([]byte, 15), 0o600); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(bytesOf(t, from), want) {
		t.Error("a file that was replaced has other bits")
	}
	refused(t, &Tensor{As: from.As, Pieces: []Piece{at("w", again, "F32", 0)}}, f.Path+" is not the file that it was")
	f = written(t, "F32", 1, 2, 3)
	from = &Tensor{As: from.As, Pieces: []Piece{at("w", f, "F32", 0)}}
	if err := os.Truncate(f.Path, 14); err != nil {
		t.Fatal(err)
	}
	refused(t, from, f.Path+" is not the file that it was")
}

func TestCheck(t *testing.T) {
	f := written(t, "F32", 1, 2, 3)
	piece := at("w", f, "F32", 0)
	before := piece
	before.Offset = -1
	for words, from := range map[string]*Tensor{
		"too few for 16":                 {As: shapes.Make(dtypes.Float32, 4), Pieces: []Piece{piece}},
		"at -1":                          {As: shapes.Make(dtypes.Float32, 1), Pieces: []Piece{before}},
		"a tensor of Int32":              {As: shapes.Make(dtypes.Int32, 1), Pieces: []Piece{piece}},
		"elements of type I32":           {As: shapes.Make(dtypes.Float32, 1), Pieces: []Piece{at("w", f, "I32", 0)}},
		"in 2 pieces":                    {As: shapes.Make(dtypes.Float32, 3), Pieces: []Piece{piece, piece}},
		"in 0 pieces":                    {As: shapes.Make(dtypes.Float32, 3)},
		"shape (Float32)[2] in 2 pieces": {As: shapes.Make(dtypes.Float32, 2), Pieces: []Piece{piece, piece}, Twin: &piece},
	} {
		refused(t, from, words)
	}
	keys := map[any]bool{}
	for _, as := range []shapes.Shape{shapes.Make(dtypes.Float32, 1, 2), shapes.Make(dtypes.Float32, 2), shapes.Make(dtypes.BFloat16, 2)} {
		for _, element := range []int{0, 1} {
			from := &Tensor{As: as, Pieces: []Piece{at("w", f, "F32", element)}}
			keys[from.Key()] = true
			from.Twin = &piece
			keys[from.Key()] = true
		}
	}
	halves := []Piece{at("w", f, "F16", 0), at("w", f, "F16", 1)} // two, or one with a twin; then as another type
	for _, from := range []*Tensor{{Pieces: halves}, {Pieces: halves[:1], Twin: &halves[1]}, {Pieces: halves[:1]}, {Pieces: []Piece{{File: f, Offset: 3, DType: "BF16"}}}} {
		from.As = shapes.Make(dtypes.Float32, 2)
		keys[from.Key()] = true
	}
	if len(keys) != 16 {
		t.Errorf("got %d keys of 16 tensors", len(keys))
	}
}

// BenchmarkRead reads 100 million parameters.
func BenchmarkRead(b *testing.B) {
	const count = 1e8
	for _, dtype := range []string{"F32", "BF16"} {
		path := filepath.Join(b.TempDir(), "weights")
		if err := os.WriteFile(path, make([]byte, count*safetensors.Size(dtype)), 0o600); err != nil {
			b.Fatal(err)
		}
		f, err := Open(path)
		if err != nil {
			b.Fatal(err)
		}
		for _, as := range []dtypes.DType{dtypes.Float32, dtypes.BFloat16} {
			from := &Tensor{As: shapes.Make(as, count), Pieces: []Piece{{Name: "w", File: f, DType: dtype}}}
			into := make([]byte, from.As.ByteSize())
			b.Run(dtype+" as "+as.String(), func(b *testing.B) {
				for b.Loop() {
					if err := from.Read(into, nil); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// A file that is written to while it is read, after its first block, is refused: what was read before and after are no one tensor.
func TestChangedWhileRead(t *testing.T) {
	f := written(t, "F32", make([]float32, 2*blockElements)...)
	from := &Tensor{As: shapes.Make(dtypes.Float32, 2*blockElements), Pieces: []Piece{at("w", f, "F32", 0)}}
	err := from.Read(make([]byte, from.As.ByteSize()), func(int64) {
		if err := os.Chtimes(f.Path, time.Time{}, time.Unix(1, 0)); err != nil {
			t.Error(err)
		}
	})
	if err == nil || !strings.Contains(err.Error(), "is not the file that it was") {
		t.Errorf("got %v", err)
	}
}

// A file that is written to, and given the time that it had, is not what it was: the system notes when it was changed.
func TestOldTimeIsNoDisguise(t *testing.T) {
	if runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
		t.Skip("there is no such note here")
	}
	f := written(t, "F32", 1, 2)
	before, err := os.Stat(f.Path)
	if err != nil {
		t.Fatal(err)
	}
	from := &Tensor{As: shapes.Make(dtypes.Float32, 2), Pieces: []Piece{at("w", f, "F32", 0)}}
	key := from.Key()
	time.Sleep(20 * time.Millisecond) // the clock of file systems has ticks of up to 10 ms
	file, err := os.OpenFile(f.Path, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteAt([]byte{9}, 0); err != nil {
		t.Fatal(err)
	}
	file.Close()
	if err := os.Chtimes(f.Path, time.Time{}, before.ModTime()); err != nil {
		t.Fatal(err)
	}
	refused(t, from, "is not the file that it was")
	again, err := Open(f.Path)
	if err != nil {
		t.Fatal(err)
	}
	from.Pieces[0].File = again
	if from.Key() == key {
		t.Error("the digest is what it was")
	}
}

// What is no regular file is refused, and not waited for as a pipe that nobody writes to would be.
func TestNoFiles(t *testing.T) {
	folder := t.TempDir()
	if f, err := Open(folder); err == nil || !strings.Contains(err.Error(), folder+" is no regular file") {
		t.Errorf("got %v, %v", f, err)
	}
	named := Named(Identity{Path: folder, Size: 8})
	refused(t, &Tensor{As: shapes.Make(dtypes.Float32, 2), Pieces: []Piece{{Name: "w", File: named, DType: "F32"}}}, folder+" is no regular file")
}
