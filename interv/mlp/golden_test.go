package mlp_test

import (
	"encoding/json"
	"testing"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/internal/golden"
	"github.com/govene/govene/interv/mlp"
)

// engine is the backend that GOMLX_BACKEND names, shared by the tests of this package.
var engine = backend.MustNew()

func TestGolden(t *testing.T) {
	for _, c := range golden.Cases(t, "mlp_classifier") {
		t.Run(c.Name, func(t *testing.T) {
			var config mlp.Config
			if err := json.Unmarshal(c.Model.Config, &config); err != nil {
				t.Fatal(err)
			}
			model, err := mlp.WithWeights(config, c.MustWeights(t))
			if err != nil {
				t.Fatal(err)
			}
			c.Run(t, engine, model)
		})
	}
}
