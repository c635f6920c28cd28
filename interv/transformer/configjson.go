package transformer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/govene/govene/internal/activation"
	"github.com/govene/govene/internal/must"
	"github.com/govene/govene/internal/nearest"
	"github.com/govene/govene/interv"
)

// ParseConfig reads the config.json of a checkpoint. Sizes must be there; what else is left out has transformers' default. Fields that
// say nothing about the computation are ignored; one that asks for a computation that is not done here is an error. Of a multimodal
// checkpoint it reads the config of the text model.
func ParseConfig(data []byte) (Config, error) {
	var c Config
	err := c.UnmarshalJSON(data)
	return c, err
}

// MustParseConfig is ParseConfig of a literal, for tests and notebooks: it panics on an error.
func MustParseConfig(text string) Config { return must.Of(ParseConfig([]byte(text))) }

// UnmarshalJSON is [ParseConfig].
func (c *Config) UnmarshalJSON(data []byte) error {
	data, _, err := textConfig(data)
	if err != nil {
		return err
	}
	f := &fields{}
	if err := json.Unmarshal(data, &f.values); err != nil {
		return fmt.Errorf("config.json: %w", err)
	}
	name := get[string](f, "model_type")
	if f.err != nil {
		return f.err
	}
	family, err := familyOf(name)
	if err != nil {
		return interv.Within("config.json", err)
	}
	read := family.config(f)
	read.Family, read.Labels = name, f.labels()
	f.refuseQuantized()
	if f.err != nil {
		return f.err
	}
	if err := read.validate(); err != nil {
		return interv.Within("config.json", err)
	}
	read.source = bytes.Clone(data)
	*c = read
	return nil
}

// MarshalJSON returns the config.json that the config was read from. A config that has been changed since, or was never read, has none.
func (c Config) MarshalJSON() ([]byte, error) {
	again, err := ParseConfig(c.source)
	if err != nil || !reflect.DeepEqual(c, again) {
		return nil, &interv.Error{Where: "transformer.Config", Axis: "config.json", Got: "a config that was made or changed in Go",
			Wanted: "one that ParseConfig read"}
	}
	return c.source, nil
}

// fields reads a config.json and keeps the first thing that is wrong with it.
type fields struct {
	values map[string]json.RawMessage
	err    error
}

func (f *fields) fail(axis, got, wanted string) {
	if f.err == nil {
		f.err = &interv.Error{Where: "config.json", Axis: axis, Got: got, Wanted: wanted}
	}
}

// lookup decodes a field; the value is *T's zero if the field is null.
func lookup[T any](f *fields, name string) (value T, present, null bool) {
	raw, ok := f.values[name]
	if !ok {
		return value, false, false
	}
	if string(raw) == "null" {
		return value, true, true
	}
	if err := json.Unmarshal(raw, &value); err != nil {
		f.fail(name, string(raw), fmt.Sprintf("a value of type %T", value))
	}
	return value, true, false
}

// get is a field that must be there.
func get[T any](f *fields, name string) T {
	value, present, null := lookup[T](f, name)
	if !present || null {
		if f.err == nil {
			f.err = &interv.Error{Where: "config.json", Axis: name, Got: "no such field", Wanted: fmt.Sprintf("a value of type %T", value),
				Nearest: nearest.Name(name, slices.Sorted(maps.Keys(f.values)))}
		}
	}
	return value
}

// getOr is a field for which missing stands where it is left out or null.
func getOr[T any](f *fields, name string, missing T) T {
	value, present, null := lookup[T](f, name)
	if !present || null {
		return missing
	}
	return value
}

// optional is a field that null switches off: the zero value; left out, it is missing.
func optional[T any](f *fields, name string, missing T) T {
	value, present, _ := lookup[T](f, name)
	if !present {
		return missing
	}
	return value
}

// only refuses a field of another value than the one that is supported, which is also the default.
func only[T comparable](f *fields, name string, supported T) {
	if got := getOr(f, name, supported); got != supported {
		f.fail(name, fmt.Sprint(got), fmt.Sprintf("%v, the only value supported", supported))
	}
}

// labels counts the classes of a classifier; 0 for a language model. Another head, or none, is refused.
func (f *fields) labels() int {
	architectures := getOr[[]string](f, "architectures", nil)
	names := getOr[map[string]json.RawMessage](f, "id2label", nil)
	count := getOr(f, "num_labels", 2)
	if names != nil {
		count = len(names)
	}
	switch {
	case len(architectures) == 0, strings.HasSuffix(architectures[0], "LMHeadModel"), strings.HasSuffix(architectures[0], "ForCausalLM"):
		return 0
	case strings.HasSuffix(architectures[0], "ForSequenceClassification"):
		return count
	}
	f.fail("architectures", architectures[0], "…ForCausalLM, …LMHeadModel or …ForSequenceClassification")
	return 0
}

func (f *fields) refuseQuantized() {
	if quantization, ok := f.values["quantization_config"]; ok && string(quantization) != "null" {
		f.fail("quantization_config", string(quantization), "none: weights must be floating-point numbers")
	}
}

// activations are config.json's names of activation functions.
var activations = map[string]Activation{
	"gelu": Gelu, "gelu_new": GeluNew, "gelu_fast": GeluNew, "gelu_pytorch_tanh": GeluNew, "silu": Silu, "swish": Silu, "relu": Relu,
	"sigmoid": activation.Sigmoid, "tanh": activation.Tanh, "linear": activation.Linear,
}

func (f *fields) activation(name, missing string) Activation {
	got := getOr(f, name, missing)
	activation, ok := activations[got]
	if !ok && f.err == nil {
		f.err = interv.UnknownName("config.json", name, got, slices.Sorted(maps.Keys(activations)))
	}
	return activation
}

// windows lists the window of each layer: size where config.json's layer_types says so or, where it says nothing, windowed does.
func (f *fields) windows(layers, size int, windowed func(layer int) bool) []int {
	types := getOr[[]string](f, "layer_types", nil)
	if types != nil && len(types) != layers {
		f.fail("layer_types", fmt.Sprintf("%d layers", len(types)), fmt.Sprint(layers))
		return nil
	}
	if layers < 1 || layers > manyLayers { // refused later
		return nil
	}
	windows := make([]int, layers)
	for layer := range windows {
		slides := windowed(layer)
		if types != nil {
			switch types[layer] {
			case "sliding_attention", "full_attention":
				slides = types[layer] == "sliding_attention"
			default:
				f.fail(fmt.Sprintf("layer_types of layer %d", layer), types[layer], "sliding_attention or full_attention")
			}
		}
		if slides {
			windows[layer] = size
		}
	}
	return windows
}

func always(int) bool { return true }

func never(int) bool { return false }

// rotaryJSON is rope_scaling, or rope_parameters as later versions of transformers write it.
type rotaryJSON struct {
	Type              string   `json:"rope_type"`
	OldType           string   `json:"type"`
	Base              *float64 `json:"rope_theta"`
	Partial           *float64 `json:"partial_rotary_factor"`
	Factor            float64  `json:"factor"`
	OriginalPositions int      `json:"original_max_position_embeddings"`
	LowFrequency      float64  `json:"low_freq_factor"`
	HighFrequency     float64  `json:"high_freq_factor"`
	FastTurns         float64  `json:"beta_fast"`
	SlowTurns         float64  `json:"beta_slow"`
	Truncate          *bool    `json:"truncate"`
	Magnitude         float64  `json:"attention_factor"`
	MagnitudeScale    float64  `json:"mscale"`
	MagnitudeScaleAll float64  `json:"mscale_all_dim"`

	ShortFactors []float64 `json:"short_factor"`
	LongFactors  []float64 `json:"long_factor"`
	Pretrained   int       `json:"-"` // original_max_position_embeddings, where it stands beside
	Later        bool      `json:"-"` // it is rope_parameters
}

// rotaryFile is rope_scaling or rope_parameters.
func (f *fields) rotaryFile(missing rotaryJSON) rotaryJSON {
	file := getOr(f, "rope_parameters", getOr(f, "rope_scaling", missing))
	file.Pretrained = getOr(f, "original_max_position_embeddings", missing.Pretrained)
	_, file.Later = f.values["rope_parameters"]
	return file
}

// rotary is how positions are rotated. Base and partial, the share of a head's features that is rotated, hold where file has none.
func (f *fields) rotary(c Config, file rotaryJSON, base, partial float64) Rotary {
	if file.Base != nil {
		base = *file.Base
	}
	if file.Partial != nil {
		partial = *file.Partial
	}
	r := Rotary{Width: int(float64(c.Attention.HeadWidth) * partial), Base: base, Scaling: file.Type, Factor: file.Factor,
		OriginalPositions: file.OriginalPositions, LowFrequency: file.LowFrequency, HighFrequency: file.HighFrequency,
		FastTurns: file.FastTurns, SlowTurns: file.SlowTurns, WholeFeatures: file.Truncate == nil || *file.Truncate, Magnitude: file.Magnitude,
		ShortFactors: file.ShortFactors, LongFactors: file.LongFactors}
	if r.Scaling == "" {
		r.Scaling = file.OldType
	}
	if r.Scaling == "" {
		r.Scaling = "default"
	}
	if r.OriginalPositions == 0 || r.Scaling == "dynamic" {
		r.OriginalPositions = c.MaxPositions
	}
	if r.Scaling == "longrope" {
		f.longRotary(&r, c, file)
		return r
	}
	if r.FastTurns == 0 {
		r.FastTurns = 32
	}
	if r.SlowTurns == 0 {
		r.SlowTurns = 1
	}
	if r.Magnitude == 0 {
		r.Magnitude = yarnMagnitude(r.Factor, 1)
		if file.MagnitudeScale != 0 && file.MagnitudeScaleAll != 0 {
			r.Magnitude = yarnMagnitude(r.Factor, file.MagnitudeScale) / yarnMagnitude(r.Factor, file.MagnitudeScaleAll)
		}
	}
	return r
}

// longRotary reads what is longrope's own. Versions of transformers differ in where they look for the positions that a model was trained
// on; where that would make a difference, the file is refused.
func (f *fields) longRotary(r *Rotary, c Config, file rotaryJSON) {
	switch inner := file.OriginalPositions; {
	case file.Pretrained != 0:
		r.OriginalPositions = file.Pretrained
	case inner != 0 && inner != c.MaxPositions && !file.Later:
		f.fail("rope_scaling: original_max_position_embeddings", fmt.Sprint(inner),
			"none there, but beside rope_scaling: transformers 4 does not read it where it is")
	}
	factor := float64(c.MaxPositions) / float64(max(1, r.OriginalPositions))
	known := file.Pretrained != 0 || file.OriginalPositions != 0
	switch {
	case !known && file.Factor == 0 && file.Magnitude == 0:
		f.fail("rope_scaling: factor", "none", "a factor, attention_factor, or original_max_position_embeddings beside rope_scaling")
	case known && file.Factor != 0 && file.Factor != factor && file.Magnitude == 0:
		f.fail("rope_scaling: factor", fmt.Sprint(file.Factor), fmt.Sprintf("%g, as max_position_embeddings and original_max_position_embeddings say: "+
			"versions of transformers differ in which they follow", factor))
	case !known:
		factor = file.Factor
	}
	if r.Factor = factor; r.Magnitude == 0 {
		r.Magnitude = longMagnitude(factor, r.OriginalPositions)
	}
}
