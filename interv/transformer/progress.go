package transformer

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Progress is told how far a load is: what is under way (the name of a file that is fetched, or "weights" while they are read), the bytes
// done, and those in all, −1 while that is not known. It is called from one goroutine at a time.
type Progress func(what string, done, total int64)

// patience is how long a load takes before a bar shows, and refresh how often it is drawn anew.
const (
	patience = 500 * time.Millisecond
	refresh  = 100 * time.Millisecond
)

// Bar draws progress on one line of a terminal or of a notebook's output, once a load takes longer than half a second.
func Bar(w io.Writer) Progress { return bar(w, time.Now) }

func bar(w io.Writer, now func() time.Time) Progress {
	var begun, drawn time.Time
	shown := false
	return func(what string, done, total int64) {
		at := now()
		if begun.IsZero() { // weights are read when they are needed, which may be long after Load
			begun = at
		}
		if at.Sub(begun) < patience || done != total && at.Sub(drawn) < refresh {
			return
		}
		if drawn = at; done == total && !shown {
			return
		}
		shown = true
		fmt.Fprintf(w, "\r%s", line(what, done, total))
		if done == total {
			fmt.Fprintln(w)
			shown = false
		}
	}
}

// line is the bar as text.
func line(what string, done, total int64) string {
	const width, megabyte = 30, 1e6
	if total <= 0 {
		return fmt.Sprintf("%s  %.0f MB", what, float64(done)/megabyte)
	}
	filled := int(width * done / total)
	return fmt.Sprintf("%s  %s%s  %d %% of %.0f MB", what, strings.Repeat("█", filled), strings.Repeat("░", width-filled), 100*done/total, float64(total)/megabyte)
}
