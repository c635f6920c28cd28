// Package hub fetches single files of models from the Hugging Face hub into the cache that Hugging Face's Python library uses, in
// its layout, so that both find what the other fetched. A file in the cache costs no network call; to get a newer version of a
// model, name its revision, or delete its folder.
//
// The environment is read as the Python library reads it: HF_ENDPOINT, the hub's address; HF_HUB_CACHE, or HF_HOME, the cache's
// folder; HF_TOKEN, or the file that HF_TOKEN_PATH names, for models that need one; HF_HUB_OFFLINE, to stay off the network.
//
// A program built with -tags=nohub links no HTTP, which is a fifth of what the linker reads; what is not in the cache is then
// fetched by the command govene. The cells of notebooks are built so.
package hub

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// The hub's headers: where large files lie elsewhere, the answer redirects there and says in advance what will come.
const (
	headerCommit     = "X-Repo-Commit"
	headerLinkedETag = "X-Linked-Etag"
	headerLinkedSize = "X-Linked-Size"
	headerErrorCode  = "X-Error-Code"
	headerErrorText  = "X-Error-Message"
)

// Progress is told how far the download of a file is, in bytes; total is -1 while it is not known.
type Progress func(file string, done, total int64)

// Told is how the command govene says how far it is: bytes that are done, and of how many.
const Told = "%d of %d bytes"

// Repo is one revision of a model on the hub.
type Repo struct {
	id, revision string
	commit       string // of the revision, "" until it is known
	folder       string // in the cache
	endpoint     string
	token        string
	offline      bool
	progress     Progress
}

var (
	validID       = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]*(/[A-Za-z0-9_][A-Za-z0-9._-]*)?$`)
	validRevision = regexp.MustCompile(`^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$`)
	validCommit   = regexp.MustCompile(`^[0-9a-f]{40}$`)
)

// Open names a model by its id on the hub, such as "gpt2" or "meta-llama/Llama-3.2-1B", with "@" and a branch, tag or commit after
// it if need be ("main" if not). It makes no network call. Progress may be nil.
func Open(text string, progress Progress) (*Repo, error) {
	id, revision, named := strings.Cut(text, "@")
	if !named {
		revision = "main"
	}
	if !validID.MatchString(id) || !validRevision.MatchString(revision) || strings.Contains(text, "..") || strings.Contains(id, "--") {
		return nil, fmt.Errorf("got %q, wanted a folder, or an id of the hub such as gpt2, owner/name or owner/name@revision", text)
	}
	cache, err := cacheFolder()
	if err != nil {
		return nil, err
	}
	repo := &Repo{
		id: id, revision: revision, progress: progress,
		folder:   filepath.Join(cache, "models--"+strings.ReplaceAll(id, "/", "--")),
		endpoint: strings.TrimRight(cmp.Or(os.Getenv("HF_ENDPOINT"), "https://huggingface.co"), "/"),
		token:    token(),
		offline:  slices.Contains([]string{"1", "ON", "YES", "TRUE"}, strings.ToUpper(os.Getenv("HF_HUB_OFFLINE"))),
	}
	repo.readCommit()
	return repo, nil
}

// readCommit reads from the cache which commit the revision stands for.
func (r *Repo) readCommit() {
	if validCommit.MatchString(r.revision) {
		r.commit = r.revision
	} else if text, err := os.ReadFile(r.path("refs", r.revision)); err == nil {
		if commit := strings.TrimSpace(string(text)); validCommit.MatchString(commit) {
			r.commit = commit
		}
	}
}

// String is the id and, unless it is main, the revision.
func (r *Repo) String() string {
	if r.revision == "main" {
		return r.id
	}
	return r.id + "@" + r.revision
}

// File returns the path of a file in the cache, which it fetches if need be. All files of a Repo are of the same commit. If the
// model has no file of that name, errors.Is(err, fs.ErrNotExist).
func (r *Repo) File(name string) (path string, err error) {
	if _, err := filepath.Localize(name); err != nil || name == "." {
		return "", fmt.Errorf("%s on the hub: got %q, wanted a file's name in the model's folder", r, name)
	}
	path, err = r.cached(name)
	switch {
	case path != "" || err != nil:
		return path, err
	case r.offline:
		return "", r.unavailable(name, errors.New("HF_HUB_OFFLINE is set"))
	}
	return r.fetch(name)
}

// cached returns the path of a file in the cache, fs.ErrNotExist if it is known there that the model has none, and neither if it is not known.
func (r *Repo) cached(name string) (path string, err error) {
	if r.commit == "" {
		return "", nil
	}
	path = r.path("snapshots", r.commit, name)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if _, err := os.Stat(r.path(".no_exist", r.commit, name)); err == nil {
		return "", r.missing(name)
	}
	return "", nil
}

// missing is the error for a file that the model does not have.
func (r *Repo) missing(name string) error {
	return fmt.Errorf("%s on the hub: got no %s: %w", r, name, fs.ErrNotExist)
}

// unavailable is the error for a file that is not in the cache while the hub cannot be asked.
func (r *Repo) unavailable(name string, reason error) error {
	return fmt.Errorf("%q is no folder, its %s is not in the cache %s, and it cannot be had from %s: %w; "+
		"wanted one of the three, for instance the path of a folder with config.json, model.safetensors and tokenizer.json",
		r.String(), name, r.folder, r.endpoint, reason)
}

// path is a path in the model's folder of the cache.
func (r *Repo) path(parts ...string) string {
	return filepath.Join(r.folder, filepath.FromSlash(strings.Join(parts, "/")))
}

// cacheFolder is where the models' folders lie.
func cacheFolder() (string, error) {
	if folder := cmp.Or(os.Getenv("HF_HUB_CACHE"), os.Getenv("HUGGINGFACE_HUB_CACHE")); folder != "" {
		return folder, nil
	}
	home, err := home()
	return filepath.Join(home, "hub"), err
}

// home is the folder of all that Hugging Face's libraries keep.
func home() (string, error) {
	if folder := os.Getenv("HF_HOME"); folder != "" {
		return folder, nil
	}
	if folder := os.Getenv("XDG_CACHE_HOME"); folder != "" {
		return filepath.Join(folder, "huggingface"), nil
	}
	folder, err := os.UserHomeDir()
	return filepath.Join(folder, ".cache", "huggingface"), err
}

// token is the user's own for the hub, "" if there is none.
func token() string {
	if token := cmp.Or(os.Getenv("HF_TOKEN"), os.Getenv("HUGGING_FACE_HUB_TOKEN")); token != "" {
		return strings.TrimSpace(token)
	}
	path := os.Getenv("HF_TOKEN_PATH")
	if path == "" {
		home, err := home()
		if err != nil {
			return ""
		}
		path = filepath.Join(home, "token")
	}
	text, _ := os.ReadFile(path)
	return strings.TrimSpace(string(text))
}
