package checkpoint

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// hubOf serves models in the folders of root as a hub does, and lists the files that it was asked for.
func hubOf(t *testing.T, root string) (asked *[]string) {
	asked = new([]string)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		model, name, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/resolve/")
		_, name, _ = strings.Cut(name, "/")
		*asked = append(*asked, name)
		w.Header().Set("X-Repo-Commit", "0123456789abcdef0123456789abcdef01234567")
		data, err := os.ReadFile(filepath.Join(root, model, name))
		if err != nil {
			w.Header().Set("X-Error-Code", "EntryNotFound")
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("ETag", `"`+strings.ReplaceAll(name, ".", "-")+`"`)
		w.Write(data)
	}))
	t.Cleanup(server.Close)
	t.Setenv("HF_ENDPOINT", server.URL)
	t.Setenv("HF_HUB_CACHE", t.TempDir())
	t.Setenv("HF_HUB_OFFLINE", "")
	return asked
}

func TestResolve(t *testing.T) {
	root := t.TempDir()
	for name, files := range map[string][]string{
		"single":  {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "README.md"},
		"sharded": {"config.json", "1.safetensors", "2.safetensors", "vocab.json", "merges.txt"},
		"pickled": {"config.json", "pytorch_model.bin"},
	} {
		if err := os.Mkdir(filepath.Join(root, name), 0o755); err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if err := os.WriteFile(filepath.Join(root, name, file), []byte("content of "+file), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	index := `{"weight_map": {"a": "2.safetensors", "b": "1.safetensors", "c": "1.safetensors"}}`
	if err := os.WriteFile(filepath.Join(root, "sharded", indexFile), []byte(index), 0o644); err != nil {
		t.Fatal(err)
	}
	asked := hubOf(t, root)
	tokenizer := func(id string) (string, error) { return ResolveTokenizer(id) }
	model := func(id string) (string, error) { return Resolve(id, nil) }
	for _, c := range []struct {
		name    string
		resolve func(string) (string, error)
		id      string
		asked   []string
		words   string // of the error
	}{
		{"a folder", model, root, nil, ""},
		{"one file", model, "single", []string{"config.json", "model.safetensors"}, ""},
		{"one file again", model, "single", nil, ""},
		{"tokenizer.json", tokenizer, "single", []string{"tokenizer_config.json", "special_tokens_map.json", "tokenizer.json"}, ""},
		{"tokenizer.json again", tokenizer, "single", nil, ""},
		{"shards", model, "sharded", []string{"config.json", "model.safetensors", indexFile, "1.safetensors", "2.safetensors"}, ""},
		{"shards again", model, "sharded", nil, ""},
		{"vocab.json", tokenizer, "sharded", []string{"tokenizer_config.json", "special_tokens_map.json", "tokenizer.json", "vocab.json", "merges.txt"}, ""},
		{"pickles", model, "pickled", []string{"config.json", "model.safetensors", indexFile}, "wanted model.safetensors or"},
		{"no tokenizer", tokenizer, "pickled", []string{"tokenizer_config.json", "special_tokens_map.json", "tokenizer.json", "vocab.json"}, "got no vocab.json"},
		{"nothing", model, "absent", []string{"config.json"}, "got no config.json"},
		{"no id", model, "./absent", nil, "wanted a folder, or an id"},
	} {
		t.Run(c.name, func(t *testing.T) {
			*asked = nil
			folder, err := c.resolve(c.id)
			if !slices.Equal(*asked, c.asked) {
				t.Errorf("asked for %v, wanted %v", *asked, c.asked)
			}
			if c.words != "" {
				if err == nil || !strings.Contains(err.Error(), c.words) {
					t.Errorf("got %v, wanted an error that says %q", err, c.words)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, file := range c.asked {
				if text, err := os.ReadFile(filepath.Join(folder, file)); err == nil && file != indexFile && string(text) != "content of "+file {
					t.Errorf("%s: got %q", file, text)
				}
			}
		})
	}
}
