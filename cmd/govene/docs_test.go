package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gomlx/compute"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/interv/toy"
)

// jobs writes the jobs of docs/command.md, a sweep, a call and a search with its examples, for the tutorials' model in place of GPT-2; beside
// them are an attribution and paths.
func jobs(t *testing.T) (sweep, call, search string) {
	t.Helper()
	blocks := regexp.MustCompile("(?s)```json\n(.*?)```").FindAllSubmatch(read(t, "../../docs/command.md"), -1)
	if len(blocks) != 5 {
		t.Fatalf("docs/command.md has %d jobs", len(blocks))
	}
	folder := t.TempDir()
	if _, err := toy.Make(backend.MustNew(), filepath.Join(folder, "facts")); err != nil {
		t.Fatal(err)
	}
	paths := []string{filepath.Join(folder, "job.json"), filepath.Join(folder, "call.json"), filepath.Join(folder, "search.json"), filepath.Join(folder, "attribution.json"), filepath.Join(folder, "paths.json")}
	for i, path := range paths {
		if err := os.WriteFile(path, bytes.Replace(blocks[i][1], []byte(`"gpt2"`), []byte(`"facts"`), 1), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var lines strings.Builder
	for i, base := range toy.Facts {
		for k, source := range toy.Facts {
			if i == k {
				continue
			}
			fmt.Fprintf(&lines, `{"split": %q, "base": "The capital of %s is", "sources": ["The language of %s is"], "label": %q, "base_label": %q, "source_labels": [%q]}`+"\n",
				[]string{"train", "train", "held", "test"}[(i+k)%4], base.Country, source.Country, " "+source.Capital, " "+base.Capital, " "+source.Language)
		}
	}
	if err := os.WriteFile(filepath.Join(folder, "examples.jsonl"), []byte(lines.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	return paths[0], paths[1], paths[2]
}

// The jobs of the documentation run as they are, and so do the recipes: their parts are merged into the file of an undisturbed sweep.
func TestDocumentation(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds: trains a model")
	}
	sweep, call, search := jobs(t)
	t.Setenv(compute.ConfigEnvVar, backend.GoSequential) // XLA would compile for every part
	succeed(t, "run", call)
	if table := string(read(t, strings.Replace(call, ".json", ".result.csv", 1))); !strings.Contains(table, "probability,0,0,") {
		t.Errorf("got %s", table)
	}
	succeed(t, "sweep", sweep)
	succeed(t, "verify", sweep)
	for command, job := range map[string]string{"attribute": "attribution.json", "paths": "paths.json"} {
		succeed(t, command, filepath.Join(filepath.Dir(sweep), job), "--plot", filepath.Join(filepath.Dir(sweep), job+".svg"))
	}
	trySearch(t, search)
	if runtime.GOOS == "windows" {
		return
	}
	folder := filepath.Dir(sweep)
	result := filepath.Join(folder, "job.result.json")
	whole := read(t, result)
	inKubernetes := regexp.MustCompile(`command: \["sh", "-c", '(.*)'\]`).FindSubmatch(read(t, "../../docs/recipes/kubernetes.yaml"))
	if inKubernetes == nil {
		t.Fatal("kubernetes.yaml has no command")
	}
	slurm, err := filepath.Abs("../../docs/recipes/slurm.sh")
	if err != nil {
		t.Fatal(err)
	}
	for name, recipe := range map[string]func(index int) *exec.Cmd{
		"slurm": func(index int) *exec.Cmd {
			c := exec.Command("bash", slurm, "job.json")
			c.Env = []string{fmt.Sprintf("SLURM_ARRAY_TASK_ID=%d", index+1), "SLURM_ARRAY_TASK_COUNT=8"}
			return c
		},
		"kubernetes": func(index int) *exec.Cmd {
			c := exec.Command("sh", "-c", string(inKubernetes[1]))
			c.Env = []string{fmt.Sprintf("JOB_COMPLETION_INDEX=%d", index), "PARTS=8"}
			return c
		},
	} {
		t.Run(name, func(t *testing.T) {
			for index := range 8 {
				c := recipe(index)
				c.Dir, c.Env = folder, append(append(os.Environ(), "PATH="+onPath(t)+":"+os.Getenv("PATH"), asCommand+"=1"), c.Env...)
				if text, err := c.CombinedOutput(); err != nil {
					t.Fatalf("part %d: %v: %s", index, err, text)
				}
			}
			parts, err := filepath.Glob(filepath.Join(folder, "job.part-*.json"))
			if err != nil || len(parts) != 8 {
				t.Fatalf("there are %v (%v)", parts, err)
			}
			os.Remove(result)
			succeed(t, append([]string{"merge"}, parts...)...)
			if !bytes.Equal(read(t, result), whole) {
				t.Error("the merged file is not that of the whole sweep")
			}
			for _, part := range parts {
				os.Remove(part)
			}
		})
	}
}

// trySearch runs a search, which comes to the same report after a kill, and verifies.
func trySearch(t *testing.T, job string) {
	t.Helper()
	folder := filepath.Dir(job)
	beside := func(name string) string { return filepath.Join(folder, name) }
	if text := succeed(t, "explain", job); !strings.Contains(text, "4 alignments of the kind trained at 2 places, 40 steps") || !strings.Contains(text, "120 examples to train on, 56 to choose by and 64 to test on") {
		t.Errorf("explain says %q", text)
	}
	text := succeed(t, "das", job, "--plot", beside("s.svg"), "--html", beside("s.html"), "--alignment", beside("best"))
	for _, words := range []string{"64 test examples", "shuffled sources", "4 alignments"} {
		if !strings.Contains(text, words) {
			t.Errorf("%q is not in %s", words, text)
		}
	}
	if !strings.Contains(string(read(t, beside("s.html"))), "<table>") || !strings.Contains(string(read(t, beside("s.svg"))), "shuffled sources") {
		t.Error("the page or the plot is not that of a report")
	}
	if list, err := os.ReadDir(beside("best")); err != nil || len(list) == 0 {
		t.Errorf("the best alignment was not saved: %v", err)
	}
	report := read(t, beside("search.report.json"))
	succeed(t, "verify", job)
	states, err := filepath.Glob(beside("search.search.*.safetensors"))
	if err != nil || len(states) != 3 {
		t.Fatalf("got the states %v, wanted those of three searches", states)
	}
	for _, path := range append(states, beside("search.report.json")) {
		os.Remove(path)
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(program, "das", job)
	c.Env = append(os.Environ(), asCommand+"=1")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	for begun := time.Now(); time.Since(begun) < time.Minute; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(states[0]); err == nil { // its first search has been looked at
			break
		}
	}
	_ = c.Process.Kill()
	_ = c.Wait()
	succeed(t, "das", job)
	if !bytes.Equal(read(t, beside("search.report.json")), report) {
		t.Error("after a kill, the report is another")
	}
}

// onPath is a folder in which the test's own program is called govene.
func onPath(t *testing.T) string {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	folder := t.TempDir()
	if err := os.Symlink(program, filepath.Join(folder, "govene")); err != nil {
		t.Fatal(err)
	}
	return folder
}
