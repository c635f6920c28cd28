// Package npz reads NumPy's .npz files, zip archives of named arrays. Arrays of numbers in C order are read; object arrays, which are
// pickles and can run code, structures, big-endian and Fortran-ordered arrays are refused. Unlike GoMLX's reader this one checks the
// archive's checksums, and sizes before it makes room for them.
package npz

import (
	"archive/zip"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/govene/govene/internal/safetensors"
)

// dtypes are the element types by NumPy's names and by those of safetensors, whose conversions serve these arrays too.
var dtypes = map[string]string{
	"<f8": "F64", "<f4": "F32", "<f2": "F16", "<i8": "I64", "<i4": "I32", "<i2": "I16", "|i1": "I8",
	"<u8": "U64", "<u4": "U32", "<u2": "U16", "|u1": "U8", "|b1": "BOOL",
}

// Read reads the arrays of a .npz file in its order, compressed or not.
func Read(path string) ([]safetensors.Tensor, error) {
	archive, err := zip.OpenReader(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w, wanted a .npz file", path, err)
	}
	defer archive.Close()
	arrays, err := readArchive(&archive.Reader)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return arrays, nil
}

// mostDeflated is the largest factor by which the zip format's compression can make data smaller.
const mostDeflated = 1032

func readArchive(archive *zip.Reader) (arrays []safetensors.Tensor, err error) {
	seen := map[string]bool{}
	for _, entry := range archive.File {
		name, ok := strings.CutSuffix(entry.Name, ".npy")
		if !ok || seen[name] {
			return nil, fmt.Errorf("got entry %q, wanted arrays (.npy), each name once", entry.Name)
		}
		seen[name] = true
		size := entry.UncompressedSize64
		if size/mostDeflated > entry.CompressedSize64+1 {
			return nil, fmt.Errorf("array %q: got %d bytes compressed, wanted more for the %d that they are said to hold", name, entry.CompressedSize64, size)
		}
		content, err := entry.Open()
		if err != nil {
			return nil, fmt.Errorf("array %q: %w", name, err)
		}
		array, err := readArray(content, size)
		content.Close()
		if err != nil {
			return nil, fmt.Errorf("array %q: %w", name, err)
		}
		array.Name = name
		arrays = append(arrays, array)
	}
	return arrays, nil
}

const magic = "\x93NUMPY"

// readArray reads an array that takes size bytes with its header. It reads to the end, where the archive's checksum is compared.
func readArray(content io.Reader, size uint64) (array safetensors.Tensor, err error) {
	text, length, err := readHeader(content)
	if err != nil {
		return array, err
	}
	bytes, err := parseHeader(text, &array)
	if err != nil {
		return array, err
	}
	if size < length || size-length != bytes {
		return array, fmt.Errorf("got a file of %d bytes, wanted %d for %s%v and its header of %d", size, length+bytes, array.DType, array.Shape, length)
	}
	array.Data = make([]byte, bytes)
	if n, err := io.ReadFull(content, array.Data); err != nil {
		return array, fmt.Errorf("after %d of %d bytes: %w", n, bytes, err)
	}
	if n, err := content.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		return array, fmt.Errorf("at the end: got %d bytes more (%w), wanted none", n, err)
	}
	return array, nil
}

// readHeader returns the header's text, and its length with all before it.
func readHeader(content io.Reader) (text string, length uint64, err error) {
	start := make([]byte, len(magic)+2)
	if n, err := io.ReadFull(content, start); err != nil || string(start[:len(magic)]) != magic {
		return "", 0, fmt.Errorf("got %q, wanted an array: %q first", start[:n], magic)
	}
	var size uint32
	switch version := start[len(magic)]; version {
	case 1:
		var short uint16
		err = binary.Read(content, binary.LittleEndian, &short)
		size, length = uint32(short), 10
	case 2, 3:
		err = binary.Read(content, binary.LittleEndian, &size)
		length = 12
	default:
		return "", 0, fmt.Errorf("got version %d of the format, wanted 1, 2 or 3", version)
	}
	if err == nil && size > math.MaxUint16 {
		return "", 0, fmt.Errorf("got a header of %d bytes, wanted at most %d: it describes one array of numbers", size, math.MaxUint16)
	}
	header := make([]byte, size)
	if err == nil {
		_, err = io.ReadFull(content, header)
	}
	if err != nil {
		return "", 0, fmt.Errorf("header: %w", err)
	}
	return string(header), length + uint64(size), nil
}

// header is how NumPy writes it: a Python dictionary with sorted keys.
var header = regexp.MustCompile(`^\{'descr': (.*), 'fortran_order': (True|False), 'shape': \(([0-9, ]*)\), \}[ \n]*$`)

// parseHeader reads an array's element type and shape, and returns how many bytes it takes.
func parseHeader(text string, array *safetensors.Tensor) (bytes uint64, err error) {
	found := header.FindStringSubmatch(text)
	if found == nil {
		return 0, fmt.Errorf("got header %q, wanted descr, fortran_order and shape", text)
	}
	dtype, ok := dtypes[strings.Trim(found[1], "'")]
	if !ok {
		return 0, fmt.Errorf("got elements %s, wanted little-endian numbers such as '<f4' (objects are pickles, which can run code)", found[1])
	}
	array.DType, array.Shape = dtype, []int{}
	bytes = uint64(safetensors.Size(dtype))
	for _, part := range strings.Split(found[3], ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue // after the last comma
		}
		d, err := strconv.Atoi(part)
		if err != nil || d > 0 && bytes > math.MaxInt64/uint64(d) {
			return 0, fmt.Errorf("got shape (%s), wanted sizes whose product fits", found[3])
		}
		array.Shape = append(array.Shape, d)
		bytes *= uint64(d)
	}
	if found[2] == "True" && len(array.Shape) > 1 {
		return 0, fmt.Errorf("got Fortran order, wanted C order: numpy.ascontiguousarray makes it so")
	}
	return bytes, nil
}
