package interv_test

import (
	"flag"
	"math"
	"strings"
	"testing"

	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/tensors"
	"pgregory.net/rapid"

	"github.com/govene/govene/interv"
)

// slow tells that a program takes a second to compile, as on XLA, where the Go backend takes milliseconds.
var slow = strings.HasPrefix(engine.Name(), "xla")

// Random scenarios have fixed seeds; -rapid.checks and -rapid.seed draw others.
func init() {
	checks := "500"
	if slow {
		checks = "10"
	}
	for name, value := range map[string]string{"rapid.checks": checks, "rapid.seed": "1", "rapid.nofailfile": "true"} {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
}

// Whatever is configured and called, outputs and collected activations are those that a slow, independent computation gives.
func TestRandomScenariosAgainstTheOracle(t *testing.T) { rapid.Check(t, checkScenario) }

// FuzzScenarios lets the fuzzer choose what rapid chooses otherwise.
func FuzzScenarios(f *testing.F) { f.Fuzz(rapid.MakeFuzz(checkScenario)) }

func checkScenario(t *rapid.T) {
	s := drawScenario(t)
	iv, err := interv.New(engine, s.model, s.config)
	if err != nil {
		t.Fatalf("%+v: %v", s.config, err)
	}
	must(t, iv.SetParameters(s.someParameters(iv.Parameters())))
	result, err := iv.Run(s.call)
	if s.breaksChain() {
		if err == nil || !strings.Contains(err.Error(), "which nothing reads") {
			t.Fatalf("an edit that nothing reads: got %v", err)
		}
		return
	}
	if err != nil {
		t.Fatalf("%+v\n%+v\n%v", s.config, s.call.Locations, err)
	}
	compareOutcome(t, s, iv, result)
}

// someParameters draws values for parameters that start at a special one, such as 0.
func (s *scenario) someParameters(now map[string]*tensors.Tensor) map[string]*tensors.Tensor {
	values := map[string]*tensors.Tensor{}
	for _, name := range sorted(now) {
		value := now[name]
		_, short, _ := strings.Cut(name, ".")
		switch short {
		case "rotation", "noise_level":
			continue
		case "temperature", "std":
			values[name] = mapped(s.normal(value.Shape().Dimensions...), func(x float64) float64 { return 0.5 + math.Abs(x) })
		case "components":
			if s.coin("components as they are") {
				continue
			}
			fallthrough
		default:
			values[name] = s.normal(value.Shape().Dimensions...)
		}
	}
	return values
}

func compareOutcome(t *rapid.T, s *scenario, iv *interv.Intervenable, result *interv.Result) {
	o := oracle{host: s.host, catalogue: s.model.Catalogue(), config: s.config, call: s.call, parameters: iv.Parameters()}
	tolerance := 1e-9
	if s.dtype == dtypes.Float32 {
		tolerance = 2e-4
	}
	near := func(what string, got, want []float64) {
		largest := 1.0
		for _, value := range want {
			largest = max(largest, math.Abs(value))
		}
		if len(got) != len(want) {
			t.Fatalf("%s: got %d elements, wanted %d", what, len(got), len(want))
		}
		for i := range want {
			if !(math.Abs(got[i]-want[i]) <= tolerance*largest) {
				t.Fatalf("%s, element %d: got %g, wanted %g\n%+v\n%+v", what, i, got[i], want[i], s.config, s.call)
			}
		}
	}
	part := func(t *tensors.Tensor, i int) []float64 {
		size := t.Size() / s.batch
		return numbers(t)[i*size : (i+1)*size]
	}
	for i := range s.batch {
		want := o.example(i)
		near("output", part(result.Output, i), want.output)
		if s.call.WithBase {
			near("base output", part(result.BaseOutput, i), want.base)
		}
		if len(result.Collected) != len(want.collected) {
			t.Fatalf("collected %d tensors, wanted %d", len(result.Collected), len(want.collected))
		}
		for k, collected := range result.Collected {
			near(collected.Name, part(collected.Value, i), padded(want.collected[k], collected.Value.Shape().Dimensions))
		}
	}
}

// padded lays units out as a Collect returns them for one example, with 0 where the example has none: dimensions are those of the whole
// tensor.
func padded(units map[[2]int][]float64, dimensions []int) (flat []float64) {
	width := dimensions[len(dimensions)-1]
	columns := dimensions[len(dimensions)-2]
	rows := 1
	if len(dimensions) == 4 {
		rows = dimensions[1]
	}
	for row := range rows {
		for column := range columns {
			unit := units[[2]int{row, column}]
			if unit == nil {
				unit = make([]float64, width)
			}
			flat = append(flat, unit...)
		}
	}
	return flat
}
