package transformer

import (
	"math"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/dtypes/bfloat16"
	"github.com/gomlx/compute/shapes"
	. "github.com/gomlx/gomlx/core/graph"
)

// alibi is what ALiBi (Press et al., "Train Short, Test Long", 2022) adds to the score of a key: m·p, with p the key's position and m the
// head's slope. Since softmax does not see what is added to all scores of a query, this takes m from a score for each position that the
// key is further away. [batch or 1, heads, 1, keys].
func (s *sequence) alibi(heads int) *Node {
	keys := s.keys.Shape().Dim(1)
	table := Const(s.like.Graph(), alibiTable(heads, keys))
	added := Gather(table, ExpandDims(s.keyPositions(), -1)) // [batch or 1, keys, heads]
	return ConvertDType(ExpandDims(Transpose(added, 1, 2), 2), wide(s.like).DType())
}

// keyPositions are those of the keys, [batch or 1, keys], counted from the first that is not padding.
func (s *sequence) keyPositions() *Node {
	if s.own == nil {
		return s.fromStart(s.keys)
	}
	if s.own.Real == nil { // there is no base
		return s.positions
	}
	rows, base := s.own.Real.Shape().Dim(0), s.own.Real.Shape().Dim(1)
	whole := &sequence{keys: Iota(s.keys.Graph(), shapes.Make(dtypes.Int32, rows, base), 1), real: s.own.Real}
	return Concatenate([]*Node{s.positions, whole.fromStart(whole.keys)}, 1)
}

// alibiTable has m·p for positions and heads. Slopes, positions and products are rounded to bfloat16, as transformers does in Falcon.
func alibiTable(heads, positions int) [][]float32 {
	round := func(x float64) float32 { return bfloat16.FromFloat64(x).Float32() }
	table := make([][]float32, positions)
	for p := range table {
		table[p] = make([]float32, heads)
		for h, slope := range alibiSlopes(heads) {
			table[p][h] = round(float64(round(slope)) * float64(round(float64(p))))
		}
	}
	return table
}

// alibiSlopes are 2^(−8/n), 2^(−16/n), … for n heads if n is a power of 2; else those of the largest power of 2 below n, and then every
// second one of twice as many heads.
func alibiSlopes(heads int) []float64 {
	power := 1
	for 2*power <= heads {
		power *= 2
	}
	var slopes []float64
	for h := range power {
		slopes = append(slopes, math.Exp2(-8*float64(h+1)/float64(power)))
	}
	for h := power; h < heads; h++ {
		slopes = append(slopes, math.Exp2(-4*float64(2*(h-power)+1)/float64(power)))
	}
	return slopes
}
