package transformer

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/govene/govene/interv"
)

// A family is a model_type of transformers: how its config.json describes the parts, and what its checkpoints call the weights.
type family struct {
	config     func(f *fields) Config
	base       string                         // what the names of all weights but the head's begin with
	block      string                         // what follows in those of a layer's
	names      map[part]string                // what follows in turn; a part that is not there, no model of the family has
	renamed    func(c Config) map[part]string // which names a config changes; nil if none does
	inputMajor bool                           // weights of a block are [in, out], not [out, in]
}

// part is something that has weights.
type part string

const (
	tokenEmbedding      part = "token embedding"
	embeddingProjection part = "projection of the token embedding"
	positionEmbedding   part = "position embedding"
	finalNorm           part = "final norm"
	headProjection      part = "projection for the head"
	languageHead        part = "language-model head"
	classifierHead      part = "classifier head"

	attentionNorm      part = "norm before attention"
	attentionAfterNorm part = "norm after attention"
	attentionSumNorm   part = "norm of the sum with attention"
	mlpNorm            part = "norm before MLP"
	mlpAfterNorm       part = "norm after MLP"
	mlpSumNorm         part = "norm of the sum with MLP"

	queryProjection         part = "query projection"
	keyProjection           part = "key projection"
	valueProjection         part = "value projection"
	queryKeyValueProjection part = "query, key and value projection"
	outputProjection        part = "output projection"
	queryNorm               part = "query norm"
	keyNorm                 part = "key norm"
	sinks                   part = "attention sinks"

	gateProjection   part = "gate projection"
	upProjection     part = "up projection"
	gateUpProjection part = "gate and up projection"
	downProjection   part = "down projection"
	router           part = "router"

	expertGateUp part = "experts' gate and up projection"
	expertDown   part = "experts' down projection"

	expertGate      part = "an expert's gate projection" // these three where a checkpoint has each expert's, in names with its number
	expertUp        part = "an expert's up projection"
	expertDownAlone part = "an expert's down projection"
)

// families lists what is known.
var families = map[string]family{
	"gpt2":    {config: gpt2Config, base: "transformer.", block: "h.%d.", names: gpt2Names, inputMajor: true},
	"gpt_neo": {config: gptNeoConfig, base: "transformer.", block: "h.%d.", names: gptNeoNames},
	"opt":     {config: optConfig, base: "model.", block: "decoder.layers.%d.", names: optNames},

	"gpt_neox":   {config: gptNeoXConfig, base: "gpt_neox.", block: "layers.%d.", names: gptNeoXNames},
	"gptj":       {config: gptJConfig, base: "transformer.", block: "h.%d.", names: gptJNames},
	"phi":        {config: phiConfig, base: "model.", block: "layers.%d.", names: phiNames},
	"falcon":     {config: falconConfig, base: "transformer.", block: "h.%d.", names: falconNames, renamed: falconNorms},
	"stablelm":   {config: stableLMConfig, base: "model.", block: "layers.%d.", names: stableLMNames},
	"starcoder2": {config: starcoder2Config, base: "model.", block: "layers.%d.", names: starcoder2Names},
	"cohere":     {config: cohereConfig, base: "model.", block: "layers.%d.", names: llamaNames},

	"llama":   {config: llamaConfig, base: "model.", block: "layers.%d.", names: llamaNames},
	"mistral": {config: mistralConfig, base: "model.", block: "layers.%d.", names: llamaNames},
	"phi3":    {config: phi3Config, base: "model.", block: "layers.%d.", names: phi3Names},
	"qwen2":   {config: qwen2Config, base: "model.", block: "layers.%d.", names: llamaNames},
	"qwen3":   {config: qwen3Config, base: "model.", block: "layers.%d.", names: llamaNames},
	"olmo":    {config: olmoConfig, base: "model.", block: "layers.%d.", names: llamaNames},
	"olmo2":   {config: olmo2Config, base: "model.", block: "layers.%d.", names: olmo2Names},
	"granite": {config: graniteConfig, base: "model.", block: "layers.%d.", names: llamaNames},
	"smollm3": {config: smolLM3Config, base: "model.", block: "layers.%d.", names: llamaNames},

	"gemma":       {config: gemmaConfig, base: "model.", block: "layers.%d.", names: llamaNames},
	"gemma2":      {config: gemma2Config, base: "model.", block: "layers.%d.", names: gemma2Names},
	"gemma3_text": {config: gemma3Config, base: "model.", block: "layers.%d.", names: gemma2Names},

	"mixtral":   {config: mixtralConfig, base: "model.", block: "layers.%d.", names: mixtralNames},
	"qwen3_moe": {config: qwen3MoEConfig, base: "model.", block: "layers.%d.", names: mixtureNames},
	"olmoe":     {config: olmoeConfig, base: "model.", block: "layers.%d.", names: mixtureNames},
	"gpt_oss":   {config: gptOSSConfig, base: "model.", block: "layers.%d.", names: gptOSSNames},
}

// familyOf finds a family by its model_type.
func familyOf(name string) (family, error) {
	found, ok := families[name]
	if !ok {
		return found, interv.UnknownName("", "model_type", name, slices.Sorted(maps.Keys(families)))
	}
	return found, nil
}

// family is the config's, with the names that the config gives its parts.
func (c Config) family() (family, error) {
	f, err := familyOf(c.Family)
	if err == nil && f.renamed != nil {
		f.names = with(f.names, f.renamed(c))
	}
	return f, err
}

// with is a copy of names with some changed; an empty name takes the part away.
func with(names, changed map[part]string) map[part]string {
	all := maps.Clone(names)
	maps.Copy(all, changed)
	maps.DeleteFunc(all, func(_ part, name string) bool { return name == "" })
	return all
}

// attention is attention with as many key and value heads as query heads, which together are as wide as the model if headWidth is 0.
func attention(f *fields, width, heads, headWidth int) Attention {
	if headWidth == 0 && heads > 0 {
		if width%heads != 0 {
			f.fail("number of attention heads", fmt.Sprint(heads), fmt.Sprintf("a divisor of the model's width, %d", width))
		}
		headWidth = width / heads
	}
	return Attention{Heads: heads, KeyValueHeads: heads, HeadWidth: headWidth, Scale: 1 / math.Sqrt(float64(headWidth))}
}

// defaults are what transformers assumes in a family where config.json says nothing.
type defaults struct {
	epsilon       float64 // of norms
	headWidth     int     // 0 for the model's width divided by the number of heads
	keyValueHeads int     // 0 for as many as query heads
	base          float64 // of rotations
	partial       float64 // share of a head that is rotated; 0 for all
	rotary        rotaryJSON
	activation    string // "" for silu
	tied          bool
}

// decoder reads what the families that follow Llama share: rotated positions, root-mean-square norms, a gated MLP.
func (f *fields) decoder(d defaults) Config {
	c := Config{Vocabulary: get[int](f, "vocab_size"), Width: get[int](f, "hidden_size"), Layers: get[int](f, "num_hidden_layers"),
		MaxPositions: get[int](f, "max_position_embeddings"), TiedHead: getOr(f, "tie_word_embeddings", d.tied),
		EmbeddingScale: 1, ResidualScale: 1, LogitScale: 1,
		Norm: Norm{Epsilon: getOr(f, "rms_norm_eps", d.epsilon), Gain: true, Before: true, Final: true, Narrow: true}}
	c.Attention = attention(f, c.Width, get[int](f, "num_attention_heads"), getOr(f, "head_dim", d.headWidth))
	c.Attention.KeyValueHeads = optional(f, "num_key_value_heads", d.keyValueHeads)
	if c.Attention.KeyValueHeads == 0 {
		c.Attention.KeyValueHeads = c.Attention.Heads
	}
	c.Attention.Rotary = f.rotary(c, f.rotaryFile(d.rotary), getOr(f, "rope_theta", d.base), getOr(f, "partial_rotary_factor", cmp.Or(d.partial, 1)))
	c.Attention.WindowRotary = c.Attention.Rotary
	c.Attention.Windows = f.windows(c.Layers, 0, never)
	c.MLP = MLP{Width: get[int](f, "intermediate_size"), Activation: f.activation("hidden_act", cmp.Or(d.activation, "silu")), Gated: true}
	return c
}

// layerNorm is a layer norm with gains and biases before attention, MLP and head.
func (f *fields) layerNorm(epsilon string) Norm {
	return Norm{Centred: true, Epsilon: getOr(f, epsilon, 1e-5), Gain: true, Bias: true, Before: true, Final: true}
}

// biased gives attention's projections their biases, all or none.
func (f *fields) biased(c *Config, missing bool) {
	c.Attention.Bias = getOr(f, "attention_bias", missing)
	c.Attention.OutputBias = c.Attention.Bias
}
