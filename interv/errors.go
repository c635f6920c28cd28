package interv

import (
	"fmt"
	"slices"
	"strings"

	"github.com/govene/govene/internal/nearest"
)

// Error says what is wrong with a config, a call or data, in terms of the user's own words: which part it was found in, along which
// axis or field, what was got, what was wanted, and the nearest valid name where there is one.
//
// Every refusal of this package is an *Error, to be inspected with errors.As. What a model, an intervention or a loss of the user's
// panics with while a graph is built comes as an error that says where and wraps it.
type Error struct {
	Where   string // the part at fault: "representation 0 (layer 0 cell_output)", "base"
	Axis    string // the axis or field: "component", "locations of example 3"
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

// guard calls what may panic, as code that builds graphs does, and returns what it panics with as an error.
func guard(build func()) (err error) {
	defer func() {
		switch cause := recover().(type) {
		case nil:
		case error:
			err = cause
		default:
			err = fmt.Errorf("panic: %v", cause)
		}
	}()
	build()
	return nil
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

// sortedKeys lists a map's keys in order, so that programs, files and messages do not depend on map order.
func sortedKeys[Value any](m map[string]Value) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
