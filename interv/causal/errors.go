package causal

import (
	"fmt"
	"strings"

	"github.com/govene/govene/internal/nearest"
)

// Error says what is wrong with a model, a setting or a data set, in terms of the user's own words. Every refusal of this package is
// an *Error, to be inspected with errors.As.
type Error struct {
	Where   string // the part at fault: "variable WX", "interchange"
	Axis    string // what of it: "parents", "values"; may be empty
	Got     string
	Wanted  string
	Nearest string // the valid name most like the one got; empty if none is close
}

// Error implements the error interface on one line.
func (e *Error) Error() string {
	var text strings.Builder
	text.WriteString(e.Where)
	if e.Axis != "" {
		fmt.Fprintf(&text, ", %s", e.Axis)
	}
	fmt.Fprintf(&text, ": got %s, wanted %s", e.Got, e.Wanted)
	if e.Nearest != "" {
		fmt.Fprintf(&text, "; did you mean %q?", e.Nearest)
	}
	return text.String()
}

// unknown is the error for a name that no variable has.
func unknown(where, axis, got string, names []string) *Error {
	return &Error{Where: where, Axis: axis, Got: fmt.Sprintf("%q", got), Wanted: "one of " + strings.Join(names, ", "),
		Nearest: nearest.Name(got, names)}
}

// must unwraps a result, or panics with its error.
func must[T any](result T, err error) T {
	if err != nil {
		panic(err)
	}
	return result
}
