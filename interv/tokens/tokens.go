// Package tokens makes texts into a model's inputs, and finds words again among the tokens: which positions to intervene at, and
// what to write on the axis of a plot.
//
//	tokenizer := tokens.MustLoad("gpt2")
//	base := tokenizer.MustEncode(tokens.Options{}, "The capital of France is")
//	source := tokenizer.MustEncode(tokens.Options{}, "The capital of Italy is")
//	location := interv.FromTo(source.MustFind(" Italy"), base.MustFind(" France"))
//
// [Load] takes tokenizers in Hugging Face's files, [Words] makes one of a few words for small models; both are used alike.
package tokens

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/govene/govene/internal/must"
	"github.com/govene/govene/internal/tokenizer"
	"github.com/govene/govene/interv"
)

// Tokenizer makes texts into tokens and back. It never changes, and any number of goroutines may share it.
type Tokenizer struct {
	inner   *tokenizer.Tokenizer
	file    []byte // tokenizer.json
	special *special
}

// Words is a tokenizer whose tokens are words, divided by white space; a word's id is its place in the vocabulary.
func Words(vocabulary []string) (*Tokenizer, error) {
	const where = "vocabulary"
	seen := map[string]bool{}
	for i, word := range vocabulary {
		axis := fmt.Sprintf("word %d", i)
		if len(strings.Fields(word)) != 1 || strings.Fields(word)[0] != word {
			return nil, &interv.Error{Where: where, Axis: axis, Got: strconv.Quote(word), Wanted: "a word without white space"}
		}
		if seen[word] {
			return nil, &interv.Error{Where: where, Axis: axis, Got: fmt.Sprintf("%q again", word), Wanted: "each word once"}
		}
		seen[word] = true
	}
	if len(vocabulary) == 0 {
		return nil, &interv.Error{Where: where, Got: "no words", Wanted: "at least one"}
	}
	file, err := tokenizer.Words(vocabulary)
	if err != nil {
		return nil, err
	}
	return parse(file, &special{Settings: tokenizer.Settings{PrefixSpace: tokenizer.Unsaid}})
}

// MustWords is Words that panics on an error.
func MustWords(vocabulary []string) *Tokenizer { return must.Of(Words(vocabulary)) }

// parse makes a tokenizer of tokenizer.json and of what is known of its special tokens.
func parse(file []byte, special *special) (*Tokenizer, error) {
	inner, err := tokenizer.Parse(file, special.Settings)
	if err != nil {
		return nil, err
	}
	return &Tokenizer{inner, file, special}, nil
}

// Size is the number of ids, from 0 to the largest. A model's vocabulary may be larger, for the sake of its hardware.
func (t *Tokenizer) Size() int { return t.inner.Size() }

// ID returns the token that a text is in the middle of a sentence: ID(" Paris"). A text that is not one token is an error that says
// which it is.
func (t *Tokenizer) ID(text string) (int, error) {
	list, err := t.inner.Encode(text, false)
	if err != nil {
		return 0, encodeError(fmt.Sprintf("text %q", text), err)
	}
	var own []tokenizer.Token // without a space that the tokenizer put before the text
	for _, token := range list {
		if token.Start < token.End {
			own = append(own, token)
		}
	}
	if len(own) != 1 {
		return 0, &interv.Error{Where: fmt.Sprintf("text %q", text), Got: fmt.Sprintf("%d tokens: %s", len(own), t.list(own)), Wanted: "one"}
	}
	return own[0].ID, nil
}

// MustID is ID that panics on an error.
func (t *Tokenizer) MustID(text string) int { return must.Of(t.ID(text)) }

// Each lists the token that each text is, in a list of its own, as a [metric.LogitDifference] takes them: one for each example, or one for
// all.
//
// [metric.LogitDifference]: https://pkg.go.dev/github.com/govene/govene/interv/metric#LogitDifference
func (t *Tokenizer) Each(texts ...string) ([][]int, error) {
	lists := make([][]int, len(texts))
	for i, text := range texts {
		id, err := t.ID(text)
		if err != nil {
			return nil, err
		}
		lists[i] = []int{id}
	}
	return lists, nil
}

// MustEach is Each that panics on an error.
func (t *Tokenizer) MustEach(texts ...string) [][]int { return must.Of(t.Each(texts...)) }

// Decode is the text of ids. Bytes that make no character become U+FFFD, an id without a token its number in angle brackets.
func (t *Tokenizer) Decode(ids []int) string { return t.inner.Decode(ids) }

// Label is the text of one token to be read by people: spaces as "_", line ends and other characters that cannot be seen as Go
// writes them, \n and \u200b, and parts of characters as bytes, \xc3.
func (t *Tokenizer) Label(id int) string {
	quoted := strconv.Quote(t.inner.Text(id))
	return strings.NewReplacer(" ", "_", `\"`, `"`, `\\`, `\`).Replace(quoted[1 : len(quoted)-1])
}

// list writes tokens with their numbers, for messages.
func (t *Tokenizer) list(list []tokenizer.Token) string {
	const most = 50
	var text strings.Builder
	for i, token := range list {
		if i == most {
			fmt.Fprintf(&text, " … and %d more", len(list)-most)
			break
		}
		if i > 0 {
			text.WriteByte(' ')
		}
		fmt.Fprintf(&text, "%d %s", i, t.Label(token.ID))
	}
	return text.String()
}
