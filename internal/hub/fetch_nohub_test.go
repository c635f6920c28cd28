//go:build nohub

package hub

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Without HTTP the tests of this package are passed by the command, which is made with it.
func TestMain(m *testing.M) {
	folder, err := os.MkdirTemp("", "")
	if err == nil {
		defer os.RemoveAll(folder)
		err = build(folder, "noxla")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Setenv("PATH", folder+string(os.PathListSeparator)+os.Getenv("PATH"))
	m.Run()
}

func build(folder, tags string) error {
	command := exec.Command("go", "build", "-tags="+tags, "-ldflags=-w", "-o", folder+string(filepath.Separator), "../../cmd/govene")
	command.Stderr = os.Stderr
	return command.Run()
}

// A command that is not there, one that cannot fetch either, and one of before there was fetching, are errors in words.
func TestNoCommand(t *testing.T) {
	newServer(t, map[string]string{"config.json": "{}"})
	folder := t.TempDir()
	if err := build(folder, "noxla,nohub"); err != nil {
		t.Fatal(err)
	}
	older := t.TempDir()
	const script = "#!/bin/sh\necho 'govene: got command \"fetch\", wanted one of sweep' >&2\nexit 2\n"
	if err := os.WriteFile(filepath.Join(older, "govene"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	for path, words := range map[string]string{"": "go install ./cmd/govene makes it", folder: "which is itself one", older: "build both from one checkout"} {
		t.Setenv("PATH", path)
		_, err := open(t, "owner/model", nil).File("config.json")
		if err == nil || !strings.Contains(err.Error(), words) || strings.Contains(err.Error(), "\n") {
			t.Errorf("got %v, wanted an error that says %q", err, words)
		}
	}
}
