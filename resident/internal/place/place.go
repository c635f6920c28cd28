// Package place is where clients and engines of one user meet: a folder that no other user can enter, with a socket for each engine and a
// lock that tells whether it lives.
package place

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// FolderVar is the environment variable that names the folder, where it is not the usual one.
const FolderVar = "GOVENE_ENGINE_FOLDER"

// Place is what belongs to one engine.
type Place struct {
	Socket   string // what it listens on
	Alive    string // locked while it lives
	Starting string // locked while somebody starts it
	Log      string // what it says
}

// Of is the place of the engine with a configuration. Engines of other versions, which speak otherwise, have other places.
func Of(config, version string) (Place, error) {
	folder, err := Folder()
	if err != nil {
		return Place{}, err
	}
	digest := sha256.Sum256([]byte(config + "\n" + version))
	readable := strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '_' {
			return r
		}
		return '-'
	}, config)
	name := filepath.Join(folder, fmt.Sprintf("%.24s-%x", readable, digest[:4]))
	return Place{name + ".sock", name + ".alive", name + ".starting", name + ".log"}, nil
}

// Folder makes the folder, or checks that it is the user's own and nobody else's.
func Folder() (string, error) {
	folder := os.Getenv(FolderVar)
	if folder == "" {
		if runtime := os.Getenv("XDG_RUNTIME_DIR"); runtime != "" {
			folder = filepath.Join(runtime, "govene")
		} else {
			folder = filepath.Join(os.TempDir(), fmt.Sprintf("govene-%d", os.Getuid()))
		}
	}
	if err := os.Mkdir(folder, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	info, err := os.Lstat(folder)
	if err != nil {
		return "", err
	}
	if err := own(folder, info); err != nil {
		return "", err
	}
	return folder, nil
}
