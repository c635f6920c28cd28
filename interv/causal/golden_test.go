package causal_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/govene/govene/internal/golden"
	"github.com/govene/govene/interv/causal"
)

// row is one example of a golden case.
type row struct {
	Base      causal.Setting            `json:"base"`
	Sources   map[string]causal.Setting `json:"sources"`
	Fixed     causal.Setting            `json:"fixed"`
	Setting   causal.Setting            `json:"setting"`
	BaseLabel causal.Value              `json:"base_label"`
	Label     causal.Value              `json:"label"`
}

func TestGoldenCausal(t *testing.T) {
	for _, c := range golden.Cases(t, "causal") {
		t.Run(c.Name, func(t *testing.T) {
			model, output := goldenModel(t, c)
			rows := goldenRows(t, c)
			if len(rows) == 0 {
				t.Fatal("no rows")
			}
			for i, r := range rows {
				t.Run(fmt.Sprint(i), func(t *testing.T) { checkRow(t, model, output, r) })
			}
		})
	}
}

func checkRow(t *testing.T, model *causal.Model, output string, r row) {
	if base := model.MustRun(r.Base); base[output] != r.BaseLabel {
		t.Errorf("base label %v, wanted %v", base[output], r.BaseLabel)
	}
	if len(r.Fixed) != len(r.Sources) {
		t.Errorf("%d fixed values for %d sources", len(r.Fixed), len(r.Sources))
	}
	for variable, inputs := range r.Sources {
		if value := model.MustRun(inputs)[variable]; value != r.Fixed[variable] {
			t.Errorf("%s is %v in its source run, wanted %v", variable, value, r.Fixed[variable])
		}
	}
	setting, err := model.Interchange(r.Base, r.Sources)
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(setting, r.Setting) || setting[output] != r.Label {
		t.Errorf("got %v, wanted %v with label %v", setting, r.Setting, r.Label)
	}
}

// goldenModel makes the case's model; a formula that fails gives a value that no row has, so that only rows that reach it fail.
func goldenModel(t *testing.T, c *golden.Case) (*causal.Model, string) {
	t.Helper()
	var config struct {
		Inputs      []string            `json:"inputs"`
		InputValues []causal.Value      `json:"input_values"`
		Output      string              `json:"output"`
		Formulas    map[string]string   `json:"formulas"`
		Parents     map[string][]string `json:"parents"`
	}
	decode(t, c.Model.Config, &config)
	var variables []causal.Variable
	for _, name := range config.Inputs {
		variables = append(variables, causal.Variable{Name: name, Values: native(t, config.InputValues)})
	}
	for _, name := range slices.Sorted(maps.Keys(config.Formulas)) {
		evaluate, read, err := parseFormula(config.Formulas[name])
		if err != nil {
			t.Fatal(err)
		}
		parents := config.Parents[name]
		for _, parent := range read {
			if !slices.Contains(parents, parent) {
				t.Errorf("%s = %s reads %s, which is no parent", name, config.Formulas[name], parent)
			}
		}
		variables = append(variables, causal.Computed(name, func(values ...any) any {
			arguments := map[string]any{}
			for i, value := range values {
				arguments[parents[i]] = value
			}
			value, err := evaluate(arguments)
			if err != nil {
				return fmt.Sprintf("failed: %v", err)
			}
			return value
		}, parents...))
	}
	model, err := causal.New(variables...)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(model.Outputs(), []string{config.Output}) {
		t.Errorf("outputs %v, wanted %s", model.Outputs(), config.Output)
	}
	return model, config.Output
}

func goldenRows(t *testing.T, c *golden.Case) []row {
	t.Helper()
	var rows []row
	decode(t, c.Rows, &rows)
	for _, r := range rows {
		for _, setting := range slices.Concat([]causal.Setting{r.Base, r.Fixed, r.Setting}, slices.Collect(maps.Values(r.Sources))) {
			for name, value := range setting {
				setting[name] = native(t, []any{value})[0]
			}
		}
	}
	for i := range rows {
		labels := native(t, []any{rows[i].BaseLabel, rows[i].Label})
		rows[i].BaseLabel, rows[i].Label = labels[0], labels[1]
	}
	return rows
}

func decode(t *testing.T, data []byte, value any) {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(value); err != nil {
		t.Fatal(err)
	}
}

// native turns JSON's numbers into ints, and into float64s where they have a fraction, as Python does.
func native(t *testing.T, values []any) []causal.Value {
	t.Helper()
	for i, value := range values {
		number, isNumber := value.(json.Number)
		if !isNumber {
			continue
		}
		if whole, err := number.Int64(); err == nil {
			values[i] = int(whole)
		} else if values[i], err = number.Float64(); err != nil {
			t.Fatal(err)
		}
	}
	return values
}
