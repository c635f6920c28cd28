// Package strict reads JSON in which nothing is ignored.
package strict

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"

	"github.com/govene/govene/internal/refusal"
)

// Unmarshal is json.Unmarshal that refuses fields which value does not have. What is wrong comes as a *refusal.Error, but for what a type's
// own UnmarshalJSON returns.
func Unmarshal(text []byte, value any) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(value)
	if err == nil && len(bytes.TrimSpace(text[decoder.InputOffset():])) > 0 {
		return &refusal.Error{Axis: "JSON", Got: "text after the value", Wanted: "none"}
	}
	return inWords(err, reflect.TypeOf(value))
}

// Once refuses a field that an object has twice, at any depth, of which package json would take the last and say nothing. What is no JSON it
// leaves to Unmarshal.
func Once(text []byte) error {
	decoder := json.NewDecoder(bytes.NewReader(text))
	var open []map[string]bool // the names so far of objects; nil for lists
	named := false             // whether the value of a name comes next
	for {
		token, err := decoder.Token()
		if err != nil {
			return nil
		}
		name, isText := token.(string)
		switch inside := len(open) > 0 && open[len(open)-1] != nil; {
		case token == json.Delim('{'):
			open, named = append(open, map[string]bool{}), false
		case token == json.Delim('['):
			open, named = append(open, nil), false
		case token == json.Delim('}'), token == json.Delim(']'):
			open, named = open[:len(open)-1], false
		case inside && !named && isText:
			names, folded := open[len(open)-1], strings.ToLower(name) // json takes names in any case
			if names[folded] {
				return &refusal.Error{Axis: "field", Got: name + " twice", Wanted: "each once"}
			}
			names[folded], named = true, true
		default:
			named = false
		}
	}
}

// inWords is what package json says of a value of a type, as a *refusal.Error.
func inWords(err error, of reflect.Type) error {
	var own *refusal.Error
	var mismatch *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &own):
		return own
	case errors.As(err, &mismatch):
		wanted := mismatch.Type.String()
		if mismatch.Type.Kind() == reflect.Struct {
			wanted = "an object"
		}
		return &refusal.Error{Axis: mismatch.Field, Got: mismatch.Value, Wanted: wanted}
	case errors.As(err, &syntax), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &refusal.Error{Axis: "JSON", Got: err.Error(), Wanted: "valid JSON"}
	}
	if quoted, unknown := strings.CutPrefix(err.Error(), "json: unknown field "); unknown {
		name, names := strings.Trim(quoted, `"`), fieldsOf(of)
		if slices.Contains(names, name) {
			return &refusal.Error{Axis: "field", Got: quoted + " where there is none", Wanted: "it in its own place"}
		}
		return refusal.UnknownName("", "field", name, names)
	}
	return err
}

// fieldsOf lists the names in JSON of the fields of a type and of those that it is made of: json does not say in which one was unknown.
func fieldsOf(of reflect.Type) (names []string) {
	types := []reflect.Type{of}
	for i := 0; i < len(types); i++ {
		of := types[i]
		for slices.Contains([]reflect.Kind{reflect.Pointer, reflect.Slice, reflect.Map}, of.Kind()) {
			of = of.Elem()
		}
		if of.Kind() != reflect.Struct || i > 0 && reflect.PointerTo(of).Implements(reflect.TypeFor[json.Unmarshaler]()) {
			continue
		}
		for _, field := range reflect.VisibleFields(of) {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if !field.IsExported() || field.Anonymous || name == "-" {
				continue
			}
			if name = cmp.Or(name, field.Name); !slices.Contains(names, name) {
				names = append(names, name)
			}
			if !slices.Contains(types, field.Type) {
				types = append(types, field.Type)
			}
		}
	}
	return names
}
