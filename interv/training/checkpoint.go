package training

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"strings"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/interv"
)

// checkpoint is the state of training in a file: the trainer's, the looks, and the trainer's at the best of them. It is written at
// looks alone, and what follows a look depends on nothing else.
type checkpoint struct {
	path   string // empty for none
	digest string // of all that decides the bits, which the file names
	values map[string]*tensors.Tensor
}

const (
	savedNow   = "now, "
	savedBest  = "best, "
	savedLooks = "looks"
	lookSize   = 5
)

// open reads the checkpoint, if there is one; that of other training is refused.
func (r *run) open(model interv.Model) (*checkpoint, error) {
	c := &checkpoint{path: r.Checkpoint}
	if c.path == "" {
		return c, nil
	}
	var err error
	if c.digest, err = r.digest(model); err != nil {
		return nil, err
	}
	c.digest = "training " + c.digest
	values, err := interv.LoadTensors(c.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return c, nil
	case err != nil:
		return nil, err
	case values[c.digest] == nil:
		return nil, &interv.Error{Where: c.path, Axis: "digest", Got: "the state of other training", Wanted: "this one's, or no file"}
	}
	c.values = values
	return c, nil
}

// digest tells training apart whose bits differ, but for loss functions, which Go cannot compare, and batches other than the first.
func (r *run) digest(model interv.Model) (string, error) {
	sum := sha256.New()
	config, err := json.Marshal(r.Config)
	if err != nil {
		return "", err
	}
	fmt.Fprintln(sum, r.Steps, r.Rate, r.Decays, r.WeightDecay, r.Every, r.Watch, r.Patience, r.Enough, r.Loss == nil, string(config))
	if r.Schedule != nil {
		for step := range r.Steps {
			fmt.Fprintln(sum, r.Schedule(step))
		}
	}
	if err := model.Weights().Digest(sum); err != nil {
		return "", err
	}
	first, err := r.stream.batch(0)
	if err != nil {
		return "", interv.Within("batch of step 0", err)
	}
	for _, call := range append([]interv.Call{first}, r.Held...) {
		add(sum, call.Base)
		for _, source := range call.Sources {
			add(sum, source)
		}
		add(sum, call.Labels)
		fmt.Fprintln(sum, call.Subspaces, call.WithBase)
		for _, location := range call.Locations {
			fmt.Fprintf(sum, "%+v\n", location)
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

func add(sum hash.Hash, list map[string]*tensors.Tensor) {
	for _, name := range sortedNames(list) {
		if list[name] == nil {
			continue
		}
		fmt.Fprintln(sum, name, list[name].Shape())
		list[name].MustConstFlatData(func(flat any) { binary.Write(sum, binary.LittleEndian, flat) })
	}
}

// write writes the file with the state of now.
func (c *checkpoint) write(r *run) error {
	if c.path == "" {
		return nil
	}
	values := map[string]*tensors.Tensor{c.digest: tensors.FromValue([]float32{1})}
	for name, value := range r.trainer.State() {
		values[savedNow+name] = value
	}
	for name, value := range r.weights {
		values[savedBest+name] = value
	}
	var flat []float64
	for _, l := range r.curves.Looks {
		flat = append(flat, float64(l.Step), l.Loss, l.HeldLoss, l.Accuracy, l.BaseAccuracy)
	}
	ended := 0.0
	if r.curves.Ended {
		ended = 1
	}
	flat = append(flat, ended, float64(r.bestAt))
	values[savedLooks] = tensors.FromFlatDataAndDimensions(flat, len(flat))
	return interv.SaveTensors(c.path, values)
}

// restore puts training into the state that was written.
func (c *checkpoint) restore(r *run) error {
	if c.values == nil {
		return nil
	}
	refuse := func(axis string) error {
		return &interv.Error{Where: c.path, Axis: axis, Got: "none, or one of another shape", Wanted: "what training writes"}
	}
	now, best := map[string]*tensors.Tensor{}, map[string]*tensors.Tensor{}
	for name, value := range c.values {
		if rest, ok := strings.CutPrefix(name, savedNow); ok {
			now[rest] = value
		}
		if rest, ok := strings.CutPrefix(name, savedBest); ok {
			best[rest] = value
		}
	}
	looks := c.values[savedLooks]
	if looks == nil || looks.DType() != dtypes.Float64 || looks.Size()%lookSize != 2 || looks.Size() < lookSize {
		return refuse(savedLooks)
	}
	flat := tensors.MustCopyFlatData[float64](looks)
	for ; len(flat) > 2; flat = flat[lookSize:] {
		r.curves.Looks = append(r.curves.Looks, Look{int(flat[0]), flat[1], flat[2], flat[3], flat[4]})
	}
	r.curves.Ended, r.bestAt = flat[0] == 1, int(flat[1])
	if r.bestAt < 0 || r.bestAt >= len(r.curves.Looks) {
		return refuse(savedLooks)
	}
	if r.Patience > 0 {
		if r.weights = best; len(best) == 0 {
			return refuse(savedBest)
		}
		if err := r.trainer.SetState(best); err != nil {
			return interv.Within(c.path, err)
		}
	}
	return interv.Within(c.path, r.trainer.SetState(now))
}
