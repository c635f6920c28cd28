package transformer

import (
	"bytes"
	"errors"

	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/stored"
	"github.com/govene/govene/interv"
)

// source is a weight as it is given: a tensor, or a place in files where one lies.
type source interface {
	comparable
	Shape() shapes.Shape
}

// kind is what is done differently with sources of a kind.
type kind[T source] interface {
	tie(embedding, head T) (tied T, same bool)                  // the embedding, unless the head is found to be another one
	join(w weight, pieces []T) (whole T, copied int, err error) // one of several, and how many bytes of memory were copied for it
}

// there tells whether there is a source of a name.
func there[T source](values map[string]T, name string) bool {
	var none T
	return values[name] != none
}

// given are tensors in memory.
type given struct{}

func (given) tie(embedding, head *tensors.Tensor) (*tensors.Tensor, bool) {
	if embedding == head || !embedding.Shape().Equal(head.Shape()) { // a tensor's lock is not to be taken twice
		return embedding, embedding == head
	}
	equal := false
	err := embedding.ConstBytes(func(x []byte) {
		if head.ConstBytes(func(y []byte) { equal = bytes.Equal(x, y) }) != nil {
			equal = false
		}
	})
	return embedding, err == nil && equal
}

func (given) join(w weight, pieces []*tensors.Tensor) (*tensors.Tensor, int, error) {
	for i, piece := range pieces {
		if err := interv.CheckFinite("weights, "+w.pieces[i].Name, piece); err != nil {
			return nil, 0, err
		}
	}
	whole := tensors.FromShape(shapes.Make(pieces[0].DType(), w.Dimensions...))
	var failed error
	err := whole.MutableBytes(func(all []byte) {
		for _, piece := range pieces {
			failed = errors.Join(failed, piece.ConstBytes(func(data []byte) { all = all[copy(all, data):] }))
		}
	})
	return whole, int(whole.ByteSize()), interv.Within("weights, "+w.Name, errors.Join(err, failed))
}

// inFiles are tensors in files: whoever reads them compares and joins them.
type inFiles struct{}

func (inFiles) tie(embedding, head *stored.Tensor) (*stored.Tensor, bool) {
	if !embedding.Shape().Equal(head.Shape()) {
		return embedding, false
	}
	return &stored.Tensor{As: embedding.As, Pieces: embedding.Pieces, Twin: &head.Pieces[0]}, true
}

func (inFiles) join(w weight, pieces []*stored.Tensor) (*stored.Tensor, int, error) {
	whole := &stored.Tensor{As: shapes.Make(pieces[0].As.DType, w.Dimensions...)}
	for _, piece := range pieces {
		whole.Pieces = append(whole.Pieces, piece.Pieces...)
	}
	return whole, 0, nil
}
