package gru_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/internal/golden"
	"github.com/govene/govene/interv/gru"
)

// engine is the backend that GOMLX_BACKEND names, shared by the tests of this package.
var engine = backend.MustNew()

// vanillaOnXLA are vanilla interventions that XLA compiles, in two seconds each; those at other components are the same program but for where it is
// cut, and run in pure Go, or with GOVENE_LONG.
var vanillaOnXLA = []string{"gru_vanilla_cell_input", "gru_vanilla_cell_output", "gru_vanilla_reset_h2h_output", "gru_vanilla_new_gate_output"}

func TestGolden(t *testing.T) {
	sparing := strings.HasPrefix(engine.Name(), "xla") && os.Getenv("GOVENE_LONG") == ""
	for _, c := range golden.Cases(t, "gru_classifier") {
		t.Run(c.Name, func(t *testing.T) {
			if sparing && strings.Contains(c.Name, "_vanilla_") && !slices.Contains(vanillaOnXLA, c.Name) {
				t.Skip("others have their turn on XLA")
			}
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
