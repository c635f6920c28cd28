package plotting

import (
	"fmt"
	"strings"

	"github.com/govene/govene/internal/nearest"
)

// Error says what is wrong with a table or a plot: which part it was found in, what was got, what was wanted, and the nearest valid
// name where there is one. Every refusal of this package is an *Error, but for what reading and writing files may meet.
type Error struct {
	Where   string // the part at fault: `column "prob"`, "Text"
	Got     string
	Wanted  string
	Nearest string // the valid name most like the one got; empty if none is close
}

// Error implements the error interface on one line.
func (e *Error) Error() string {
	text := fmt.Sprintf("%s: got %s, wanted %s", e.Where, e.Got, e.Wanted)
	if e.Nearest != "" {
		text += fmt.Sprintf("; did you mean %q?", e.Nearest)
	}
	return text
}

// unknownName is the error for a name that is not among the valid ones.
func unknownName(where, got string, valid []string) *Error {
	quoted := make([]string, len(valid))
	for i, name := range valid {
		quoted[i] = fmt.Sprintf("%q", name)
	}
	return &Error{where, fmt.Sprintf("%q", got), "one of " + strings.Join(quoted, ", "), nearest.Name(got, valid)}
}
