package tokenizer

import (
	"bytes"
	"container/heap"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/govene/govene/internal/nearest"
	"github.com/govene/govene/internal/strict"
)

// model makes a piece, which is not empty, into tokens.
type model interface {
	tokens(p piece) ([]Token, error)
}

// parseModel reads a model, whose tables may have been taken out of it.
func parseModel(text json.RawMessage, t *tables) (model, *vocabulary, error) {
	var f modelFile
	failure := strict.Unmarshal(text, &f) // a model of another kind may fail for its form
	kind := f.Type
	if failure != nil {
		var err error
		if kind, err = typeOf(text); err != nil {
			return nil, nil, err
		}
	}
	if kind != "BPE" && kind != "WordLevel" && kind != "" {
		return nil, nil, unsupported(kind, "BPE", "WordLevel")
	}
	if failure != nil {
		return nil, nil, failure
	}
	if kind == "" && f.Merges == nil {
		return nil, nil, fmt.Errorf("got neither type nor merges, wanted a type: BPE or WordLevel")
	}
	if t == nil {
		t = &tables{}
		for text, id := range f.Vocabulary {
			t.entries = append(t.entries, entry{text, id})
		}
		var err error
		if t.merges, err = parseMerges(f.Merges); err != nil && kind != "WordLevel" {
			return nil, nil, err
		}
	}
	v, err := newVocabulary(t.entries)
	if err != nil {
		return nil, nil, err
	}
	unknown := -1
	if f.UnknownToken != nil && *f.UnknownToken != "" {
		id, ok := v.id(*f.UnknownToken)
		if !ok {
			return nil, nil, fmt.Errorf("got unknown token %q, wanted one of the vocabulary", *f.UnknownToken)
		}
		unknown = id
	}
	if kind == "WordLevel" {
		return &wordLevel{v, unknown}, v, nil
	}
	b, err := newBPE(&f, v, t.merges, unknown)
	return b, v, err
}

// wordLevel makes each piece one token.
type wordLevel struct {
	vocabulary *vocabulary
	unknown    int // -1 if there is none
}

func (w *wordLevel) tokens(p piece) ([]Token, error) {
	id, ok := w.vocabulary.id(p.text)
	if !ok {
		if id = w.unknown; id < 0 {
			var words []string
			for _, e := range w.vocabulary.entries {
				words = append(words, e.text)
			}
			slices.Sort(words)
			return nil, &UnknownWord{p.text, nearest.Name(p.text, words)}
		}
	}
	return []Token{p.token(id)}, nil
}

// UnknownWord is the error for a word, or a character, that a vocabulary does not have.
type UnknownWord struct {
	Word    string
	Nearest string // the word of the vocabulary most like it; empty if none is close
}

func (e *UnknownWord) Error() string {
	text := fmt.Sprintf("got %q, wanted a word or character of the vocabulary, which has no token for unknown ones", e.Word)
	if e.Nearest != "" {
		text += fmt.Sprintf("; did you mean %q?", e.Nearest)
	}
	return text
}

// NoUnion is the error for a merge whose result the vocabulary does not have.
type NoUnion struct {
	Merge       int // its place in the list
	Left, Right string
}

func (e *NoUnion) Error() string {
	return fmt.Sprintf("merge %d: got %q and %q, wanted their union in the vocabulary", e.Merge, e.Left, e.Right)
}

// token is a token made of the whole piece.
func (p piece) token(id int) Token { return Token{id, p.from[0], p.to[len(p.to)-1]} }

// bpe is byte-pair encoding: a piece begins as single characters, and of the neighbours that may merge those do whose merge comes
// first in the list, until none may. https://arxiv.org/abs/1508.07909
type bpe struct {
	vocabulary   *vocabulary
	merges       *merges
	unknown      int       // -1 if there is none
	fuseUnknown  bool      // unknown neighbours become one token
	bytes        *[256]int // the tokens of single bytes, for characters that the vocabulary does not have; nil if it has none
	ignoreMerges bool      // a piece that is a token is that token, whatever the merges
}

func newBPE(f *modelFile, v *vocabulary, merges [][2]string, unknown int) (*bpe, error) {
	if f.Dropout != nil && *f.Dropout != 0 {
		return nil, fmt.Errorf("got dropout %g, wanted none: the same text must give the same tokens", *f.Dropout)
	}
	if f.ContinuingSubwordPrefix != "" || f.EndOfWordSuffix != "" {
		return nil, fmt.Errorf("got prefix %q and suffix %q of parts of words, wanted none", f.ContinuingSubwordPrefix, f.EndOfWordSuffix)
	}
	b := &bpe{vocabulary: v, merges: newMerges(merges), unknown: unknown, fuseUnknown: f.FuseUnknown, ignoreMerges: f.IgnoreMerges}
	if f.ByteFallback {
		b.bytes = new([256]int)
		for i := range b.bytes {
			id, ok := b.vocabulary.id(byteToken(byte(i)))
			if !ok {
				return nil, fmt.Errorf("byte_fallback: got no token %s, wanted one for each byte", byteToken(byte(i)))
			}
			b.bytes[i] = id
		}
	}
	return b, nil
}

// byteToken is the name of the token of a byte.
func byteToken(b byte) string { return fmt.Sprintf("<0x%02X>", b) }

// parseMerges reads merges, written as ["a", "b"] or "a b".
func parseMerges(text json.RawMessage) (list [][2]string, err error) {
	if first := bytes.TrimLeft(bytes.TrimPrefix(text, []byte("[")), " \t\r\n"); !bytes.HasPrefix(first, []byte(`"`)) {
		if err := json.Unmarshal(text, &list); err != nil {
			return nil, fmt.Errorf("merges: %w", err)
		}
		return list, nil
	}
	var lines []string
	if err := json.Unmarshal(text, &lines); err != nil {
		return nil, fmt.Errorf("merges: %w", err)
	}
	list = make([][2]string, len(lines))
	for i, line := range lines {
		left, right, ok := strings.Cut(line, " ")
		if !ok || strings.Contains(right, " ") {
			return nil, fmt.Errorf("merge %d: got %q, wanted two tokens and a space between them", i, line)
		}
		list[i] = [2]string{left, right}
	}
	return list, nil
}

// symbol is a token while its piece is being merged, in a list of neighbours.
type symbol struct {
	id, start, end int // bytes of the piece; end is -1 once it was merged into the one before
	before, after  int // -1 at the ends
}

func (b *bpe) tokens(p piece) ([]Token, error) {
	if b.ignoreMerges {
		if id, ok := b.vocabulary.id(p.text); ok {
			return []Token{p.token(id)}, nil
		}
	}
	symbols, err := b.symbols(p.text)
	if err != nil {
		return nil, err
	}
	if err := b.merge(symbols); err != nil {
		return nil, err
	}
	var list []Token
	for _, s := range symbols {
		if s.end >= 0 {
			list = append(list, p.cut(s.start, s.end).token(s.id))
		}
	}
	return list, nil
}

// symbols are a piece's single characters, or the bytes of those that the vocabulary does not have.
func (b *bpe) symbols(text string) (list []symbol, err error) {
	add := func(id, start, end int) {
		list = append(list, symbol{id, start, end, len(list) - 1, len(list) + 1})
	}
	fusing := false
	for start, r := range text {
		character := string(r)
		end := start + len(character)
		id, known := b.vocabulary.id(character)
		switch {
		case known:
			add(id, start, end)
		case b.bytes != nil:
			for i := start; i < end; i++ {
				add(b.bytes[text[i]], i, i+1)
			}
		case b.unknown < 0:
			return nil, &UnknownWord{Word: character}
		case fusing && b.fuseUnknown:
			list[len(list)-1].end = end
		default:
			add(b.unknown, start, end)
		}
		fusing = !known
	}
	list[len(list)-1].after = -1
	return list, nil
}

// candidate is a merge that may be next: the first in rank, of equals the first in the piece.
type candidate struct{ rank, at, id int }

type candidates []candidate

func (c candidates) Len() int { return len(c) }
func (c candidates) Less(i, j int) bool {
	return c[i].rank < c[j].rank || c[i].rank == c[j].rank && c[i].at < c[j].at
}
func (c candidates) Swap(i, j int) { c[i], c[j] = c[j], c[i] }
func (c *candidates) Push(x any)   { *c = append(*c, x.(candidate)) }
func (c *candidates) Pop() any {
	last := (*c)[len(*c)-1]
	*c = (*c)[:len(*c)-1]
	return last
}

// union finds what two neighbours become, and the rank of that among merges.
func (b *bpe) union(left, right int) (rank, id int, ok bool, err error) {
	first, _ := b.vocabulary.texts.get(left)
	second, _ := b.vocabulary.texts.get(right)
	if rank, ok = b.merges.rank(first, second); !ok {
		return 0, 0, false, nil
	}
	if id, ok = b.vocabulary.id(first + second); !ok {
		err = &NoUnion{rank, first, second}
	}
	return rank, id, ok, err
}

// merge merges symbols in place.
func (b *bpe) merge(symbols []symbol) error {
	var queue candidates
	consider := func(at int) (c candidate, ok bool, err error) {
		if at < 0 || symbols[at].end < 0 || symbols[at].after < 0 {
			return candidate{}, false, nil
		}
		rank, id, ok, err := b.union(symbols[at].id, symbols[symbols[at].after].id)
		return candidate{rank, at, id}, ok, err
	}
	for at := range symbols {
		c, ok, err := consider(at)
		if err != nil {
			return err
		}
		if ok {
			queue = append(queue, c)
		}
	}
	heap.Init(&queue)
	for len(queue) > 0 {
		next := heap.Pop(&queue).(candidate)
		if c, ok, err := consider(next.at); err != nil || !ok || c.rank != next.rank {
			continue // one of the two merged with another meanwhile
		}
		left := &symbols[next.at]
		right := &symbols[left.after]
		left.id, left.end, left.after = next.id, right.end, right.after
		right.end = -1
		if left.after >= 0 {
			symbols[left.after].before = next.at
		}
		for _, at := range []int{left.before, next.at} {
			c, ok, err := consider(at)
			if err != nil {
				return err
			}
			if ok {
				heap.Push(&queue, c)
			}
		}
	}
	return nil
}
