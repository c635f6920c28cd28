package strict_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/govene/govene/internal/refusal"
	"github.com/govene/govene/internal/strict"
)

type tree struct {
	Name   string `json:"name"`
	Leaves []struct {
		Colour string `json:"colour"`
	} `json:"leaves"`
	Trees []*tree `json:"trees"`
	Own   own     `json:"own"`
}

// own reads itself, so that its fields have other names in JSON.
type own struct{ Field int }

func (*own) UnmarshalJSON(text []byte) error {
	var list []int
	return json.Unmarshal(text, &list)
}

func TestUnmarshal(t *testing.T) {
	var got tree
	if err := strict.Unmarshal([]byte(`{"name": "a", "leaves": [{"colour": "green"}], "own": [1]}`+"\n"), &got); err != nil || got.Leaves[0].Colour != "green" {
		t.Errorf("got %v (%v)", got, err)
	}
	for text, message := range map[string]string{
		``:                     `JSON: got EOF, wanted valid JSON`,
		`{"name": "a"`:         `JSON: got unexpected EOF, wanted valid JSON`,
		`{]`:                   `JSON: got invalid character ']' looking for beginning of object key string, wanted valid JSON`,
		`{} {}`:                `JSON: got text after the value, wanted none`,
		`{} }`:                 `JSON: got text after the value, wanted none`,
		`{"name": 1}`:          `name: got number, wanted string`,
		`{"leaves": ["a"]}`:    `leaves: got string, wanted an object`,
		`{"colour": "a"}`:      `field: got "colour" where there is none, wanted it in its own place`,
		`{"nam": "a"}`:         `field: got "nam", wanted one of name, leaves, trees, own, colour; did you mean "name"?`,
		`{"trees": [{"n":1}]}`: `field: got "n", wanted one of name, leaves, trees, own, colour`,
	} {
		var refused *refusal.Error
		if err := strict.Unmarshal([]byte(text), new(tree)); !errors.As(err, &refused) || !strings.HasPrefix(err.Error(), message) {
			t.Errorf("%s: got %v, wanted a *refusal.Error that says %q", text, err, message)
		}
	}
}

func TestOnce(t *testing.T) {
	for text, message := range map[string]string{
		`{"a": 1, "a": 2}`:                   `field: got a twice, wanted each once`,
		`{"a": "b", "b": "a", "B": [{}]}`:    `field: got B twice, wanted each once`,
		`[{"a": [{"b": {}, "c": 1, "b": 0}]`: `field: got b twice, wanted each once`,
		`{"a": [{"a": "a"}, {"a": ["a", "a"]}], "b": {"a": null}, "c": "c"} {]`: "",
		`"a"`: "",
		``:    "",
	} {
		if err := strict.Once([]byte(text)); message == "" && err != nil || message != "" && (err == nil || err.Error() != message) {
			t.Errorf("%s: got %v, wanted %q", text, err, message)
		}
	}
}
