package foreign_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/gomlx/gomlx/core/graph"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/internal/golden"
	"github.com/govene/govene/internal/golden/models"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/foreign"
)

// engine is the backend that GOMLX_BACKEND names, shared by the tests of this package.
var engine = backend.MustNew()

// onXLA says that compiling takes seconds, so that tests do less of it.
var onXLA = strings.HasPrefix(engine.Name(), "xla")

// aliased is a model with taps as one that knows nothing of them: what it would announce has an alias instead.
func aliased(t testing.TB, model interv.Model, inputs interv.Inputs) *foreign.Model {
	t.Helper()
	d := foreign.Description{Name: model.Catalogue().Model}
	for name, value := range inputs {
		dims := append([]int{foreign.Batch, foreign.Positions}, value.Shape().Dimensions[2:]...)
		if value.Shape().Dim(1) == 1 {
			dims[1] = 1
		}
		d.Inputs = append(d.Inputs, foreign.Input{Name: name, DType: value.DType(), Dims: dims})
	}
	for _, sites := range model.Catalogue().Sites {
		s := foreign.Sites{Sites: sites, Find: func(run *foreign.Run, want foreign.Want) (places []foreign.Place) {
			for step := 0; ; step++ {
				found := foreign.Places(run.Alias(alias(interv.Site{Layer: want.Layer, Component: sites.Component}, step)))
				if found == nil {
					return places
				}
				places = append(places, found...)
			}
		}}
		if sites.Width == 0 {
			s.Dims = []int{foreign.Batch, sites.Heads, foreign.Positions, foreign.Positions}
		}
		d.Sites = append(d.Sites, s)
	}
	m, err := foreign.New(engine, d, model.Weights().All(), func(weights, inputs interv.Nodes) *graph.Node {
		return model.Forward(weights, inputs, interv.NewTap(func(_ *interv.Tap, a interv.Activation) *graph.Node {
			return a.Value.WithAlias(alias(a.Site, a.Offset))
		}))
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func alias(site interv.Site, step int) string {
	return fmt.Sprintf("%d/%s/%d", site.Layer, site.Component, step)
}

// What is expected of models with taps holds for the same models without. A location may not count from an example's end here, since
// a foreign model does not know of padding.
func TestGolden(t *testing.T) {
	for i, c := range golden.Cases(t, "gru_classifier", "mlp_classifier", "gpt2", "gpt_neox") {
		t.Run(c.Name, func(t *testing.T) {
			if c.Generation != nil {
				t.Skip("generation")
			}
			if onXLA && (testing.Short() || i%32 != 0) {
				t.Skip("XLA compiles a case for seconds")
			}
			c.Run(t, engine, aliased(t, models.Of(t, c), c.MustInputs(t, c.Inputs.Base)))
		})
	}
}
