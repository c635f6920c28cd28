// Package checkpoint reads model checkpoints in Hugging Face's layout: a folder with config.json and model.safetensors, or with
// several safetensors files and their index. [Resolve] finds the folder: as it is, in the hub's cache, or on the hub.
package checkpoint

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/govene/govene/internal/nearest"
	"github.com/govene/govene/internal/safetensors"
	"github.com/govene/govene/internal/stored"
)

// The files of a checkpoint.
const (
	ConfigFile  = "config.json"
	weightsFile = "model.safetensors"
	indexFile   = "model.safetensors.index.json"
)

// Checkpoint is an open checkpoint: its config, and the table of contents of its weights. Of the weights themselves nothing is in
// memory: [Checkpoint.Stored] says where they lie.
type Checkpoint struct {
	folder  string
	config  []byte
	tensors []Tensor // sorted by name
}

// Tensor is what a checkpoint says of one of its tensors.
type Tensor struct {
	Name  string
	DType string // on disk: F32, F16, BF16, F64, I64, BOOL, …
	Shape []int

	file  *stored.File
	start int64
}

// Open reads config.json and the headers of a checkpoint's safetensors files, and checks that every tensor is there to the last
// byte. Tensors in a file that its index does not name are no part of the checkpoint. Files stay open as long as something refers to them.
func Open(folder string) (*Checkpoint, error) {
	c := &Checkpoint{folder: folder}
	if err := c.open(); err != nil {
		return nil, err
	}
	slices.SortFunc(c.tensors, func(a, b Tensor) int { return cmp.Compare(a.Name, b.Name) })
	return c, nil
}

func (c *Checkpoint) open() (err error) {
	if c.config, err = os.ReadFile(filepath.Join(c.folder, ConfigFile)); err != nil {
		return fmt.Errorf("%w: wanted a folder with %s and %s", err, ConfigFile, weightsFile)
	}
	if exists(filepath.Join(c.folder, weightsFile)) {
		return c.addFile(weightsFile, nil)
	}
	path := filepath.Join(c.folder, indexFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return noWeights(c.folder)
	}
	if err != nil {
		return err
	}
	index, err := safetensors.ParseIndex(text)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	for _, file := range shards(index) {
		var names []string
		for name, in := range index {
			if in == file {
				names = append(names, name)
			}
		}
		if err := c.addFile(file, names); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

// shards lists the files that an index names.
func shards(index map[string]string) []string {
	return slices.Compact(slices.Sorted(maps.Values(index)))
}

// addFile opens a safetensors file and adds the tensors of the given names, all if there are none.
func (c *Checkpoint) addFile(name string, names []string) error {
	path := filepath.Join(c.folder, name)
	file, err := stored.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("got no file %s, wanted it for %d tensors", name, len(names))
	}
	if err != nil {
		return err
	}
	header, err := safetensors.ReadHeader(file, file.Size)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	slices.Sort(names)
	found := map[string]bool{}
	for _, info := range header.Tensors {
		if _, wanted := slices.BinarySearch(names, info.Name); wanted || names == nil {
			found[info.Name] = true
			c.tensors = append(c.tensors, Tensor{info.Name, info.DType, info.Shape, file, info.Start})
		}
	}
	for _, name := range names {
		if !found[name] {
			return fmt.Errorf("%s: got no tensor %q, wanted it, as the index says", path, name)
		}
	}
	return nil
}

// noWeights says what a folder without safetensors has instead, and what to do about it.
func noWeights(folder string) error {
	wanted := fmt.Sprintf("wanted %s or %s", weightsFile, indexFile)
	entries, err := os.ReadDir(folder)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		switch filepath.Ext(entry.Name()) {
		case ".bin", ".pt", ".pth", ".ckpt":
			return fmt.Errorf("%s: got %s, a pickle, which can run code when it is read, %s; to convert it, run in Python: "+
				"AutoModelForCausalLM.from_pretrained(folder).save_pretrained(folder, safe_serialization=True), with the class imported from transformers",
				folder, entry.Name(), wanted)
		case ".safetensors":
			return fmt.Errorf("%s: got %s, %s", folder, entry.Name(), wanted)
		}
	}
	return fmt.Errorf("%s: got neither weights nor their index, %s", folder, wanted)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Folder is where the checkpoint lies.
func (c *Checkpoint) Folder() string { return c.folder }

// Config is the text of config.json.
func (c *Checkpoint) Config() []byte { return slices.Clone(c.config) }

// Tensors lists the checkpoint's tensors by name.
func (c *Checkpoint) Tensors() []Tensor { return slices.Clone(c.tensors) }

// Find returns what the checkpoint says of a tensor.
func (c *Checkpoint) Find(name string) (Tensor, bool) {
	i, ok := slices.BinarySearchFunc(c.tensors, name, func(t Tensor, name string) int { return cmp.Compare(t.Name, name) })
	if !ok {
		return Tensor{}, false
	}
	return c.tensors[i], true
}

// find is Find with an error that names the nearest tensor.
func (c *Checkpoint) find(name string) (Tensor, error) {
	if t, ok := c.Find(name); ok {
		return t, nil
	}
	names := make([]string, len(c.tensors))
	for i, t := range c.tensors {
		names[i] = t.Name
	}
	text := fmt.Sprintf("%s: got no tensor %q among %d, wanted it", c.folder, name, len(names))
	if near := nearest.Name(name, names); near != "" {
		text += fmt.Sprintf("; did you mean %q?", near)
	}
	return Tensor{}, errors.New(text)
}
