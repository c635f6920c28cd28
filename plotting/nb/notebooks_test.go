package nb_test

import (
	"encoding/json"
	"encoding/xml"
	"html"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var element = regexp.MustCompile(`(?s)^<img alt="([^"]+)" src="data:image/svg\+xml;charset=utf-8,([^"]+)">$`)

// imageOf reads an image as a browser does: its alternative text, and the document.
func imageOf(t *testing.T, text string) (alt, document string) {
	t.Helper()
	match := element.FindStringSubmatch(text)
	if match == nil {
		t.Fatalf("got %.200q, wanted an image with alternative text", text)
	}
	document, err := url.PathUnescape(html.UnescapeString(match[2]))
	if err != nil {
		t.Fatal(err)
	}
	return html.UnescapeString(match[1]), document
}

// Every plot of the tutorials has alternative text, the plot in words, and none is an image without.
func TestPlotsOfNotebooksHaveAlternativeText(t *testing.T) {
	paths, err := filepath.Glob("../../notebooks/*.ipynb")
	if err != nil || len(paths) < 8 {
		t.Fatalf("got %d notebooks, %v", len(paths), err)
	}
	plots := 0
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var notebook struct {
			Cells []struct {
				Outputs []struct{ Data map[string]json.RawMessage }
			}
		}
		if err := json.Unmarshal(text, &notebook); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		for i, cell := range notebook.Cells {
			for _, output := range cell.Outputs {
				lines := func(form string) string {
					var list []string
					if err := json.Unmarshal(output.Data[form], &list); err != nil {
						t.Fatalf("%s, cell %d, %s: %v", path, i+1, form, err)
					}
					return strings.Join(list, "")
				}
				for form := range output.Data {
					if strings.HasPrefix(form, "image/") {
						t.Errorf("%s, cell %d: an output of type %s, which has no alternative text: run the notebook again", filepath.Base(path), i+1, form)
					}
				}
				if output.Data["text/html"] == nil || !strings.HasPrefix(lines("text/html"), "<img") {
					continue
				}
				plots++
				alt, document := imageOf(t, lines("text/html"))
				if words := lines("text/plain"); alt != words || xml.Unmarshal([]byte(document), new(struct{})) != nil {
					t.Errorf("%s, cell %d: the alternative text is %q, the words %q, and the document is XML: %v", path, i+1, alt, words, xml.Unmarshal([]byte(document), new(struct{})))
				}
			}
		}
	}
	if plots < 20 {
		t.Errorf("got %d plots", plots)
	}
}
