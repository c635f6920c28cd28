package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/govene/govene/interv"
)

// tokensOf are the settings of metrics that list tokens: a text in them stands for the token that it is.
var tokensOf = []string{"right", "wrong", "tokens"}

// placesOf are what lists positions: a text in their place, or one for each example, stands for where its last token is. These are of the
// base, but for source, of the source.
var placesOf = []string{"at", "read_at", "base", "source"}

// words writes ids and positions in the place of texts that stand for tokens and for places in a part of the job.
func (j *job) words(text json.RawMessage) (json.RawMessage, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	value, err := j.inWords(value, "", 0)
	if err != nil {
		return nil, err
	}
	return json.Marshal(value)
}

// inWords walks through the value of a field; location counts the locations of a call, whose sources differ.
func (j *job) inWords(value any, field string, location int) (_ any, err error) {
	if pieces := texts(value); pieces != nil && slices.Contains(placesOf, field) {
		return j.places(field, pieces, location)
	}
	switch v := value.(type) {
	case map[string]any:
		if pieces := texts(v["at"]); pieces != nil && v["name"] == nil && v["metric"] == nil {
			v["name"] = strings.TrimSpace(strings.Join(pieces, "/"))
		}
		for name := range v {
			if v[name], err = j.inWords(v[name], name, location); err != nil {
				return nil, err
			}
		}
	case []any:
		for i := range v {
			if field == "locations" {
				location = i
			}
			if v[i], err = j.inWords(v[i], field, location); err != nil {
				return nil, err
			}
		}
	case string:
		if slices.Contains(tokensOf, field) {
			tokenizer, err := j.texts()
			if err != nil {
				return nil, err
			}
			return tokenizer.ID(v)
		}
	}
	return value, nil
}

// texts is a text, or a list of them and nothing else; nil for any other value.
func texts(value any) []string {
	if text, ok := value.(string); ok {
		return []string{text}
	}
	list, _ := value.([]any)
	var pieces []string
	for _, entry := range list {
		text, ok := entry.(string)
		if !ok {
			return nil
		}
		pieces = append(pieces, text)
	}
	return pieces
}

// places are the positions of the last tokens of pieces of the base's texts, or of a source's.
func (j *job) places(field string, pieces []string, location int) ([][]int, error) {
	in, of := j.Base, "base"
	if field == "source" {
		if in, of = j.Source, "source"; location < len(j.Sources) {
			in, of = j.Sources[location], fmt.Sprintf("source %d", location)
		}
	}
	if in == nil || in.Text == nil {
		return nil, &interv.Error{Axis: field, Got: fmt.Sprintf("%q", pieces), Wanted: "positions: the " + of + " has no text to find it in"}
	}
	batch, err := in.batch(j)
	if err != nil {
		return nil, interv.Within(of, err)
	}
	rows, err := batch.Find(pieces...)
	return rows, interv.Within(of, err)
}
