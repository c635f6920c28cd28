package tokenizer

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"

	"github.com/govene/govene/internal/strict"
)

// splitter cuts a piece into pieces that are made into tokens one by one.
type splitter func(piece) []piece

// gpt2Pattern is how GPT-2 splits, and so every ByteLevel pre-tokenizer that does not say otherwise: contractions, words and
// numbers with the space before them, other signs, white space.
const gpt2Pattern = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`

func parseSplitter(text json.RawMessage) (splitter, error) {
	kind, err := typeOf(text)
	if err != nil {
		return nil, err
	}
	switch kind {
	case "ByteLevel":
		return parseByteLevel(text)
	case "Split":
		return parseSplit(text)
	case "Metaspace":
		return parseMetaspace(text)
	case "Digits":
		var d struct {
			Type       string `json:"type"`
			Individual bool   `json:"individual_digits"`
		}
		behavior := "Contiguous"
		err := strict.Unmarshal(text, &d)
		if d.Individual {
			behavior = "Isolated"
		}
		return func(p piece) []piece { return p.split(runes(p.text, isNumber), behavior, false) }, err
	case "WhitespaceSplit":
		return func(p piece) []piece { return p.split(runes(p.text, unicode.IsSpace), "Removed", false) }, nil
	}
	return nil, unsupported(kind, "ByteLevel", "Split", "Metaspace", "Digits", "WhitespaceSplit", "Sequence")
}

// byteLevel is the form of the ByteLevel pre-tokenizer, decoder and post-processor.
type byteLevel struct {
	Type           string `json:"type"`
	AddPrefixSpace bool   `json:"add_prefix_space"`
	TrimOffsets    bool   `json:"trim_offsets"`
	UseRegex       *bool  `json:"use_regex,omitempty"`
}

func parseByteLevel(text json.RawMessage) (splitter, error) {
	var b byteLevel
	if err := strict.Unmarshal(text, &b); err != nil {
		return nil, err
	}
	gpt2, err := parseExpression(gpt2Pattern)
	if err != nil {
		return nil, err
	}
	return func(p piece) []piece {
		if b.AddPrefixSpace && !strings.HasPrefix(p.text, " ") {
			p = prepend(" ", p)
		}
		words := []piece{p}
		if b.UseRegex == nil || *b.UseRegex {
			words = p.split(gpt2.find(p.text), "Isolated", false)
		}
		for i, word := range words {
			words[i] = word.bytes()
		}
		return words
	}, nil
}

// bytes writes each byte of a piece as the character that stands for it in a byte-level vocabulary.
func (p piece) bytes() piece {
	var b builder
	for i := range len(p.text) {
		b.add(string(byteRunes[p.text[i]]), p.from[i], p.to[i])
	}
	return b.piece()
}

// byteRunes are the characters that stand for bytes in byte-level vocabularies: themselves where they can be seen, the others
// from U+0100 on. runeBytes is the way back.
var byteRunes, runeBytes = func() (runes [256]rune, bytes map[rune]byte) {
	bytes = make(map[rune]byte, 256)
	next := rune(256)
	for b := range 256 {
		r := rune(b)
		if !(b >= '!' && b <= '~' || b >= 0xa1 && b <= 0xac || b >= 0xae) {
			r = next
			next++
		}
		runes[b], bytes[r] = r, byte(b)
	}
	return runes, bytes
}()

func parseSplit(text json.RawMessage) (splitter, error) {
	var s struct {
		Type     string  `json:"type"`
		Pattern  pattern `json:"pattern"`
		Behavior string  `json:"behavior"`
		Invert   bool    `json:"invert"`
	}
	if err := strict.Unmarshal(text, &s); err != nil {
		return nil, err
	}
	switch s.Behavior {
	case "Removed", "Isolated", "Contiguous", "MergedWithPrevious", "MergedWithNext":
	default:
		return nil, fmt.Errorf("split: got behavior %q, wanted Removed, Isolated, Contiguous, MergedWithPrevious or MergedWithNext", s.Behavior)
	}
	if s.Pattern.Regex != nil && s.Pattern.String == nil {
		e, err := parseExpression(*s.Pattern.Regex)
		if err != nil {
			return nil, fmt.Errorf("split: %w", err)
		}
		return func(p piece) []piece { return p.split(e.find(p.text), s.Behavior, s.Invert) }, nil
	}
	wanted, err := s.Pattern.literal()
	if err != nil {
		return nil, fmt.Errorf("split: %w", err)
	}
	return func(p piece) []piece { return p.split(occurrences(p.text, wanted), s.Behavior, s.Invert) }, nil
}

func parseMetaspace(text json.RawMessage) (splitter, error) {
	var m metaspace
	if err := m.parse(text); err != nil {
		return nil, err
	}
	return func(p piece) []piece {
		p = replace(p, " ", m.Replacement)
		if first := p.text != "" && p.from[0] == 0; m.PrependScheme == "always" || m.PrependScheme == "first" && first {
			if !strings.HasPrefix(p.text, m.Replacement) {
				p = prepend(m.Replacement, p)
			}
		}
		if m.Split != nil && !*m.Split {
			return []piece{p}
		}
		return p.split(occurrences(p.text, m.Replacement), "MergedWithNext", false)
	}, nil
}

// metaspace is the form of the Metaspace pre-tokenizer and decoder: a visible character for the space.
type metaspace struct {
	Type           string `json:"type"`
	Replacement    string `json:"replacement"`
	PrependScheme  string `json:"prepend_scheme"`
	Split          *bool  `json:"split"`
	AddPrefixSpace *bool  `json:"add_prefix_space"` // of older files, in place of the scheme
	Rep            string `json:"str_rep"`          // of older files: the replacement again
}

func (m *metaspace) parse(text json.RawMessage) error {
	if err := strict.Unmarshal(text, m); err != nil {
		return err
	}
	if m.PrependScheme == "" {
		m.PrependScheme = "always"
	}
	if m.AddPrefixSpace != nil && !*m.AddPrefixSpace {
		m.PrependScheme = "never"
	}
	if m.Replacement == "" || m.PrependScheme != "always" && m.PrependScheme != "first" && m.PrependScheme != "never" {
		return fmt.Errorf("metaspace: got replacement %q and scheme %q, wanted a character, and always, first or never", m.Replacement, m.PrependScheme)
	}
	return nil
}

// runes finds the runes of a kind, each as a match.
func runes(text string, is func(rune) bool) (matches [][2]int) {
	for i, r := range text {
		if is(r) {
			matches = append(matches, [2]int{i, i + len(string(r))})
		}
	}
	return matches
}

// occurrences finds a text in another.
func occurrences(text, wanted string) (matches [][2]int) {
	for at := 0; ; {
		i := strings.Index(text[at:], wanted)
		if i < 0 {
			return matches
		}
		at += i + len(wanted)
		matches = append(matches, [2]int{at - len(wanted), at})
	}
}

// split cuts a piece at matches, which a behavior says what to do with; if inverted, at what lies between them.
func (p piece) split(matches [][2]int, behavior string, invert bool) (pieces []piece) {
	type part struct {
		start, end int
		match      bool
	}
	var parts []part
	end := 0
	for _, m := range append(matches, [2]int{len(p.text), len(p.text)}) {
		if end < m[0] {
			parts = append(parts, part{end, m[0], invert})
		}
		if m[0] < m[1] {
			parts = append(parts, part{m[0], m[1], !invert})
		}
		end = m[1]
	}
	joins := func(i int) bool { // part i to the one before it
		before, now := parts[i-1].match, parts[i].match
		switch behavior {
		case "Contiguous":
			return before == now
		case "MergedWithPrevious":
			return now && !before
		case "MergedWithNext":
			return before && !now
		}
		return false
	}
	for i, part := range parts {
		if behavior == "Removed" && part.match {
			continue
		}
		if i > 0 && joins(i) {
			last := &pieces[len(pieces)-1]
			*last = p.cut(part.start-len(last.text), part.end)
			continue
		}
		pieces = append(pieces, p.cut(part.start, part.end))
	}
	return pieces
}
