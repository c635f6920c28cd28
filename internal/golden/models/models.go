// Package models makes the models of golden cases.
package models

import (
	"encoding/json"
	"testing"

	"github.com/govene/govene/internal/golden"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/gru"
	"github.com/govene/govene/interv/mlp"
	"github.com/govene/govene/interv/transformer"
)

// Families are those that there are models of.
var Families = []string{"gru_classifier", "mlp_classifier", "gpt2", "gpt_neox", "llama", "mistral", "phi3", "qwen2", "qwen3", "olmo2", "gemma2", "gemma3_text",
	"gpt_oss"}

// Of makes the model of a case.
func Of(t *testing.T, c *golden.Case) interv.Model {
	t.Helper()
	var model interv.Model
	var err error
	switch c.Model.Family {
	case "gru_classifier":
		var config gru.Config
		if err = json.Unmarshal(c.Model.Config, &config); err == nil {
			model, err = gru.WithWeights(config, c.MustWeights(t))
		}
	case "mlp_classifier":
		var config mlp.Config
		if err = json.Unmarshal(c.Model.Config, &config); err == nil {
			model, err = mlp.WithWeights(config, c.MustWeights(t))
		}
	default:
		model, err = transformer.Load(c.CheckpointFolder())
	}
	if err != nil {
		t.Fatal(err)
	}
	return model
}
