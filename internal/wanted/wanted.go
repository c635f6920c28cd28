// Package wanted has what the tests of several packages check.
package wanted

import (
	"errors"
	"strings"

	"github.com/govene/govene/internal/refusal"
)

// T is a test, of package testing or rapid.
type T interface {
	Helper()
	Errorf(format string, args ...any)
}

// Refusal checks that err is an *interv.Error whose message, one line, has all of the words.
func Refusal(t T, err error, words ...string) {
	t.Helper()
	var refused *refusal.Error
	if !errors.As(err, &refused) {
		t.Errorf("got error %v, wanted an *interv.Error that says %q", err, words)
		return
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("got error %q, wanted it to say %q", err, word)
		}
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("got error %q, wanted one line", err)
	}
}
