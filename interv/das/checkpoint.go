package das

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/interv"
)

// checkpoint is the state of a search in a file: for each stack its rotations and moments, and what it has found.
type checkpoint struct {
	path   string // empty for none
	digest string // of the search and its data, which the file names
	values map[string]*tensors.Tensor
}

// open reads the checkpoint, if there is one; that of another search is refused.
func (s *Search) open(model interv.Model, train, held Data) (*checkpoint, error) {
	c := &checkpoint{path: s.Checkpoint, values: map[string]*tensors.Tensor{}}
	if c.path == "" {
		return c, nil
	}
	digest, err := s.digest(model, train, held)
	if err != nil {
		return nil, err
	}
	c.digest = "search " + digest
	values, err := interv.LoadTensors(c.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.values[c.digest] = tensors.FromValue([]float32{1})
	case err != nil:
		return nil, err
	case values[c.digest] == nil:
		return nil, &interv.Error{Where: c.path, Axis: "digest", Got: "the state of another search, or of other data", Wanted: "this one's, or no file"}
	default:
		c.values = values
	}
	return c, nil
}

// digest tells searches apart whose bits differ.
func (s *Search) digest(model interv.Model, train, held Data) (string, error) {
	sum := sha256.New()
	fmt.Fprintln(sum, s.Places, s.Ranks, s.Seeds, s.Kind, s.Steps, s.Batch, s.Rate, s.MaskRate, s.Penalty, s.Every, s.Patience, s.MaxRows, s.Seed)
	for _, schedule := range []func(int) float64{s.Schedule, s.Temperature} {
		for step := range s.Steps {
			if schedule != nil {
				fmt.Fprintln(sum, schedule(step))
			}
		}
	}
	add := func(list map[string]*tensors.Tensor) {
		for _, name := range slices.Sorted(maps.Keys(list)) {
			fmt.Fprintln(sum, name, list[name].Shape())
			list[name].MustConstFlatData(func(flat any) { binary.Write(sum, binary.LittleEndian, flat) })
		}
	}
	if err := model.Weights().Digest(sum); err != nil {
		return "", err
	}
	for _, d := range []Data{train, held} {
		add(d.Base)
		for _, source := range d.Sources {
			add(source)
		}
		fmt.Fprintln(sum, d.Labels, d.Values)
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// The numbers of an alignment in a checkpoint.
const (
	savedAccuracy = iota
	savedLoss
	savedBest
	savedWaits
	savedStopped
	savedNumbers
)

// parts are the tensors of a stack that training changes.
func (t *stack) parts() []named {
	list := t.rotations.parts("rotations")
	if t.mask != nil {
		list = append(list, t.mask.parts("mask")...)
	}
	return list
}

// write writes the file with the state that a stack is in now.
func (c *checkpoint) write(t *stack) error {
	if c.path == "" {
		return nil
	}
	progress := []float64{float64(t.steps), number(t.finished)}
	var table, correct []float64
	for i := range t.starts {
		table = append(table, t.accuracy[i], t.loss[i], float64(t.best[i]), float64(t.waits[i]), number(t.stopped[i]))
		for _, one := range t.correct[i] {
			correct = append(correct, number(one))
		}
	}
	of := func(part string, value *tensors.Tensor) { c.values[t.name+", "+part] = value }
	copied := func(value *tensors.Tensor) *tensors.Tensor {
		return tensors.FromFlatDataAndDimensions(tensors.MustCopyFlatData[float32](value), value.Shape().Dimensions...)
	}
	for _, part := range t.parts() {
		of(part.name, copied(*part.at))
	}
	of("kept", tensors.FromFlatDataAndDimensions(slices.Clone(t.kept), t.rotations.value.Shape().Dimensions...))
	of("kept selected", tensors.FromFlatDataAndDimensions(slices.Clone(t.keptSelected), t.selected.Shape().Dimensions...))
	of("progress", tensors.FromFlatDataAndDimensions(progress, len(progress)))
	of("table", tensors.FromFlatDataAndDimensions(table, len(t.starts), savedNumbers))
	of("correct", tensors.FromFlatDataAndDimensions(correct, len(t.starts), len(correct)/len(t.starts)))
	return interv.SaveTensors(c.path, c.values)
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// restore puts a stack into the state that was written.
func (c *checkpoint) restore(t *stack) error {
	of := func(part string) *tensors.Tensor { return c.values[t.name+", "+part] }
	if of("progress") == nil {
		return nil
	}
	for _, part := range t.parts() {
		value, shape := of(part.name), (*part.at).Shape()
		if value == nil || !value.Shape().Equal(shape) {
			return &interv.Error{Where: c.path, Axis: t.name + ", " + part.name, Got: "none, or one of another shape", Wanted: shape.String()}
		}
		*part.at = tensors.FromFlatDataAndDimensions(tensors.MustCopyFlatData[float32](value), shape.Dimensions...)
	}
	kept, selected, progress, table, correct := of("kept"), of("kept selected"), of("progress"), of("table"), of("correct")
	sound := kept != nil && kept.Shape().Equal(t.rotations.value.Shape()) && selected != nil && selected.Shape().Equal(t.selected.Shape()) && progress.Size() == 2 && progress.DType() == dtypes.Float64 && table != nil &&
		table.DType() == dtypes.Float64 && table.Size() == len(t.starts)*savedNumbers && correct != nil && correct.DType() == dtypes.Float64 &&
		correct.Shape().Rank() == 2 && correct.Shape().Dim(0) == len(t.starts)
	if !sound {
		return &interv.Error{Where: c.path, Axis: t.name, Got: "tensors of other shapes", Wanted: "those that a search writes"}
	}
	t.kept, t.keptSelected = tensors.MustCopyFlatData[float32](kept), tensors.MustCopyFlatData[float32](selected)
	numbers := tensors.MustCopyFlatData[float64](progress)
	t.steps, t.finished = int(numbers[0]), numbers[1] == 1
	numbers = tensors.MustCopyFlatData[float64](table)
	flags := tensors.MustCopyFlatData[float64](correct)
	examples := len(flags) / len(t.starts)
	for i := range t.starts {
		row := numbers[i*savedNumbers : (i+1)*savedNumbers]
		t.accuracy[i], t.loss[i], t.best[i], t.waits[i], t.stopped[i] = row[savedAccuracy], row[savedLoss], int(row[savedBest]), int(row[savedWaits]), row[savedStopped] == 1
		t.correct[i] = make([]bool, examples)
		for k := range t.correct[i] {
			t.correct[i][k] = flags[i*examples+k] == 1
		}
	}
	return nil
}
