// Package whole writes files that are there as a whole or not at all: whoever is killed leaves the file that was there before.
package whole

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// stale is how long nobody has written to what a killed process left beside a file.
const stale = 10 * time.Minute

// Write puts what fill writes into a file, in the place of one that is there. It takes away what processes that were killed while they wrote it
// have left beside it, some minutes ago or earlier.
func Write(path string, fill func(w io.Writer) error) error {
	folder, prefix := filepath.Dir(path), "."+filepath.Base(path)+"-"
	file, err := os.CreateTemp(folder, prefix+"*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) // of no effect once it has the other name
	if err := errors.Join(fill(file), file.Chmod(0o644), file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return err
	}
	clean(folder, prefix)
	return nil
}

// clean removes stale files whose names are a prefix and digits. What cannot be removed stays: the file itself is there.
func clean(folder, prefix string) {
	entries, err := os.ReadDir(folder)
	if err != nil {
		return
	}
	for _, entry := range entries {
		digits, ok := strings.CutPrefix(entry.Name(), prefix)
		if !ok || digits == "" || strings.Trim(digits, "0123456789") != "" {
			continue
		}
		if info, err := entry.Info(); err == nil && info.Mode().IsRegular() && time.Since(info.ModTime()) > stale {
			os.Remove(filepath.Join(folder, entry.Name()))
		}
	}
}
