package tokenizer

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// golden is a file of testdata: a tokenizer, and what Hugging Face's library makes of texts with it.
type golden struct {
	Tokenizer json.RawMessage
	Cases     []struct {
		Text         string
		IDs, Special []int
		Spans        [][2]int // of whole characters
		Decoded      string
	}
}

func load(t testing.TB, path string) (*Tokenizer, golden) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var g golden
	if err := json.Unmarshal(data, &g); err != nil {
		t.Fatal(err)
	}
	tokenizer, err := Parse(g.Tokenizer)
	if err != nil {
		t.Fatal(err)
	}
	return tokenizer, g
}

func ids(tokens []Token) []int {
	list := []int{}
	for _, token := range tokens {
		list = append(list, token.ID)
	}
	return list
}

// characters widens a span to whole characters.
func characters(text string, token Token) (start, end int) {
	for start = token.Start; start > 0 && start < len(text) && !utf8.RuneStart(text[start]); start-- {
	}
	for end = token.End; end < len(text) && !utf8.RuneStart(text[end]); end++ {
	}
	return start, end
}

func TestGolden(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.json")
	if err != nil || len(paths) != 16 {
		t.Fatalf("got %d files, wanted 16 (%v)", len(paths), err)
	}
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".json")
		t.Run(name, func(t *testing.T) {
			tokenizer, g := load(t, path)
			for _, c := range g.Cases {
				plain, err := tokenizer.Encode(c.Text, false)
				if err != nil {
					t.Fatal(err)
				}
				if got := ids(plain); !slices.Equal(got, c.IDs) {
					t.Errorf("%q: got %v, wanted %v", c.Text, got, c.IDs)
					continue
				}
				for i, token := range plain {
					start, end := characters(c.Text, token)
					if want := c.Spans[i]; start > want[0] || end < want[1] && start < end {
						t.Errorf("%q, token %d: got bytes %d to %d, wanted %v", c.Text, i, start, end, want)
					}
				}
				if special, err := tokenizer.Encode(c.Text, true); err != nil || !slices.Equal(ids(special), c.Special) {
					t.Errorf("%q with special tokens: got %v, wanted %v (%v)", c.Text, ids(special), c.Special, err)
				}
				if got := tokenizer.Decode(c.IDs); got != c.Decoded {
					t.Errorf("%v: got text %q, wanted %q", c.IDs, got, c.Decoded)
				}
			}
		})
	}
}

// Where a token came from, to the byte, and what is shown of it.
func TestSpans(t *testing.T) {
	for _, c := range []struct{ file, text, want string }{
		{"gpt2", "the cat é", `0-1"t" 1-3"he" 3-7" cat" 7-8" " 8-9"\xc3" 9-10"\xa9"`},
		{"roberta", "the cat", `0-3" the" 3-7" cat"`},
		{"pythia", "e\u0301\u0301<mask>", `0-5"\xc3" 0-5"\xa9" 0-5"\xcc" 0-5"\x81" 5-11"<mask>"`},
		{"pythia", "a <mask> <right>  b", `0-1"a" 1-8"<mask>" 8-9" " 9-18"<right>" 16-18"  " 18-19"b"`},
		{"llama2", "the cat é", `0-3" the" 3-7" cat" 7-8" " 8-9"\xc3" 9-10"\xa9"`},
		{"llama2", " the", `0-0" " 0-4" the"`},
		{"mistral", "the<s>the", `0-3" the" 3-6"<s>" 6-7"t" 7-9"he"`},
		{"words", "the  cat", `0-3"the" 5-8"cat"`},
	} {
		tokenizer, _ := load(t, filepath.Join("testdata", c.file+".json"))
		tokens, err := tokenizer.Encode(c.text, false)
		var got []string
		for _, token := range tokens {
			got = append(got, fmt.Sprintf("%d-%d%q", token.Start, token.End, tokenizer.Text(token.ID)))
		}
		if text := strings.Join(got, " "); text != c.want || err != nil {
			t.Errorf("%s, %q: got %s, wanted %s (%v)", c.file, c.text, text, c.want, err)
		}
	}
}

func TestWords(t *testing.T) {
	text, err := Words([]string{"the", "cat", "sat"})
	if err != nil {
		t.Fatal(err)
	}
	tokenizer, err := Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := tokenizer.Encode(" the\tcat  sat\n", true)
	want := []Token{{0, 1, 4}, {1, 5, 8}, {2, 10, 13}}
	if err != nil || !slices.Equal(tokens, want) {
		t.Errorf("got %v, wanted %v (%v)", tokens, want, err)
	}
	if got := tokenizer.Decode([]int{2, 0, 7}); got != "sat the <7>" || tokenizer.Size() != 3 {
		t.Errorf("got %q of %d words", got, tokenizer.Size())
	}
	_, err = tokenizer.Encode("the cats", false)
	if err == nil || !strings.Contains(err.Error(), `got "cats"`) || !strings.Contains(err.Error(), `did you mean "cat"?`) {
		t.Errorf("got %v", err)
	}
	if _, err := tokenizer.Encode("\xff", false); err == nil || !strings.Contains(err.Error(), "UTF-8") {
		t.Errorf("got %v", err)
	}
}

func TestExpressions(t *testing.T) {
	for _, c := range []struct {
		expression, text string
		want             string // the matches, or a word of the error
	}{
		{gpt2Pattern, "it's  12x!\n\n b", "[it 's    12 x ! \n\n  b]"},
		{`\s+(?!\S)|\s+`, " \u3000 a\u0085", "[ \u3000   \u0085]"},
		{`(?i:'s)|\d{1,2}`, "'S123", "['S 12 3]"},
		{`(a|b)c| [^\s\]\-x]+`, "bc -a\u00a0", "[bc]"},
		{`[一-龥]+|.`, "一二a", "[一二 a]"},
		{`\P{L}\p{Lu}`, ".A.b", "[.A]"},
		{`a(?=b)`, "", "look-ahead"},
		{`a\s+(?!\S)|\s+`, "", "look-ahead"},
		{`a\|\s+(?!\S)|\s+`, "", "look-ahead"},
		{`(?<!a)b`, "", "plain group"},
		{`a++`, "", "alone"},
		{`a??`, "", "alone"},
		{`a{,3}`, "", "{n,m}"},
		{`[a[b]]`, "", "within a class"},
		{`[a&&b]`, "", "within a class"},
		{`[[:alpha:]]`, "", "within a class"},
		{`[]a]`, "", "begins with ]"},
		{`[\S]`, "", "escaped punctuation"},
		{`\w+`, "", "escaped punctuation"},
		{`\bx`, "", "escaped punctuation"},
		{`\p{Alnum}`, "", "invalid character class"},
		{`^a`, "", "anchor"},
		{`a*`, "", "nothing at all"},
		{`a\`, "", "at the end"},
		{`(a`, "", "missing closing"},
	} {
		e, err := parseExpression(c.expression)
		if err != nil {
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: got %v, wanted an error that says %q", c.expression, err, c.want)
			}
			continue
		}
		var found []string
		for _, m := range e.find(c.text) {
			found = append(found, c.text[m[0]:m[1]])
		}
		if got := fmt.Sprint(found); got != c.want {
			t.Errorf("%s: got %q, wanted %q", c.expression, got, c.want)
		}
	}
}

func TestRefusals(t *testing.T) {
	bpe := `"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}`
	for name, c := range map[string]struct{ text, words string }{
		"no JSON":              {`x`, "invalid character"},
		"no model":             {`{}`, "model: "},
		"unknown field":        {`{` + bpe + `, "extra": 1}`, `field: got "extra"`},
		"unknown model":        {`{"model": {"type": "Unigram", "vocab": [["a", -1]]}}`, `model: got "Unigram", wanted one of those that Govene has: BPE, WordLevel`},
		"WordPiece":            {`{"model": {"type": "WordPiece", "vocab": {}}}`, `"WordPiece"`},
		"neither":              {`{"model": {"vocab": {"a": 0}}}`, "neither type nor merges"},
		"no vocabulary":        {`{"model": {"type": "BPE", "merges": []}}`, "no vocabulary"},
		"unknown token":        {`{"model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "u"}}`, `got unknown token "u"`},
		"ids twice":            {`{"model": {"type": "BPE", "vocab": {"a": 0, "b": 0}, "merges": []}}`, `got id 0 for "a" and "b"`},
		"negative id":          {`{"model": {"type": "BPE", "vocab": {"a": -1}, "merges": []}}`, "wanted ids from 0"},
		"dropout":              {`{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [], "dropout": 0.1}}`, "dropout 0.1"},
		"suffix":               {`{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [], "end_of_word_suffix": "</w>"}}`, `"</w>"`},
		"merge of three":       {`{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": ["a a a"]}}`, "merge 0"},
		"merges of numbers":    {`{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [1]}}`, "merges"},
		"missing bytes":        {`{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [], "byte_fallback": true}}`, "no token <0x00>"},
		"normalizer":           {`{` + bpe + `, "normalizer": {"type": "Lowercase"}}`, `normalizer: got "Lowercase"`},
		"in a sequence":        {`{` + bpe + `, "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "BertNormalizer"}]}}`, `"BertNormalizer"`},
		"sequence without any": {`{` + bpe + `, "normalizer": {"type": "Sequence"}}`, "wanted the fields type and normalizers"},
		"regex in Replace":     {`{` + bpe + `, "normalizer": {"type": "Replace", "pattern": {"Regex": "a"}, "content": ""}}`, "replace: got a regular expression"},
		"pre-tokenizer":        {`{` + bpe + `, "pre_tokenizer": {"type": "BertPreTokenizer"}}`, `pre_tokenizer: got "BertPreTokenizer"`},
		"field":                {`{` + bpe + `, "pre_tokenizer": {"type": "ByteLevel", "new": true}}`, `field: got "new"`},
		"behavior":             {`{` + bpe + `, "pre_tokenizer": {"type": "Split", "pattern": {"String": "a"}, "behavior": "Merged"}}`, `behavior "Merged"`},
		"expression":           {`{` + bpe + `, "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "\\w"}, "behavior": "Isolated"}}`, "regular expression"},
		"metaspace":            {`{` + bpe + `, "pre_tokenizer": {"type": "Metaspace", "replacement": "_", "prepend_scheme": "last"}}`, `scheme "last"`},
		"post-processor":       {`{` + bpe + `, "post_processor": {"type": "Other"}}`, `post_processor: got "Other"`},
		"template":             {`{` + bpe + `, "post_processor": {"type": "TemplateProcessing", "single": [], "pair": [], "special_tokens": {}}}`, "the text 0 times"},
		"template's token":     {`{` + bpe + `, "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "x", "type_id": 0}}], "special_tokens": {}}}`, `special token "x"`},
		"special id":           {`{` + bpe + `, "post_processor": {"type": "BertProcessing", "sep": ["b", 1], "cls": ["c", 9]}}`, "post_processor: got id 9"},
		"decoder":              {`{` + bpe + `, "decoder": {"type": "WordPiece"}}`, `decoder: got "WordPiece"`},
		"strip":                {`{` + bpe + `, "decoder": {"type": "Strip", "content": "ab", "start": 1, "stop": 0}}`, "one character"},
		"added id":             {`{` + bpe + `, "added_tokens": [{"id": 5, "content": "a"}]}`, "got id 5, wanted 0"},
		"added twice":          {`{` + bpe + `, "added_tokens": [{"id": 5, "content": "x"}, {"id": 5, "content": "y"}]}`, `got id 5 for "x" and "y"`},
		"single word":          {`{` + bpe + `, "added_tokens": [{"id": 5, "content": "x", "single_word": true}]}`, "single_word"},
		"empty":                {`{` + bpe + `, "added_tokens": [{"id": 5, "content": ""}]}`, "wanted a text"},
	} {
		t.Run(name, func(t *testing.T) {
			if tokenizer, err := Parse([]byte(c.text)); err == nil || !strings.Contains(err.Error(), c.words) || tokenizer != nil {
				t.Errorf("got %v, wanted an error that says %q", err, c.words)
			}
		})
	}
	tokenizer, err := Parse([]byte(`{` + bpe + `}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tokenizer.Encode("abc", false); err == nil || !strings.Contains(err.Error(), `got "c"`) {
		t.Errorf("a character without a token: got %v", err)
	}
	// Merges of what is no token never come to pass; one to what is none is refused when it does.
	if tokenizer, err = Parse([]byte(`{"model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": [["a", "c"], ["a", "b"]]}}`)); err != nil {
		t.Fatal(err)
	}
	if tokens, err := tokenizer.Encode("aba", false); err == nil || !strings.Contains(err.Error(), `merge 1: got "a" and "b", wanted their union`) {
		t.Errorf("a merge to no token: got %v (%v)", tokens, err)
	}
	if tokens, err := tokenizer.Encode("ba", false); err != nil || len(tokens) != 2 {
		t.Errorf("got %v (%v)", tokens, err)
	}
}

// FuzzParse wants no panic, neither from a file nor from its use, and tokens that lie in the text. The file comes in parts, so that what
// changes in one leaves the others whole; BYTES in a model stands for the tokens of all bytes.
func FuzzParse(f *testing.F) {
	var bytes strings.Builder
	for b := range 256 {
		fmt.Fprintf(&bytes, `"%s": %d, `, byteToken(byte(b)), 20+b)
	}
	models := []string{
		`{"type": "BPE", "vocab": {"Ġ": 10, "t": 11, "h": 12, "e": 13, "th": 14, "the": 15, "Ġthe": 16}, "unk_token": "t", "merges": [["t", "h"], ["th", "e"], ["Ġ", "the"]]}`,
		`{"type": "BPE", "vocab": {BYTES"▁": 10, "t": 11, "h": 12, "th": 13}, "byte_fallback": true, "fuse_unk": true, "merges": ["t h"], "ignore_merges": true}`,
		`{"type": "WordLevel", "vocab": {"the": 10, "cat": 11, "<u>": 12}, "unk_token": "<u>"}`,
	}
	paths, _ := filepath.Glob("testdata/*.json")
	for i, path := range paths {
		_, g := load(f, path)
		var parts file
		if err := json.Unmarshal(g.Tokenizer, &parts); err != nil {
			f.Fatal(err)
		}
		added, _ := json.Marshal(parts.AddedTokens)
		f.Add([]byte(models[i%len(models)]), []byte(parts.Normalizer), []byte(parts.PreTokenizer), []byte(parts.PostProcessor), []byte(parts.Decoder), added, "the cat's  é e\u0301 12\n<s>")
	}
	f.Add([]byte(models[0]), []byte(`{"type": "Replace", "pattern": {"String": "b"}, "content": ""}`),
		[]byte(`{"type": "Split", "pattern": {"Regex": "a+"}, "behavior": "Contiguous", "invert": true}`), []byte("null"),
		[]byte(`{"type": "Metaspace", "replacement": "_", "prepend_scheme": "first"}`), []byte(`[{"id": 9, "content": "x", "lstrip": true, "rstrip": true}]`), "abb  x cc")
	f.Fuzz(func(t *testing.T, model, normalizer, preTokenizer, postProcessor, decoder, added []byte, text string) {
		tokenizer, err := Parse(fmt.Appendf(nil, `{"model": %s, "normalizer": %s, "pre_tokenizer": %s, "post_processor": %s, "decoder": %s, "added_tokens": %s}`,
			strings.Replace(string(model), "BYTES", bytes.String(), 1), normalizer, preTokenizer, postProcessor, decoder, added))
		if err != nil {
			return
		}
		tokens, err := tokenizer.Encode(text, true)
		if err != nil {
			return
		}
		for _, token := range tokens {
			if token.Start < 0 || token.End < token.Start || token.End > len(text) {
				t.Fatalf("%q: got token %v", text, token)
			}
			tokenizer.Text(token.ID)
		}
		tokenizer.Decode(ids(tokens))
	})
}

// FuzzScan wants the tables that encoding/json reads, or none.
func FuzzScan(f *testing.F) {
	for _, text := range []string{
		`{"model": {"vocab": {"a": 0, "\u0120b": 1, "\"\\": 2}, "merges": ["a a", "b c"]}}`,
		`{"a": [1, {"b": "]"}], "model": {"merges": [["a", "a"], ["\n", " "]], "vocab": {"a": 10, "a": 11}, "type": "BPE"}, "z": null}`,
		`{"model": {"vocab": {"a": 0}, "merges": [], "Vocab": {"b": 1}}, "MODEL": {}}`,
		`{"model": {"vocab": {"a": 1.5}, "merges": ["a  b"]}}`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		rest, tables, ok := scan(text)
		if !ok {
			return
		}
		var got, want struct{ Model modelFile }
		if json.Unmarshal([]byte(rest), &got) != nil {
			return // what is left is read by that
		}
		if err := json.Unmarshal([]byte(text), &want); err != nil {
			t.Fatalf("%q: got tables, wanted %v", text, err)
		}
		ids := map[string]int{}
		for _, e := range tables.entries {
			ids[e.text] = e.id
		}
		merges, err := parseMerges(want.Model.Merges)
		if err != nil || !maps.Equal(ids, want.Model.Vocabulary) || !slices.Equal(tables.merges, merges) {
			t.Fatalf("%q: got %v, wanted %v and %v (%v)", text, tables, want.Model.Vocabulary, merges, err)
		}
		if len(got.Model.Vocabulary) > 0 || string(got.Model.Merges) != "[]" || got.Model.Type != want.Model.Type {
			t.Fatalf("%q: got %q left", text, rest)
		}
	})
}

// FuzzByteLevel wants a byte-level tokenizer without a normalizer to give back every text, with tokens that follow one another.
func FuzzByteLevel(f *testing.F) {
	gpt2, g := load(f, "testdata/gpt2.json")
	llama3, _ := load(f, "testdata/llama3.json")
	for _, c := range g.Cases {
		f.Add(c.Text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) || len(text) > 1000 {
			return
		}
		for _, tokenizer := range []*Tokenizer{gpt2, llama3} {
			tokens, err := tokenizer.Encode(text, false)
			if err != nil {
				t.Fatal(err)
			}
			end := 0
			for _, token := range tokens {
				if token.Start != end || tokenizer.Text(token.ID) != text[token.Start:token.End] {
					t.Fatalf("%q: got %v after byte %d", text, token, end)
				}
				end = token.End
			}
			if got := tokenizer.Decode(ids(tokens)); got != text || end != len(text) {
				t.Fatalf("%q: got %q back", text, got)
			}
		}
	})
}

// The time a byte takes does not grow with the text.
func BenchmarkEncode(b *testing.B) {
	_, g := load(b, "testdata/gpt2.json")
	for _, name := range []string{"gpt2", "llama2"} {
		tokenizer, _ := load(b, filepath.Join("testdata", name+".json"))
		for _, times := range []int{10, 100, 10_000} {
			text := strings.Repeat(g.Cases[5].Text+" ", times)
			b.Run(fmt.Sprintf("%s/%d bytes", name, len(text)), func(b *testing.B) {
				b.SetBytes(int64(len(text)))
				for b.Loop() {
					if _, err := tokenizer.Encode(text, true); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
