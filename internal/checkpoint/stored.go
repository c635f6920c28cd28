package checkpoint

import (
	"fmt"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"

	"github.com/govene/govene/internal/safetensors"
	"github.com/govene/govene/internal/stored"
)

// Stored says where tensors lie, by name, and that they are to be read as float32, bfloat16 or float16.
func (c *Checkpoint) Stored(as dtypes.DType, names ...string) (map[string]*stored.Tensor, error) {
	list := make(map[string]*stored.Tensor, len(names))
	for _, name := range names {
		t, err := c.find(name)
		if err != nil {
			return nil, err
		}
		if !safetensors.Floating(t.DType) {
			return nil, fmt.Errorf("%s: tensor %q: got element type %s, wanted F32, F64, F16 or BF16", c.folder, name, t.DType)
		}
		list[name] = &stored.Tensor{As: shapes.Make(as, t.Shape...), Pieces: []stored.Piece{{Name: name, File: t.file, Offset: t.start, DType: t.DType}}}
	}
	return list, nil
}
