package transformer

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/govene/govene/interv"
)

// The text part of checkpoints that read pictures, too: the config of the text model is a field of theirs, and its weights have names of
// their own among those of the other parts, which are left out.

// multimodal describes a model_type that has a text model inside.
type multimodal struct {
	text     string         // its model_type
	class    string         // its class in transformers
	defaults map[string]any // what transformers assumes where text_config says nothing, for fields that the text model's own files have
}

// multimodals lists what is known.
var multimodals = map[string]multimodal{
	"gemma3": {"gemma3_text", "Gemma3ForCausalLM", map[string]any{"vocab_size": 262208, "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 26,
		"num_attention_heads": 8, "num_key_value_heads": 4, "max_position_embeddings": 131072}},
}

// textConfig is the config.json of the text model: of a multimodal checkpoint what it says of that, of any other all that it has.
func textConfig(data []byte) (text []byte, inside bool, err error) {
	var whole struct {
		Type   string                     `json:"model_type"`
		Text   map[string]json.RawMessage `json:"text_config"`
		Tied   json.RawMessage            `json:"tie_word_embeddings"`
		Packed json.RawMessage            `json:"quantization_config"`
	}
	if json.Unmarshal(data, &whole) != nil { // told by who reads all of it
		return data, false, nil
	}
	m, ok := multimodals[whole.Type]
	if !ok {
		return data, false, nil
	}
	if whole.Text == nil {
		return nil, true, &interv.Error{Where: "config.json", Axis: "text_config", Got: "no such field", Wanted: "the config of the text model in " + whole.Type}
	}
	own := map[string]any{}
	maps.Copy(own, m.defaults)
	for name, value := range whole.Text {
		if string(value) != "null" {
			own[name] = value
		}
	}
	own["model_type"], own["architectures"] = m.text, []string{m.class}
	for name, value := range map[string]json.RawMessage{"tie_word_embeddings": whole.Tied, "quantization_config": whole.Packed} {
		if value != nil {
			own[name] = value
		}
	}
	text, err = json.Marshal(own)
	return text, true, err
}

// textNames sorts the names of a multimodal checkpoint's weights: those of the text model, each with the name that the text model alone has for
// it, and those of the other parts.
func textNames(names []string) (own map[string]string, others []string) {
	own = map[string]string{}
	for _, name := range names {
		switch plain := strings.TrimPrefix(name, "model."); {
		case strings.HasPrefix(plain, "vision_tower.") || strings.HasPrefix(plain, "multi_modal_projector."):
			others = append(others, name)
		case strings.HasPrefix(name, "model.language_model."): // as transformers 5 has them
			own[name] = "model." + strings.TrimPrefix(plain, "language_model.")
		default:
			own[name] = strings.TrimPrefix(name, "language_model.")
		}
	}
	slices.Sort(others)
	return own, others
}

// LeftOut names the weights of a multimodal checkpoint that are not the text model's and were not loaded, in order; none for other models.
func (m *Model) LeftOut() []string { return slices.Clone(m.leftOut) }
