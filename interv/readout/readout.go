// Package readout turns activations and outputs into something to read: distributions over a vocabulary and their likeliest tokens.
package readout

import (
	"fmt"
	"slices"
	"strings"

	. "github.com/gomlx/gomlx/core/graph"

	"github.com/govene/govene/interv"
)

// EmbedToDistrib reads an embedding as a distribution over the vocabulary: softmax(x Wᵀ) over the last axis, with x
// [batch, …, d] and W [vocabulary, d] the token embeddings.
func EmbedToDistrib(x, tokenEmbeddings *Node) *Node {
	return Softmax(EmbedToLogits(x, tokenEmbeddings), -1)
}

// EmbedToLogits is x Wᵀ, [batch, …, vocabulary]: the logarithm of [EmbedToDistrib] up to a constant.
func EmbedToLogits(x, tokenEmbeddings *Node) *Node {
	return DotGeneral(x, []int{-1}, nil, tokenEmbeddings, []int{1}, nil)
}

// Tokenizer turns token ids into text.
type Tokenizer interface {
	Decode(ids []int) string
}

// FormatToken is the text of a token with spaces as "_" and line ends as "\n", so that they can be seen.
func FormatToken(tokenizer Tokenizer, id int) string {
	return strings.NewReplacer(" ", "_", "\n", `\n`).Replace(tokenizer.Decode([]int{id}))
}

// TopVal is one of the largest values of a distribution.
type TopVal struct {
	ID    int
	Token string // as FormatToken writes it
	Value float32
}

// TopVals lists the n largest values of a distribution over the vocabulary, largest first, equal ones by id. Fewer than one or
// more than there are is an error.
func TopVals(tokenizer Tokenizer, distribution []float32, n int) (Top, error) {
	if n < 1 || n > len(distribution) {
		return nil, &interv.Error{Where: "TopVals", Axis: "n", Got: fmt.Sprint(n), Wanted: fmt.Sprintf("1 to %d, the vocabulary", len(distribution))}
	}
	ids := make([]int, len(distribution))
	for id, value := range distribution {
		if value != value {
			return nil, &interv.Error{Where: "TopVals", Axis: fmt.Sprintf("value of token %d", id), Got: "NaN", Wanted: "a number"}
		}
		ids[id] = id
	}
	slices.SortStableFunc(ids, func(a, b int) int {
		switch {
		case distribution[a] > distribution[b]:
			return -1
		case distribution[a] < distribution[b]:
			return 1
		}
		return 0
	})
	top := make(Top, n)
	for i, id := range ids[:n] {
		top[i] = TopVal{id, FormatToken(tokenizer, id), distribution[id]}
	}
	return top, nil
}

// Top is a list of values, largest first.
type Top []TopVal

// String writes one line for each: the token in 20 columns, and the value.
func (t Top) String() string {
	var text strings.Builder
	for _, value := range t {
		fmt.Fprintf(&text, "%-20s %v\n", value.Token, value.Value)
	}
	return text.String()
}

// LogitDifference is how much larger one token's logit is than another's, for each row of logits [rows, vocabulary]: positive where the
// model prefers the first. A token outside the vocabulary, or logits that are no whole rows, are an error.
func LogitDifference(logits []float32, vocabulary, first, second int) ([]float32, error) {
	if vocabulary < 1 || len(logits)%vocabulary != 0 {
		return nil, &interv.Error{Where: "LogitDifference", Axis: "logits", Got: fmt.Sprintf("%d values", len(logits)), Wanted: fmt.Sprintf("rows of %d, the vocabulary", vocabulary)}
	}
	for _, token := range []int{first, second} {
		if token < 0 || token >= vocabulary {
			return nil, &interv.Error{Where: "LogitDifference", Axis: "token", Got: fmt.Sprint(token), Wanted: fmt.Sprintf("0 to %d", vocabulary-1)}
		}
	}
	differences := make([]float32, len(logits)/vocabulary)
	for row := range differences {
		differences[row] = logits[row*vocabulary+first] - logits[row*vocabulary+second]
	}
	return differences, nil
}
