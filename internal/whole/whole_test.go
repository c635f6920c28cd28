package whole_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/govene/govene/internal/whole"
)

// A file is replaced as a whole, left as it was by a failure, and what was left beside it long ago goes; nothing else does.
func TestWrite(t *testing.T) {
	folder := t.TempDir()
	put := func(name string, age time.Duration) {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Time{}, time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	for name, age := range map[string]time.Duration{".a.json-12": time.Hour, ".a.json-34": time.Minute, ".a.json-mine": time.Hour, ".b.json-12": time.Hour, "a.json": time.Hour} {
		put(name, age)
	}
	path := filepath.Join(folder, "a.json")
	failed := errors.New("full")
	err := whole.Write(path, func(w io.Writer) error {
		io.WriteString(w, "ha")
		return failed
	})
	if text, _ := os.ReadFile(path); !errors.Is(err, failed) || string(text) != "old" {
		t.Errorf("got %v, and %q", err, text)
	}
	err = whole.Write(path, func(w io.Writer) error {
		_, err := io.WriteString(w, "new")
		return err
	})
	if text, _ := os.ReadFile(path); err != nil || string(text) != "new" {
		t.Errorf("got %v, and %q", err, text)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("got %v, %v", info.Mode(), err)
	}
	var names []string
	entries, _ := os.ReadDir(folder)
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	if want := []string{".a.json-34", ".a.json-mine", ".b.json-12", "a.json"}; !slices.Equal(names, want) {
		t.Errorf("got %v, wanted %v", names, want)
	}
}
