package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/gomlx/compute"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/internal/checkpoint"
	"github.com/govene/govene/internal/strict"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/gru"
	_ "github.com/govene/govene/interv/metric" // whose metrics jobs name
	"github.com/govene/govene/interv/mlp"
	"github.com/govene/govene/interv/sweep"
	"github.com/govene/govene/interv/tokens"
	"github.com/govene/govene/interv/transformer"
)

// job is what a file describes: a sweep, one call, an attribution, paths, or a search for alignments.
type job struct {
	Model       string                `json:"model"`               // a folder, from where the file is, or an id on the hub
	Precision   transformer.Precision `json:"precision,omitempty"` // of a transformer's numbers; empty for float32
	Base        *inputs               `json:"base"`                // the runs that are patched
	Source      *inputs               `json:"source,omitempty"`    // of a sweep, an attribution or paths
	Sources     []*inputs             `json:"sources,omitempty"`   // of a call, one for each group
	Sweep       json.RawMessage       `json:"sweep,omitempty"`     // a sweep.Sweep
	Config      *interv.Config        `json:"config,omitempty"`    // of a call
	Call        json.RawMessage       `json:"call,omitempty"`
	Attribution json.RawMessage       `json:"attribution,omitempty"` // attributed, in this package
	Paths       json.RawMessage       `json:"paths,omitempty"`       // patched
	Search      *search               `json:"search,omitempty"`
	Examples    string                `json:"examples,omitempty"` // of a search: a file with a line for each, from where the job's file is

	path      string
	tokenizer *tokens.Tokenizer // nil until a text has been met
}

// readJob reads a job's file; whatever is in it that has no meaning is an error.
func readJob(path string) (*job, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	j := &job{path: path}
	if err = strict.Once(text); err == nil {
		err = strict.Unmarshal(text, j)
	}
	if err != nil {
		return nil, interv.Within(path, err)
	}
	missing := func(field, wanted string) error {
		return interv.Within(path, &interv.Error{Axis: field, Got: "nothing", Wanted: wanted})
	}
	parts := map[string]bool{"sweep": j.Sweep != nil, "config": j.Config != nil, "attribution": j.Attribution != nil, "paths": j.Paths != nil, "search": j.Search != nil}
	var there []string
	for _, name := range slices.Sorted(maps.Keys(parts)) {
		if parts[name] {
			there = append(there, name)
		}
	}
	wrong := func(axis, got, wanted string) (*job, error) {
		return nil, interv.Within(path, &interv.Error{Axis: axis, Got: got, Wanted: wanted})
	}
	switch {
	case j.Model == "":
		return nil, missing("model", "a folder, or a model's id on the hub")
	case len(there) != 1:
		return wrong("attribution, config, paths, search and sweep", cmp.Or(strings.Join(there, " and "), "none"), "one")
	case j.Search != nil && (j.Base != nil || j.Source != nil || j.Sources != nil || j.Call != nil):
		return wrong("search", "a call or inputs beside it", "examples alone")
	case (j.Search == nil) != (j.Examples == ""):
		return nil, missing("search and examples", "both or none")
	case j.Search != nil:
		return j, nil
	case j.Base == nil:
		return nil, missing("base", "inputs")
	case j.Config == nil && (j.Sources != nil || j.Call != nil):
		return wrong("sources and call", "some, beside "+there[0], "none: they belong to a config; "+there[0]+" has one source")
	case j.Config != nil && j.Source != nil:
		return wrong("source", "one, beside a config", "sources, a list with one for each group")
	case j.Source == nil && (j.Attribution != nil || j.Paths != nil):
		return nil, missing("source", "inputs, which are read: one for each of the base's")
	}
	return j, nil
}

// folder is where the model is: for an id what the hub calls it.
func (j *job) folder() string {
	beside := j.Model
	if !filepath.IsAbs(beside) {
		beside = filepath.Join(filepath.Dir(j.path), j.Model)
	}
	if status, err := os.Stat(beside); err == nil && status.IsDir() {
		return beside
	}
	return j.Model
}

// load makes the model, of the kind that its config.json tells, and a backend for it.
func (j *job) load() (compute.Backend, interv.Model, error) {
	folder, err := checkpoint.Resolve(j.folder(), nil)
	if err != nil {
		return nil, nil, interv.Within(j.path+", model", err)
	}
	text, err := os.ReadFile(filepath.Join(folder, checkpoint.ConfigFile))
	if err != nil {
		return nil, nil, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", filepath.Join(folder, checkpoint.ConfigFile), err)
	}
	has := func(name string) bool { return fields[name] != nil }
	var model interv.Model
	switch {
	case (has("model_type") || has("architectures")) && string(fields["model_type"]) != `"gru"`:
		var options []transformer.Option
		if j.Precision != "" {
			options = append(options, j.Precision)
		}
		model, err = transformer.Load(folder, options...)
	case j.Precision != "":
		err = &interv.Error{Where: j.path, Axis: "precision", Got: string(j.Precision), Wanted: "none: the model is no transformer"}
	case has("n_labels"), has("include_emb"), has("model_type"): // of pyvene's GRU
		model, err = gru.Load(folder)
	case has("num_classes"):
		model, err = mlp.Load(folder)
	default:
		err = &interv.Error{Where: folder, Axis: checkpoint.ConfigFile, Got: "neither model_type, n_labels nor num_classes",
			Wanted: "the config of a transformer, a recurrent network or a multilayer perceptron"}
	}
	if err != nil {
		return nil, nil, err
	}
	engine, _, err := backend.Parameters(model.Weights().Size()).New()
	return engine, model, err
}

// sweep makes the job's sweep, all but where its results go.
func (j *job) sweep() (s sweep.Sweep, err error) {
	within := func(part string, err error) (sweep.Sweep, error) { return s, interv.Within(j.path+", "+part, err) }
	if j.Sweep == nil {
		return within("sweep", &interv.Error{Got: "none", Wanted: "one: the job is for govene " + j.command()})
	}
	if s.Base, s.Source, err = j.pairs(); err != nil {
		return s, err
	}
	base, source := s.Base, s.Source
	text, err := j.words(j.Sweep)
	if err != nil {
		return within("sweep", err)
	}
	if err := strict.Unmarshal(text, &s); err != nil {
		return s, interv.Within(j.path, err)
	}
	s.Base, s.Source = base, source
	return s, nil
}

// command is the one that runs the job.
func (j *job) command() string {
	switch {
	case j.Sweep != nil:
		return "sweep"
	case j.Attribution != nil:
		return "attribute"
	case j.Paths != nil:
		return "paths"
	case j.Search != nil:
		return "das"
	}
	return "run"
}

// pairs are the inputs of bases and of sources, nil where there are none.
func (j *job) pairs() (base, source interv.Inputs, err error) {
	if base, err = j.Base.tensors(j); err != nil {
		return nil, nil, interv.Within(j.path+", base", err)
	}
	if j.Source != nil {
		if source, err = j.Source.tensors(j); err != nil {
			return nil, nil, interv.Within(j.path+", source", err)
		}
	}
	return base, source, nil
}

// texts is the model's tokenizer.
func (j *job) texts() (*tokens.Tokenizer, error) {
	if j.tokenizer == nil {
		var err error
		if j.tokenizer, err = tokens.Load(j.folder()); err != nil {
			return nil, err
		}
	}
	return j.tokenizer, nil
}

// beside is a file named after the job's.
func (j *job) beside(suffix string) string { return strings.TrimSuffix(j.path, ".json") + suffix }

// terminal tells whether people watch what is written.
func terminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	status, err := file.Stat()
	return err == nil && status.Mode()&os.ModeCharDevice != 0
}
