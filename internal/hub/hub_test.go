package hub

import (
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

const commit = "0123456789abcdef0123456789abcdef01234567"

// server is a hub with one model, owner/model: small files are served at once, large ones (*.safetensors) by another server.
type server struct {
	*httptest.Server
	files    map[string]string
	requests atomic.Int32
	damage   bool   // the other server sends other bytes
	cut      bool   // the other server hangs up half-way
	gated    string // the token that is wanted
}

func newServer(t *testing.T, files map[string]string) *server {
	s := &server{files: files}
	storage := httptest.NewServer(http.HandlerFunc(s.storage))
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.hub(w, r, storage.URL) }))
	t.Cleanup(storage.Close)
	t.Cleanup(s.Close)
	for _, name := range []string{"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH",
		"HF_HUB_OFFLINE", "HTTP_PROXY", "http_proxy"} {
		t.Setenv(name, "")
	}
	t.Setenv("HF_HOME", t.TempDir())
	t.Setenv("HF_ENDPOINT", s.URL+"/")
	return s
}

func (s *server) hub(w http.ResponseWriter, r *http.Request, storage string) {
	s.requests.Add(1)
	if s.gated != "" && r.Header.Get("Authorization") != "Bearer "+s.gated {
		w.Header().Set(headerErrorText, "Access to model owner/model is restricted.")
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	path := r.URL.EscapedPath()
	if path == "/old/resolve/main/config.json" { // a model that was renamed
		http.Redirect(w, r, strings.Replace(path, "/old/", "/owner/model/", 1), http.StatusTemporaryRedirect)
		return
	}
	rest, ok := strings.CutPrefix(path, "/owner/model/resolve/")
	revision, name, _ := strings.Cut(rest, "/")
	if !ok || revision != "main" && revision != "refs%2Fpr%2F1" && revision != commit {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	w.Header().Set(headerCommit, commit)
	content, ok := s.files[name]
	switch {
	case !ok:
		w.Header().Set(headerErrorCode, "EntryNotFound")
		w.WriteHeader(http.StatusNotFound)
	case strings.HasSuffix(name, ".safetensors"):
		w.Header().Set(headerLinkedETag, fmt.Sprintf("%q", fmt.Sprintf("%x", sha256.Sum256([]byte(content)))))
		w.Header().Set(headerLinkedSize, fmt.Sprint(len(content)))
		http.Redirect(w, r, storage+"/"+name, http.StatusFound)
	default:
		w.Header().Set("ETag", fmt.Sprintf("W/%q", fmt.Sprintf("%x", sha1.Sum(fmt.Appendf(nil, "blob %d\x00%s", len(content), content)))))
		fmt.Fprint(w, content)
	}
}

func (s *server) storage(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "" {
		w.WriteHeader(http.StatusTeapot) // the token is none of this server's business
		return
	}
	content := []byte(s.files[r.URL.Path[1:]])
	if s.damage {
		content[0]++
	}
	w.Header().Set("ETag", `"another"`)
	w.Header().Set("Content-Length", fmt.Sprint(len(content)))
	if s.cut {
		content = content[:len(content)/2]
	}
	w.Write(content)
}

func open(t *testing.T, id string, progress Progress) *Repo {
	t.Helper()
	repo, err := Open(id, progress)
	if err != nil {
		t.Fatal(err)
	}
	return repo
}

func TestFile(t *testing.T) {
	s := newServer(t, map[string]string{"config.json": "{}", "model.safetensors": strings.Repeat("weights", 1<<18)})
	s.gated = "secret"
	t.Setenv("HF_TOKEN", "secret")
	var told []string
	repo := open(t, "owner/model", func(file string, done, total int64) { told = append(told, fmt.Sprint(file, " ", done, "/", total)) })
	for name, want := range s.files {
		path, err := repo.File(name)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != want {
			t.Errorf("%s: got %d bytes, wanted %d (%v)", name, len(got), len(want), err)
		}
		folder := filepath.Join(os.Getenv("HF_HOME"), "hub", "models--owner--model")
		if want := filepath.Join(folder, "snapshots", commit, name); path != want {
			t.Errorf("got path %s, wanted %s", path, want)
		}
		if ref, err := os.ReadFile(filepath.Join(folder, "refs", "main")); err != nil || string(ref) != commit {
			t.Errorf("refs/main: got %q, wanted the commit (%v)", ref, err)
		}
	}
	if text := strings.Join(told, ", "); !strings.Contains(text, "model.safetensors 1835008/1835008") || !strings.Contains(text, "config.json 2/2") {
		t.Errorf("got progress %s", text)
	}
	if _, err := repo.File("vocab.json"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, wanted fs.ErrNotExist", err)
	}

	// From here on everything is known, and the hub is not asked again.
	asked := s.requests.Load()
	s.Close()
	for _, id := range []string{"owner/model", "owner/model@" + commit} {
		repo = open(t, id, nil)
		for name := range s.files {
			if _, err := repo.File(name); err != nil {
				t.Error(err)
			}
		}
		if _, err := repo.File("vocab.json"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("got %v, wanted fs.ErrNotExist", err)
		}
	}
	if got := s.requests.Load(); got != asked {
		t.Errorf("got %d requests more, wanted none", got-asked)
	}
	_, err := repo.File("merges.txt")
	if err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "connection refused") ||
		!strings.Contains(err.Error(), "the path of a folder with config.json") {
		t.Errorf("without a network: got %v", err)
	}
}

// A cache that the Python library filled.
func TestPythonsCache(t *testing.T) {
	s := newServer(t, nil)
	snapshot := filepath.Join(os.Getenv("HF_HOME"), "hub", "models--gpt2", "snapshots", commit)
	for path, text := range map[string]string{filepath.Join(snapshot, "config.json"): "{}", filepath.Join(snapshot, "../../refs/main"): commit} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	path, err := open(t, "gpt2", nil).File("config.json")
	if err != nil || path != filepath.Join(snapshot, "config.json") || s.requests.Load() != 0 {
		t.Errorf("got %q after %d requests (%v)", path, s.requests.Load(), err)
	}
	t.Setenv("HF_HUB_OFFLINE", "1")
	if _, err := open(t, "gpt2", nil).File("merges.txt"); err == nil || !strings.Contains(err.Error(), "HF_HUB_OFFLINE") || s.requests.Load() != 0 {
		t.Errorf("offline: got %v after %d requests", err, s.requests.Load())
	}
}

// The cache is where Hugging Face's library has it, whichever of its variables is set.
func TestCacheFolder(t *testing.T) {
	for _, name := range []string{"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"} {
		t.Setenv(name, "")
	}
	t.Setenv("HOME", filepath.FromSlash("/home/who"))
	for _, set := range []struct{ name, value, want string }{
		{"HOME", "/home/who", "/home/who/.cache/huggingface/hub"}, {"XDG_CACHE_HOME", "/cache", "/cache/huggingface/hub"}, {"HF_HOME", "/hf", "/hf/hub"},
		{"HUGGINGFACE_HUB_CACHE", "/old", "/old"}, {"HF_HUB_CACHE", "/new", "/new"},
	} {
		t.Setenv(set.name, set.value)
		if got, err := cacheFolder(); err != nil || filepath.ToSlash(got) != set.want {
			t.Errorf("with %s: got %s, wanted %s (%v)", set.name, got, set.want, err)
		}
	}
}

func TestRevisions(t *testing.T) {
	s := newServer(t, map[string]string{"config.json": "{}"})
	for _, id := range []string{"owner/model@refs/pr/1", "old", "owner/model@" + commit} {
		if _, err := open(t, id, nil).File("config.json"); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
	if ref, err := os.ReadFile(filepath.Join(os.Getenv("HF_HOME"), "hub", "models--owner--model", "refs", "refs", "pr", "1")); err != nil || string(ref) != commit {
		t.Errorf("got %q, wanted the commit (%v)", ref, err)
	}
	asked := s.requests.Load()
	if _, err := open(t, "owner/model@refs/pr/1", nil).File("config.json"); err != nil || s.requests.Load() != asked {
		t.Errorf("the second time: got %d requests (%v)", s.requests.Load()-asked, err)
	}
}

func TestFailures(t *testing.T) {
	for name, c := range map[string]struct {
		id    string
		spoil func(*server)
		words string
	}{
		"damaged":     {"owner/model", func(s *server) { s.damage = true }, "the transfer was damaged"},
		"cut":         {"owner/model", func(s *server) { s.cut = true }, "after 3 of 7 bytes"},
		"gated":       {"owner/model", func(s *server) { s.gated = "secret" }, "Access to model owner/model is restricted. (no such model, or one that needs access"},
		"no model":    {"owner/other", func(*server) {}, "no such model or revision"},
		"no revision": {"owner/model@v2", func(*server) {}, "no such model or revision"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, map[string]string{"model.safetensors": "weights"})
			c.spoil(s)
			_, err := open(t, c.id, nil).File("model.safetensors")
			if err == nil || !strings.Contains(err.Error(), c.words) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, wanted an error that says %q", err, c.words)
			}
			left, _ := filepath.Glob(filepath.Join(os.Getenv("HF_HOME"), "hub", "*", "*", "*", "*"))
			blobs, _ := filepath.Glob(filepath.Join(os.Getenv("HF_HOME"), "hub", "*", "blobs", "*"))
			if len(left)+len(blobs) > 0 {
				t.Errorf("it left %v", append(left, blobs...))
			}
		})
	}
	for _, id := range []string{"", "a/b/c", "../a", "/tmp/x", "a/..", "a b", "a@", "a@b c", "a@../b", "a--b", `a\b`, "~/a", "./a"} {
		if _, err := Open(id, nil); err == nil || !strings.Contains(err.Error(), "wanted a folder") {
			t.Errorf("%q: got %v, wanted a refusal", id, err)
		}
	}
}
