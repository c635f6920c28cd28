package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/govene/govene/interv/gru"
	"github.com/govene/govene/interv/mlp"
	"github.com/govene/govene/resident"
)

// asCommand has the test's own program be govene, for tests that kill it.
const asCommand = "GOVENE_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		main()
	}
	os.Exit(m.Run())
}

// govene runs a command line in this process.
func govene(arguments ...string) (status int, out, err string) {
	var stdout, stderr bytes.Buffer
	status = run(context.Background(), arguments, &stdout, &stderr)
	return status, stdout.String(), stderr.String()
}

// succeed wants a command line to exit with 0 and returns what it says.
func succeed(t *testing.T, arguments ...string) string {
	t.Helper()
	status, out, err := govene(arguments...)
	if status != ok || err != "" {
		t.Fatalf("govene %s: got %d, %q", strings.Join(arguments, " "), status, err)
	}
	return out
}

// fail wants a command line to exit with a status and one line on what is wrong, in words.
func fail(t *testing.T, wanted int, words string, arguments ...string) {
	t.Helper()
	status, out, err := govene(arguments...)
	if status != wanted || out != "" || !strings.Contains(err, words) || wanted == failed && strings.Count(err, "\n") != 1 {
		t.Errorf("govene %s: got %d, %q and %q, wanted %d and %q", strings.Join(arguments, " "), status, out, err, wanted, words)
	}
}

const checkpoints = "../../internal/golden/testdata/public/checkpoints"

// write makes a job's file from its JSON, in which MODEL stands for a tiny transformer's folder.
func write(t *testing.T, text string) string {
	t.Helper()
	folder, err := filepath.Abs(filepath.Join(checkpoints, "gpt2"))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "job.json")
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(text, "MODEL", filepath.ToSlash(folder))), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

const small = `{"model": "MODEL",
	"base": {"ids": [[3, 1, 4, 1], [2, 7, 1, 8]]}, "source": {"ids": [[3, 7, 4, 1], [2, 3, 1, 8]]},
	"sweep": {"components": ["block_output", "mlp_output"], "positions": [{"at": [[1]]}, {"name": "last", "at": [[-1]]}],
		"metric": {"metric": "logit_difference", "settings": {"right": [[5]], "wrong": [[6]]}}}}`

// A sweep leaves its results, tables and map; run again it changes nothing, and it verifies.
func TestSweep(t *testing.T) {
	job := write(t, small)
	beside := func(name string) string { return filepath.Join(filepath.Dir(job), name) }
	for _, words := range []string{"12 cells × 2 pairs", "3 programs", "chunks"} {
		if text := succeed(t, "explain", job); !strings.Contains(text, words) {
			t.Errorf("%q is not in %s", words, text)
		}
	}
	succeed(t, "sweep", job, "-csv", beside("o.csv"), "--parquet", beside("o.parquet"), "--plot", beside("o.svg"))
	results := read(t, beside("job.result.json"))
	succeed(t, "sweep", job)
	if !bytes.Equal(read(t, beside("job.result.json")), results) {
		t.Error("the second time, the results are others")
	}
	if text := succeed(t, "verify", job); !strings.Contains(text, "all 28 numbers are the same") {
		t.Errorf("verify says %q", text)
	}

	// Within a limit it is the same plan, if that fits; what does not fit is refused.
	if text := succeed(t, "explain", job, "-memory", "1GiB"); !strings.Contains(text, "of 1GiB allowed") {
		t.Errorf("explain says %q", text)
	}
	if text := succeed(t, "verify", job, "-memory", "1GiB"); !strings.Contains(text, "all 28 numbers are the same") {
		t.Errorf("verify says %q", text)
	}
	fail(t, failed, "memory: got 1KiB, wanted at least 1MiB", "sweep", job, "-memory", "1KiB")

	lines := strings.Split(strings.TrimSpace(string(read(t, beside("o.csv")))), "\n")
	rows, err := parquet.ReadFile[row](beside("o.parquet"))
	if err != nil || len(rows) != 24 || len(lines) != 25 {
		t.Fatalf("%d rows of Parquet (%v), %d lines of CSV", len(rows), err, len(lines))
	}
	for i, r := range rows {
		got := fmt.Sprintf("%s,%d,%s,%d,%v,%v", r.Component, r.Layer, r.Position, r.Pair, r.Value, *r.Recovered)
		columns := strings.Split(lines[1+i], ",")
		wanted := strings.Join([]string{columns[0], columns[1], columns[2], columns[7], columns[8], columns[11]}, ",")
		if got != wanted && strings.TrimSuffix(wanted, ".0") != got {
			t.Errorf("row %d: Parquet has %s, CSV %s", i, got, wanted)
		}
	}
	if err := xml.Unmarshal(read(t, beside("o.svg")), new(struct{})); err != nil {
		t.Error(err)
	}

	// In half the bits, the numbers are others.
	fail(t, failed, "numbers differ", "verify", write(t, strings.Replace(small, `"base"`, `"precision": "bfloat16", "base"`, 1)), "-results", beside("job.result.json"))

	// What has been changed is found, with the place.
	var file map[string]any
	if err := json.Unmarshal(results, &file); err != nil {
		t.Fatal(err)
	}
	file["values"].([]any)[3].([]any)[1] = 1000.5
	changed, _ := json.Marshal(file)
	if err := os.WriteFile(beside("job.result.json"), changed, 0o644); err != nil {
		t.Fatal(err)
	}
	fail(t, failed, "1 of 28 numbers differ, most at block_output of layer 1 at last, pair 1, by 1", "verify", job)
}

// Recurrent networks and perceptrons are told by their config.json.
func TestModelsOfEveryKind(t *testing.T) {
	folder := t.TempDir()
	if err := gru.MustNewClassifier(gru.Config{Layers: 1, Width: 2}, 1).Save(filepath.Join(folder, "gru")); err != nil {
		t.Fatal(err)
	}
	if err := mlp.MustNewClassifier(mlp.Config{Layers: 2, Width: 2, Classes: 3}, 1).Save(filepath.Join(folder, "mlp")); err != nil {
		t.Fatal(err)
	}
	if err := gru.MustNewLanguageModel(gru.Config{Layers: 1, Width: 2, Embeddings: true, Vocabulary: 7, MaxPositions: 4}, 1).Save(filepath.Join(folder, "lm")); err != nil {
		t.Fatal(err)
	}
	for model, sweep := range map[string]string{
		"lm":  `"base": {"ids": [[1, 2, 3]]}, "source": {"ids": [[1, 4, 3]]}, "sweep": {"components": ["cell_output"], "positions": [{"at": [[0]]}, {"at": [[-1]]}]`,
		"gru": `"base": {"embeds": [[[1, 2], [3, 4]]]}, "source": {"embeds": [[[4, 3], [2, 1]]]}, "sweep": {"components": ["cell_output"], "positions": [{"at": [[0]]}, {"at": [[1]]}]`,
		"mlp": `"base": {"embeds": [[[1, 2]]]}, "source": {"embeds": [[[4, 3]]]}, "sweep": {"components": ["block_output"]`,
	} {
		job := filepath.Join(folder, model+".json") // the model's folder is beside it
		text := fmt.Sprintf(`{"model": %q, %s, "metric": {"metric": "logit", "settings": {"tokens": [1]}}}}`, model, sweep)
		if err := os.WriteFile(job, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		succeed(t, "sweep", job)
		succeed(t, "verify", job)
	}
}

// Of one there is no plural.
func TestOneOfEach(t *testing.T) {
	one := `{"model": "MODEL", "base": {"ids": [[3, 1, 4]]}, "source": {"ids": [[3, 7, 4]]}, "sweep": {"cells": [{"component": "block_output", "layer": 0}],
		"metric": {"metric": "logit", "settings": {"tokens": [5]}}}}`
	job := write(t, one)
	for command, words := range map[string]string{"explain": "1 cell × 1 pair = 1 run,", "sweep": ": 1 cell × 1 pair by "} {
		if text := succeed(t, command, job); !strings.Contains(text, words) {
			t.Errorf("%q is not in %s", words, text)
		}
	}
	job = write(t, `{"model": "MODEL", "base": {"ids": [[3, 1, 4]]}, "sources": [{"ids": [[3, 7, 4]]}],
		"config": {"seed": 0, "representations": [{"layer": 0, "component": "block_output", "intervention_type": "vanilla"}]},
		"call": {"locations": [{"source": [[1]], "base": [[1]]}], "metrics": [{"metric": "logit", "settings": {"tokens": [5]}}]}}`)
	for _, c := range [][2]string{{"run", "csv: 1 number\n"}, {"verify", "the one number is the same, to the bit"}} {
		if text := succeed(t, c[0], job); !strings.Contains(text, c[1]) {
			t.Errorf("%q is not in %s", c[1], text)
		}
	}
}

// A call is measured, collected and verified.
func TestRun(t *testing.T) {
	job := write(t, `{"model": "MODEL", "base": {"ids": [[3, 1, 4], [2, 7]], "padding": "right"}, "sources": [{"ids": [[3, 7, 4], [2, 3]], "padding": "right"}, null],
		"config": {"seed": 0, "representations": [
			{"layer": 0, "component": "block_output", "intervention_type": "vanilla"},
			{"name": "seen", "layer": 1, "component": "block_output", "intervention_type": "collect"}]},
		"call": {"locations": [{"source": [[1], [1]], "base": [[1], [1]]}, {"base": [[-1], [-1]]}], "with_base": true,
			"metrics": [{"metric": "logit", "settings": {"tokens": [5]}}]}}`)
	if text := succeed(t, "explain", job); !strings.Contains(text, "vanilla") {
		t.Errorf("explain says %s", text)
	}
	folder := filepath.Dir(job)
	succeed(t, "run", job, "-activations", filepath.Join(folder, "seen.safetensors"), "-parquet", filepath.Join(folder, "o.parquet"))
	rows, err := parquet.ReadFile[number](filepath.Join(folder, "o.parquet"))
	if err != nil || len(rows) != 2 || rows[0].Value == *rows[0].Base {
		t.Errorf("got %v, %v", rows, err)
	}
	succeed(t, "verify", job)
	results := filepath.Join(folder, "job.result.csv")
	text := read(t, results)
	if err := os.WriteFile(results, bytes.Replace(text, []byte("logit,1,0,"), []byte("logit,1,0,9"), 1), 0o644); err != nil {
		t.Fatal(err)
	}
	fail(t, failed, "1 of 2 lines differ, the first of them line 3", "verify", job)
	fail(t, failed, "for govene run", "sweep", job)
}

// What is wrong is said in a line, before anything is compiled.
func TestRefusals(t *testing.T) {
	change := func(old, new string) string { return write(t, strings.Replace(small, old, new, 1)) }
	for words, job := range map[string]string{
		`did you mean "block_output"?`:           change("block_output", "block_outputs"),
		`did you mean "components"?`:             change(`"components"`, `"componets"`),
		`did you mean "bfloat16"?`:               change(`"base"`, `"precision": "bfloat61", "base"`),
		`did you mean "sweep"?`:                  change(`"sweep"`, `"sweeps"`),
		"components twice":                       change(`"components"`, `"components": ["mlp_output"], "components"`),
		"JSON: got unexpected EOF":               change(small[len(small)-1:], ""),
		"wanted 0 to 3":                          change("[[1]]", "[[4]]"),
		"4, as there is no padding":              change("[3, 1, 4, 1]", "[3, 1, 4]"),
		"search and sweep: got none, wanted one": write(t, `{"model": "MODEL", "base": {"ids": [[1]]}}`),
		"model: got nothing":                     change("MODEL", ""),
		"wanted a folder, or an id":              change("MODEL", "./nowhere"),
		"text, ids and embeds: got 2":            change(`"base": {`, `"base": {"text": ["a"], `),
		`did you mean "left"?`:                   change(`"base": {`, `"base": {"padding": "lift", `),
		`did you mean "logit_difference"`:        change(`"logit_difference"`, `"logit_differences"`),
		"no such file":                           filepath.Join(t.TempDir(), "job.json"),
	} {
		fail(t, failed, words, "explain", job)
		fail(t, failed, words, "sweep", job)
		if list, _ := filepath.Glob(filepath.Join(filepath.Dir(job), "*result*")); list != nil {
			t.Errorf("%s: there is %v", words, list)
		}
	}
}

// Searches that cannot be are refused before anything is loaded or trained.
func TestSearchesThatCannotBe(t *testing.T) {
	const search = `{"model": "MODEL", "search": {"places": [{"component": "block_output", "position": 1}], "ranks": [1]}, "examples": "examples.jsonl"}`
	const example = `{"split": "train", "base": [1, 2], "sources": [[3, 4]], "label": 1, "base_label": 2, "source_labels": [1]}`
	others := strings.ReplaceAll(strings.ReplaceAll(example, "train", "held")+"\n"+strings.ReplaceAll(example, "train", "test"), `"label": 1`, `"label": 2`)
	for _, c := range []struct{ words, job, examples string }{
		{"ranks", strings.Replace(search, "ranks", "rankes", 1), example},
		{"kind", strings.Replace(search, `"ranks": [1]`, `"kind": "boundles"`, 1), example},
		{"both or none", strings.Replace(search, `, "examples": "examples.jsonl"`, "", 1), example},
		{"beside it", strings.Replace(search, `"search"`, `"base": {"ids": [[1]]}, "search"`, 1), example},
		{"line 1", search, strings.Replace(example, "split", "spilt", 1)},
		{"line 1: field: got label twice", search, strings.Replace(example, `"label"`, `"label": 2, "label"`, 1)},
		{`did you mean "train"?`, search, strings.Replace(example, "train", "tran", 1)},
		{"split held: examples: got none", search, example + "\n" + strings.ReplaceAll(example, "train", "test")},
		{"example 1: got 0 sources", search, example + "\n" + strings.Replace(example, "[[3, 4]]", "[]", 1) + "\n" + others},
		{"label of example 0", search, strings.Replace(example, `"label": 1`, `"label": 1.5`, 1) + "\n" + others},
		{"label of example 0: got none", search, strings.Replace(example, `"label": 1`, `"label": null`, 1) + "\n" + others},
		{"base label of example 0: got none", search, strings.Replace(example, `"base_label": 2, `, "", 1) + "\n" + others},
		{"warm_up: got -5, wanted 0 to 999", strings.Replace(search, `"ranks"`, `"warm_up": -5, "ranks"`, 1), example + "\n" + others},
		{"warm_up: got 9, wanted 0 to 8", strings.Replace(search, `"ranks"`, `"warm_up": 9, "steps": 9, "ranks"`, 1), example + "\n" + others},
		{"labels that change", search, example + "\n" + others},
	} {
		job := write(t, c.job)
		if err := os.WriteFile(filepath.Join(filepath.Dir(job), "examples.jsonl"), []byte(c.examples), 0o644); err != nil {
			t.Fatal(err)
		}
		fail(t, failed, c.words, "das", job)
	}
	fail(t, failed, "search: got none", "das", write(t, small))
}

// Wrong use exits with 2, and every command has help.
func TestUse(t *testing.T) {
	job := write(t, small)
	fail(t, misuse, "govene sweep")
	fail(t, misuse, `did you mean "sweep"?`, "swep")
	fail(t, misuse, "not defined: -pot", "sweep", job, "-pot", "x")
	fail(t, misuse, "got 0 arguments, wanted JOB.json", "sweep")
	fail(t, misuse, "got 2 arguments", "verify", job, job)
	fail(t, misuse, "wanted PART.json", "merge")
	fail(t, misuse, "wanted -out", "merge", job)
	for _, shard := range []string{"0/2", "3/2", "1", "1/2/3", "-1/2", "1/99999999"} {
		fail(t, misuse, "wanted i/n", "sweep", job, "-shard", shard)
	}
	fail(t, misuse, "once all shards are there", "sweep", job, "-shard", "1/2", "-plot", "x.svg")
	for _, c := range commands {
		if text := succeed(t, c.name, "--help"); !strings.Contains(text, c.does) || text != succeed(t, "help", c.name) {
			t.Errorf("%s --help says %q", c.name, text)
		}
	}
	succeed(t, "--help")
	if text := succeed(t, "version"); !strings.Contains(text, version) || !strings.Contains(text, "go1.") {
		t.Errorf("version says %s", text)
	}
	changes := string(read(t, "../../CHANGELOG.md"))
	if _, newest, _ := strings.Cut(changes, "\n## "); !strings.HasPrefix(newest, version) {
		t.Errorf("the newest version of CHANGELOG.md is not %s", version)
	}
}

// What concerns the engine is handed on to its program, and its failure is the command's.
func TestEngine(t *testing.T) {
	t.Setenv(resident.ProgramVar, filepath.Join(t.TempDir(), "nowhere"))
	fail(t, failed, "nowhere", "status")
	if runtime.GOOS == "windows" {
		return
	}
	program := filepath.Join(t.TempDir(), "engine")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho \"$@\"; [ $1 != stop ]\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv(resident.ProgramVar, program)
	if out := succeed(t, "serve", "-idle", "1m", "xla:cpu"); out != "serve -idle 1m xla:cpu\n" {
		t.Errorf("the engine got %q", out)
	}
	if status, _, err := govene("stop"); status != failed || !strings.Contains(err, "exit status 1") {
		t.Errorf("got %d, %q", status, err)
	}
}

// long is a job of some thousand runs.
func long(t *testing.T) string {
	random := rand.New(rand.NewPCG(1, 2))
	ids := func() string {
		rows := make([][]int, 16)
		for i := range rows {
			for range 24 {
				rows[i] = append(rows[i], random.IntN(20))
			}
		}
		text, _ := json.Marshal(rows)
		return string(text)
	}
	places := make([]string, 24)
	for i := range places {
		places[i] = fmt.Sprintf(`{"at": [[%d]]}`, i)
	}
	return write(t, fmt.Sprintf(`{"model": "MODEL", "base": {"ids": %s}, "source": {"ids": %s}, "sweep": {"components": ["block_output", "mlp_output", "attention_output"],
		"positions": [%s], "metric": {"metric": "logit", "settings": {"tokens": [5]}}}}`, ids(), ids(), strings.Join(places, ", ")))
}

// A shard that is killed in the middle, several times, goes on where it was; merged with the other it is the file of an undisturbed sweep,
// byte for byte.
func TestKilledShardsMerge(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	job := long(t)
	folder := filepath.Dir(job)
	whole := filepath.Join(folder, "whole.json")
	succeed(t, "sweep", job, "-out", whole)

	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	part := filepath.Join(folder, "job.part-1-of-2.json")
	state := func() string { text, _ := os.ReadFile(part); return string(text) }
	for kills := range 3 {
		before := state()
		shard := exec.Command(program, "sweep", job, "-shard", "1/2")
		shard.Env = append(os.Environ(), asCommand+"=1")
		if err := shard.Start(); err != nil {
			t.Fatal(err)
		}
		for begun := time.Now(); state() == before; time.Sleep(time.Millisecond) {
			if time.Since(begun) > 2*time.Minute {
				shard.Process.Kill()
				t.Fatal("no results were written")
			}
		}
		if err := shard.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		shard.Wait()
		if after := state(); !strings.Contains(after, `"finished":false`) || !strings.Contains(after, "null") {
			t.Fatalf("kill %d came too late: the sweep was done", kills)
		}
	}
	fail(t, failed, "has not finished", "merge", part)
	succeed(t, "sweep", job, "-shard", "1/2")
	succeed(t, "sweep", job, "-shard", "2/2")
	succeed(t, "merge", part, filepath.Join(folder, "job.part-2-of-2.json"), "-plot", filepath.Join(folder, "o.svg"))
	if !bytes.Equal(read(t, filepath.Join(folder, "job.result.json")), read(t, whole)) {
		t.Error("the merged file is not that of the undisturbed sweep")
	}
	if list, _ := filepath.Glob(filepath.Join(folder, ".*")); len(list) > 3 {
		t.Errorf("killed runs left %v", list)
	}
}

// What is in the cache is found there without a network, and what cannot be had is an error.
func TestFetch(t *testing.T) {
	t.Setenv("HF_HUB_CACHE", t.TempDir())
	t.Setenv("HF_HUB_OFFLINE", "1")
	const commit = "0123456789abcdef0123456789abcdef01234567"
	model := filepath.Join(os.Getenv("HF_HUB_CACHE"), "models--owner--model")
	snapshot := filepath.Join(model, "snapshots", commit)
	missing := filepath.Join(model, ".no_exist", commit)
	for path, text := range map[string]string{
		filepath.Join(model, "refs", "main"): commit, filepath.Join(snapshot, "config.json"): "{}", filepath.Join(snapshot, "model.safetensors"): "",
		filepath.Join(missing, "tokenizer_config.json"): "", filepath.Join(missing, "special_tokens_map.json"): "",
		filepath.Join(missing, "tokenizer.json"): "", filepath.Join(missing, "vocab.json"): "",
	} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	if got := succeed(t, "fetch", "owner/model"); got != snapshot+"\n" {
		t.Errorf("got %q, wanted the folder %s", got, snapshot)
	}
	if got, want := succeed(t, "fetch", "owner/model", "config.json"), filepath.Join(snapshot, "config.json")+"\n"; got != want {
		t.Errorf("got %q, wanted %q", got, want)
	}
	fail(t, failed, "HF_HUB_OFFLINE is set", "fetch", "owner/other")
	if err := os.Remove(filepath.Join(missing, "tokenizer.json")); err != nil {
		t.Fatal(err)
	}
	fail(t, failed, "tokenizer.json", "fetch", "owner/model") // which the model may have
	fail(t, failed, "got no vocab.json", "fetch", "owner/model", "vocab.json")
	fail(t, failed, "wanted a file's name in the model's folder", "fetch", "owner/model", "../../../x")
	fail(t, misuse, "wanted a folder, or an id", "fetch", "../model", "vocab.json")
	fail(t, misuse, "wanted a folder, or an id", "fetch", "../model")
	fail(t, misuse, "which is a folder here", "fetch", snapshot)
}

// Fetching ends when it is told to, however long the hub takes.
func TestFetchEnds(t *testing.T) {
	ctx, end := context.WithCancel(t.Context())
	defer end()
	silent := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		end()
		<-r.Context().Done()
	}))
	defer silent.Close()
	defer silent.CloseClientConnections()
	t.Setenv("HF_HUB_CACHE", t.TempDir())
	t.Setenv("HF_HUB_OFFLINE", "")
	t.Setenv("HF_ENDPOINT", silent.URL)
	var out, err bytes.Buffer
	if status := run(ctx, []string{"fetch", "owner/model"}, &out, &err); status != failed || !strings.Contains(err.String(), "context canceled") {
		t.Errorf("got %d, %s", status, err.String())
	}
}
