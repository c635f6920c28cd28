package tokenizer

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/govene/govene/internal/strict"
)

// decoder makes tokens more like text. Alone tells that it is for one token, to be shown as it stands within a text: its space is
// kept, and so are bytes that make a character only with those of its neighbours.
type decoder func(tokens []string, alone bool) []string

func parseDecoder(text json.RawMessage) (decoder, error) {
	kind, err := typeOf(text)
	if err != nil {
		return nil, err
	}
	switch kind {
	case "ByteLevel":
		return decodeByteLevel, strict.Unmarshal(text, new(byteLevel))
	case "ByteFallback":
		return decodeByteFallback, nil
	case "Fuse":
		return func(tokens []string, _ bool) []string { return []string{strings.Join(tokens, "")} }, nil
	case "Replace":
		var r struct {
			Type    string  `json:"type"`
			Pattern pattern `json:"pattern"`
			Content string  `json:"content"`
		}
		if err := strict.Unmarshal(text, &r); err != nil {
			return nil, err
		}
		old, err := r.Pattern.literal()
		return func(tokens []string, _ bool) []string {
			return mapped(tokens, func(_ int, token string) string { return strings.ReplaceAll(token, old, r.Content) })
		}, err
	case "Strip":
		return parseStrip(text)
	case "Metaspace":
		var m metaspace
		if err := m.parse(text); err != nil {
			return nil, err
		}
		return func(tokens []string, alone bool) []string {
			return mapped(tokens, func(i int, token string) string {
				if i == 0 && !alone && m.PrependScheme != "never" {
					token = strings.ReplaceAll(token, m.Replacement, "")
				}
				return strings.ReplaceAll(token, m.Replacement, " ")
			})
		}, nil
	}
	return nil, unsupported(kind, "ByteLevel", "ByteFallback", "Fuse", "Replace", "Strip", "Metaspace", "Sequence")
}

func mapped(tokens []string, change func(int, string) string) []string {
	changed := make([]string, len(tokens))
	for i, token := range tokens {
		changed[i] = change(i, token)
	}
	return changed
}

// decodeByteLevel turns the characters that stand for bytes back. A token with others is its own text.
func decodeByteLevel(tokens []string, _ bool) []string {
	var text []byte
	for _, token := range tokens {
		start := len(text)
		for _, r := range token {
			b, ok := runeBytes[r]
			if !ok {
				text = append(text[:start], token...)
				break
			}
			text = append(text, b)
		}
	}
	return []string{string(text)}
}

// decodeByteFallback turns the tokens of single bytes, such as <0x0A>, into those bytes. Neighbours that make no text together
// become one replacement character for each.
func decodeByteFallback(tokens []string, alone bool) (decoded []string) {
	var bytes []byte
	flush := func() {
		if text := string(bytes); utf8.ValidString(text) || alone {
			decoded = append(decoded, text)
		} else {
			decoded = append(decoded, strings.Repeat("\uFFFD", len(bytes)))
		}
		bytes = nil
	}
	for _, token := range tokens {
		if len(token) == 6 && strings.HasPrefix(token, "<0x") && token[5] == '>' {
			if b, err := strconv.ParseUint(token[3:5], 16, 8); err == nil {
				bytes = append(bytes, byte(b))
				continue
			}
		}
		flush()
		decoded = append(decoded, token)
	}
	flush()
	return decoded
}

// parseStrip is the decoder that takes characters off both ends of each token: spaces that were put before a text.
func parseStrip(text json.RawMessage) (decoder, error) {
	var s struct {
		Type    string `json:"type"`
		Content string `json:"content"`
		Start   int    `json:"start"`
		Stop    int    `json:"stop"`
	}
	if err := strict.Unmarshal(text, &s); err != nil {
		return nil, err
	}
	if utf8.RuneCountInString(s.Content) != 1 {
		return nil, fmt.Errorf("strip: got %q, wanted one character", s.Content)
	}
	return func(tokens []string, alone bool) []string {
		if alone {
			return tokens
		}
		return mapped(tokens, func(_ int, token string) string {
			for range min(s.Start, len(token)) {
				token = strings.TrimPrefix(token, s.Content)
			}
			for range min(s.Stop, len(token)) {
				token = strings.TrimSuffix(token, s.Content)
			}
			return token
		})
	}, nil
}
