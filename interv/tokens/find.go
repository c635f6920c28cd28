package tokens

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/govene/govene/internal/must"
	"github.com/govene/govene/internal/nearest"
	"github.com/govene/govene/interv"
)

// Find returns the position of the last token of a piece of each text, [text][1]: one piece that all texts have, or one for each
// text. Positions count from the tensors' first, padding included. A piece is whole tokens, up to white space before it: " Paris"
// and "Paris" both find the token " Paris". A text in which it occurs more than once, or not at all, is an error that lists the tokens.
func (b *Batch) Find(pieces ...string) ([][]int, error) {
	rows, err := b.FindEvery(pieces...)
	for i, row := range rows {
		rows[i] = row[len(row)-1:]
	}
	return rows, err
}

// MustFind is Find that panics on an error.
func (b *Batch) MustFind(pieces ...string) [][]int { return must.Of(b.Find(pieces...)) }

// FindEvery is [Batch.Find] for every token of the piece, [text][token].
func (b *Batch) FindEvery(pieces ...string) ([][]int, error) {
	if len(pieces) != 1 && len(pieces) != len(b.texts) {
		return nil, &interv.Error{Where: "pieces", Got: fmt.Sprint(len(pieces)), Wanted: fmt.Sprintf("1, or %d, one for each text", len(b.texts))}
	}
	rows := make([][]int, len(b.texts))
	for i := range rows {
		first, last, err := b.find(i, pieces[i%len(pieces)])
		if err != nil {
			return nil, err
		}
		for k := first; k <= last; k++ {
			rows[i] = append(rows[i], b.starts[i]+k)
		}
	}
	return rows, nil
}

// MustFindEvery is FindEvery that panics on an error.
func (b *Batch) MustFindEvery(pieces ...string) [][]int { return must.Of(b.FindEvery(pieces...)) }

// find returns the first and last token of a piece in text i, where it must occur once.
func (b *Batch) find(i int, piece string) (first, last int, err error) {
	text := b.texts[i]
	var found [][2]int
	within := ""
	for at := 0; at+len(piece) <= len(text) && piece != ""; at++ {
		if !strings.HasPrefix(text[at:], piece) {
			continue
		}
		match, reason := b.covering(i, at, at+len(piece))
		if reason == "" {
			found = append(found, match)
		} else if within == "" {
			within = reason
		}
	}
	if len(found) == 1 {
		return found[0][0], found[0][1], nil
	}
	refusal := &interv.Error{Where: fmt.Sprintf("text %d", i), Axis: fmt.Sprintf("%q", piece), Wanted: "it once"}
	switch {
	case len(found) > 1:
		var places []string
		for _, match := range found {
			places = append(places, fmt.Sprint(b.starts[i]+match[1]))
		}
		refusal.Got = fmt.Sprintf("it %d times, at positions %s", len(found), strings.Join(places, ", "))
		refusal.Wanted += " (a longer piece that ends with the same token may tell them apart)"
	case within != "":
		refusal.Got, refusal.Wanted = "it "+within, "whole tokens"
	default:
		refusal.Got, refusal.Nearest = "no such piece", nearest.Name(strings.TrimSpace(piece), strings.Fields(text))
	}
	refusal.Got += fmt.Sprintf(" in the tokens %s", b.tokenizer.list(b.tokens[i]))
	return 0, 0, refusal
}

// covering returns the first and last token of bytes of text i, or a reason why they are not those of whole tokens.
func (b *Batch) covering(i, start, end int) (match [2]int, reason string) {
	text, first, last := b.texts[i], -1, -1
	for k, token := range b.tokens[i] {
		if token.Start < token.End && token.Start < end && token.End > start {
			if first < 0 {
				first = k
			}
			last = k
		}
	}
	if first < 0 {
		return match, "as white space between tokens"
	}
	if from := b.tokens[i][first]; from.Start < start && !white(text[from.Start:start]) {
		return match, fmt.Sprintf("beginning within the token %s", b.tokenizer.Label(from.ID))
	}
	if to := b.tokens[i][last]; to.End > end {
		return match, fmt.Sprintf("ending within the token %s", b.tokenizer.Label(to.ID))
	}
	return [2]int{first, last}, ""
}

// white tells whether a text is white space, perhaps with a part of a character that is.
func white(text string) bool {
	return utf8.ValidString(text) && strings.TrimLeftFunc(text, unicode.IsSpace) == ""
}
