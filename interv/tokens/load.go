package tokens

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/govene/govene/internal/checkpoint"
	"github.com/govene/govene/internal/must"
	"github.com/govene/govene/internal/tokenizer"
	"github.com/govene/govene/interv"
)

// Load reads a model's tokenizer: from its folder, or by its id on the hub ("gpt2", "owner/name", "owner/name@revision"), from the
// cache if it is there. Read are tokenizer.json with byte-pair encoding, byte-level as GPT-2, Llama 3, Qwen and Pythia have it or
// with the spaces and bytes of SentencePiece as Llama 2, Mistral and Gemma have it, or with a vocabulary of words; or else vocab.json
// and merges.txt of a GPT-2. A file with anything else in it is refused: a model would be given wrong tokens.
//
// Texts are cut as Hugging Face's tokenizers 0.22 cuts them, whatever Unicode this Go has: by Unicode 16 in regular expressions, by Unicode 9
// in normal forms. Which tokens [Options.AddSpecial] puts around a text is what transformers 4.57 does: tokenizer.json says it, but for
// tokenizers of the classes Llama, CodeLlama, Gemma, Cohere and GPTNeoX (tokenizer_class of tokenizer_config.json, or else that of the model's
// family), which go by add_bos_token and add_eos_token of tokenizer_config.json: of these, all but GPTNeoX put bos_token before a text unless
// told not to. transformers 5 goes by tokenizer.json for them too (but for GPTNeoX, which puts nothing), so that a file in which the two differ,
// such as DeepSeek V3's, has other tokens there. Of tokenizer_config.json, as there, count add_prefix_space, for a ByteLevel pre-tokenizer that
// stands alone (no, if it is not said), and added_tokens_decoder, for tokens that tokenizer.json does not have, or with other flags; but the
// class Llama, where add_prefix_space is said, has transformers make the tokenizer from tokenizer.model anew, and here tokenizer.json holds.
func Load(idOrFolder string) (*Tokenizer, error) {
	folder, err := checkpoint.ResolveTokenizer(idOrFolder)
	if err != nil {
		return nil, err
	}
	special, err := readSpecial(folder)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(folder, checkpoint.TokenizerFile)
	file, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		path = filepath.Join(folder, checkpoint.VocabularyFile)
		file, err = readGPT2(folder, special)
	}
	if err != nil {
		return nil, err
	}
	t, err := parse(file, special)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := special.check(folder, t); err != nil {
		return nil, err
	}
	if filepath.Base(path) == checkpoint.TokenizerFile {
		err = t.applyClass(folder)
	}
	return t, err
}

// MustLoad is Load that panics on an error.
func MustLoad(idOrFolder string) *Tokenizer { return must.Of(Load(idOrFolder)) }

// special is what a model's files say of its special tokens.
type special struct {
	Class  string        `json:"tokenizer_class,omitempty"`
	BOS    *specialToken `json:"bos_token,omitempty"`
	EOS    *specialToken `json:"eos_token,omitempty"`
	Pad    *specialToken `json:"pad_token,omitempty"`
	AddBOS *bool         `json:"add_bos_token,omitempty"`
	AddEOS *bool         `json:"add_eos_token,omitempty"`
	tokenizer.Settings

	configured bool   // there is a tokenizer_config.json
	family     string // of the model's config.json
	eosID      *int   // of the same, for want of EOS
}

// specialToken is the text of a token, written as such or as an object with more about it.
type specialToken string

func (s *specialToken) UnmarshalJSON(text []byte) error {
	if json.Unmarshal(text, (*string)(s)) == nil {
		return nil
	}
	var object struct {
		Content string `json:"content"`
	}
	err := json.Unmarshal(text, &object)
	*s = specialToken(object.Content)
	return err
}

// readSpecial reads tokenizer_config.json, or else special_tokens_map.json, or else config.json for the token that ends a text.
func readSpecial(folder string) (*special, error) {
	var s, more special
	var config struct {
		Family string          `json:"model_type"`
		EOS    json.RawMessage `json:"eos_token_id"`
	}
	for name, into := range map[string]any{checkpoint.TokenizerConfigFile: &s, checkpoint.SpecialTokensFile: &more, checkpoint.ConfigFile: &config} {
		path := filepath.Join(folder, name)
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = json.Unmarshal(text, into)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		s.configured = s.configured || name == checkpoint.TokenizerConfigFile
	}
	for _, token := range []struct{ here, there **specialToken }{{&s.BOS, &more.BOS}, {&s.EOS, &more.EOS}, {&s.Pad, &more.Pad}} {
		if *token.here == nil {
			*token.here = *token.there
		}
	}
	s.family = config.Family
	s.settle()
	var ids []int // some models have several, the first of them their tokenizer's
	var id *int   // nil for null
	switch {
	case len(config.EOS) == 0 || json.Unmarshal(config.EOS, &ids) == nil:
	case json.Unmarshal(config.EOS, &id) == nil && id != nil:
		ids = []int{*id}
	}
	if len(ids) > 0 {
		s.eosID = &ids[0]
	}
	return &s, nil
}

// check wants the special tokens to be tokens.
func (s *special) check(folder string, t *Tokenizer) error {
	for name, token := range map[string]*specialToken{"bos_token": s.BOS, "eos_token": s.EOS, "pad_token": s.Pad} {
		if token == nil {
			continue
		}
		if _, ok := t.inner.ID(string(*token)); !ok {
			return &interv.Error{Where: filepath.Join(folder, checkpoint.TokenizerConfigFile), Axis: name,
				Got: fmt.Sprintf("%q", string(*token)), Wanted: "a token of the tokenizer"}
		}
	}
	return nil
}

// readGPT2 makes tokenizer.json out of vocab.json and merges.txt.
func readGPT2(folder string, special *special) ([]byte, error) {
	vocabulary, err := os.ReadFile(filepath.Join(folder, checkpoint.VocabularyFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noTokenizer(folder)
	}
	if err != nil {
		return nil, err
	}
	merges, err := os.ReadFile(filepath.Join(folder, checkpoint.MergesFile))
	if err != nil {
		return nil, err
	}
	class := special.Class
	if class != "GPT2Tokenizer" && class != "GPT2TokenizerFast" && !(class == "" && special.family == "gpt2") {
		return nil, &interv.Error{Where: filepath.Join(folder, checkpoint.TokenizerConfigFile), Axis: "tokenizer_class", Got: fmt.Sprintf("%q", class),
			Wanted: "GPT2Tokenizer, as there is no tokenizer.json: " + conversion}
	}
	end := specialToken("<|endoftext|>") // GPT-2's own, for whatever is not said
	for _, token := range []**specialToken{&special.BOS, &special.EOS} {
		if *token == nil {
			*token = &end
		}
	}
	before := ""
	if special.AddBOS != nil && *special.AddBOS {
		before = string(*special.BOS)
	}
	all := []string{string(*special.BOS), string(*special.EOS)}
	if special.Pad != nil {
		all = append(all, string(*special.Pad))
	}
	file, err := tokenizer.GPT2(vocabulary, merges, all, before)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", folder, err)
	}
	return file, nil
}

const conversion = "to write one, run in Python: AutoTokenizer.from_pretrained(folder).save_pretrained(folder), with the class imported from transformers"

// noTokenizer says what a folder has instead of a tokenizer.
func noTokenizer(folder string) error {
	got := "no tokenizer"
	if _, err := os.Stat(filepath.Join(folder, "tokenizer.model")); err == nil {
		got = "tokenizer.model"
	}
	return &interv.Error{Where: folder, Got: got,
		Wanted: fmt.Sprintf("%s, or %s and %s; %s", checkpoint.TokenizerFile, checkpoint.VocabularyFile, checkpoint.MergesFile, conversion)}
}

// Save writes tokenizer.json and tokenizer_config.json into a folder, which is made if need be; Hugging Face's libraries read them.
func (t *Tokenizer) Save(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	saved := *t.special
	saved.Class, saved.AddBOS, saved.AddEOS = "PreTrainedTokenizerFast", nil, nil // tokenizer.json says it, and this
	saved.Settings = tokenizer.Settings{PrefixSpace: tokenizer.Unsaid}
	if id := saved.eosID; saved.EOS == nil && id != nil {
		if text, ok := t.inner.Token(*id); ok {
			saved.EOS = (*specialToken)(&text)
		}
	}
	config, err := json.MarshalIndent(saved, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(folder, checkpoint.TokenizerConfigFile), append(config, '\n'), 0o644); err != nil {
		return err
	}
	file, err := t.inner.File(t.file)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, checkpoint.TokenizerFile), file, 0o644)
}
