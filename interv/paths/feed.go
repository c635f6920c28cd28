package paths

import (
	"fmt"
	"slices"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/host"
	"github.com/govene/govene/internal/programs"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/transformer"
)

// feedBlock feeds a block with its weights, the stream, what the clean runs wrote, and what was read.
func (s *stack) feedBlock(f programs.Feed, c *clean, layer int, x *tensors.Tensor, read map[int][]*tensors.Tensor) {
	f["stream"], f["clean"] = x, c.streams[min(layer, len(c.streams)-1)]
	f.Take("weight", s.blocks.BlockWeights(layer), s.model.Weights().Tensor)
	for component, list := range c.written {
		if component != transformer.Embedding && layer < len(list) {
			f["written "+string(component)] = list[layer]
		}
	}
	for i, component := range s.ends {
		f["read "+string(component)] = s.zeros(s.shapes[component])
		if read[layer] != nil {
			f["read "+string(component)] = read[layer][i]
		}
		if name := "receives " + string(component); f[name] == nil {
			f[name] = s.zeros(s.hitShape(component))
		}
	}
}

// place feeds where columns are, and inputs, of each row's pair.
func (s *stack) place(items []item, inputs func(row int) interv.Inputs) programs.Feed {
	n := s.extent.Positions
	column, position, segment, length := make([]int, s.rows*n), make([]int, s.rows*n), make([]int, s.rows*n), make([]int, s.rows)
	pairs := make([]int, s.rows)
	for row, it := range items {
		pairs[row] = it.pair
		from, to := s.extent.Real(it.pair)
		var ids []int32
		if t := inputs(row)[interv.PositionIDs]; t != nil {
			ids = tensors.MustCopyFlatData[int32](t)
		}
		for i := range n {
			at := row*n + i
			column[at], position[at], segment[at] = i, max(0, i-from), -1 // padding is in no segment, so that nothing sees it
			if ids != nil {
				position[at] = int(ids[it.pair*n+i])
			}
			if i >= from && i < to {
				segment[at], length[row] = 0, max(length[row], position[at]+1)
			}
		}
	}
	index := func(values []int) *tensors.Tensor { return programs.Int32s(values, s.rows, n) }
	f := programs.Feed{"column": index(column), "position": index(position), "segment": index(segment), "start": index(make([]int, s.rows*n)),
		"length": programs.Int32s(length, s.rows, 1)}
	bases, sources := host.Examples(s.Base, pairs), host.Examples(s.Source, pairs)
	for name, t := range bases {
		if name == interv.AttentionMask || name == interv.PositionIDs {
			continue
		}
		size := int(t.ByteSize()) / s.rows
		host.Bytes(sources[name], t, func(from, to []byte) {
			for row := range s.rows {
				if at := row * size; inputs(row)[name] == s.Source[name] {
					copy(to[at:at+size], from[at:])
				}
			}
		})
		f["input "+name] = t
	}
	return f
}

// feedSenders feeds what items send in a layer.
func (s *stack) feedSenders(f programs.Feed, items []item, layer int) {
	mixes := make([]int, s.rows)
	for row, it := range items {
		if sender := s.job.senders[it.sender]; sender.Layer == layer &&
			(sender.Component == transformer.HeadAttentionValueOutput || sender.Component == transformer.AttentionValueOutput) {
			mixes[row] = 1
		}
	}
	f["mixes"] = programs.Int32s(mixes, s.rows)
	for _, component := range s.senders {
		s.feedHits(f, "sends", component, items, s.sends(layer, component))
	}
}

// sends tells which heads and positions of an item are sent from a component in a layer.
func (s *stack) sends(layer int, component interv.Component) func(it item) (heads, positions []int) {
	return func(it item) (heads, positions []int) {
		if sender := s.job.senders[it.sender]; sender.entry() == layer && sender.Component == component {
			return sender.heads, sender.positions[it.pair]
		}
		return nil, nil
	}
}

// feedReceivers feeds where items receive in a layer.
func (s *stack) feedReceivers(f programs.Feed, items []item, layer int, read map[int][]*tensors.Tensor) {
	if read[layer] == nil {
		return
	}
	for _, p := range s.receivers {
		if p.Layer == layer && p.Component != transformer.FinalNorm {
			everywhere := func(it item) (heads, positions []int) { return p.heads, interv.Range(s.extent.Real(it.pair)) }
			s.feedHits(f, "receives", p.Component, items, everywhere)
		}
	}
}

// feedHits feeds 1 where a component is changed in items.
func (s *stack) feedHits(f programs.Feed, name string, component interv.Component, items []item, where func(it item) (heads, positions []int)) {
	shape := s.hitShape(component)
	hits, n := make([]int, shape.Size()), s.extent.Positions
	each := shape.Size() / s.rows / n
	for row, it := range items {
		heads, positions := where(it)
		if each == 1 && heads == nil {
			heads = []int{0}
		}
		for _, head := range heads {
			for _, position := range positions {
				hits[(row*each+head)*n+position] = 1
			}
		}
	}
	f[name+" "+string(component)] = programs.Int32s(hits, shape.Dimensions...)
}

// hitShape is the shape of the index that tells where a component is changed.
func (s *stack) hitShape(component interv.Component) shapes.Shape {
	dimensions := s.shapes[component].Dimensions
	return shapes.Make(dtypes.Int32, dimensions[:len(dimensions)-1]...)
}

// all is the same number for each row, made once.
func (s *stack) all(value int) *tensors.Tensor {
	key := fmt.Sprint("all ", value)
	if s.nothing[key] == nil {
		s.nothing[key] = programs.Int32s(slices.Repeat([]int{value}, s.rows), s.rows)
	}
	return s.nothing[key]
}

// zeros is a tensor of zeros, made once.
func (s *stack) zeros(shape shapes.Shape) *tensors.Tensor {
	key := shape.String()
	if s.nothing[key] == nil {
		s.nothing[key] = tensors.FromShape(shape)
	}
	return s.nothing[key]
}
