package transformer

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/garbage"
	"github.com/govene/govene/internal/nearest"
	"github.com/govene/govene/interv"
)

// Most checkpoints have three matrices for each expert. Here all experts' gates and ups are one tensor, [experts, 2 · width, d], and their
// downs another, [experts, d, width], under the names that transformers 5 has for them: one product instead of a hundred, which XLA compiles
// in half a second instead of fifteen. They are put together when weights are read and taken apart when they are saved.

// stacked lists a tensor of all experts, of which checkpoints have so many matrices [out, in] for each.
func (l *weightList) stacked(layer int, whole part, each []part, out, in int) {
	experts := l.config.Mixture.Experts
	l.add(normal, layer, whole, "", experts, len(each)*out, in)
	if l.names[each[0]] == "" {
		return
	}
	added := &l.weights[len(l.weights)-1]
	for expert := range experts {
		for _, p := range each {
			name := fmt.Sprintf(l.of(layer, p), expert) + ".weight"
			added.pieces = append(added.pieces, interv.WeightShape{Name: name, Dimensions: []int{out, in}})
		}
	}
}

// stack puts together, among values, what the model has as one tensor. Pieces leave values as soon as they are in it.
func stack[T source](weights []weight, values map[string]T, of kind[T]) error {
	var released garbage.Bytes
	defer released.Done()
	for _, w := range weights {
		if len(w.pieces) == 0 || there(values, w.Name) {
			continue
		}
		pieces, err := piecesOf(w, values)
		if err != nil {
			return err
		}
		whole, copied, err := of.join(w, pieces)
		if err != nil {
			return err
		}
		for _, piece := range w.pieces {
			delete(values, piece.Name)
		}
		values[w.Name] = whole
		released.Drop(copied)
	}
	return nil
}

// piecesOf finds the pieces of a weight, and refuses them where they do not fit together.
func piecesOf[T source](w weight, values map[string]T) (pieces []T, err error) {
	wrong := func(name, got, wanted string) error {
		return &interv.Error{Where: "weights", Axis: name, Got: got, Wanted: wanted}
	}
	for _, piece := range w.pieces {
		t, ok := values[piece.Name]
		if !ok {
			names := slices.Sorted(maps.Keys(values))
			return nil, &interv.Error{Where: "weights", Axis: piece.Name, Got: "no such tensor", Wanted: fmt.Sprint(piece.Dimensions), Nearest: nearest.Name(piece.Name, names)}
		}
		first := values[w.pieces[0].Name].Shape()
		switch shape := t.Shape(); {
		case !slices.Equal(shape.Dimensions, piece.Dimensions):
			return nil, wrong(piece.Name, fmt.Sprintf("shape %v", shape.Dimensions), fmt.Sprint(piece.Dimensions))
		case shape.DType != first.DType:
			return nil, wrong(piece.Name, shape.DType.String(), fmt.Sprintf("%s, as %s", first.DType, w.pieces[0].Name))
		}
		pieces = append(pieces, t)
	}
	return pieces, nil
}

// unstacked are the model's tensors as checkpoints have them: copies of the pieces of what is stacked, and the rest as it is.
func (m *Model) unstacked() (*interv.Weights, error) {
	values, err := m.weights.Values()
	if err != nil {
		return nil, err
	}
	var listed []interv.WeightShape
	for _, w := range m.config.weights(m.naming) {
		if len(w.pieces) == 0 {
			listed = append(listed, w.WeightShape)
			continue
		}
		whole := values[w.Name]
		delete(values, w.Name)
		var failed error
		err := whole.ConstBytes(func(all []byte) {
			for _, piece := range w.pieces {
				t := tensors.FromShape(shapes.Make(whole.DType(), piece.Dimensions...))
				failed = errors.Join(failed, t.MutableBytes(func(data []byte) { all = all[copy(data, all):] }))
				values[piece.Name] = t
			}
		})
		if err := errors.Join(err, failed); err != nil {
			return nil, interv.Within("weights, "+w.Name, err)
		}
		listed = append(listed, w.pieces...)
	}
	return interv.NewWeights(listed, values, dtypes.BFloat16, dtypes.Float16)
}
