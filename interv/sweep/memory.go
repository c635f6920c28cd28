package sweep

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/govene/govene/internal/estimate"
	"github.com/govene/govene/interv"
)

// Bytes is an amount of memory. Its text, in files and flags, is such as 2GiB or 1536MiB; units are B, KiB, MiB and GiB.
type Bytes int64

// units are the units of Bytes, the largest first.
var units = []struct {
	name string
	size Bytes
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

// String is the amount in the largest unit that it is a whole number of.
func (b Bytes) String() string {
	for _, u := range units {
		if b != 0 && b%u.size == 0 {
			return fmt.Sprintf("%d%s", int64(b/u.size), u.name)
		}
	}
	return "0B"
}

// MarshalText is String.
func (b Bytes) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText reads a whole number and its unit.
func (b *Bytes) UnmarshalText(text []byte) error {
	for _, u := range units {
		digits, ok := strings.CutSuffix(string(text), u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(digits, 10, 64)
		if err != nil || n < 0 || n > math.MaxInt64/int64(u.size) {
			break
		}
		*b = Bytes(n) * u.size
		return nil
	}
	return &interv.Error{Axis: "memory", Got: strconv.Quote(string(text)), Wanted: "a whole number and B, KiB, MiB or GiB, such as 2GiB"}
}

// fits tells whether a sweep may take so much.
func (j *job) fits(bytes int) bool { return j.Memory == 0 || Bytes(bytes) <= j.Memory }

// tooSmall is the error of a limit that not even the smallest chunk fits into.
func (j *job) tooSmall(needed int) error {
	const MiB = 1 << 20
	return &interv.Error{Axis: "memory", Got: j.Memory.String(), Wanted: fmt.Sprintf("at least %v, for one cell at a time", Bytes(needed+MiB-1)/MiB*MiB)}
}

// bytes is about how much memory a layout takes besides weights: the clean runs of a group and one block of a chunk.
func (p *packed) bytes(l layout) int {
	columns := l.clean * p.extent.Positions
	keys, values := p.blocks.KeyShapes(0, l.clean, p.extent.Positions)
	kept := (p.blocks.Blocks() + 1) * columns * p.stream.Dim(-1)
	kept += p.blocks.Blocks() * (keys.Size() + values.Size())
	for _, c := range p.recorded {
		for _, s := range p.slots {
			if s.readComponent == c {
				kept += p.blocks.Blocks() * columns * max(1, s.sites.Heads) * s.sites.Width
				break
			}
		}
	}
	return p.stream.DType.Size() * (kept + estimate.OfBlock(p.model.Catalogue(), max(columns, l.rows*l.columns), p.extent.Positions) + l.rows*l.reads*p.logits())
}

// bytes is about how much memory a run of a batch takes besides weights: one block, what is read of other runs, and the logits.
func (b *batched) bytes() int {
	n := b.extent.Positions
	kept := n * b.outputs
	for _, at := range b.at {
		kept += n * max(1, at.sites.Heads) * max(at.sites.Width, n)
	}
	return b.model.Weights().ResultDType().Size() * (kept + estimate.OfBlock(b.model.Catalogue(), n, n))
}
