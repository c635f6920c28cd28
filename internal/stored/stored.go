// Package stored has tensors that lie in files until they are needed. Their bytes are then read, converted and checked by whoever holds the
// memory in which they stay: this process, or an engine that several share. Both do it here, so that the bits are the same.
package stored

import (
	"crypto/sha256"
	"fmt"

	"github.com/gomlx/compute/shapes"

	"github.com/govene/govene/internal/safetensors"
)

// Tensor is a tensor of finite numbers that lies in files, little endian and row by row: its pieces one after the other, all of one size.
type Tensor struct {
	As     shapes.Shape // what it is read as: float32, bfloat16 or float16, rounded where the file has more bits
	Pieces []Piece
	Twin   *Piece // a place that must hold the same numbers; nil for none, as it is where there are several pieces
}

// Piece is a place in a file.
type Piece struct {
	Name   string // for messages
	File   *File
	Offset int64
	DType  string // F32, F64, F16 or BF16
}

// Shape is that of the tensor as it is read.
func (t *Tensor) Shape() shapes.Shape { return t.As }

// Bytes is how many bytes of files the tensor takes.
func (t *Tensor) Bytes() (bytes int64) {
	for _, p := range t.Places() {
		bytes += t.count() * int64(safetensors.Size(p.DType))
	}
	return bytes
}

// Key is a digest of all that decides the tensor's bits: the same for what is the same.
func (t *Tensor) Key() [sha256.Size]byte {
	sum := sha256.New()
	fmt.Fprintln(sum, t.As.DType, t.As.Dimensions, t.Twin != nil)
	var last *File
	for _, p := range t.Places() {
		if p.File != last {
			fmt.Fprintf(sum, "%q %d %d %d %d\n", p.File.Path, p.File.Size, p.File.Modified, p.File.Inode, p.File.Changed)
			last = p.File
		}
		fmt.Fprintln(sum, p.Offset, p.DType)
	}
	return [sha256.Size]byte(sum.Sum(nil))
}

// Check refuses what no file can hold, before memory is taken for it.
func (t *Tensor) Check() error {
	if own[t.As.DType] == "" {
		return fmt.Errorf("a tensor of %s that is to be read as float32, bfloat16 or float16", t.As.DType)
	}
	if t.As.IsDynamic() || len(t.Pieces) == 0 || t.As.Size()%len(t.Pieces) != 0 || t.Twin != nil && len(t.Pieces) > 1 {
		return fmt.Errorf("a tensor of shape %s in %d pieces", t.As, len(t.Pieces))
	}
	for _, p := range t.Places() {
		if !safetensors.Floating(p.DType) {
			return fmt.Errorf("elements of type %s that are to be read as %s", p.DType, t.As.DType)
		}
		size := t.count() * int64(safetensors.Size(p.DType))
		if p.Offset < 0 || size > p.File.Size || p.Offset > p.File.Size-size {
			return fmt.Errorf("%s has %d bytes, too few for %d at %d", p.File.Path, p.File.Size, size, p.Offset)
		}
	}
	return nil
}

// Part is so many of the tensor's elements, from one on; nil if they lie in several pieces.
func (t *Tensor) Part(from, count int) *Tensor {
	in := int(t.count())
	if count < 1 || from/in != (from+count-1)/in {
		return nil
	}
	p := t.Pieces[from/in]
	p.Offset += int64(from % in * safetensors.Size(p.DType))
	return &Tensor{As: shapes.Make(t.As.DType, count), Pieces: []Piece{p}}
}

// count is the number of elements of a piece.
func (t *Tensor) count() int64 { return int64(t.As.Size() / len(t.Pieces)) }

// Places are the pieces and their twin.
func (t *Tensor) Places() []Piece {
	if t.Twin == nil {
		return t.Pieces
	}
	return append(t.Pieces[:len(t.Pieces):len(t.Pieces)], *t.Twin)
}
