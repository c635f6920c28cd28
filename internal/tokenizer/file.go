package tokenizer

import (
	"encoding/json"
	"fmt"
	"strings"
)

// file is the form of tokenizer.json. Truncation and padding are left to the caller, as Hugging Face's transformers does.
type file struct {
	Version       string          `json:"version"`
	Truncation    json.RawMessage `json:"truncation"`
	Padding       json.RawMessage `json:"padding"`
	AddedTokens   []addedToken    `json:"added_tokens"`
	Normalizer    json.RawMessage `json:"normalizer"`
	PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
	PostProcessor json.RawMessage `json:"post_processor"`
	Decoder       json.RawMessage `json:"decoder"`
	Model         json.RawMessage `json:"model"`
}

// pattern is a text to look for, or a regular expression.
type pattern struct {
	String *string `json:"String,omitempty"`
	Regex  *string `json:"Regex,omitempty"`
}

// modelFile is the form of a model: of BPE, or of WordLevel, which has fewer fields.
type modelFile struct {
	Type                    string          `json:"type,omitempty"`
	Dropout                 *float64        `json:"dropout,omitempty"`
	UnknownToken            *string         `json:"unk_token"`
	ContinuingSubwordPrefix string          `json:"continuing_subword_prefix,omitempty"`
	EndOfWordSuffix         string          `json:"end_of_word_suffix,omitempty"`
	FuseUnknown             bool            `json:"fuse_unk,omitempty"`
	ByteFallback            bool            `json:"byte_fallback,omitempty"`
	IgnoreMerges            bool            `json:"ignore_merges,omitempty"`
	Vocabulary              map[string]int  `json:"vocab"`
	Merges                  json.RawMessage `json:"merges,omitempty"`
}

// parsed reads a component that is null, one of its kind, or a sequence of them, whose items are in the given field.
func parsed[Part any](text json.RawMessage, items string, parse func(json.RawMessage) (Part, error)) (list []Part, err error) {
	if len(text) == 0 || string(text) == "null" {
		return nil, nil
	}
	kind, err := typeOf(text)
	if err != nil {
		return nil, err
	}
	if kind != "Sequence" {
		part, err := parse(text)
		return []Part{part}, err
	}
	var sequence map[string]json.RawMessage
	if err := json.Unmarshal(text, &sequence); err != nil {
		return nil, err
	}
	var nested []json.RawMessage
	if err := json.Unmarshal(sequence[items], &nested); err != nil || len(sequence) != 2 {
		return nil, fmt.Errorf("sequence: got %s, wanted the fields type and %s", text, items)
	}
	for _, item := range nested {
		inner, err := parsed(item, items, parse)
		if err != nil {
			return nil, err
		}
		list = append(list, inner...)
	}
	return list, nil
}

func typeOf(text json.RawMessage) (string, error) {
	var kind struct {
		Type string `json:"type"`
	}
	err := json.Unmarshal(text, &kind)
	return kind.Type, err
}

// unsupported is the error for a kind of component that this package does not have.
func unsupported(kind string, supported ...string) error {
	return fmt.Errorf("got %q, wanted one of those that Govene has: %s", kind, strings.Join(supported, ", "))
}

// literal returns the text of a pattern that is one.
func (p pattern) literal() (string, error) {
	if p.String == nil || p.Regex != nil || *p.String == "" {
		return "", fmt.Errorf("got a regular expression or nothing, wanted a text")
	}
	return *p.String, nil
}
