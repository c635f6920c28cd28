package transformer

import (
	"math"
	"testing"
)

// Frequencies and magnitudes that transformers 4.57.6 computes (modeling_rope_utils, ROPE_INIT_FUNCTIONS), for 16 features, base 10000.
func TestRotaryFrequencies(t *testing.T) {
	f := &fields{}
	config := Config{MaxPositions: 512, Attention: Attention{HeadWidth: 16}}
	no := false
	for name, c := range map[string]struct {
		file      rotaryJSON
		want      [8]float64
		magnitude float64
	}{
		"default": {rotaryJSON{},
			[8]float64{1, 0.316227764, 0.100000001, 0.0316227786, 0.00999999978, 0.00316227786, 0.00100000005, 0.000316227786}, 1},
		"linear": {rotaryJSON{OldType: "linear", Factor: 4},
			[8]float64{0.25, 0.079056941, 0.0250000004, 0.00790569466, 0.00249999994, 0.000790569466, 0.000250000012, 7.90569466e-05}, 1},
		"llama3": {rotaryJSON{Type: "llama3", Factor: 8, LowFrequency: 1, HighFrequency: 4, OriginalPositions: 64},
			[8]float64{1, 0.244384587, 0.0130422562, 0.00395284733, 0.00124999997, 0.000395284733, 0.000125000006, 3.95284733e-05}, 1},
		"yarn": {rotaryJSON{Type: "yarn", Factor: 4, OriginalPositions: 64},
			[8]float64{1, 0.237170815, 0.049999997, 0.00790569466, 0.00249999994, 0.000790569466, 0.000250000012, 7.90569466e-05}, 1.138629436111989},
		"yarn, not truncated": {rotaryJSON{Type: "yarn", Factor: 4, OriginalPositions: 64, FastTurns: 16, SlowTurns: 2, Truncate: &no,
			MagnitudeScale: 0.7, MagnitudeScaleAll: 0.3},
			[8]float64{1, 0.14849025, 0.0250000004, 0.00790569466, 0.00249999994, 0.000790569466, 0.000250000012, 7.90569466e-05}, 1.0532376815143234},
		"yarn, magnitude": {rotaryJSON{Type: "yarn", Factor: 4, OriginalPositions: 64, Magnitude: 1.3},
			[8]float64{1, 0.237170815, 0.049999997, 0.00790569466, 0.00249999994, 0.000790569466, 0.000250000012, 7.90569466e-05}, 1.3},
		"longrope": {rotaryJSON{Type: "longrope", Pretrained: 64, ShortFactors: []float64{1, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7}, LongFactors: []float64{1, 2, 3, 4, 5, 6, 7, 8}},
			[8]float64{1, 0.287479758, 0.0833333358, 0.0243252143, 0.00714285718, 0.00210818532, 0.000624999986, 0.000186016332}, 1.224744871391589},
	} {
		t.Run(name, func(t *testing.T) {
			r := f.rotary(config, c.file, 10000, 1)
			if err := r.validate(16); err != nil {
				t.Fatal(err)
			}
			for i, got := range r.frequencies() {
				if want := c.want[i]; math.Abs(float64(got)-want) > 3e-7*want {
					t.Errorf("feature %d: got %.9g, wanted %.9g", i, got, want)
				}
			}
			if (r.Scaling == "yarn" || r.Scaling == "longrope") && math.Abs(r.Magnitude-c.magnitude) > 1e-12 {
				t.Errorf("got magnitude %g, wanted %g", r.Magnitude, c.magnitude)
			}
		})
	}
}
