// Package refusal is the error with which packages refuse what is wrong with their input. They name it in their documentation:
// interv.Error, causal.Error and plotting.Error are it.
package refusal

import (
	"fmt"
	"strings"

	"github.com/govene/govene/internal/nearest"
)

// Error is documented where it is public, as interv.Error.
type Error struct {
	Where   string // the part at fault: "representation 0 (layer 0 cell_output)", "base"
	Axis    string // the axis or field: "component", "locations of example 3"; may be empty
	Got     string
	Wanted  string
	Nearest string // the valid name most like the one got; empty if none is close
}

// Error implements the error interface on one line, without a stack trace.
func (e *Error) Error() string {
	text := fmt.Sprintf("got %s, wanted %s", e.Got, e.Wanted)
	for _, place := range []string{e.Axis, e.Where} {
		if place != "" {
			text = place + ": " + text
		}
	}
	if e.Nearest != "" {
		text += fmt.Sprintf("; did you mean %q?", e.Nearest)
	}
	return text
}

// Within returns err with where put before the place it names, so that inner checks need not know who called them.
func Within(where string, err error) error {
	if e, ok := err.(*Error); ok {
		inner := *e
		if inner.Where != "" {
			where += ", " + inner.Where
		}
		inner.Where = where
		return &inner
	}
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", where, err)
}

// UnknownName is the error for a name that is not among the valid ones: it lists them and points at the nearest.
func UnknownName[Name ~string](where, axis string, got Name, valid []Name) *Error {
	names := make([]string, len(valid))
	for i, name := range valid {
		names[i] = string(name)
	}
	return &Error{
		Where: where, Axis: axis,
		Got:     fmt.Sprintf("%q", string(got)),
		Wanted:  "one of " + strings.Join(names, ", "),
		Nearest: nearest.Name(string(got), names),
	}
}
