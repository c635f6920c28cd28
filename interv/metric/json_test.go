package metric_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/govene/govene/internal/strict"
	"github.com/govene/govene/internal/wanted"
	"github.com/govene/govene/interv"
)

func TestMeasuresInFiles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		for _, c := range every(t, 2, 11) {
			measure := interv.Measure{Name: "m", Metric: c.metric, At: rapid.SampledFrom([][][]int{nil, {{-2}}}).Draw(t, "at")}
			text, err := json.Marshal(measure)
			if err != nil {
				var refused *interv.Error
				if !errors.As(err, &refused) {
					t.Fatalf("%s: %v", measure.Metric.Name(), err)
				}
				wanted.Refusal(t, refused, "saving metric moved", "metric.Func", "declare a type")
				continue
			}
			var back interv.Measure
			if err := strict.Unmarshal(text, &back); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			if !reflect.DeepEqual(back, measure) {
				t.Errorf("got %+v from %s, wanted %+v", back, text, measure)
			}
		}
	})
}

func TestFilesThatAreNoMeasures(t *testing.T) {
	for text, words := range map[string][]string{
		`{"metric": "logit_diference"}`: {"metric", "logit_diference", `did you mean "logit_difference"?`},
		`{}`:                            {"metric", `got ""`},
		`{"metric": "logit", "settings": {"token": [1]}}`:                           {"logit", `"token"`, `did you mean "tokens"?`},
		`{"metric": "logit", "settings": {"tokens": ["Paris"]}}`:                    {"logit", "got string"},
		`{"metric": "kl", "sttings": {}}`:                                           {"field", `"sttings"`, `did you mean "settings"?`},
		`{"metric": "recovered", "settings": {"clean": [1], "corrupted": [2]}}`:     {"recovered", "of", "got none"},
		`{"metric": "recovered", "settings": {"of": {"metric": "kll"}}}`:            {"recovered", `"kll"`},
		`{"metric": "top_tokens", "settings": {"k": 1.5}}`:                          {"top_tokens", "k", "number 1.5"},
		`{"metric": "logit", "settings": {"tokens": [1]}, "at": [[1.5]]}`:           {"at", "number 1.5"},
		`{"metric": "logit", "settings": {"tokens": [99999999999999999999999999]}}`: {"logit"},
	} {
		var m interv.Measure
		wanted.Refusal(t, strict.Unmarshal([]byte(text), &m), words...)
	}
}

// Whatever reads as a measure is written and read again as the same.
func FuzzMeasure(f *testing.F) {
	f.Add(`{"metric":"logit_difference","settings":{"right":[[1]],"wrong":[[2],[3]]},"at":[[-2]]}`)
	f.Add(`{"name":"x","metric":"recovered","settings":{"of":{"metric":"kl"},"clean":[1],"corrupted":[-2.5]}}`)
	f.Add(`{"metric":"top_tokens","settings":{"k":3}}`)
	f.Fuzz(func(t *testing.T, text string) {
		var m, back interv.Measure
		if strict.Unmarshal([]byte(text), &m) != nil {
			return
		}
		if data, err := m.Metric.Data(2, 11); err == nil {
			for name, tensor := range data {
				if tensor.Shape().Dim(0) != 2 {
					t.Errorf("data %s has the shape %s, wanted a first axis of 2", name, tensor.Shape())
				}
			}
		}
		again, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if err := strict.Unmarshal(again, &back); err != nil {
			t.Fatalf("%s: %v", again, err)
		}
		last, err := json.Marshal(back)
		if err != nil || string(last) != string(again) {
			t.Errorf("got %s, wanted %s", last, again)
		}
	})
}
