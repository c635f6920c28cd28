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

	"github.com/gomlx/compute"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/interv/toy"
)

// jobs writes the jobs of docs/command.md, a sweep and a call, for the tutorials' model in place of GPT-2.
func jobs(t *testing.T) (sweep, call string) {
	t.Helper()
	blocks := regexp.MustCompile("(?s)```json\n(.*?)```").FindAllSubmatch(read(t, "../../docs/command.md"), -1)
	if len(blocks) != 2 {
		t.Fatalf("docs/command.md has %d jobs", len(blocks))
	}
	folder := t.TempDir()
	if _, err := toy.Make(backend.MustNew(), filepath.Join(folder, "facts")); err != nil {
		t.Fatal(err)
	}
	paths := []string{filepath.Join(folder, "job.json"), filepath.Join(folder, "call.json")}
	for i, path := range paths {
		if err := os.WriteFile(path, bytes.Replace(blocks[i][1], []byte(`"gpt2"`), []byte(`"facts"`), 1), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return paths[0], paths[1]
}

// The jobs of the documentation run as they are, and so do the recipes: their parts are merged into the file of an undisturbed sweep.
func TestDocumentation(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds: trains a model")
	}
	sweep, call := jobs(t)
	t.Setenv(compute.ConfigEnvVar, backend.GoSequential) // XLA would compile for every part
	succeed(t, "run", call)
	if table := string(read(t, strings.Replace(call, ".json", ".result.csv", 1))); !strings.Contains(table, "probability,0,0,") {
		t.Errorf("got %s", table)
	}
	succeed(t, "sweep", sweep)
	succeed(t, "verify", sweep)
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
