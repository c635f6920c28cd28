package tokens_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv/tokens"
)

// Tokenizers of all classes put the tokens around a text that they put in Hugging Face's transformers, and so do they after they were saved.
func TestClasses(t *testing.T) {
	data, err := os.ReadFile("testdata/classes.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		BOS, EOS  string
		Processor bool
		Config    json.RawMessage
		Family    string
		IDs       []int
	}
	if err := json.Unmarshal(data, &cases); err != nil || len(cases) != 101 {
		t.Fatalf("got %d cases, wanted 101 (%v)", len(cases), err)
	}
	original := form(t, "llama2")
	for _, c := range cases {
		var fields map[string]json.RawMessage
		text := strings.NewReplacer(`"<s>"`, `"`+c.BOS+`"`, `"</s>"`, `"`+c.EOS+`"`).Replace(original)
		if err := json.Unmarshal([]byte(text), &fields); err != nil {
			t.Fatal(err)
		}
		if !c.Processor {
			fields["post_processor"] = json.RawMessage("null")
		}
		file, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		files := map[string]string{"tokenizer.json": string(file), "tokenizer_config.json": string(c.Config)}
		if c.Family != "" {
			files["config.json"] = `{"model_type": "` + c.Family + `"}`
		}
		tokenizer, err := tokens.Load(folder(t, files))
		if err != nil {
			t.Fatalf("%s: %v", c.Config, err)
		}
		saved := t.TempDir()
		if err := tokenizer.Save(saved); err != nil {
			t.Fatal(err)
		}
		for of, tokenizer := range map[string]*tokens.Tokenizer{"loaded": tokenizer, "saved": tokens.MustLoad(saved)} {
			if got := tokenizer.MustEncode(tokens.Options{AddSpecial: true}, "the cat").IDs()[0]; !slices.Equal(got, c.IDs) {
				t.Errorf("%s, %s %s: got %v, wanted %v", of, c.Config, c.Family, got, c.IDs)
			}
		}
	}
}

// What tokenizer_config.json says of spaces and of added tokens counts as in transformers, and after the tokenizer was saved.
func TestSettings(t *testing.T) {
	data, err := os.ReadFile("testdata/settings.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Tokenizer    string
		PreTokenizer json.RawMessage `json:"pre_tokenizer"`
		Config       json.RawMessage
		Texts        []struct {
			Text string
			IDs  []int
		}
	}
	if err := json.Unmarshal(data, &cases); err != nil || len(cases) != 105 {
		t.Fatalf("got %d cases, wanted 105 (%v)", len(cases), err)
	}
	for _, c := range cases {
		file := form(t, c.Tokenizer)
		if c.PreTokenizer != nil {
			var fields map[string]json.RawMessage
			if err := json.Unmarshal([]byte(file), &fields); err != nil {
				t.Fatal(err)
			}
			fields["pre_tokenizer"] = c.PreTokenizer
			made, err := json.Marshal(fields)
			if err != nil {
				t.Fatal(err)
			}
			file = string(made)
		}
		tokenizer, err := tokens.Load(folder(t, map[string]string{"tokenizer.json": file, "tokenizer_config.json": string(c.Config)}))
		if err != nil {
			t.Errorf("%s, %s: %v", c.Tokenizer, c.Config, err)
			continue
		}
		saved := t.TempDir()
		if err := tokenizer.Save(saved); err != nil {
			t.Fatal(err)
		}
		for of, tokenizer := range map[string]*tokens.Tokenizer{"loaded": tokenizer, "saved": tokens.MustLoad(saved)} {
			for _, text := range c.Texts {
				if got := tokenizer.MustEncode(tokens.Options{}, text.Text).IDs()[0]; !slices.Equal(got, text.IDs) {
					t.Errorf("%s, %s, %s %s, %q: got %v, wanted %v", of, c.Tokenizer, c.Config, c.PreTokenizer, text.Text, got, text.IDs)
				}
			}
		}
	}
	_, err = tokens.Load(folder(t, map[string]string{"tokenizer.json": form(t, "gpt2"),
		"tokenizer_config.json": `{"added_tokens_decoder": {"7": {"content": "th", "single_word": true}}}`}))
	if err == nil || !strings.Contains(err.Error(), `added token "th": got single_word`) {
		t.Errorf("got %v", err)
	}
}

func TestClassRefusals(t *testing.T) {
	for config, words := range map[string]string{
		`{"tokenizer_class": "GemmaTokenizer"}`:                                          "bos_token: got no token <bos>, wanted one, as tokenizers of class GemmaTokenizer put it around each text",
		`{"tokenizer_class": "GPTNeoXTokenizerFast", "add_eos_token": true}`:             "eos_token: got no token <|endoftext|>",
		`{"tokenizer_class": "GemmaTokenizerFast", "bos_token": {"content": "<other>"}}`: `bos_token: got "<other>", wanted a token`,
	} {
		_, err := tokens.Load(folder(t, map[string]string{"tokenizer.json": form(t, "llama2"), "tokenizer_config.json": config}))
		wanted.Refusal(t, err, words)
	}
}

// A merge whose result is no token is refused where a text has it.
func TestNoUnion(t *testing.T) {
	tokenizer := tokens.MustLoad(folder(t, map[string]string{"tokenizer.json": `{"model": {"type": "BPE", "vocab": {"a": 0, "b": 1}, "merges": ["a b"]}}`}))
	if got := tokenizer.MustEncode(tokens.Options{}, "ba").IDs()[0]; !slices.Equal(got, []int{1, 0}) {
		t.Errorf("got %v", got)
	}
	_, err := tokenizer.Encode(tokens.Options{}, "ab")
	wanted.Refusal(t, err, `text 0: merge 0 of the tokenizer: got "a" and "b", wanted what they become to be in the vocabulary`)
}
