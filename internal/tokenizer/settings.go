package tokenizer

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Settings are what tokenizer_config.json changes of tokenizer.json in Hugging Face's transformers (4.57, PreTrainedTokenizerFast). The zero
// value is a tokenizer_config.json that says nothing.
type Settings struct {
	PrefixSpace PrefixSpace        `json:"add_prefix_space"`
	Added       map[int]addedToken `json:"added_tokens_decoder,omitempty"` // their order; an id is the one that tokenizer.json has, or else the next
	Everywhere  bool               `json:"-"`                              // a space before a text is put by pre-tokenizers within a sequence, too
}

// PrefixSpace is whether a ByteLevel pre-tokenizer that stands alone puts a space before a text, whatever tokenizer.json says: no if nothing
// is said, what tokenizer.json says if null is.
type PrefixSpace struct{ puts, unsaid bool }

// Unsaid leaves it to tokenizer.json.
var Unsaid = PrefixSpace{unsaid: true}

// MarshalJSON writes true, false or null.
func (p PrefixSpace) MarshalJSON() ([]byte, error) {
	if p.unsaid {
		return []byte("null"), nil
	}
	return json.Marshal(p.puts)
}

// UnmarshalJSON reads true, false or null.
func (p *PrefixSpace) UnmarshalJSON(text []byte) error {
	*p = PrefixSpace{unsaid: string(text) == "null"}
	if p.unsaid {
		return nil
	}
	return json.Unmarshal(text, &p.puts)
}

// configure applies settings to what a file says, and tells whether that changed it.
func (f *file) configure(s Settings, v *vocabulary) (changed bool, err error) {
	if !s.PrefixSpace.unsaid {
		if f.PreTokenizer, changed, err = s.prefixSpace(f.PreTokenizer, true); err != nil {
			return false, fmt.Errorf("pre_tokenizer: %w", err)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(s.Added)) {
		token := s.Added[id]
		at := slices.IndexFunc(f.AddedTokens, func(other addedToken) bool { return other.Content == token.Content })
		if at >= 0 {
			token.ID = f.AddedTokens[at].ID
			changed = changed || token != f.AddedTokens[at]
			f.AddedTokens[at] = token
			continue
		}
		var known bool
		if token.ID, known = v.id(token.Content); !known {
			token.ID = len(v.entries)
			for _, other := range f.AddedTokens {
				token.ID = max(token.ID, other.ID+1)
			}
		}
		f.AddedTokens, changed = append(f.AddedTokens, token), true
	}
	return changed, nil
}

// prefixSpace is a pre-tokenizer that puts a space before a text, or does not.
func (s Settings) prefixSpace(text json.RawMessage, alone bool) (made json.RawMessage, changed bool, err error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil || fields == nil {
		return text, false, nil // which is refused elsewhere
	}
	var kind string
	_ = json.Unmarshal(fields["type"], &kind)
	switch {
	case kind == "ByteLevel":
		var own bool
		_ = json.Unmarshal(fields["add_prefix_space"], &own)
		if own == s.PrefixSpace.puts || !alone && !s.PrefixSpace.puts {
			return text, false, nil
		}
		fields["add_prefix_space"], err = json.Marshal(s.PrefixSpace.puts)
		changed = true
	case kind == "Sequence" && s.Everywhere:
		var list []json.RawMessage
		_ = json.Unmarshal(fields["pretokenizers"], &list)
		for i, item := range list {
			var one bool
			if list[i], one, err = s.prefixSpace(item, false); err != nil {
				return nil, false, err
			}
			changed = changed || one
		}
		fields["pretokenizers"], err = json.Marshal(list)
	}
	if !changed || err != nil {
		return text, false, err
	}
	made, err = json.Marshal(fields)
	return made, true, err
}
