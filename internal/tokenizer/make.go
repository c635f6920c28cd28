package tokenizer

import (
	"encoding/json"
	"fmt"
	"strings"
)

// Words is tokenizer.json for a vocabulary of words that white space divides, each word's id its place in the list.
func Words(words []string) ([]byte, error) {
	vocabulary := make(map[string]int, len(words))
	for i, word := range words {
		vocabulary[word] = i
	}
	none := ""
	model, err := json.Marshal(modelFile{Type: "WordLevel", UnknownToken: &none, Vocabulary: vocabulary})
	if err != nil {
		return nil, err
	}
	return json.Marshal(file{Version: "1.0", AddedTokens: []addedToken{}, PreTokenizer: json.RawMessage(`{"type":"WhitespaceSplit"}`), Model: model})
}

// GPT2 is tokenizer.json for GPT-2's own files, vocab.json and merges.txt, with some of the vocabulary's tokens as special ones and
// perhaps one of them before each text.
func GPT2(vocabularyFile, mergesFile []byte, special []string, before string) ([]byte, error) {
	bpe := modelFile{Type: "BPE"}
	if err := json.Unmarshal(vocabularyFile, &bpe.Vocabulary); err != nil {
		return nil, fmt.Errorf("vocab.json: %w", err)
	}
	var merges []string
	for i, line := range strings.Split(strings.TrimSpace(string(mergesFile)), "\n") {
		if line = strings.TrimRight(line, "\r"); line != "" && !(i == 0 && strings.HasPrefix(line, "#version")) {
			merges = append(merges, line)
		}
	}
	f := file{Version: "1.0", PreTokenizer: gpt2Level, Decoder: gpt2Level, PostProcessor: gpt2Level}
	seen := map[string]bool{}
	for _, token := range special {
		id, ok := bpe.Vocabulary[token]
		if !ok {
			return nil, fmt.Errorf("vocab.json: got no special token %q, wanted it", token)
		}
		if !seen[token] {
			f.AddedTokens = append(f.AddedTokens, addedToken{ID: id, Content: token, Special: true})
		}
		seen[token] = true
	}
	var err error
	if bpe.Merges, err = json.Marshal(merges); err != nil {
		return nil, err
	}
	if f.Model, err = json.Marshal(bpe); err != nil {
		return nil, err
	}
	if before != "" {
		if f.PostProcessor, err = beforeEach(before, bpe.Vocabulary[before]); err != nil {
			return nil, err
		}
	}
	return json.Marshal(f)
}

var gpt2Level = json.RawMessage(`{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":false}`)

// beforeEach is the template that puts a token before a text.
func beforeEach(token string, id int) ([]byte, error) {
	type list = []any
	type object = map[string]any
	special := object{"SpecialToken": object{"id": token, "type_id": 0}}
	sequence := func(id string) object { return object{"Sequence": object{"id": id, "type_id": 0}} }
	return json.Marshal(object{
		"type":           "TemplateProcessing",
		"single":         list{special, sequence("A")},
		"pair":           list{special, sequence("A"), special, sequence("B")},
		"special_tokens": object{token: object{"id": token, "ids": []int{id}, "tokens": []string{token}}},
	})
}
