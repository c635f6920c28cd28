package plural_test

import (
	"testing"

	"github.com/govene/govene/internal/plural"
)

func TestOf(t *testing.T) {
	for n, want := range map[int]string{0: "0 pairs", 1: "1 pair", 2: "2 pairs"} {
		if got := plural.Of(n, "pair"); got != want {
			t.Errorf("got %q, wanted %q", got, want)
		}
	}
}
