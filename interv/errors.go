package interv

import (
	"fmt"
	"slices"

	"github.com/govene/govene/internal/refusal"
)

// Error says what is wrong with a config, a call or data, in terms of the user's own words. Its fields are texts: Where, the part at
// fault ("representation 0 (layer 0 cell_output)", "base"); Axis, the axis or field ("component", "locations of example 3"); Got and
// Wanted; and Nearest, the valid name most like the one got, empty if none is close.
//
// Every refusal of this package is an *Error, to be inspected with errors.As. What a model, an intervention or a loss of the user's
// panics with while a graph is built comes as an error that says where and wraps it.
type Error = refusal.Error

// Within returns err with where put before the place it names, so that inner checks need not know who called them.
func Within(where string, err error) error { return refusal.Within(where, err) }

// UnknownName is the error for a name that is not among the valid ones: it lists them and points at the nearest.
func UnknownName[Name ~string](where, axis string, got Name, valid []Name) *Error {
	return refusal.UnknownName(where, axis, got, valid)
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

// sortedKeys lists a map's keys in order, so that programs, files and messages do not depend on map order.
func sortedKeys[Value any](m map[string]Value) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
