package tokenizer

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// All settings of the components of tokenizer.json (Hugging Face's tokenizers 0.22): those that cannot change ids are accepted, whatever they
// say, and change none; those that can are done or refused.
func TestSettings(t *testing.T) {
	model := `"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2, "Ġ": 3, "<s>": 4, "▁": 5}, "merges": ["a b"]`
	template := `"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
		"pair": [], "special_tokens": {"<s>": {"id": "<s>", "ids": [4], "tokens": ["<s>"]}}`
	const byteLevel = `"type": "ByteLevel"`
	for _, c := range []struct{ component, file, want string }{ // want: the ids of "ab a", or a word of the refusal
		{"model", model, ""},
		{"model", model + `, "dropout": null`, ""},
		{"model", model + `, "dropout": 0.0`, ""},
		{"model", model + `, "dropout": 0.1`, "dropout"},
		{"model", model + `, "unk_token": null, "fuse_unk": true`, ""},
		{"model", model + `, "unk_token": "a"`, ""},
		{"model", model + `, "continuing_subword_prefix": "", "end_of_word_suffix": null`, ""},
		{"model", model + `, "continuing_subword_prefix": "##"`, "prefix"},
		{"model", model + `, "end_of_word_suffix": "</w>"`, "suffix"},
		{"model", model + `, "byte_fallback": false, "ignore_merges": false`, ""},
		{"model", model + `, "byte_fallback": true`, "byte_fallback"},
		{"model", model + `, "ignore_merges": true`, ""},
		{"truncation", `"direction": "Right", "max_length": 1, "strategy": "LongestFirst", "stride": 0`, ""}, // left to the caller
		{"padding", `"strategy": {"Fixed": 9}, "direction": "Left", "pad_to_multiple_of": null, "pad_id": 0, "pad_type_id": 0, "pad_token": "a"`, ""},
		{"pre_tokenizer", byteLevel + `, "add_prefix_space": false, "trim_offsets": false`, ""},
		{"pre_tokenizer", byteLevel + `, "add_prefix_space": false, "trim_offsets": true, "use_regex": true`, ""},
		{"pre_tokenizer", byteLevel + `, "add_prefix_space": false, "trim_offsets": true, "use_regex": false`, ""},
		{"pre_tokenizer", byteLevel + `, "add_prefix_space": true, "trim_offsets": true`, "[3 2 3 0]"},
		{"pre_tokenizer", `"type": "WhitespaceSplit"`, "[2 0]"},
		{"pre_tokenizer", `"type": "Digits", "individual_digits": true`, `got " "`},
		{"pre_tokenizer", `"type": "Split", "pattern": {"String": " "}, "behavior": "Removed", "invert": false`, "[2 0]"},
		{"pre_tokenizer", `"type": "Split", "pattern": {"String": " "}, "behavior": "Removed", "invert": true`, `got " "`},
		{"pre_tokenizer", `"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never", "split": true`, "[2 5 0]"},
		{"pre_tokenizer", `"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": false`, "[5 2 5 0]"},
		{"pre_tokenizer", `"type": "Metaspace", "replacement": "▁", "add_prefix_space": false, "str_rep": "▁"`, "[2 5 0]"},
		{"pre_tokenizer", `"type": "Whitespace"`, "Whitespace"},
		{"pre_tokenizer", `"type": "BertPreTokenizer"`, "BertPreTokenizer"},
		{"pre_tokenizer", `"type": "Punctuation", "behavior": "Isolated"`, "Punctuation"},
		{"pre_tokenizer", `"type": "CharDelimiterSplit", "delimiter": "a"`, "CharDelimiterSplit"},
		{"pre_tokenizer", `"type": "UnicodeScripts"`, "UnicodeScripts"},
		{"pre_tokenizer", `"type": "FixedLength", "length": 5`, "FixedLength"},
		{"normalizer", `"type": "NFC"`, ""},
		{"normalizer", `"type": "Prepend", "prepend": "a"`, "[0 2 3 0]"},
		{"normalizer", `"type": "Replace", "pattern": {"String": "ab"}, "content": "b"`, "[1 3 0]"},
		{"normalizer", `"type": "Sequence", "normalizers": []`, ""},
		{"normalizer", `"type": "Lowercase"`, "Lowercase"},
		{"normalizer", `"type": "Strip", "strip_left": true, "strip_right": true`, "Strip"},
		{"normalizer", `"type": "StripAccents"`, "StripAccents"},
		{"normalizer", `"type": "Nmt"`, "Nmt"},
		{"normalizer", `"type": "Precompiled", "precompiled_charsmap": ""`, "Precompiled"},
		{"normalizer", `"type": "ByteLevel"`, "ByteLevel"},
		{"normalizer", `"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true`, "BertNormalizer"},
		{"post_processor", byteLevel + `, "add_prefix_space": false, "trim_offsets": false, "use_regex": true`, ""},
		{"post_processor", byteLevel + `, "add_prefix_space": true, "trim_offsets": true, "use_regex": false`, ""},
		{"post_processor", template, "[4 2 3 0]"},
		{"post_processor", template + `, "add_prefix_space": true, "trim_offsets": true, "use_regex": true`, "[4 2 3 0]"}, // as Command R+ has it
		{"post_processor", template + `, "another": true`, "another"},
		{"post_processor", `"type": "BertProcessing", "sep": ["b", 1], "cls": ["<s>", 4]`, "[4 2 3 0 1]"},
		{"post_processor", `"type": "RobertaProcessing", "sep": ["b", 1], "cls": ["<s>", 4], "trim_offsets": true, "add_prefix_space": true`, "[4 2 3 0 1]"},
		{"post_processor", `"type": "RobertaProcessing", "sep": ["b", 1], "cls": ["<s>", 4], "trim_offsets": false, "add_prefix_space": false`, "[4 2 3 0 1]"},
		{"decoder", byteLevel + `, "add_prefix_space": true, "trim_offsets": true, "use_regex": true`, ""},
		{"decoder", byteLevel + `, "add_prefix_space": false, "trim_offsets": false, "use_regex": false`, ""},
		{"decoder", `"type": "ByteFallback"`, ""},
		{"decoder", `"type": "Fuse"`, ""},
		{"decoder", `"type": "Strip", "content": " ", "start": 1, "stop": 0`, ""},
		{"decoder", `"type": "Replace", "pattern": {"String": "a"}, "content": "b"`, ""},
		{"decoder", `"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true`, ""},
		{"decoder", `"type": "WordPiece", "prefix": "##", "cleanup": true`, "WordPiece"}, // the decoded text would be wrong
		{"decoder", `"type": "BPEDecoder", "suffix": "</w>"`, "BPEDecoder"},
		{"decoder", `"type": "CTC", "pad_token": "a", "word_delimiter_token": "b", "cleanup": true`, "CTC"},
	} {
		fields := map[string]string{"model": model, "pre_tokenizer": byteLevel + `, "add_prefix_space": false, "trim_offsets": true`}
		fields[c.component] = c.file
		var parts []string
		for name, file := range fields {
			parts = append(parts, fmt.Sprintf(`"%s": {%s}`, name, file))
		}
		slices.Sort(parts)
		var got string
		tokenizer, err := Parse([]byte("{" + strings.Join(parts, ", ") + "}"))
		if err == nil {
			var tokens []Token
			if tokens, err = tokenizer.Encode("ab a", true); err == nil {
				got = fmt.Sprint(ids(tokens))
			}
		}
		want := cmp.Or(c.want, "[2 3 0]")
		if err == nil && got != want || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s {%s}: got %s (%v), wanted %s", c.component, c.file, got, err, want)
		}
	}
}
