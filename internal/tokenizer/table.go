package tokenizer

import (
	"fmt"
	"math/bits"
	"sync"
)

// names are texts by id, in a slice where ids are close to one another, as they nearly always are.
type names struct {
	near []string
	far  map[int]string // and the empty text, which in the slice is none
	size int            // the largest id and 1
}

func newNames(count int) names {
	return names{near: make([]string, count+count/4), far: map[int]string{}}
}

func (n *names) get(id int) (string, bool) {
	if id >= 0 && id < len(n.near) && n.near[id] != "" {
		return n.near[id], true
	}
	text, ok := n.far[id]
	return text, ok
}

// set names an id, which must have no other name.
func (n *names) set(id int, text string) error {
	if other, ok := n.get(id); ok && other != text || id < 0 {
		return fmt.Errorf("got id %d for %q and %q, wanted ids from 0, each for one token", id, min(text, other), max(text, other))
	}
	if id < len(n.near) && text != "" {
		n.near[id] = text
	} else {
		n.far[id] = text
	}
	n.size = max(n.size, id+1)
	return nil
}

// merge is what two neighbours become, and how early in the list of merges that stands.
type merge struct{ rank, id int }

// mergeTable finds merges by the two neighbours: a hash table with linear probing, a third of the size of a map.
type mergeTable struct {
	slots []mergeSlot
	shift int // of a hash, to leave the number of a slot
}

type mergeSlot struct{ left, right, id, rank int32 } // the rank counts from 1; 0 is an empty slot

func newMergeTable(count int) mergeTable {
	size := bits.Len(uint(count + count/2 + 1))
	return mergeTable{make([]mergeSlot, 1<<size), 64 - size}
}

// slot is where a pair is, or belongs.
func (t *mergeTable) slot(left, right int32) *mergeSlot {
	hash := (uint64(uint32(left))<<32 | uint64(uint32(right))) * 0x9e3779b97f4a7c15 // 2⁶⁴ divided by the golden ratio
	hash ^= hash >> 29
	hash *= 0xbf58476d1ce4e5b9
	for at := int(hash >> t.shift); ; at = (at + 1) & (len(t.slots) - 1) {
		if s := &t.slots[at]; s.rank == 0 || s.left == left && s.right == right {
			return s
		}
	}
}

func (t *mergeTable) find(left, right int) (merge, bool) {
	s := t.slot(int32(left), int32(right))
	return merge{int(s.rank) - 1, int(s.id)}, s.rank > 0
}

// rank makes the table of merges, whose parts and unions must be in the vocabulary.
func (b *bpe) rank(merges [][2]string) error {
	resolved := make([]mergeSlot, len(merges))
	resolve := func(from, to int) {
		var union []byte
		for i, m := range merges[from:to] {
			left, hasLeft := b.vocabulary[m[0]]
			right, hasRight := b.vocabulary[m[1]]
			union = append(append(union[:0], m[0]...), m[1]...)
			id, has := b.vocabulary[string(union)]
			if hasLeft && hasRight && has {
				resolved[from+i] = mergeSlot{int32(left), int32(right), int32(id), int32(from + i + 1)}
			}
		}
	}
	const parts = 4
	var all sync.WaitGroup
	for part := range parts {
		all.Go(func() { resolve(len(merges)*part/parts, len(merges)*(part+1)/parts) })
	}
	all.Wait()
	b.merges = newMergeTable(len(merges))
	for i, m := range resolved {
		if m.rank == 0 {
			return fmt.Errorf("merge %d: got %q and %q, wanted both and their union in the vocabulary", i, merges[i][0], merges[i][1])
		}
		*b.merges.slot(m.left, m.right) = m
	}
	return nil
}
