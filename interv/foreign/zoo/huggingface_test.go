package zoo_test

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/go-huggingface/hub"
	"github.com/gomlx/go-huggingface/models/transformer"
	"github.com/gomlx/gomlx/ml/model"
	zootransformer "github.com/gomlx/gomlx/ml/zoo/transformer"

	"github.com/govene/govene/internal/golden"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/foreign"
	"github.com/govene/govene/interv/foreign/internal/twin"
	"github.com/govene/govene/interv/foreign/zoo"
	names "github.com/govene/govene/interv/transformer"
)

// serve is a hub with one repository, a folder.
func serve(t testing.TB, folder string) *hub.Repo {
	files, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	info := struct {
		Sha      string              `json:"sha"`
		Siblings []map[string]string `json:"siblings"`
	}{Sha: "0123abcd"}
	for _, file := range files {
		info.Siblings = append(info.Siblings, map[string]string{"rfilename": file.Name()})
	}
	const id = "govene/tiny"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/api/models/"+id) {
			if err := json.NewEncoder(w).Encode(info); err != nil {
				t.Error(err)
			}
			return
		}
		name := filepath.Base(r.URL.Path)
		w.Header().Set("ETag", fmt.Sprintf("%q", name))
		http.ServeFile(w, r, filepath.Join(folder, name))
	}))
	t.Cleanup(server.Close)
	repo := hub.New(id).WithEndpoint(server.URL).WithCacheDir(t.TempDir())
	repo.Verbosity = 0
	return repo
}

// huggingFace is a Gemma 3 of go-huggingface, loaded from a checkpoint. What go-huggingface does not read of the config is set here: the
// scale of attention, and that the head is tied in the text model, too, whose type is "gemma3_text".
func huggingFace(t testing.TB, folder string) *foreign.Model {
	t.Helper()
	loaded, err := transformer.LoadModel(serve(t, folder))
	if err != nil {
		t.Fatal(err)
	}
	loaded.Config.ModelType = "gemma3"
	store := model.NewStore()
	if err := loaded.LoadStore(engine, store); err != nil {
		t.Fatal(err)
	}
	scale := 1 / math.Sqrt(loaded.Config.Extra["query_pre_attn_scalar"].(float64))
	m, err := zoo.New(engine, store, func(scope *model.Scope) *zootransformer.Model {
		return loaded.WithCausalMask(true).CreateGoMLXModel(scope).WithQueryKeyScale(scale)
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// root is the folder of the golden cases.
func root() string {
	if folder := os.Getenv("GOVENE_GOLDEN"); folder != "" {
		return folder
	}
	return filepath.Join("..", "..", "..", "internal", "golden", "testdata", "public")
}

// The golden cases of Gemma 3, except for what the zoo has not: padding on the left, and attention weights.
func TestGolden(t *testing.T) {
	for i, c := range golden.Cases(t, "gemma3_text") {
		t.Run(c.Name, func(t *testing.T) {
			if onXLA && (testing.Short() || i%3 != 0) {
				t.Skip("XLA compiles for seconds")
			}
			m := huggingFace(t, filepath.Join(root(), c.Name, c.Model.Checkpoint))
			for _, i := range c.Interventions {
				if _, err := m.Catalogue().Find(interv.Site{Component: interv.Component(i.Component)}); err != nil {
					t.Skip(err)
				}
			}
			if c.Inputs.Base["attention_mask"] != "" {
				t.Skip("padding on the left")
			}
			c.Run(t, engine, m)
		})
	}
}

// The same checkpoint is the same model in interv/transformer.
func TestHuggingFaceEqualsTransformer(t *testing.T) {
	folder := filepath.Join(root(), "checkpoints", "gemma3")
	want := names.MustLoad(folder)
	twin.Pair{Backend: engine, Got: huggingFace(t, folder), Want: want, Base: ids(1, 33, 3, 7), Source: ids(2, 33, 3, 7), Tolerance: 2e-5}.Compare(t)
}
