package tokenizer

import (
	"fmt"
	"hash/maphash"
	"math"
	"math/bits"
)

// Tables of a quarter of a million entries are made in each process that reads a tokenizer, and asked for the few of them that a text has. So
// they are hash tables of numbers of entries, which cost little to make; the entries stay where they are in the file.

// table finds numbers from 0 by hashes, with linear probing.
type table struct {
	slots []int32 // the number and 1; 0 for none
	shift int     // of a hash, to leave the number of a slot
}

var seed = maphash.MakeSeed()

func newTable(count int) table {
	size := bits.Len(uint(count + count/2 + 1))
	return table{make([]int32, 1<<size), 64 - size}
}

// slot is the place of the number that is the one, or of none.
func (t table) slot(hash uint64, is func(number int32) bool) *int32 {
	for at := int(hash >> t.shift); ; at = (at + 1) & (len(t.slots) - 1) {
		if s := &t.slots[at]; *s == 0 || is(*s-1) {
			return s
		}
	}
}

// entry is a token of a vocabulary.
type entry struct {
	text string
	id   int
}

// vocabulary is a model's tokens.
type vocabulary struct {
	entries []entry
	table   table
	texts   names // of entries, and of added tokens
}

// newVocabulary makes a vocabulary; of two ids of a text the later is its own.
func newVocabulary(entries []entry) (*vocabulary, error) {
	if len(entries) == 0 {
		return nil, fmt.Errorf("got no vocabulary, wanted one")
	}
	v := &vocabulary{entries[:0], newTable(len(entries)), newNames(len(entries))}
	for _, e := range entries {
		if e.id < 0 || e.id > math.MaxInt32 {
			return nil, fmt.Errorf("got id %d for %q, wanted ids from 0 to %d", e.id, e.text, math.MaxInt32)
		}
		if slot := v.slot(e.text); *slot > 0 {
			v.entries[*slot-1].id = e.id
		} else {
			v.entries = append(v.entries, e)
			*slot = int32(len(v.entries))
		}
	}
	for _, e := range v.entries {
		if err := v.texts.set(e.id, e.text); err != nil {
			return nil, err
		}
	}
	return v, nil
}

func (v *vocabulary) slot(text string) *int32 {
	return v.table.slot(maphash.String(seed, text), func(i int32) bool { return v.entries[i].text == text })
}

// id returns the id of a token.
func (v *vocabulary) id(text string) (int, bool) {
	if i := *v.slot(text); i > 0 {
		return v.entries[i-1].id, true
	}
	return 0, false
}

// merges are which neighbours may merge, the first in the list before the others.
type merges struct {
	list  [][2]string
	table table
}

func newMerges(list [][2]string) *merges {
	m := &merges{list, newTable(len(list))}
	for i, pair := range list {
		*m.slot(pair) = int32(i + 1)
	}
	return m
}

func (m *merges) slot(pair [2]string) *int32 {
	hash := bits.RotateLeft64(maphash.String(seed, pair[0]), 23) ^ maphash.String(seed, pair[1])
	return m.table.slot(hash*0x9e3779b97f4a7c15, func(i int32) bool { return m.list[i] == pair }) // 2⁶⁴ divided by the golden ratio
}

// rank is the place of a merge in the list.
func (m *merges) rank(left, right string) (int, bool) {
	rank := *m.slot([2]string{left, right})
	return int(rank - 1), rank > 0
}

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
