package sweep

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"

	"github.com/govene/govene/interv"
)

// Load reads the results of a sweep that was run with a File, all of it; the model is not needed.
func Load(path string) (*Result, error) {
	file, err := readFile(path)
	switch {
	case err != nil:
		return nil, err
	case file.Part != Part{}:
		return nil, leftAsItIs(path, "part", file.Part.String(), "a whole sweep: Merge puts parts together")
	case !file.Finished:
		return nil, leftAsItIs(path, "results", "those of a sweep that has not finished", "a finished one: run with the same file, it goes on")
	}
	return file.result(), nil
}

func (file resultFile) result() *Result {
	r := &Result{Cells: file.Cells, Base: floats(file.Base), Metric: file.Metric}
	r.Corrupted = floats(file.Corrupted)
	if file.Source != nil {
		r.Source = floats(file.Source)
	}
	for _, row := range file.Values {
		r.Values = append(r.Values, floats(row))
	}
	return r
}

// Merge puts together the files of all parts of a sweep (see [Sweep.Part]), and writes them as the one file, byte for byte, that a sweep
// without parts would have left. Parts of different sweeps, missing, given twice, unfinished or cut short are an error that names the file,
// and so is a file of another sweep that is there already.
func Merge(path string, parts ...string) (*Result, error) {
	if len(parts) == 0 {
		return nil, &interv.Error{Axis: "parts", Got: "no files", Wanted: "those of all parts"}
	}
	var merged resultFile
	from := map[int]string{} // the file of each part
	for i, name := range parts {
		file, err := readFile(name)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			merged = file
		}
		switch {
		case file.Part == Part{}:
			return nil, leftAsItIs(name, "part", "a whole sweep", "a part of one")
		case file.Digest != merged.Digest:
			return nil, leftAsItIs(name, "digest", file.Digest, merged.Digest+fmt.Sprintf(", as in %s: they are of different sweeps, models, inputs or backends", parts[0]))
		case file.Part.Count != merged.Part.Count:
			return nil, leftAsItIs(name, "part", file.Part.String(), fmt.Sprintf("one of %d, as in %s", merged.Part.Count, parts[0]))
		case file.Dealt != merged.Dealt:
			return nil, leftAsItIs(name, "part", "one of work that another version of Govene dealt out than "+parts[0], "parts of one version")
		case from[file.Part.Index] != "":
			return nil, leftAsItIs(name, "part", file.Part.String(), "each part once: "+from[file.Part.Index]+" has it, too")
		case !file.Finished:
			return nil, leftAsItIs(name, "part", file.Part.String()+", which has not finished", "a finished one: run with the same file, it goes on")
		}
		from[file.Part.Index] = name
		merged.add(file)
	}
	var missing []int
	for index := 1; index <= merged.Part.Count; index++ {
		if from[index] == "" {
			missing = append(missing, index)
		}
	}
	if missing != nil {
		return nil, &interv.Error{Axis: "parts", Got: fmt.Sprintf("%d of %d: %v missing", len(parts), merged.Part.Count, missing), Wanted: "all of them"}
	}
	merged.Part, merged.Dealt = Part{}, ""
	if err := merged.replaces(path); err != nil {
		return nil, err
	}
	return merged.result(), merged.write(path)
}

// add takes over the numbers that another part has.
func (file *resultFile) add(part resultFile) {
	take := func(to *[]number, from []number) {
		*to = slices.Clone(*to)
		for i, n := range from {
			if !math.IsNaN(float64(n)) {
				(*to)[i] = n
			}
		}
	}
	take(&file.Base, part.Base)
	if part.Source != nil {
		take(&file.Source, part.Source)
	}
	for i := range file.Values {
		take(&file.Values[i], part.Values[i])
	}
}

// replaces refuses to write over a file of anything else.
func (file resultFile) replaces(path string) error {
	there, err := readFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && there.Digest != file.Digest {
		err = leftAsItIs(path, "digest", there.Digest, file.Digest+": that of the merged parts")
	}
	if err == nil && there.Part != (Part{}) {
		err = leftAsItIs(path, "part", there.Part.String(), "another file to write to")
	}
	return err
}
