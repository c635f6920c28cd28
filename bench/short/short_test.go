package short_test

import (
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gomlx/compute"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/metric"
	"github.com/govene/govene/interv/sweep"
	"github.com/govene/govene/interv/tokens"
	"github.com/govene/govene/interv/transformer"
)

// jobs are the columns of docs/short.md.
var jobs = []struct {
	name, does string
	run        func()
}{
	{"patch", "patch one place, read a logit difference", Example_patch},
	{"map", "map of layers and positions, with its plot", Example_map},
	{"heads", "map of heads, with its plot", Example_heads},
	{"tracing", "causal tracing, with its plot", Example_tracing},
	{"steering", "steer a generation by the difference of two texts", Example_steering},
	{"collecting", "collect all blocks' outputs to a file", Example_collecting},
	{"attribution", "attribution map of MLPs, with its plot", Example_attribution},
	{"paths", "paths from all heads into one, with their plot", Example_paths},
}

// said is what a job prints.
func said(t *testing.T, job func()) string {
	t.Helper()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout := os.Stdout
	os.Stdout = writer
	func() {
		defer func() { os.Stdout = stdout; writer.Close() }()
		job()
	}()
	text, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(text))
}

// Every job runs, and leaves what it should.
func TestJobs(t *testing.T) {
	t.Setenv(compute.ConfigEnvVar, backend.GoSequential) // XLA would compile some twenty programs
	output := map[string]string{}
	for _, job := range jobs {
		output[job.name] = said(t, job.run)
		if plotted := strings.Contains(job.does, "plot"); !plotted {
			continue
		}
		plot, err := os.ReadFile(job.name + ".svg")
		if err == nil {
			err = xml.Unmarshal(plot, new(struct{}))
		}
		if err != nil || strings.Count(string(plot), "<rect") < 9 {
			t.Errorf("%s: the plot is not there as it should be (%v)", job.name, err)
		}
	}

	model, text := transformer.MustLoad("gpt2"), tokens.MustLoad("gpt2")
	cell := sweep.MustRun(backend.MustNew(), model, sweep.Sweep{
		Base: text.MustInputs("The capital of Italy is"), Source: text.MustInputs("The capital of France is"),
		Components: []interv.Component{transformer.BlockOutput}, Layers: []int{1}, Positions: sweep.At(3),
		Metric: metric.LogitDifference{Right: text.MustEach(" Paris"), Wrong: text.MustEach(" Rome")},
	}).Values[0][0]
	var patched float64
	if _, err := fmt.Sscanf(output["patch"], "[%g]", &patched); err != nil || patched-cell > 1e-5 || cell-patched > 1e-5 {
		t.Errorf("the patch says %q (%v), a sweep of it %g", output["patch"], err, cell)
	}
	if words := strings.Fields(output["steering"]); len(words) != 10 {
		t.Errorf("steered, the model says %q", output["steering"])
	}
	collected, err := interv.LoadTensors("activations.safetensors")
	if names := slices.Sorted(maps.Keys(collected)); err != nil || !slices.Equal(names, []string{"layer 0 block_output", "layer 1 block_output", "layer 2 block_output"}) {
		t.Errorf("got activations %v, %v", names, err)
	}
}

// peers are the files beside, and what their libraries are called.
var peers = []struct{ file, name string }{
	{"example_test.go", "Govene"}, {"transformer_lens_jobs.py", "TransformerLens 4.3.0"}, {"nnsight_jobs.py", "nnsight 0.8.1"}, {"pyvene_jobs.py", "pyvene 0.1.8"},
}

const columns = 100 // in which a statement is written, with a tab as 4

var mark = regexp.MustCompile(`^\s*(?:#|//) (begin (\w+)|end)$`)

// regions are the lines of code between the marks of a file, by job.
func regions(t *testing.T, path string) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	found, job, indent := map[string][]string{}, "", ""
	for line := range strings.SplitSeq(string(text), "\n") {
		if match := mark.FindStringSubmatch(line); match != nil {
			job, indent = match[2], line[:len(line)-len(strings.TrimLeft(line, " \t"))]
			continue
		}
		code := strings.TrimSpace(line)
		if job == "" || code == "" || strings.HasPrefix(code, "#") || strings.HasPrefix(code, "//") {
			continue
		}
		if width := len([]rune(strings.ReplaceAll(strings.TrimPrefix(line, indent), "\t", "    "))); width > columns || strings.Contains(code, ";") {
			t.Errorf("%s, %s: %q has %d columns, wanted one statement of at most %d", path, job, code, width, columns)
		}
		found[job] = append(found[job], code)
	}
	return found
}

// docs/short.md counts the lines of all jobs, and Govene's are never more than three above the shortest. With GOVENE_WRITE=1 set the page is
// written, else it must be what this test makes.
func TestLinesOfJobs(t *testing.T) {
	var page strings.Builder
	page.WriteString("# Short to write\n\nMade by `GOVENE_WRITE=1 go test ./bench/short -run TestLinesOfJobs`, which fails when this page is out of date, or when a job takes more " +
		"than three lines above the shortest.\n\nLines that a user writes for the same eight jobs: lines of code, without imports, blank lines and comments; one statement a line, of at most " +
		fmt.Sprint(columns) + " columns. Govene's programs are the examples of package [`bench/short`](../bench/short/example_test.go), which tests run; the peers' " +
		"are beside them, written as their documentation shows, and were run on a tiny GPT-2: `python bench/short/transformer_lens_jobs.py`, in the environment that `bench/sweep.sh` makes.\n\n")
	counts := make([]map[string][]string, len(peers))
	page.WriteString("| job |")
	for i, peer := range peers {
		counts[i] = regions(t, filepath.Join(here, peer.file))
		fmt.Fprintf(&page, " %s |", peer.name)
	}
	page.WriteString("\n| --- |" + strings.Repeat(" ---: |", len(peers)) + "\n")
	for _, job := range jobs {
		fmt.Fprintf(&page, "| %s |", job.does)
		shortest := 1000
		for i := range peers {
			lines := len(counts[i][job.name])
			if lines == 0 {
				page.WriteString(" — |")
				continue
			}
			fmt.Fprintf(&page, " %d |", lines)
			if i > 0 {
				shortest = min(shortest, lines)
			}
		}
		page.WriteString("\n")
		if own := len(counts[0][job.name]); own == 0 || own > shortest+3 {
			t.Errorf("%s: got %d lines, wanted at most three more than %d", job.name, own, shortest)
		}
	}
	page.WriteString("\n—: nnsight and pyvene have no call for path patching, and pyvene gives no gradients of activations; either can be written by hand around them. Loops over " +
		"layers and positions are the user's in nnsight and pyvene. Plots are Matplotlib's there, and `plotting`'s here.\n")
	page.WriteString(tutorial(t))
	path := filepath.Join(here, "..", "..", "docs", "short.md")
	if os.Getenv("GOVENE_WRITE") != "" {
		if err := os.WriteFile(path, []byte(page.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if kept, err := os.ReadFile(path); err != nil || string(kept) != page.String() {
		t.Errorf("docs/short.md is not what this test makes of the jobs (%v): write it with GOVENE_WRITE=1", err)
	}
}

// tutorial is what the page says of distributed alignment search as one program, which has at most 60 lines.
func tutorial(t *testing.T) string {
	const most = 60
	path := filepath.Join(here, "tutorial", "main.go")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	for _, line := range lines {
		comment := strings.HasPrefix(strings.TrimSpace(line), "//")
		if width := len([]rune(strings.ReplaceAll(line, "\t", "    "))); !comment && width > columns || strings.Contains(line, ";") {
			t.Errorf("%s: %q has %d columns, wanted one statement of at most %d", path, line, width, columns)
		}
	}
	if len(lines) > most {
		t.Errorf("%s: got %d lines, wanted at most %d", path, len(lines), most)
	}
	return fmt.Sprintf("\n## From an empty file\n\nDistributed alignment search as one program, [`bench/short/tutorial`](../bench/short/tutorial/main.go), has %d lines, imports, "+
		"comments and blank lines among them: a causal model and its data, a network that is trained on it, a search for both variables after each layer, and a report "+
		"with all controls. `go run ./bench/short/tutorial` prints it; a test runs it, and holds it to %d lines.\n", len(lines), most)
}
