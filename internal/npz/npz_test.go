package npz

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/govene/govene/internal/safetensors"
)

// npy is the bytes of an array with this header, as NumPy writes them.
func npy(header string, data ...byte) []byte {
	header += strings.Repeat(" ", 63-(len(header)+10)%64) + "\n"
	file := binary.LittleEndian.AppendUint16([]byte(magic+"\x01\x00"), uint16(len(header)))
	return append(append(file, header...), data...)
}

const vector = "{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }"

var vectorBytes = []byte{0, 0, 128, 63, 0, 0, 0, 192} // 1, -2

// npz is the bytes of an archive with these entries.
func npz(t testing.TB, method uint16, entries ...any) []byte {
	t.Helper()
	var file bytes.Buffer
	archive := zip.NewWriter(&file)
	for i := 0; i < len(entries); i += 2 {
		entry, err := archive.CreateHeader(&zip.FileHeader{Name: entries[i].(string), Method: method})
		if err == nil {
			_, err = entry.Write(entries[i+1].([]byte))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func write(t testing.TB, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// Files that NumPy 2.4.6 wrote; see testdata/make.py.
func TestNumPy(t *testing.T) {
	for _, name := range []string{"plain.npz", "compressed.npz"} {
		arrays, err := Read(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, a := range arrays {
			values, err := a.Float32s()
			if err != nil {
				integers, err := a.Int32s()
				if err != nil {
					got = append(got, fmt.Sprint(a.Name, a.DType, a.Shape, a.Data))
					continue
				}
				values = nil
				for _, i := range integers {
					values = append(values, float32(i))
				}
			}
			got = append(got, fmt.Sprint(a.Name, a.DType, a.Shape, values))
		}
		want := []string{"matrixF32[2 3] [0 0.5 1 1.5 2 2.5]", "doubleF64[2] [-1 3]", "halfF16[1] [0.25]", "longI64[2 1] [7 -8]", "intI32[] [9]",
			"emptyF32[0 4] []", "boolBOOL[3] [1 0 1]", "byteU8[2] [1 255]"}
		if !slices.Equal(got, want) {
			t.Errorf("%s: got %v, wanted %v", name, got, want)
		}
	}
}

func TestRefusals(t *testing.T) {
	good := npz(t, zip.Store, "a.npy", npy(vector, vectorBytes...))
	damaged := bytes.Clone(good)
	damaged[bytes.Index(damaged, vectorBytes)]++
	long := append([]byte(magic+"\x02\x00"), 0, 0, 0, 1)
	dressed := func(header string, data ...byte) []byte { return npz(t, zip.Deflate, "a.npy", npy(header, data...)) }
	for name, c := range map[string]struct {
		data  []byte
		words string
	}{
		"no archive":     {[]byte("PK"), "wanted a .npz file"},
		"other entry":    {npz(t, zip.Store, "a.txt", []byte("x")), `got entry "a.txt"`},
		"twice":          {npz(t, zip.Store, "a.npy", npy(vector, vectorBytes...), "a.npy", npy(vector, vectorBytes...)), "each name once"},
		"damaged":        {damaged, "checksum"},
		"no array":       {npz(t, zip.Store, "a.npy", []byte("\x80\x02}q")), "wanted an array"},
		"another magic":  {npz(t, zip.Store, "a.npy", append([]byte("\x93NUMPI"), npy(vector, vectorBytes...)[len(magic):]...)), "wanted an array"},
		"version":        {npz(t, zip.Store, "a.npy", []byte(magic+"\x09\x00")), "version 9"},
		"cut header":     {npz(t, zip.Store, "a.npy", npy(vector)[:40]), "header: unexpected EOF"},
		"long header":    {npz(t, zip.Store, "a.npy", long), "at most 65535"},
		"objects":        {dressed("{'descr': '|O', 'fortran_order': False, 'shape': (2,), }"), "objects are pickles"},
		"structures":     {dressed("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2,), }"), "got elements [('a', '<f4')]"},
		"big-endian":     {dressed("{'descr': '>f4', 'fortran_order': False, 'shape': (2,), }", vectorBytes...), "got elements '>f4'"},
		"Fortran order":  {dressed("{'descr': '<f4', 'fortran_order': True, 'shape': (2, 1), }", vectorBytes...), "Fortran order"},
		"other header":   {dressed("{'shape': (2,)}", vectorBytes...), "got header"},
		"negative shape": {dressed("{'descr': '<f4', 'fortran_order': False, 'shape': (-2,), }", vectorBytes...), "got header"},
		"huge shape":     {dressed("{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, 4294967296), }"), "product fits"},
		"long shape":     {dressed("{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,), }"), "product fits"},
		"short":          {dressed(vector, vectorBytes[:7]...), "wanted 136 for F32[2]"},
		"long":           {dressed(vector, append(vectorBytes, 0)...), "got a file of 137 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Read(write(t, c.data)); err == nil || !strings.Contains(err.Error(), c.words) {
				t.Errorf("got %v, wanted an error that says %q", err, c.words)
			}
		})
	}
}

// An archive that claims more than it can hold is refused before room is made for it.
func TestBomb(t *testing.T) {
	header := npy("{'descr': '|u1', 'fortran_order': False, 'shape': (1099511627776,), }")
	var file bytes.Buffer
	archive := zip.NewWriter(&file)
	entry, err := archive.CreateRaw(&zip.FileHeader{Name: "a.npy", Method: zip.Store, CompressedSize64: uint64(len(header)),
		UncompressedSize64: uint64(len(header)) + 1<<40})
	if err == nil {
		_, err = entry.Write(header)
	}
	if closed := archive.Close(); err != nil || closed != nil {
		t.Fatal(err, closed)
	}
	if _, err := Read(write(t, file.Bytes())); err == nil || !strings.Contains(err.Error(), "bytes compressed, wanted more") {
		t.Errorf("got %v", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(npz(f, zip.Store, "a.npy", npy(vector, vectorBytes...)))
	f.Add(npz(f, zip.Deflate, "a.npy", npy("{'descr': '<i8', 'fortran_order': True, 'shape': (), }", make([]byte, 8)...), "b.npy", npy(vector)))
	f.Fuzz(func(t *testing.T, data []byte) {
		archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			return
		}
		arrays, err := readArchive(archive)
		if err != nil {
			return
		}
		if _, err := safetensors.Encode(arrays, nil); err != nil {
			t.Fatalf("the sizes do not fit: %v", err)
		}
	})
}

// FuzzArray is FuzzRead without the archive around the array.
func FuzzArray(f *testing.F) {
	f.Add(npy(vector, vectorBytes...))
	f.Fuzz(func(t *testing.T, data []byte) {
		array, err := readArray(bytes.NewReader(data), uint64(len(data)))
		if err == nil {
			if _, err := safetensors.Encode([]safetensors.Tensor{array}, nil); err != nil {
				t.Fatalf("the size does not fit: %v", err)
			}
		}
	})
}
