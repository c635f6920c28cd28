package mlp

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/govene/govene/internal/activation"
	"github.com/govene/govene/internal/strict"
	"github.com/govene/govene/interv"
)

// Config describes a model; it decides the names and shapes of all weights. Its JSON form is that of pyvene's MLPConfig, under whose
// names the fields are given below.
type Config struct {
	Layers        int        // n_layer: blocks on one another; 0 for the head alone, a linear classifier such as a probe
	Width         int        // h_dim: width of the inputs and of every block
	Classes       int        // num_classes: of the output; 0 means 2
	Activation    Activation // activation_function; empty means Gelu
	NoBias        bool       // not include_bias: no biases, neither in blocks nor in the head
	KeepPositions bool       // not squeeze_output: inputs may have several positions, and the output has them too
}

// validate refuses sizes that no model can have, and fills defaults.
func (c *Config) validate() error {
	if c.Classes == 0 {
		c.Classes = 2
	}
	if c.Activation == "" {
		c.Activation = Gelu
	}
	for _, s := range []struct {
		name        string
		size, least int
	}{{"Layers", c.Layers, 0}, {"Width", c.Width, 1}, {"Classes", c.Classes, 1}} {
		if s.size < s.least {
			return &interv.Error{Where: "mlp.Config", Axis: s.name, Got: fmt.Sprint(s.size), Wanted: fmt.Sprint("at least ", s.least)}
		}
	}
	if !slices.Contains(activation.All, c.Activation) {
		return interv.UnknownName("mlp.Config", "Activation", c.Activation, activation.All)
	}
	return nil
}

// weights lists the names and shapes of the model's tensors: those of pyvene's PyTorch modules.
func (c Config) weights() []interv.WeightShape {
	var list []interv.WeightShape
	linear := func(module string, width int) {
		list = append(list, interv.WeightShape{Name: module + ".weight", Dimensions: []int{width, c.Width}})
		if !c.NoBias {
			list = append(list, interv.WeightShape{Name: module + ".bias", Dimensions: []int{width}})
		}
	}
	for layer := range c.Layers {
		linear(block(layer), c.Width)
	}
	linear(head, c.Classes)
	return list
}

// head is the module whose output is the model's.
const head = "score"

// block is the linear module of a layer: "mlp.h.0.ff1".
func block(layer int) string { return fmt.Sprintf("mlp.h.%d.ff1", layer) }

// configJSON is Config under pyvene's names.
type configJSON struct {
	Layers     int        `json:"n_layer"`
	Width      int        `json:"h_dim"`
	Classes    int        `json:"num_classes"`
	Activation Activation `json:"activation_function"`
	Bias       bool       `json:"include_bias"`
	Squeeze    bool       `json:"squeeze_output"`
}

// MarshalJSON writes the config under pyvene's names.
func (c Config) MarshalJSON() ([]byte, error) {
	return json.Marshal(configJSON{c.Layers, c.Width, c.Classes, c.Activation, !c.NoBias, !c.KeepPositions})
}

// UnmarshalJSON reads a config under pyvene's names; a field it does not know is an error, as is one of the wrong type.
func (c *Config) UnmarshalJSON(data []byte) error {
	file := configJSON{Bias: true, Squeeze: true}
	if err := strict.Unmarshal(data, &file); err != nil {
		return interv.Within("mlp.Config", err)
	}
	*c = Config{file.Layers, file.Width, file.Classes, file.Activation, !file.Bias, !file.Squeeze}
	return nil
}
