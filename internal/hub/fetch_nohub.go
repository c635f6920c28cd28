//go:build nohub

package hub

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// fetchingVar is set for the command that fetches, which must be able to: one that is built as this program would start itself for ever.
const fetchingVar = "GOVENE_FETCHING"

// fetch has the command govene download a file into the cache. It ends with this program, when its next word on how far it is finds no reader.
func (r *Repo) fetch(name string) (path string, err error) {
	const by = "this program was built with -tags=nohub and has the command govene fetch files"
	if os.Getenv(fetchingVar) != "" {
		return "", r.unavailable(name, errors.New(by+", which is itself one"))
	}
	program, err := exec.LookPath("govene")
	if err != nil {
		return "", r.unavailable(name, fmt.Errorf("%s: %w (go install ./cmd/govene makes it)", by, err))
	}
	var refusal strings.Builder
	command := exec.Command(program, "fetch", r.id+"@"+cmp.Or(r.commit, r.revision), name)
	command.Env = append(os.Environ(), fetchingVar+"=1")
	command.Stderr = &refusal
	said, err := command.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := command.Start(); err != nil {
		return "", r.unavailable(name, fmt.Errorf("%s: %w", by, err))
	}
	for lines := bufio.NewScanner(said); lines.Scan(); {
		var done, total int64
		if _, err := fmt.Sscanf(lines.Text(), Told, &done, &total); err == nil && r.progress != nil {
			r.progress(name, done, total)
		}
	}
	err = command.Wait()
	r.readCommit()
	if path, known := r.cached(name); path != "" || known != nil {
		return path, known
	}
	text, _, _ := strings.Cut(refusal.String(), "\n")
	if text, fetches := strings.CutPrefix(text, "govene fetch: "); fetches {
		return "", errors.New(text)
	}
	return "", r.unavailable(name, fmt.Errorf("%s, but %s does not (%v, %q): build both from one checkout (go install ./cmd/govene; lab/setup makes a lab's)",
		by, program, err, text))
}
