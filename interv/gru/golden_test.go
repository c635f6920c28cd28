package gru_test

import (
	"encoding/json"
	"testing"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/internal/golden"
	"github.com/govene/govene/interv/gru"
)

// engine is the backend that GOMLX_BACKEND names, shared by the tests of this package.
var engine = backend.MustNew()

func TestGolden(t *testing.T) {
	for _, c := range golden.Cases(t, "gru_classifier") {
		t.Run(c.Name, func(t *testing.T) {
			var config gru.Config
			if err := json.Unmarshal(c.Model.Config, &config); err != nil {
				t.Fatal(err)
			}
			model, err := gru.WithWeights(config, c.MustWeights(t))
			if err != nil {
				t.Fatal(err)
			}
			c.Run(t, engine, model)
		})
	}
}
