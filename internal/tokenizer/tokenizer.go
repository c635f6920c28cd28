// Package tokenizer makes texts into tokens as the files that Hugging Face's tokenizers library writes, tokenizer.json, say:
// byte-pair encoding as GPT-2, Llama, Mistral, Gemma, Qwen, Pythia and others have it, and vocabularies of words. Each token knows
// its place in the text to the byte. A file with anything in it that this package does not have is refused, so that there are the
// right tokens or none.
package tokenizer

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/govene/govene/internal/strict"
)

// Tokenizer is one tokenizer. It never changes, and any number of goroutines may share it.
type Tokenizer struct {
	vocabulary  *vocabulary // the model's
	added       map[string]int
	raw, normal added // added tokens, looked for before and after the text is normalized
	normalizers []normalizer
	splitters   []splitter
	model       model
	decoders    []decoder
	special     special
	changed     bool  // special is no longer what the file says
	settled     *file // what settings made of the file; nil if that is what it says
}

// Token is a token in a text: the bytes from Start to End. A token that was put in has none.
type Token struct {
	ID, Start, End int
}

// Parse reads tokenizer.json. Settings, of which there may be one, change what it says.
func Parse(text []byte, settings ...Settings) (*Tokenizer, error) {
	rest, tables, ok := scan(string(text))
	if !ok {
		rest = string(text)
	}
	var f file
	if err := strict.Unmarshal([]byte(rest), &f); err != nil {
		return nil, err
	}
	t := &Tokenizer{}
	var err error
	if t.model, t.vocabulary, err = parseModel(f.Model, tables); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	for _, s := range settings {
		changed, err := f.configure(s, t.vocabulary)
		if err != nil {
			return nil, err
		}
		if changed {
			t.settled = &file{AddedTokens: f.AddedTokens, PreTokenizer: f.PreTokenizer}
		}
	}
	if t.normalizers, err = parsed(f.Normalizer, "normalizers", parseNormalizer); err != nil {
		return nil, fmt.Errorf("normalizer: %w", err)
	}
	if t.splitters, err = parsed(f.PreTokenizer, "pretokenizers", parseSplitter); err != nil {
		return nil, fmt.Errorf("pre_tokenizer: %w", err)
	}
	if t.special, err = parseSpecial(f.PostProcessor); err != nil {
		return nil, fmt.Errorf("post_processor: %w", err)
	}
	if t.decoders, err = parsed(f.Decoder, "decoders", parseDecoder); err != nil {
		return nil, fmt.Errorf("decoder: %w", err)
	}
	if err := checkAdded(f.AddedTokens, t.vocabulary); err != nil {
		return nil, err
	}
	t.raw = newAdded(f.AddedTokens, false, t.normalize)
	t.normal = newAdded(f.AddedTokens, true, t.normalize)
	if err := t.name(f.AddedTokens); err != nil {
		return nil, err
	}
	return t, nil
}

// name adds the texts of added tokens to those of the vocabulary, and wants special tokens to be tokens.
func (t *Tokenizer) name(added []addedToken) error {
	t.added = make(map[string]int, len(added))
	for _, token := range added {
		t.added[token.Content] = token.ID
		if err := t.vocabulary.texts.set(token.ID, token.Content); err != nil {
			return err
		}
	}
	for _, id := range slices.Concat(t.special.before, t.special.after) {
		if _, ok := t.Token(id); !ok {
			return fmt.Errorf("post_processor: got id %d, wanted one of a token", id)
		}
	}
	return nil
}

// Size is the number of ids, from 0 to the largest.
func (t *Tokenizer) Size() int { return t.vocabulary.texts.size }

// ID returns the id of a token as the vocabulary writes it.
func (t *Tokenizer) ID(token string) (int, bool) {
	id, ok := t.added[token]
	if !ok {
		id, ok = t.vocabulary.id(token)
	}
	return id, ok
}

// Token returns a token as the vocabulary writes it.
func (t *Tokenizer) Token(id int) (string, bool) {
	return t.vocabulary.texts.get(id)
}

// Special returns the ids of the tokens that the tokenizer puts before and after a text.
func (t *Tokenizer) Special() (before, after []int) {
	return slices.Clone(t.special.before), slices.Clone(t.special.after)
}

// Encode makes a text into tokens, with special tokens around them or without. Special tokens that the text spells out are
// tokens in either case.
func (t *Tokenizer) Encode(text string, special bool) (tokens []Token, err error) {
	if !utf8.ValidString(text) {
		return nil, fmt.Errorf("got %q, wanted UTF-8", text)
	}
	if special {
		for _, id := range t.special.before {
			tokens = append(tokens, Token{ID: id})
		}
	}
	for _, raw := range t.raw.cut(whole(text)) {
		if raw.id >= 0 {
			tokens = append(tokens, raw.token(raw.id))
			continue
		}
		for _, part := range t.normal.cut(t.normalize(raw.piece)) {
			if part.id >= 0 {
				tokens = append(tokens, part.token(part.id))
				continue
			}
			for _, word := range t.split(part.piece) {
				list, err := t.model.tokens(word)
				if err != nil {
					return nil, err
				}
				tokens = append(tokens, list...)
			}
		}
	}
	if special {
		for _, id := range t.special.after {
			tokens = append(tokens, Token{id, len(text), len(text)})
		}
	}
	return tokens, nil
}

// split cuts a piece by all splitters in turn.
func (t *Tokenizer) split(p piece) []piece {
	pieces := []piece{p}
	for _, s := range t.splitters {
		var next []piece
		for _, p := range pieces {
			for _, word := range s(p) {
				if word.text != "" {
					next = append(next, word)
				}
			}
		}
		pieces = next
	}
	return pieces
}

// Decode makes ids into a text. Bytes that make no character become U+FFFD, an id without a token its number in brackets.
func (t *Tokenizer) Decode(ids []int) string {
	return strings.ToValidUTF8(t.decode(ids, false), "\uFFFD")
}

// Text is the text of one token as it stands within a text: with the space before it, if that belongs to the token, and perhaps
// with a part of a character.
func (t *Tokenizer) Text(id int) string { return t.decode([]int{id}, true) }

func (t *Tokenizer) decode(ids []int, alone bool) string {
	tokens := make([]string, len(ids))
	for i, id := range ids {
		text, ok := t.Token(id)
		if !ok {
			text = fmt.Sprintf("<%d>", id)
		}
		tokens[i] = text
	}
	if len(t.decoders) == 0 {
		return strings.Join(tokens, " ")
	}
	for _, d := range t.decoders {
		tokens = d(tokens, alone)
	}
	return strings.Join(tokens, "")
}
