package sweep

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"slices"
	"strconv"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/strict"
	"github.com/govene/govene/internal/whole"
	"github.com/govene/govene/interv"
)

// fileFormat names the form of files of results; one of another is refused.
const fileFormat = "govene sweep 1"

// resultFile is what a file of results holds.
type resultFile struct {
	Format    string     `json:"format"`
	Digest    string     `json:"digest"`          // of sweep, model and inputs
	Part      Part       `json:"part,omitzero"`   // that the file has; all where it is not there
	Dealt     string     `json:"dealt,omitempty"` // a digest of the units of work that parts take in turn; none where it has all
	Finished  bool       `json:"finished"`        // whether it has all of that
	Metric    string     `json:"metric"`
	Cells     []Cell     `json:"cells"`
	Base      []number   `json:"base"`                // [pair]
	Source    []number   `json:"source,omitempty"`    // [pair]
	Corrupted []number   `json:"corrupted,omitempty"` // [pair]
	Values    [][]number `json:"values"`              // [cell][pair]
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

func floats(numbers []number) []float64 {
	if numbers == nil {
		return nil
	}
	list := make([]float64, len(numbers))
	for i, n := range numbers {
		list[i] = float64(n)
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
	write := func(data []byte) { sum.Write(data) }
	for _, inputs := range []interv.Inputs{j.Base, j.Source, j.Parameters} {
		for _, name := range sortedNames(inputs) {
			fmt.Fprintf(sum, "%s %s\n", name, inputs[name].Shape())
			if err := inputs[name].ConstBytes(write); err != nil {
				return "", err
			}
		}
	}
	const ends = 4096 // bytes
	weights := j.model.Weights()
	for _, name := range weights.Names() {
		fmt.Fprintf(sum, "%s %s\n", name, weights.Shape(name))
		if err := weights.Ends(name, ends, write); err != nil {
			return "", err
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// dealt tells apart how work is dealt out, which is not the same in every version of Govene. A sweep in one part has none.
func (p *Plan) dealt() string {
	if p.Part == (Part{}) {
		return ""
	}
	units := p.batch.units
	if p.packed != nil {
		units = p.packed.units
	}
	sum := sha256.New()
	for _, items := range units() {
		fmt.Fprintln(sum, items)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

func sortedNames(inputs map[string]*tensors.Tensor) (names []string) {
	for name := range inputs {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// leftAsItIs refuses a file that will not be written to.
func leftAsItIs(path, axis, got, wanted string) error {
	return &interv.Error{Where: path, Axis: axis, Got: got, Wanted: wanted + "; the file is left as it is"}
}

// readFile reads a file of results: a whole one of this version.
func readFile(path string) (file resultFile, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return file, err
	}
	var header struct {
		Format string `json:"format"`
	}
	if json.Unmarshal(text, &header) == nil && header.Format != fileFormat {
		return file, leftAsItIs(path, "format", strconv.Quote(header.Format), strconv.Quote(fileFormat))
	}
	if err := strict.Unmarshal(text, &file); err != nil {
		return file, leftAsItIs(path, "results", err.Error(), "a whole file of a sweep's results")
	}
	pairs, fits := len(file.Base), len(file.Values) == len(file.Cells) && (file.Source == nil || len(file.Source) == len(file.Base)) && (file.Corrupted == nil || len(file.Corrupted) == len(file.Base))
	for _, row := range file.Values {
		fits = fits && len(row) == pairs
	}
	if !fits || pairs == 0 {
		return file, leftAsItIs(path, "results", fmt.Sprintf("%d cells, numbers of %d, and %d pairs", len(file.Cells), len(file.Values), pairs), "numbers for every cell and pair")
	}
	return file, interv.Within(path, file.Part.check())
}

// write writes the file as a whole, in the place of the one before: whoever is killed leaves one or the other.
func (file resultFile) write(path string) error {
	text, err := json.Marshal(file)
	if err != nil {
		return err
	}
	return whole.Write(path, func(w io.Writer) error {
		_, err := w.Write(append(text, '\n'))
		return err
	})
}

// resume takes over what the collector's file has; there may be none yet.
func (c *collector) resume() error {
	file, err := readFile(c.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case file.Digest != c.header.Digest:
		return leftAsItIs(c.path, "digest", file.Digest, c.header.Digest+": that of this sweep, model and inputs, on this backend")
	case file.Part != c.header.Part:
		return leftAsItIs(c.path, "part", file.Part.String(), c.header.Part.String())
	case file.Dealt != c.header.Dealt:
		return leftAsItIs(c.path, "part", "one of work that another version of Govene dealt out", "another file")
	case len(file.Values) != len(c.values) || len(file.Base) != len(c.base):
		return leftAsItIs(c.path, "results", fmt.Sprintf("%d cells of %d pairs", len(file.Values), len(file.Base)), fmt.Sprintf("%d of %d", len(c.values), len(c.base)))
	}
	c.header.Finished, c.header.Corrupted = file.Finished, file.Corrupted
	copy(c.base, floats(file.Base))
	copy(c.source, floats(file.Source))
	for i, row := range file.Values {
		copy(c.values[i], floats(row))
	}
	return nil
}

// save writes the file of results.
func (c *collector) save() error {
	file := c.header
	file.Base = numbers(c.base)
	if c.sources {
		file.Source = numbers(c.source)
	}
	for _, row := range c.values {
		file.Values = append(file.Values, numbers(row))
	}
	return file.write(c.path)
}
