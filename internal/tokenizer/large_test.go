package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"unicode/utf8"
)

// size is how large a tokenizer is, and how its file is written.
type size struct {
	name           string
	tokens, merges int
	pairs          bool // merges as ["a", "b"], not "a b"
	spaces         bool // spaces and bytes of SentencePiece, not byte-level
}

// sizes are those of tokenizers that people use.
var sizes = []size{
	{"gpt2", 50_257, 50_000, false, false},
	{"llama3", 128_000, 280_147, false, false},
	{"qwen3", 151_643, 151_387, false, false},
	{"gpt-oss", 199_998, 446_189, true, false},
	{"gemma3", 262_144, 514_906, true, true},
}

// synthetic is the tokenizer.json of random merges: each token is two shorter ones, and the merges left over make the same tokens of others.
func (s size) synthetic() []byte {
	draw := rand.New(rand.NewPCG(1, uint64(s.tokens)))
	var tokens []string
	ids := map[string]int{}
	add := func(token string) bool {
		if _, ok := ids[token]; ok {
			return false
		}
		ids[token] = len(tokens)
		tokens = append(tokens, token)
		return true
	}
	letters := byteRunes[:]
	if s.spaces {
		letters = []rune("▁")
		for r := rune('!'); r < 0x3000; r += 5 {
			letters = append(letters, r)
		}
		for b := range 256 {
			add(byteToken(byte(b)))
		}
	}
	for _, r := range letters {
		add(string(r))
	}
	var merges [][2]string
	few := slices.Clone(tokens[len(tokens)-len(letters):][:14]) // so that many parts of tokens are tokens
	for len(tokens) < s.tokens {
		m := [2]string{few[draw.IntN(len(few))], few[draw.IntN(min(len(few), 300))]}
		if utf8.RuneCountInString(m[0]+m[1]) <= 12 && add(m[0]+m[1]) {
			merges, few = append(merges, m), append(few, m[0]+m[1])
		}
	}
	made := map[[2]string]bool{}
	for _, m := range merges {
		made[m] = true
	}
	for _, token := range tokens {
		for at := range token {
			m := [2]string{token[:at], token[at:]}
			_, left := ids[m[0]]
			if _, right := ids[m[1]]; left && right && !made[m] && len(merges) < s.merges {
				merges = append(merges, m)
			}
		}
	}
	merges = merges[:min(len(merges), s.merges)]
	return s.write(tokens, merges)
}

// write writes a tokenizer as Hugging Face's library does.
func (s size) write(tokens []string, merges [][2]string) []byte {
	quoted := func(text string) []byte {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		_ = e.Encode(text)
		return bytes.TrimSpace(b.Bytes())
	}
	var b bytes.Buffer
	rest := `"normalizer": null, "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true}`
	if s.spaces {
		rest = `"normalizer": {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}, "pre_tokenizer": null`
	}
	fmt.Fprintf(&b, "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n  \"added_tokens\": [],\n  %s,\n  \"post_processor\": null,\n"+
		"  \"decoder\": null,\n  \"model\": {\n    \"type\": \"BPE\",\n    \"unk_token\": null,\n    \"byte_fallback\": %t,\n    \"vocab\": {\n", rest, s.spaces)
	for id, token := range tokens {
		fmt.Fprintf(&b, "      %s: %d,\n", quoted(token), id)
	}
	b.Truncate(b.Len() - 2)
	b.WriteString("\n    },\n    \"merges\": [\n")
	for _, m := range merges {
		if s.pairs {
			fmt.Fprintf(&b, "      [\n        %s,\n        %s\n      ],\n", quoted(m[0]), quoted(m[1]))
		} else {
			fmt.Fprintf(&b, "      %s,\n", quoted(m[0]+" "+m[1]))
		}
	}
	b.Truncate(b.Len() - 2)
	b.WriteString("\n    ]\n  }\n}\n")
	return b.Bytes()
}

func BenchmarkParse(b *testing.B) {
	for _, s := range sizes {
		text := s.synthetic()
		b.Logf("%s: %d bytes", s.name, len(text))
		b.Run(s.name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
