package tokens

import (
	"path/filepath"
	"strings"

	"github.com/govene/govene/internal/checkpoint"
	"github.com/govene/govene/internal/tokenizer"
	"github.com/govene/govene/interv"
)

// template is what a class of tokenizers in Hugging Face's transformers puts around a text in place of what tokenizer.json says: the
// tokens, and whether it puts them, unless tokenizer_config.json says otherwise. (Version 4.57; the classes' methods update_post_processor.)
type template struct {
	bos, eos specialToken
	addBOS   bool
}

// templates are the classes that have one, by name without Fast. All others leave it to tokenizer.json, and add_bos_token and add_eos_token
// mean nothing to them.
var templates = map[string]template{
	"LlamaTokenizer":     {"<s>", "</s>", true},
	"CodeLlamaTokenizer": {"<s>", "</s>", true},
	"GemmaTokenizer":     {"<bos>", "<eos>", true},
	"CohereTokenizer":    {"<BOS_TOKEN>", "<|END_OF_TURN_TOKEN|>", true},
	"GPTNeoXTokenizer":   {"<|endoftext|>", "<|endoftext|>", false},
}

// familyClasses are the classes of families whose tokenizer_config.json names none, where the class has a template.
var familyClasses = func() map[string]string {
	classes := map[string]string{"code_llama": "CodeLlamaTokenizer"}
	for class, families := range map[string]string{
		"LlamaTokenizer":   "arcee deepseek_v2 deepseek_v3 diffllama ernie4_5 ernie4_5_moe jamba jetmoe llama llama4 llama4_text ministral mistral mixtral persimmon phi3 phimoe zamba zamba2",
		"GemmaTokenizer":   "gemma gemma2 gemma3 gemma3_text gemma3n gemma3n_text recurrent_gemma t5gemma",
		"CohereTokenizer":  "cohere cohere2",
		"GPTNeoXTokenizer": "falcon_mamba gpt_neox mamba mamba2 mpt olmo olmo2 olmoe rwkv stablelm xlstm",
	} {
		for family := range strings.FieldsSeq(families) {
			classes[family] = class
		}
	}
	return classes
}()

// settle makes the settings those of the tokenizer's class.
func (s *special) settle() {
	class := s.Class
	if class == "" {
		class = familyClasses[s.family]
	}
	switch strings.TrimSuffix(class, "Fast") {
	case "LlamaTokenizer":
		s.PrefixSpace = tokenizer.Unsaid
	case "CohereTokenizer", "BloomTokenizer":
		s.Everywhere = true
	}
}

// applyClass puts the tokens around texts that the tokenizer's class puts, if it has a say in that.
func (t *Tokenizer) applyClass(folder string) error {
	s := t.special
	class := s.Class
	if class == "" && s.configured {
		class = familyClasses[s.family]
	}
	has, ok := templates[strings.TrimSuffix(class, "Fast")]
	if !ok {
		return nil
	}
	id := func(puts bool, name string, token *specialToken, usual specialToken) (list []int, err error) {
		if !puts {
			return nil, nil
		}
		if token == nil {
			token = &usual
		}
		id, ok := t.inner.ID(string(*token))
		if !ok {
			return nil, &interv.Error{Where: filepath.Join(folder, checkpoint.TokenizerConfigFile), Axis: name, Got: "no token " + string(*token),
				Wanted: "one, as tokenizers of class " + class + " put it around each text; name it, or set add_" + name + " to false"}
		}
		return []int{id}, nil
	}
	puts := func(says *bool, usual bool) bool { return says == nil && usual || says != nil && *says }
	before, err := id(puts(s.AddBOS, has.addBOS), "bos_token", s.BOS, has.bos)
	if err != nil {
		return err
	}
	after, err := id(puts(s.AddEOS, false), "eos_token", s.EOS, has.eos)
	if err != nil {
		return err
	}
	t.inner = t.inner.WithSpecial(before, after)
	return nil
}
