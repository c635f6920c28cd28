package sweep

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/strict"
	"github.com/govene/govene/interv"
)

// fileFormat names the form of files of results; one of another is refused.
const fileFormat = "govene sweep 1"

// resultFile is what a file of results holds.
type resultFile struct {
	Format string     `json:"format"`
	Digest string     `json:"digest"` // of sweep, model and inputs
	Base   []number   `json:"base"`   // [pair]
	Source []number   `json:"source"` // [pair]
	Values [][]number `json:"values"` // [cell][pair]
}

// number is a float64 to the bit; NaN, which JSON has not, is what has not been measured, and null.
type number float64

// MarshalJSON writes the shortest text that is read as the same number.
func (n number) MarshalJSON() ([]byte, error) {
	switch v := float64(n); {
	case math.IsNaN(v):
		return []byte("null"), nil
	case math.IsInf(v, 0):
		return []byte(strconv.Quote(strconv.FormatFloat(v, 'g', -1, 64))), nil
	default:
		return strconv.AppendFloat(nil, v, 'g', -1, 64), nil
	}
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (n *number) UnmarshalJSON(text []byte) error {
	if string(text) == "null" {
		*n = number(math.NaN())
		return nil
	}
	v, err := strconv.ParseFloat(string(bytes.Trim(text, `"`)), 64)
	*n = number(v)
	return err
}

func numbers(values []float64) []number {
	list := make([]number, len(values))
	for i, v := range values {
		list[i] = number(v)
	}
	return list
}

// digest tells sweeps apart by what they ask, of which model and inputs, on which backend. Of each weight it sees the ends.
func (j *job) digest() (string, error) {
	asked, err := json.Marshal(j.Sweep)
	if err != nil {
		return "", err
	}
	catalogue, err := json.Marshal(j.model.Catalogue())
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "%s\n%s\n%s\n%s\n", fileFormat, j.backend.Name(), asked, catalogue)
	add := func(name string, t *tensors.Tensor, most int) error {
		fmt.Fprintf(sum, "%s %s\n", name, t.Shape())
		return t.ConstBytes(func(data []byte) {
			if len(data) <= 2*most {
				sum.Write(data)
				return
			}
			sum.Write(data[:most])
			sum.Write(data[len(data)-most:])
		})
	}
	const all, ends = math.MaxInt / 2, 4096
	for _, inputs := range []interv.Inputs{j.Base, j.Source, j.Parameters} {
		for _, name := range sortedNames(inputs) {
			if err := add(name, inputs[name], all); err != nil {
				return "", err
			}
		}
	}
	for _, name := range j.model.Weights().Names() {
		if err := add(name, j.model.Weights().Tensor(name), ends); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

func sortedNames(inputs map[string]*tensors.Tensor) (names []string) {
	for name := range inputs {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// resume takes over what a file has; there may be none yet.
func (c *collector) resume(path, digest string) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	refuse := func(axis, got, wanted string) error {
		return &interv.Error{Where: path, Axis: axis, Got: got, Wanted: wanted + "; the file is left as it is"}
	}
	var file resultFile
	if err := strict.Unmarshal(text, &file); err != nil {
		return refuse("results", err.Error(), "a whole file of a sweep's results")
	}
	fits := len(file.Values) == len(c.values) && len(file.Base) == len(c.base) && len(file.Source) == len(c.source)
	for i := 0; fits && i < len(file.Values); i++ {
		fits = len(file.Values[i]) == len(c.values[i])
	}
	switch {
	case file.Format != fileFormat:
		return refuse("format", strconv.Quote(file.Format), strconv.Quote(fileFormat))
	case file.Digest != digest:
		return refuse("digest", file.Digest, digest+": that of this sweep, model and inputs, on this backend")
	case !fits:
		return refuse("results", fmt.Sprintf("%d cells of %d pairs", len(file.Values), len(file.Base)), fmt.Sprintf("%d of %d", len(c.values), len(c.base)))
	}
	take := func(to []float64, from []number) {
		for i, n := range from {
			to[i] = float64(n)
		}
	}
	take(c.base, file.Base)
	take(c.source, file.Source)
	for i := range file.Values {
		take(c.values[i], file.Values[i])
	}
	return nil
}

// save writes the file as a whole, in the place of the one before.
func (c *collector) save(path, digest string) error {
	file := resultFile{Format: fileFormat, Digest: digest, Base: numbers(c.base), Source: numbers(c.source)}
	for _, row := range c.values {
		file.Values = append(file.Values, numbers(row))
	}
	text, err := json.Marshal(file)
	if err != nil {
		return err
	}
	whole, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer os.Remove(whole.Name()) // of no effect once it has the other name
	_, err = whole.Write(append(text, '\n'))
	if err := errors.Join(err, whole.Sync(), whole.Close()); err != nil {
		return err
	}
	return os.Rename(whole.Name(), path)
}
