package transformer

import (
	"strings"
	"testing"
	"time"
)

func TestBarShowsOnLongLoadsAlone(t *testing.T) {
	var now time.Time
	var quick, long strings.Builder
	progress := bar(&quick, func() time.Time { return now })
	progress("weights", 50, 100)
	progress("weights", 100, 100)
	if quick.String() != "" {
		t.Errorf("a quick load wrote %q", quick.String())
	}
	progress = bar(&long, func() time.Time { return now })
	for done := range int64(101) {
		now = now.Add(20 * time.Millisecond)
		progress("weights", done*1e6, 100e6)
	}
	text := long.String()
	if lines := strings.Count(text, "\r"); lines < 10 || lines > 20 {
		t.Errorf("drawn %d times in two seconds, wanted at most ten a second", lines)
	}
	if !strings.HasSuffix(text, "100 % of 100 MB\n") || !strings.Contains(text, "█░") {
		t.Errorf("got %q, wanted a bar that fills up", text)
	}
	if got := line("model.safetensors", 5e6, -1); got != "model.safetensors  5 MB" {
		t.Errorf("got %q", got)
	}
}
