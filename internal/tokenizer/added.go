package tokenizer

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// addedToken is a token that stands for its text wherever it occurs, before anything else is done to the text: special tokens such
// as <|endoftext|>, and others added to a model's vocabulary.
type addedToken struct {
	ID         int    `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LeftStrip  bool   `json:"lstrip"` // it takes the white space before it
	RightStrip bool   `json:"rstrip"` // it takes the white space after it
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

// added finds added tokens in a text: by the first byte, the longest first.
type added map[byte][]addedToken

// part is a part of a text: an added token, or a piece in which there is none.
type part struct {
	piece
	id int // -1 for a piece
}

// newAdded collects those of the tokens that are, or are not, looked for after the text was normalized.
func newAdded(tokens []addedToken, normalized bool, normalize func(piece) piece) added {
	a := added{}
	for _, token := range tokens {
		if token.Normalized != normalized {
			continue
		}
		if normalized {
			token.Content = normalize(whole(token.Content)).text
		}
		if token.Content != "" {
			a[token.Content[0]] = append(a[token.Content[0]], token)
		}
	}
	for _, list := range a {
		slices.SortStableFunc(list, func(a, b addedToken) int { return cmp.Compare(len(b.Content), len(a.Content)) })
	}
	return a
}

// cut cuts a piece at the added tokens in it. White space that a token takes may still be another added token, as in the library
// that made the file.
func (a added) cut(p piece) (parts []part) {
	end := 0 // of the part before
	for at := 0; at < len(p.text); at++ {
		token, ok := a.at(p.text[at:])
		if !ok {
			continue
		}
		start, stop := at, at+len(token.Content)
		if token.LeftStrip {
			start = max(end, len(strings.TrimRightFunc(p.text[:at], unicode.IsSpace)))
		}
		if token.RightStrip {
			stop = len(p.text) - len(strings.TrimLeftFunc(p.text[stop:], unicode.IsSpace))
		}
		if end < start {
			parts = append(parts, part{p.cut(end, start), -1})
		}
		parts = append(parts, part{p.cut(start, stop), token.ID})
		end, at = stop, at+len(token.Content)-1
	}
	if end < len(p.text) {
		parts = append(parts, part{p.cut(end, len(p.text)), -1})
	}
	return parts
}

func (a added) at(text string) (addedToken, bool) {
	for _, token := range a[text[0]] {
		if strings.HasPrefix(text, token.Content) {
			return token, true
		}
	}
	return addedToken{}, false
}

// checkAdded refuses added tokens that contradict the vocabulary or each other, and those that only match whole words.
func checkAdded(tokens []addedToken, vocabulary *vocabulary) error {
	for i, token := range tokens {
		if id, ok := vocabulary.id(token.Content); ok && id != token.ID {
			return fmt.Errorf("added token %q: got id %d, wanted %d, that of the vocabulary", token.Content, token.ID, id)
		}
		if token.Content == "" || token.ID < 0 {
			return fmt.Errorf("added token %d: got content %q and id %d, wanted a text and an id", i, token.Content, token.ID)
		}
		if token.SingleWord {
			return fmt.Errorf("added token %q: got single_word, which Govene does not have", token.Content)
		}
	}
	return nil
}
