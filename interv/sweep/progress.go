package sweep

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// Progress is told how far a sweep is: how many numbers have been measured, of how many, and how long the rest will take, 0 while that is not
// known. It is called from one goroutine at a time.
type Progress func(done, total int, left time.Duration)

// patience is how long a sweep takes before a bar shows, and refresh how often it is drawn anew.
const (
	patience = 500 * time.Millisecond
	refresh  = 100 * time.Millisecond
)

// Bar draws progress, with the time left, on one line of a terminal or of a notebook's output, once a sweep takes longer than half a second.
func Bar(w io.Writer) Progress { return bar(w, time.Now) }

func bar(w io.Writer, now func() time.Time) Progress {
	begun, drawn, shown := now(), time.Time{}, false
	return func(done, total int, left time.Duration) {
		at := now()
		last := done == total
		if at.Sub(begun) < patience && !shown || !last && at.Sub(drawn) < refresh || last && !shown {
			return
		}
		drawn, shown = at, true
		const width = 30
		filled := width * done / max(1, total)
		text := fmt.Sprintf("%s%s  %d of %d", strings.Repeat("█", filled), strings.Repeat("░", width-filled), done, total)
		if left > 0 {
			text += fmt.Sprintf(", %v left", left.Round(time.Second))
		}
		fmt.Fprintf(w, "\r%-70s", text)
		if last {
			fmt.Fprintln(w)
			shown = false
		}
	}
}
