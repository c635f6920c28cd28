package tokenizer

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzSplit wants a pattern to be refused, or to cut a text into parts that follow one another and make up the text.
func FuzzSplit(f *testing.F) {
	for _, pattern := range []string{gpt2Pattern, `\p{Han}+|[^\S]`, `(?i:'s|[^\P{L}x])+`, `\p{^Lu}{1,3}`, `[\p{M}\d\-]+`} {
		for i, behavior := range []string{"Isolated", "Contiguous", "MergedWithPrevious", "MergedWithNext", "Removed"} {
			f.Add(pattern, "the cat's  é 12\n漢字 \u0301", behavior, i%2 == 0)
		}
	}
	f.Fuzz(func(t *testing.T, pattern, text, behavior string, invert bool) {
		if !utf8.ValidString(text) || len(pattern) > 200 || len(text) > 500 {
			return
		}
		e, err := parseExpression(pattern)
		if err != nil {
			return
		}
		end := 0
		matches := e.find(text)
		for _, m := range matches {
			if m[0] < end || m[1] <= m[0] || m[1] > len(text) || !utf8.ValidString(text[m[0]:m[1]]) {
				t.Fatalf("%q in %q: got %v", pattern, text, matches)
			}
			end = m[1]
		}
		end = 0
		for _, p := range whole(text).split(matches, behavior, invert) {
			start := 0
			if p.text != "" {
				start = p.from[0]
			}
			if p.text == "" || start < end || behavior != "Removed" && start != end || text[start:start+len(p.text)] != p.text {
				t.Fatalf("%q in %q, %s: got part %q", pattern, text, behavior, p.text)
			}
			end = start + len(p.text)
		}
		if behavior != "Removed" && end != len(text) {
			t.Fatalf("%q in %q, %s: got %d bytes", pattern, text, behavior, end)
		}
	})
}

// FuzzDecode wants a decoder to be refused, or to make valid text of any ids without a panic, the same each time.
func FuzzDecode(f *testing.F) {
	for _, decoder := range []string{`null`, `{"type": "ByteLevel"}`, `{"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always"}`,
		`{"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
		{"type": "Strip", "content": " ", "start": 1, "stop": 0}]}`} {
		f.Add([]byte(decoder), "a\n▁b\n<0xC3>\n<0xA9>\nĠc\n<0xZZ>", []byte{0, 1, 2, 3, 4, 5, 9, 2, 1})
	}
	f.Fuzz(func(t *testing.T, decoder []byte, texts string, of []byte) {
		list, err := parsed(decoder, "decoders", parseDecoder)
		if err != nil || !utf8.ValidString(texts) {
			return
		}
		tokenizer := &Tokenizer{decoders: list, vocabulary: &vocabulary{texts: newNames(8)}}
		for id, text := range slices.Compact(strings.Split(texts, "\n")) {
			if err := tokenizer.vocabulary.texts.set(id, text); err != nil {
				t.Fatal(err)
			}
		}
		ids := make([]int, len(of))
		for i, id := range of {
			ids[i] = int(id) - 1
			tokenizer.Text(ids[i])
		}
		if got := tokenizer.Decode(ids); !utf8.ValidString(got) || got != tokenizer.Decode(ids) {
			t.Fatalf("%s: got %q", decoder, got)
		}
	})
}
