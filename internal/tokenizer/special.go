package tokenizer

import (
	"encoding/json"
	"fmt"

	"github.com/govene/govene/internal/strict"
)

// special are the tokens that a tokenizer puts around a text.
type special struct{ before, after []int }

// parseSpecial reads a post-processor. That of byte-level tokenizers concerns offsets alone.
func parseSpecial(text json.RawMessage) (around special, err error) {
	list, err := parsed(text, "processors", parseProcessor)
	for _, s := range list {
		around.before = append(s.before, around.before...)
		around.after = append(around.after, s.after...)
	}
	return around, err
}

func parseProcessor(text json.RawMessage) (special, error) {
	kind, err := typeOf(text)
	if err != nil {
		return special{}, err
	}
	switch kind {
	case "ByteLevel":
		return special{}, strict.Unmarshal(text, new(byteLevel))
	case "TemplateProcessing":
		return parseTemplate(text)
	case "RobertaProcessing", "BertProcessing":
		var r struct {
			Type           string `json:"type"`
			Sep, Cls       namedID
			TrimOffsets    bool `json:"trim_offsets"` // these three concern offsets alone
			AddPrefixSpace bool `json:"add_prefix_space"`
			UseRegex       bool `json:"use_regex"`
		}
		err := strict.Unmarshal(text, &r)
		return special{[]int{r.Cls.id}, []int{r.Sep.id}}, err
	}
	return special{}, unsupported(kind, "ByteLevel", "TemplateProcessing", "RobertaProcessing", "BertProcessing", "Sequence")
}

// namedID is a token as a pair of its text and its id.
type namedID struct{ id int }

func (n *namedID) UnmarshalJSON(text []byte) error {
	var list []json.RawMessage
	if err := json.Unmarshal(text, &list); err != nil {
		return err
	}
	if len(list) != 2 {
		return fmt.Errorf("got %s, wanted a token and its id", text)
	}
	return json.Unmarshal(list[1], &n.id)
}

// parseTemplate reads the template for a single text: special tokens, the text once, special tokens.
func parseTemplate(text json.RawMessage) (around special, err error) {
	type item struct {
		ID     string `json:"id"`
		TypeID int    `json:"type_id"`
	}
	var t struct {
		Type   string `json:"type"`
		Single []struct {
			SpecialToken *item
			Sequence     *item
		} `json:"single"`
		Pair          json.RawMessage `json:"pair"`
		SpecialTokens map[string]struct {
			ID     string   `json:"id"`
			IDs    []int    `json:"ids"`
			Tokens []string `json:"tokens"`
		} `json:"special_tokens"`
		AddPrefixSpace bool `json:"add_prefix_space"` // these three, of byte-level processors, some files have here, where they do nothing
		TrimOffsets    bool `json:"trim_offsets"`
		UseRegex       bool `json:"use_regex"`
	}
	if err := strict.Unmarshal(text, &t); err != nil {
		return around, err
	}
	texts := 0
	for _, item := range t.Single {
		switch {
		case item.Sequence != nil && item.SpecialToken == nil && item.Sequence.ID == "A":
			texts++
		case item.SpecialToken != nil && item.Sequence == nil:
			token, ok := t.SpecialTokens[item.SpecialToken.ID]
			if !ok {
				return around, fmt.Errorf("TemplateProcessing: got special token %q, wanted one of special_tokens", item.SpecialToken.ID)
			}
			if texts == 0 {
				around.before = append(around.before, token.IDs...)
			} else {
				around.after = append(around.after, token.IDs...)
			}
		default:
			return around, fmt.Errorf("TemplateProcessing: got an item that is neither a special token nor the text A")
		}
	}
	if texts != 1 {
		return around, fmt.Errorf("TemplateProcessing: got the text %d times, wanted it once", texts)
	}
	return around, nil
}

// WithSpecial is the tokenizer with other tokens before and after a text.
func (t *Tokenizer) WithSpecial(before, after []int) *Tokenizer {
	changed := *t
	changed.special = special{before, after}
	changed.changed = true
	return &changed
}

// File is tokenizer.json, given the one that the tokenizer was parsed from: the same, unless settings or other special tokens changed it.
func (t *Tokenizer) File(parsed []byte) ([]byte, error) {
	if !t.changed && t.settled == nil {
		return parsed, nil
	}
	var fields file
	if err := json.Unmarshal(parsed, &fields); err != nil {
		return nil, err
	}
	if t.settled != nil {
		fields.AddedTokens, fields.PreTokenizer = t.settled.AddedTokens, t.settled.PreTokenizer
	}
	if t.changed {
		var err error
		if fields.PostProcessor, err = t.template(t.special); err != nil {
			return nil, err
		}
	}
	return json.Marshal(fields)
}

// template is the post-processor that puts special tokens around a text.
func (t *Tokenizer) template(around special) ([]byte, error) {
	type list = []any
	type object = map[string]any
	tokens := object{}
	sequence := func(text string, kind int) (items list) {
		add := func(ids []int) {
			for _, id := range ids {
				name, _ := t.Token(id)
				tokens[name] = object{"id": name, "ids": []int{id}, "tokens": []string{name}}
				items = append(items, object{"SpecialToken": object{"id": name, "type_id": kind}})
			}
		}
		add(around.before)
		items = append(items, object{"Sequence": object{"id": text, "type_id": kind}})
		add(around.after)
		return items
	}
	first := sequence("A", 0)
	return json.Marshal(object{"type": "TemplateProcessing", "single": first, "pair": append(first, sequence("B", 1)...), "special_tokens": tokens})
}
