package gru

import (
	"encoding/json"
	"fmt"

	"github.com/govene/govene/internal/strict"
	"github.com/govene/govene/interv"
)

// Config describes a model; together with the head it decides the names and shapes of all weights. Its JSON form is that of
// pyvene's GRUConfig, under whose names the fields are given below.
type Config struct {
	Layers       int  // n_layer: cells stacked on one another
	Width        int  // h_dim: width of the state, of the inputs and of every layer
	Labels       int  // n_labels: classes of a classifier; 0 means 2
	NoBias       bool // not include_bias: cells without biases
	Embeddings   bool // include_emb: the model has token and position embeddings
	Vocabulary   int  // vocab_size: of the embeddings and of a language-model head
	MaxPositions int  // max_position_embeddings: of the embeddings
}

// head is what turns states into the output.
type head int

const (
	classifier    head = iota // score: the last step's state → logits [batch, labels]
	languageModel             // lm_head: every step's state → logits [batch, steps, vocabulary]
)

func (h head) String() string { return [...]string{"gru classifier", "gru language model"}[h] }

// validate refuses sizes that no model can have, and fills the default of Labels.
func (c *Config) validate(h head) error {
	if c.Labels == 0 {
		c.Labels = 2
	}
	sizes := []struct {
		name   string
		size   int
		needed bool
	}{
		{"Layers", c.Layers, true}, {"Width", c.Width, true}, {"Labels", c.Labels, h == classifier},
		{"Vocabulary", c.Vocabulary, c.Embeddings || h == languageModel}, {"MaxPositions", c.MaxPositions, c.Embeddings},
	}
	for _, s := range sizes {
		if s.needed && s.size < 1 {
			return &interv.Error{Where: "gru.Config", Axis: s.name, Got: fmt.Sprint(s.size), Wanted: "at least 1"}
		}
	}
	return nil
}

// weights lists the names and shapes of the model's tensors: those of pyvene's PyTorch modules.
func (c Config) weights(h head) []interv.WeightShape {
	d := c.Width
	var list []interv.WeightShape
	add := func(name string, dimensions ...int) {
		list = append(list, interv.WeightShape{Name: name, Dimensions: dimensions})
	}
	if c.Embeddings {
		add(tokenEmbedding, c.Vocabulary, d)
		add(positionEmbedding, c.MaxPositions, d)
	}
	for layer := range c.Layers {
		for _, projection := range []string{"x2h", "h2h"} {
			add(cellWeight(layer, projection, "weight"), 3*d, d)
			if !c.NoBias {
				add(cellWeight(layer, projection, "bias"), 3*d)
			}
		}
	}
	if h == classifier {
		add(scoreWeight, c.Labels, d)
	} else {
		add(languageModelWeight, c.Vocabulary, d)
	}
	return list
}

const (
	tokenEmbedding      = "gru.wte.weight"
	positionEmbedding   = "gru.wpe.weight"
	scoreWeight         = "score.weight"
	languageModelWeight = "lm_head.weight"
)

// cellWeight is "gru.cells.0.x2h.weight".
func cellWeight(layer int, projection, kind string) string {
	return fmt.Sprintf("gru.cells.%d.%s.%s", layer, projection, kind)
}

// configJSON is Config under pyvene's names.
type configJSON struct {
	Layers       int  `json:"n_layer"`
	Width        int  `json:"h_dim"`
	Labels       int  `json:"n_labels"`
	Bias         bool `json:"include_bias"`
	Embeddings   bool `json:"include_emb"`
	Vocabulary   int  `json:"vocab_size,omitempty"`
	MaxPositions int  `json:"max_position_embeddings,omitempty"`
}

// MarshalJSON writes the config under pyvene's names.
func (c Config) MarshalJSON() ([]byte, error) {
	return json.Marshal(configJSON{c.Layers, c.Width, c.Labels, !c.NoBias, c.Embeddings, c.Vocabulary, c.MaxPositions})
}

// UnmarshalJSON reads a config under pyvene's names; a field it does not know is an error, as is one of the wrong type.
func (c *Config) UnmarshalJSON(data []byte) error {
	file := configJSON{Bias: true}
	if err := strict.Unmarshal(data, &file); err != nil {
		return interv.Within("gru.Config", err)
	}
	*c = Config{file.Layers, file.Width, file.Labels, !file.Bias, file.Embeddings, file.Vocabulary, file.MaxPositions}
	return nil
}
