package tokenizer

import (
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// form is a Unicode normal form. It takes from x/text what single characters decompose to and which pairs compose; the walk over a text is
// its own, as x/text keeps no account of where characters came from, and breaks sequences of more than 30 combining characters with one of
// its own, which the library that made the file does not. Characters newer than that library's forms are passed by. https://www.unicode.org/reports/tr15/
type form struct {
	whole      norm.Form // the form itself
	decomposed norm.Form // the form without the last step, composition
	composes   bool
}

var forms = map[string]form{
	"NFC":  {norm.NFC, norm.NFD, true},
	"NFD":  {norm.NFD, norm.NFD, false},
	"NFKC": {norm.NFKC, norm.NFKD, true},
	"NFKD": {norm.NFKD, norm.NFKD, false},
}

// apply brings a piece into the form, segment by segment: the characters of one neither reorder nor compose with those of another. What
// changes came from the whole of its segment.
func (f form) apply(p piece) piece {
	if f.whole.IsNormalString(p.text) {
		return p
	}
	var b builder
	for start, end := 0, 0; start < len(p.text); start = end {
		end = f.segment(p.text, start)
		if text := f.text(p.text[start:end]); text == p.text[start:end] {
			b.keep(p.cut(start, end))
		} else {
			b.add(text, p.from[start], p.to[end-1])
		}
	}
	return b.piece()
}

// segment returns where the segment that starts in a text ends.
func (f form) segment(text string, start int) (end int) {
	_, size := utf8.DecodeRuneInString(text[start:])
	for end = start + size; end < len(text); end += size {
		var r rune
		r, size = utf8.DecodeRuneInString(text[end:])
		if norm.NFC.PropertiesString(f.decompose(r)).BoundaryBefore() {
			break // what begins here combines with nothing before it
		}
	}
	return end
}

// text is a segment in the form.
func (f form) text(segment string) string {
	var runes []rune
	for _, r := range segment {
		runes = append(runes, []rune(f.decompose(r))...)
	}
	reorder(runes)
	if f.composes {
		runes = compose(runes)
	}
	return string(runes)
}

// decompose is what a character decomposes to.
func (f form) decompose(r rune) string {
	if !changes(r) {
		return string(r)
	}
	return f.decomposed.String(string(r))
}

// combining is the canonical combining class of a decomposed character, 0 for one that others combine with.
func combining(r rune) int {
	if !changes(r) {
		return 0
	}
	return int(norm.NFD.PropertiesString(string(r)).CCC())
}

// reorder sorts each run of combining characters by class; equal ones keep their order.
func reorder(runes []rune) {
	for i, r := range runes {
		if of := combining(r); of > 0 {
			for ; i > 0 && combining(runes[i-1]) > of; i-- {
				runes[i-1], runes[i] = runes[i], runes[i-1]
			}
		}
	}
}

// compose puts characters together with the last one before them that is no combining character, unless one between them is in the way: one
// of the same class, or of a higher one.
func compose(runes []rune) []rune {
	const nothing = -1
	composed, base, between := runes[:0], nothing, nothing
	for _, r := range runes {
		of := combining(r)
		if base >= 0 && between < of {
			if both, ok := pairOf(composed[base], r); ok {
				composed[base] = both
				continue
			}
		}
		composed = append(composed, r)
		if of == 0 {
			base, between = len(composed)-1, nothing
		} else {
			between = of
		}
	}
	return composed
}

// pairOf is the character that two compose to, if there is one. x/text (0.35) mistakes characters for others whose last 16 bits are the same,
// as U+10041 for A; what it made of them does not decompose to them.
func pairOf(first, second rune) (rune, bool) {
	text := string([]rune{first, second})
	composed := norm.NFC.String(text)
	r, size := utf8.DecodeRuneInString(composed)
	return r, size == len(composed) && changes(r) && norm.NFD.String(composed) == norm.NFD.String(text)
}
