package tokenizer

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/govene/govene/internal/strict"
)

// piece is a part of a text on its way to tokens. For each byte it knows which bytes of the text it came from: from[i] to to[i],
// nothing if it was put in.
type piece struct {
	text     string
	from, to []int
}

// whole is a text as a piece of itself.
func whole(text string) piece {
	p := piece{text, make([]int, len(text)), make([]int, len(text))}
	for i := range len(text) {
		p.from[i], p.to[i] = i, i+1
	}
	return p
}

// cut is the bytes from start to end of a piece.
func (p piece) cut(start, end int) piece {
	return piece{p.text[start:end], p.from[start:end], p.to[start:end]}
}

// builder makes a piece out of parts.
type builder struct {
	text     strings.Builder
	from, to []int
}

// add appends a text that came from the given bytes of the original.
func (b *builder) add(text string, from, to int) {
	b.text.WriteString(text)
	for range len(text) {
		b.from = append(b.from, from)
		b.to = append(b.to, to)
	}
}

// keep appends a piece as it is.
func (b *builder) keep(p piece) {
	b.text.WriteString(p.text)
	b.from = append(b.from, p.from...)
	b.to = append(b.to, p.to...)
}

func (b *builder) piece() piece { return piece{b.text.String(), b.from, b.to} }

// prepend puts a text before a piece.
func prepend(text string, p piece) piece {
	if p.text == "" {
		return p
	}
	var b builder
	b.add(text, p.from[0], p.from[0])
	b.keep(p)
	return b.piece()
}

// replace puts a text in place of another wherever it stands.
func replace(p piece, old, with string) piece {
	if !strings.Contains(p.text, old) {
		return p
	}
	var b builder
	for at := 0; ; {
		i := strings.Index(p.text[at:], old)
		if i < 0 {
			b.keep(p.cut(at, len(p.text)))
			return b.piece()
		}
		b.keep(p.cut(at, at+i))
		at += i + len(old)
		b.add(with, p.from[at-len(old)], p.to[at-1])
	}
}

// normalizer changes a piece before it is split.
type normalizer func(piece) piece

func parseNormalizer(text json.RawMessage) (normalizer, error) {
	var n struct {
		Type    string  `json:"type"`
		Prepend string  `json:"prepend"`
		Pattern pattern `json:"pattern"`
		Content string  `json:"content"`
	}
	kind, err := typeOf(text)
	if err != nil {
		return nil, err
	}
	form, isForm := forms[kind]
	if !isForm && kind != "Prepend" && kind != "Replace" {
		return nil, unsupported(kind, "NFC", "NFD", "NFKC", "NFKD", "Prepend", "Replace", "Sequence")
	}
	if err := strict.Unmarshal(text, &n); err != nil {
		return nil, err
	}
	switch kind {
	case "Prepend":
		return func(p piece) piece { return prepend(n.Prepend, p) }, nil
	case "Replace":
		old, err := n.Pattern.literal()
		if err != nil {
			return nil, fmt.Errorf("replace: %w", err)
		}
		return func(p piece) piece { return replace(p, old, n.Content) }, nil
	}
	return form.apply, nil
}

func (t *Tokenizer) normalize(p piece) piece {
	for _, n := range t.normalizers {
		p = n(p)
	}
	return p
}
