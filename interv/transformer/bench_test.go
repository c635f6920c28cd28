package transformer_test

import (
	"fmt"
	"testing"

	"github.com/gomlx/gomlx/core/tensors"

	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/transformer"
)

// gpt2Small has the sizes of GPT-2 small, 124 million parameters.
const gpt2Small = `{"model_type": "gpt2", "vocab_size": 50257, "n_positions": 1024, "n_embd": 768, "n_layer": 12, "n_head": 12}`

// BenchmarkForward is a clean run of GPT-2 small with all logits.
func BenchmarkForward(b *testing.B) {
	model := transformer.MustNew(transformer.MustParseConfig(gpt2Small), 1)
	iv := interv.MustNew(engine, model, interv.Config{})
	for _, batch := range []int{1, 8} {
		b.Run(fmt.Sprintf("%dx32", batch), func(b *testing.B) {
			ids := make([]int32, batch*32)
			for i := range ids {
				ids[i] = int32(i * 7919 % 50257)
			}
			inputs := interv.Inputs{"input_ids": tensors.FromFlatDataAndDimensions(ids, batch, 32)}
			iv.MustForward(inputs)
			b.ResetTimer()
			for range b.N {
				iv.MustForward(inputs)
			}
		})
	}
}
