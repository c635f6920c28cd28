package tokens_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv/tokens"
)

// folder makes a folder with files.
func folder(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// form is the tokenizer.json of a small tokenizer that Hugging Face's library trained.
func form(t testing.TB, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("../../internal/tokenizer/testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var golden struct{ Tokenizer json.RawMessage }
	if err := json.Unmarshal(data, &golden); err != nil {
		t.Fatal(err)
	}
	return string(golden.Tokenizer)
}

// load loads one of them, with a tokenizer_config.json.
func load(t testing.TB, name, config string) *tokens.Tokenizer {
	t.Helper()
	tokenizer, err := tokens.Load(folder(t, map[string]string{"tokenizer.json": form(t, name), "tokenizer_config.json": config}))
	if err != nil {
		t.Fatal(err)
	}
	return tokenizer
}

func ints(t *tensors.Tensor) []int32 { return tensors.MustCopyFlatData[int32](t) }

func TestPadding(t *testing.T) {
	words := tokens.MustWords([]string{"<pad>", "the", "cat", "sat"})
	texts := []string{"the cat sat", "sat"}
	for _, c := range []struct {
		options tokens.Options
		ids     []int32
		mask    []int32
		labels  string
		found   string
	}{
		{tokens.Options{Padding: tokens.Left, Pad: "<pad>"}, []int32{1, 2, 3, 0, 0, 3}, []int32{1, 1, 1, 0, 0, 1},
			"[[the cat sat] [<pad> <pad> sat]]", "[[2] [2]]"},
		{tokens.Options{Padding: tokens.Right, Pad: "<pad>", Length: 4}, []int32{1, 2, 3, 0, 3, 0, 0, 0}, []int32{1, 1, 1, 0, 1, 0, 0, 0},
			"[[the cat sat <pad>] [sat <pad> <pad> <pad>]]", "[[2] [0]]"},
		{tokens.Options{Padding: tokens.Left, Pad: "the", Length: 4}, []int32{1, 1, 2, 3, 1, 1, 1, 3}, []int32{0, 1, 1, 1, 0, 0, 0, 1},
			"[[the the cat sat] [the the the sat]]", "[[3] [3]]"},
	} {
		batch, err := words.Encode(c.options, texts...)
		if err != nil {
			t.Fatal(err)
		}
		inputs := batch.Inputs()
		ids, mask := inputs["input_ids"], inputs["attention_mask"]
		if !slices.Equal(ints(ids), c.ids) || !slices.Equal(ints(mask), c.mask) || len(inputs) != 2 ||
			!slices.Equal(ids.Shape().Dimensions, []int{2, batch.Positions()}) || !slices.Equal(mask.Shape().Dimensions, ids.Shape().Dimensions) {
			t.Errorf("%+v: got %v and %v", c.options, ids, mask)
		}
		if got := fmt.Sprint(batch.Labels()); got != c.labels {
			t.Errorf("%+v: got labels %s, wanted %s", c.options, got, c.labels)
		}
		if got := fmt.Sprint(batch.MustFind("sat")); got != c.found {
			t.Errorf("%+v: found sat at %s, wanted %s", c.options, got, c.found)
		}
		if got := fmt.Sprint(batch.IDs()); got != "[[1 2 3] [3]]" || batch.Texts() != 2 {
			t.Errorf("%+v: got ids %s", c.options, got)
		}
	}
}

// Which token pads: one that was asked for, the tokenizer's, the one that ends texts, or none.
func TestPad(t *testing.T) {
	for name, c := range map[string]struct {
		config, model, options, want string
	}{
		"asked":       {`{"pad_token": "<s>", "eos_token": "</s>"}`, `{}`, "<unk>", "<unk>"},
		"own":         {`{"pad_token": "<s>", "eos_token": "</s>"}`, `{}`, "", "<s>"},
		"end":         {`{"eos_token": {"content": "</s>", "lstrip": false}, "pad_token": null}`, `{"eos_token_id": 0}`, "", "</s>"},
		"model's end": {`{}`, `{"eos_token_id": 2}`, "", "</s>"},
		"of several":  {`{}`, `{"eos_token_id": [1, 2]}`, "", "<s>"},
		"none":        {`{}`, `{"eos_token_id": null}`, "", ""},
		"no token":    {`{}`, `{"eos_token_id": 99999}`, "", ""},
	} {
		dir := folder(t, map[string]string{"tokenizer.json": form(t, "llama2"), "tokenizer_config.json": c.config, "config.json": c.model})
		tokenizer, err := tokens.Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		batch, err := tokenizer.Encode(tokens.Options{Padding: tokens.Right, Pad: c.options}, "the the", "the")
		if c.want == "" {
			wanted.Refusal(t, err, "a token to pad with")
			continue
		}
		if err != nil || batch.Labels()[1][1] != c.want {
			t.Errorf("%s: got %v, wanted %s (%v)", name, batch, c.want, err)
		}
		// The same once more, from what Save writes.
		saved := t.TempDir()
		if err := tokenizer.Save(saved); err != nil {
			t.Fatal(err)
		}
		again, err := tokens.MustLoad(saved).Encode(tokens.Options{Padding: tokens.Right, Pad: c.options}, "the the", "the")
		if err != nil || fmt.Sprint(again.Labels()) != fmt.Sprint(batch.Labels()) {
			t.Errorf("%s, saved: got %v (%v)", name, again, err)
		}
	}
	// The map of special tokens, where the config says nothing.
	tokenizer, err := tokens.Load(folder(t, map[string]string{"tokenizer.json": form(t, "llama2"), "special_tokens_map.json": `{"pad_token": "<unk>"}`}))
	if err != nil {
		t.Fatal(err)
	}
	if got := tokenizer.MustEncode(tokens.Options{Padding: tokens.Left}, "the the", "the").Labels()[1][0]; got != "<unk>" {
		t.Errorf("got %s, wanted <unk>", got)
	}
}

func TestSpecial(t *testing.T) {
	llama := load(t, "llama3", `{"bos_token": "<|begin_of_text|>", "add_bos_token": true}`)
	for special, want := range map[bool]string{true: "[[<|begin_of_text|> t he _cat]]", false: "[[t he _cat]]"} {
		if got := fmt.Sprint(llama.MustEncode(tokens.Options{AddSpecial: special}, "the cat").Labels()); got != want {
			t.Errorf("AddSpecial %t: got %s, wanted %s", special, got, want)
		}
	}
	if got := fmt.Sprint(llama.MustEncode(tokens.Options{}, "<|begin_of_text|>the").Labels()); got != "[[<|begin_of_text|> t he]]" {
		t.Errorf("spelled out: got %s", got)
	}
}

// GPT-2's own two files make the same tokens as its tokenizer.json.
func TestVocabularyAndMerges(t *testing.T) {
	var file struct {
		Model struct {
			Vocab  json.RawMessage
			Merges [][2]string
		}
	}
	text := form(t, "gpt2")
	if err := json.Unmarshal([]byte(text), &file); err != nil {
		t.Fatal(err)
	}
	merges := "#version: 0.2\n"
	for _, m := range file.Model.Merges {
		merges += m[0] + " " + m[1] + "\n"
	}
	files := map[string]string{"vocab.json": string(file.Model.Vocab), "merges.txt": merges, "config.json": `{"model_type": "gpt2"}`}
	old, err := tokens.Load(folder(t, files))
	if err != nil {
		t.Fatal(err)
	}
	want := load(t, "gpt2", `{}`)
	texts := []string{"The capital of France", "it's  12!\n\n é<|endoftext|>the"}
	for _, text := range texts {
		if got, want := old.MustEncode(tokens.Options{AddSpecial: true}, text).IDs(), want.MustEncode(tokens.Options{}, text).IDs(); !slices.Equal(got[0], want[0]) {
			t.Errorf("%q: got %v, wanted %v", text, got, want)
		}
	}
	files["tokenizer_config.json"] = `{"tokenizer_class": "GPT2Tokenizer", "add_bos_token": true, "bos_token": "<|endoftext|>"}`
	old = tokens.MustLoad(folder(t, files))
	if got := fmt.Sprint(old.MustEncode(tokens.Options{AddSpecial: true}, "the cat").Labels()); got != "[[<|endoftext|> t he _cat]]" {
		t.Errorf("got %s", got)
	}
	files["tokenizer_config.json"] = `{"tokenizer_class": "Qwen2Tokenizer"}`
	_, err = tokens.Load(folder(t, files))
	wanted.Refusal(t, err, `tokenizer_class: got "Qwen2Tokenizer", wanted GPT2Tokenizer`)
}

func TestLoadRefusals(t *testing.T) {
	_, err := tokens.Load(folder(t, nil))
	wanted.Refusal(t, err, "got no tokenizer, wanted tokenizer.json")
	_, err = tokens.Load(folder(t, map[string]string{"tokenizer.model": "x"}))
	wanted.Refusal(t, err, "got tokenizer.model, wanted tokenizer.json, or vocab.json and merges.txt; to write one")
	_, err = tokens.Load(folder(t, map[string]string{"tokenizer.json": form(t, "gpt2"), "tokenizer_config.json": `{"eos_token": "</s>"}`}))
	wanted.Refusal(t, err, `eos_token: got "</s>", wanted a token of the tokenizer`)
	for name, files := range map[string]map[string]string{
		"other model":   {"tokenizer.json": `{"model": {"type": "Unigram"}}`},
		"broken":        {"tokenizer.json": `{`},
		"broken config": {"tokenizer.json": form(t, "gpt2"), "tokenizer_config.json": `{"pad_token": 3}`},
		"no merges":     {"vocab.json": `{}`},
	} {
		if tokenizer, err := tokens.Load(folder(t, files)); err == nil || tokenizer != nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v (%v)", name, tokenizer, err)
		}
	}
}

func TestFind(t *testing.T) {
	gpt2, llama, composing := load(t, "gpt2", `{}`), load(t, "llama2", `{}`), load(t, "qwen", `{}`) // the last puts texts into NFC
	words := tokens.MustWords([]string{"the", "cat", "sat", "on", "mat", "theater"})
	for _, c := range []struct {
		tokenizer    *tokens.Tokenizer
		text, piece  string
		every, words string // the positions, or words of the error
	}{
		{gpt2, "the cat sat on the mat", " cat", "[[2]]", ""}, // t he _cat …
		{gpt2, "the cat sat on the mat", "cat", "[[2]]", ""},
		{gpt2, "the cat sat on the mat", "cat sat", "[[2 3]]", ""},
		{gpt2, "the cat sat on the mat", " the", "[[5]]", ""},
		{gpt2, "the cat sat on the mat", "the", "", "it 2 times, at positions 1, 5 in the tokens 0 t 1 he 2 _cat"},
		{gpt2, "the cat sat", "at", "", "it beginning within the token _cat"},
		{gpt2, "the cat sat", "ca", "", "it ending within the token _cat"},
		{gpt2, "the cat sat", "dog", "", "no such piece in the tokens 0 t 1 he 2 _cat 3 _sat"},
		{gpt2, "the cat sat", "", "", "no such piece"},
		{gpt2, "é é!", " é", "[[2 3 4]]", ""}, // each byte is a token
		{gpt2, "the", "the the", "", "no such piece"},
		{llama, "the cat sat", "the", "[[0]]", ""},
		{llama, "the cat sat", " cat", "[[1]]", ""},
		{llama, " the cat", "the", "[[1]]", ""}, // after the space put in
		{composing, "the e\u0301 cat", " cat", "[[4]]", ""},
		{composing, "the e\u0301 cat", "e\u0301", "[[2 3]]", ""}, // é, in two bytes
		{composing, "the e\u0301 cat", "the e\u0301", "[[0 1 2 3]]", ""},
		{composing, "the u\u0301 cat", "u", "", "it ending within the token \\xba"},
		{composing, "the e\u0301 cat", "é", "", "no such piece"},     // pieces are of the text as it was given
		{composing, "the e\u0323\u0301 cat", "cat", "[[7]]", ""},     // a sequence that composes out of order
		{composing, "the \u212b cat", "\u212b cat", "[[2 3 4]]", ""}, // one character for another
		{words, "the cat  sat", " sat", "[[2]]", ""},
		{words, "the cat  sat", "the cat", "[[0 1]]", ""},
		{words, "the theater", "the", "[[0]]", ""}, // the other is not a whole token
		{words, "the cat", " ", "", "as white space between tokens"},
	} {
		batch := c.tokenizer.MustEncode(tokens.Options{}, c.text)
		got, err := batch.FindEvery(c.piece)
		if c.words != "" {
			wanted.Refusal(t, err, c.words)
			continue
		}
		if err != nil || fmt.Sprint(got) != c.every {
			t.Errorf("%q in %v: got %v, wanted %s (%v)", c.piece, batch.Labels(), got, c.every, err)
		}
	}
	batch := words.MustEncode(tokens.Options{Padding: tokens.Left, Pad: "mat"}, "the cat sat on", "the mat")
	if got := fmt.Sprint(batch.MustFind("the cat", "the mat")); got != "[[1] [3]]" {
		t.Errorf("one piece for each text: got %s", got)
	}
	if got := fmt.Sprint(batch.MustFindEvery("the")); got != "[[0] [2]]" {
		t.Errorf("one for all: got %s", got)
	}
	_, err := batch.Find("the", "the", "the")
	wanted.Refusal(t, err, "pieces: got 3, wanted 1, or 2")
	_, err = batch.Find("cat")
	wanted.Refusal(t, err, `text 1: "cat": got no such piece in the tokens 0 the 1 mat, wanted it once`)
}

func TestID(t *testing.T) {
	gpt2, llama, words := load(t, "gpt2", `{}`), load(t, "llama2", `{}`), tokens.MustWords([]string{"cat", "mat"})
	for _, c := range []struct {
		tokenizer   *tokens.Tokenizer
		text, label string
	}{{gpt2, " cat", "_cat"}, {gpt2, "\n", `\n`}, {llama, " cat", "_cat"}, {llama, "cat", "_cat"}, {words, " mat", "mat"}} {
		if got := c.tokenizer.Label(c.tokenizer.MustID(c.text)); got != c.label {
			t.Errorf("%q: got %s, wanted %s", c.text, got, c.label)
		}
	}
	_, err := gpt2.ID(" cats")
	wanted.Refusal(t, err, `text " cats": got 2 tokens: 0 _cat 1 s, wanted one`)
	_, err = words.ID("rat")
	wanted.Refusal(t, err, `did you mean "cat"?`)
}

func TestLabel(t *testing.T) {
	gpt2 := load(t, "gpt2", `{}`)
	batch := gpt2.MustEncode(tokens.Options{}, "a\t\n \"\\é")
	if got := fmt.Sprint(batch.Labels()); got != `[[a \t \n _ " \ \xc3 \xa9]]` {
		t.Errorf("got %q", got)
	}
	if got := gpt2.Decode(batch.IDs()[0]); got != "a\t\n \"\\é" {
		t.Errorf("got %q back", got)
	}
	if got := gpt2.Label(gpt2.Size() + 3); got != fmt.Sprintf("<%d>", gpt2.Size()+3) {
		t.Errorf("an id without a token: got %s", got)
	}
}

func TestEncodeRefusals(t *testing.T) {
	words := tokens.MustWords([]string{"the", "cat"})
	for name, c := range map[string]struct {
		options tokens.Options
		texts   []string
		words   string
	}{
		"no texts":     {tokens.Options{}, nil, "texts: got none"},
		"empty":        {tokens.Options{}, []string{"the", " "}, `text 1: got " ", which has no tokens`},
		"unknown word": {tokens.Options{}, []string{"the cats"}, `text 0: got "cats", wanted words or characters of the vocabulary, as it has no token for unknown ones; did you mean "cat"?`},
		"lengths":      {tokens.Options{}, []string{"the cat", "the"}, "text 1: got 1 tokens, wanted 2, as there is no padding"},
		"too long":     {tokens.Options{Padding: tokens.Left, Pad: "the", Length: 1}, []string{"the cat"}, "text 0: got 2 tokens: 0 the 1 cat, wanted at most 1"},
		"no pad":       {tokens.Options{Padding: tokens.Left}, []string{"the cat", "the"}, "options: Pad: got none"},
		"unknown pad":  {tokens.Options{Padding: tokens.Left, Pad: "<pad>"}, []string{"the cat", "the"}, `options: Pad: got "<pad>", wanted a token`},
		"no UTF-8":     {tokens.Options{}, []string{"\xff"}, "UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := words.Encode(c.options, c.texts...)
			wanted.Refusal(t, err, c.words)
		})
	}
	for _, vocabulary := range [][]string{nil, {""}, {"a b"}, {"a "}, {"a", "a"}} {
		_, err := tokens.Words(vocabulary)
		wanted.Refusal(t, err, "vocabulary: ")
	}
}

func TestSaveWords(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	words := tokens.MustWords([]string{"the", "cat", "\"<é>\""})
	if err := words.Save(dir); err != nil {
		t.Fatal(err)
	}
	got := tokens.MustLoad(dir).MustEncode(tokens.Options{}, "cat \"<é>\" the").IDs()
	if fmt.Sprint(got) != "[[1 2 0]]" {
		t.Errorf("got %v", got)
	}
}
