package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gomlx/compute"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/interv/tokens"
	"github.com/govene/govene/interv/transformer"
)

// worded makes a folder with a tiny model whose tokens are words, and jobs beside it.
func worded(t *testing.T, jobs map[string]string) (path func(name string) string) {
	t.Helper()
	t.Setenv(compute.ConfigEnvVar, backend.GoSequential) // XLA would compile for every job
	folder := t.TempDir()
	words := strings.Fields("The capital of France Italy Spain is Paris Rome Madrid United States <end>")
	config := fmt.Sprintf(`{"model_type": "gpt2", "vocab_size": %d, "n_positions": 16, "n_embd": 12, "n_layer": 2, "n_head": 3}`, len(words))
	if err := transformer.MustNew(transformer.MustParseConfig(config), 1).Save(filepath.Join(folder, "model")); err != nil {
		t.Fatal(err)
	}
	if err := tokens.MustWords(words).Save(filepath.Join(folder, "model")); err != nil {
		t.Fatal(err)
	}
	path = func(name string) string { return filepath.Join(folder, name) }
	for name, text := range jobs {
		if err := os.WriteFile(path(name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

const pair = `{"model": "model", "base": {"text": ["The capital of Italy is", "The capital of Spain is"]},
	"source": {"text": ["The capital of France is", "The capital of France is"]}, `

const answer = `"metric": {"metric": "logit_difference", "settings": {"right": [[" Paris"]], "wrong": [[" Rome"], [" Madrid"]]}}`

// Attributions and paths leave their tables and maps, and verify.
func TestAttributeAndPaths(t *testing.T) {
	path := worded(t, map[string]string{
		"a.json": pair + `"attribution": {"components": ["mlp_output", "head_query_output"], "positions": [{"at": ["Italy", "Spain"]}, {"at": [[-1]], "name": "last"}],
			"softmax": true, ` + answer + `}}`,
		"steps.json": pair + `"attribution": {"components": ["block_output"], "layers": [1], "steps": 3, "along": {"layer": 0, "component": "embedding"}, "read_at": [[3]], ` + answer + `}}`,
		"p.json":     pair + `"paths": {"receivers": [{"layer": 1, "component": "head_query_output", "heads": [0]}], "through_mlps": true, ` + answer + `}}`,
	})
	for name, c := range map[string]struct {
		command string
		rows    int
		has     string
		plan    string // of what explain says
	}{
		"a":     {"attribute", 2 * (2*2 + 2*3*2), "mlp_output,0,Italy/Spain,all,all,0,1.0,0,", "1 more program: attention's scores, runs 3 times"},
		"steps": {"attribute", 2 * 5, "block_output,1,4,", "runs 5 times: base and source, and 3 steps along layer 0 embedding"},
		"p":     {"paths", 2 * 3, "head_attention_value_output,0,all,2,", "3 senders × 2 pairs = 6 paths, each read by logit_difference\n  into layer 1 head_query_output, heads [0]"},
	} {
		job := path(name + ".json")
		out := succeed(t, c.command, job, "--plot", path(name+".svg"))
		table := string(read(t, path(name+".result.csv")))
		if got := strings.Count(table, "\n") - 1; got != c.rows || !strings.Contains(table, c.has) || !strings.Contains(out, "2 pairs by logit_difference") {
			t.Errorf("%s: %q, and %d rows, wanted %d, one of them %q:\n%s", name, out, got, c.rows, c.has, table)
		}
		if err := xml.Unmarshal(read(t, path(name+".svg")), new(struct{})); err != nil {
			t.Error(err)
		}
		if text := succeed(t, "verify", job); !strings.Contains(text, fmt.Sprintf("all %d numbers are the same", c.rows)) {
			t.Errorf("verify says %q", text)
		}
		if err := os.WriteFile(path(name+".result.csv"), []byte(strings.Replace(table, ",1,", ",2,", 1)), 0o644); err != nil {
			t.Fatal(err)
		}
		fail(t, failed, fmt.Sprintf("1 of %d lines differ", c.rows), "verify", job)
		for _, other := range []string{map[string]string{"attribute": "paths", "paths": "attribute"}[c.command], "sweep", "run"} {
			fail(t, failed, "for govene "+c.command, other, job)
		}
		if text := succeed(t, "explain", job); !strings.Contains(text, c.plan) {
			t.Errorf("explain says %q, wanted %q", text, c.plan)
		}
	}
}

// A word in the place of positions is where it is, in the base or in the source, in sweeps and in calls.
func TestPlacesByWord(t *testing.T) {
	call := `"config": {"seed": 0, "representations": [{"layer": 0, "component": "block_output", "intervention_type": "vanilla"}]}, "call": {"locations": [{%s}], ` +
		`"metrics": [{"metric": "logit", "settings": {"tokens": [" Paris"]}, "at": %s}]}}`
	call = `{"model": "model", "base": {"text": ["The capital of Italy is"]}, "sources": [{"text": ["The capital of the United States is"]}], ` + call
	call = strings.ReplaceAll(call, "of the United", "of United")
	path := worded(t, map[string]string{
		"words.json":   pair + `"sweep": {"components": ["block_output"], "positions": [{"at": ["Italy", "Spain"], "name": "x"}, {"at": "is", "source": "of", "name": "y"}], ` + answer + `}}`,
		"numbers.json": pair + `"sweep": {"components": ["block_output"], "positions": [{"at": [[3], [3]], "name": "x"}, {"at": [[4]], "source": [[2]], "name": "y"}], ` + answer + `}}`,
		"call1.json":   fmt.Sprintf(call, `"source": "United States", "base": "Italy"`, `"is"`),
		"call2.json":   fmt.Sprintf(call, `"source": [[4]], "base": [[3]]`, `[[4]]`),
	})
	for _, pairs := range [][3]string{{"sweep", "words", "numbers"}, {"run", "call1", "call2"}} {
		for _, name := range pairs[1:] {
			succeed(t, pairs[0], path(name+".json"), map[string]string{"sweep": "-csv", "run": "-out"}[pairs[0]], path(name+".csv"))
		}
		if a, b := read(t, path(pairs[1]+".csv")), read(t, path(pairs[2]+".csv")); !bytes.Equal(a, b) {
			t.Errorf("by words %s, by numbers %s", a, b)
		}
	}
}

// What is wrong with words, receivers and the rest is said in a line, and nothing is left.
func TestRefusalsOfWords(t *testing.T) {
	job := pair + `"sweep": {"components": ["block_output"], "positions": [{"at": "capital"}], ` + answer + `}}`
	estimate := pair + `"attribution": {"components": ["block_output"], ` + answer + `}}`
	path := pair + `"paths": {"receivers": [{"layer": 1, "component": "head_query_output", "heads": [0]}], ` + answer + `}}`
	for words, c := range map[string][4]string{
		`base, text 0: "capitol": got no such piece in the tokens 0 The 1 capital`: {"sweep", job, `"at": "capital"`, `"at": "capitol"`},
		`got "Pari", wanted words or characters`:                                   {"sweep", job, `" Paris"`, `" Pari"`},
		`did you mean "capital"?`:                                                  {"sweep", job, `"at": "capital"`, `"at": "capitol"`},
		`did you mean "Paris"?`:                                                    {"sweep", job, `" Paris"`, `" Pari"`},
		`pieces: got 3, wanted 1, or 2`:                                            {"sweep", job, `"capital"`, `["a", "b", "c"]`},
		`source of pair 0: got positions 0 to 5 of 6`:                              {"sweep", job, `"The capital of France is", "The capital of France is"`, `"The capital of United States is", "The capital of United States is"`},
		`source: got 1 examples`:                                                   {"sweep", job, `"The capital of France is", `, ``},
		`base, text 0: got 4 tokens, wanted 5`:                                     {"sweep", job, `Italy is"`, `Italy"`},
		`the source has no text to find it in`:                                     {"sweep", strings.Replace(job, `"text": ["The capital of France is", "The capital of France is"]`, `"ids": [[0, 1, 2, 3, 6], [0, 1, 2, 3, 6]]`, 1), `"at": "capital"`, `"at": "capital", "source": "capital"`},
		`did you mean "mlp_output"?`:                                               {"attribute", estimate, "block_output", "mlp_outputs"},
		`did you mean "components"?`:                                               {"attribute", estimate, `"components"`, `"componets"`},
		`layer of block_output: got 7, wanted 0 to 1`:                              {"attribute", estimate, `"components"`, `"layers": [7], "components"`},
		`metric: got none`:                                                         {"attribute", estimate, ", " + answer, ""},
		`position of example 0: got position 9`:                                    {"attribute", estimate, `"components"`, `"read_at": [[9]], "components"`},
		`source: got nothing, wanted inputs`:                                       {"attribute", estimate, `"source"`, `"sources": [null], "source"`},
		`heads: got [3], wanted 0 to 2`:                                            {"paths", path, `"heads": [0]`, `"heads": [3]`},
		`head_query_outputs`:                                                       {"paths", path, `head_query_output`, `head_query_outputs`},
		`paths and sweep, wanted one`:                                              {"paths", path, `"paths"`, `"sweep": {}, "paths"`},
		`receivers: got none`:                                                      {"paths", path, `[{"layer": 1, "component": "head_query_output", "heads": [0]}]`, `[]`},
	} {
		changed := strings.Replace(c[1], c[2], c[3], 1)
		if changed == c[1] {
			t.Fatalf("%s: %q is not in the job", words, c[2])
		}
		if strings.HasPrefix(words, "source: got nothing") {
			changed = strings.Replace(c[1], `"source": {"text": ["The capital of France is", "The capital of France is"]}, `, "", 1)
		}
		in := worded(t, map[string]string{"job.json": changed})
		fail(t, failed, words, c[0], in("job.json"))
		if list, _ := filepath.Glob(in("*result*")); list != nil {
			t.Errorf("%s: there is %v", words, list)
		}
	}
}
