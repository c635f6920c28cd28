package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/gomlx/compute"

	"github.com/govene/govene/internal/plural"
	"github.com/govene/govene/internal/strict"
	"github.com/govene/govene/internal/whole"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/das"
	"github.com/govene/govene/interv/gru"
	"github.com/govene/govene/interv/mlp"
	"github.com/govene/govene/interv/transformer"
)

var dasCommand = command{name: "das", arguments: "JOB.json", does: "searches for alignments, or goes on with a search, and reports on them beside controls", more: `
The report is printed, and written to JOB.report.json. The state of each of its searches is kept in a file, JOB.search.*.safetensors, at each
look at the held-out examples: a command that is killed goes on from there when it is started again.
`, do: doDAS}

func doDAS(c *call) error {
	out := c.flags.String("out", "", "the `file` of the report (default JOB.report.json)")
	page := c.flags.String("html", "", "write the report to this `file`, too, as a table in HTML")
	plot := c.flags.String("plot", "", "write heat maps of the alignments and of each control to this `file`, as SVG")
	folder := c.flags.String("alignment", "", "save the best alignment in this `folder`, as interventions that load")
	if err := c.parse(1); err != nil {
		return err
	}
	s, err := openSearch(c.arguments[0])
	if err != nil {
		return err
	}
	s.search.Checkpoint = s.beside(".search.safetensors")
	if terminal(c.err) {
		s.search.Progress = func(place das.Place, step int, _ []float64) {
			fmt.Fprintf(c.err, "\r%s: step %d of %d ", place, step, s.search.Steps)
		}
	}
	begun := time.Now()
	report, err := s.check(c)
	if err != nil {
		if c.Err() != nil {
			return fmt.Errorf("ended before it was done: the same command goes on with %s", s.beside(".search.*.safetensors"))
		}
		return err
	}
	if *out == "" {
		*out = s.beside(searchResults)
	}
	text, err := reportText(report)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "%s\n%s: %s, in %v\n", report, *out, plural.Of(len(report.Result.Alignments), "alignment"), time.Since(begun).Round(time.Millisecond))
	for _, file := range []struct {
		path  string
		write func(w io.Writer) error
	}{
		{*out, func(w io.Writer) error { _, err := w.Write(text); return err }},
		{*page, func(w io.Writer) error { _, err := io.WriteString(w, report.HTML()); return err }},
		{*plot, report.Plot().WriteSVG},
	} {
		if file.path == "" {
			continue
		}
		if err := whole.Write(file.path, file.write); err != nil {
			return err
		}
	}
	if *folder == "" {
		return nil
	}
	iv, err := report.Result.Best().Intervenable(s.engine, s.model)
	if err != nil {
		return err
	}
	return iv.Save(*folder)
}

// searchResults is how the file of a report is called after its job's.
const searchResults = ".report.json"

// reportText is the file of a report.
func reportText(report *das.Report) ([]byte, error) {
	text, err := json.MarshalIndent(report, "", "  ")
	return append(text, '\n'), err
}

// searched is a search of a job, with its model and its examples.
type searched struct {
	*job
	engine           compute.Backend
	model, untrained interv.Model
	search           das.Search
	data             das.Samples
}

// openSearch reads a job that is a search, its examples and its model.
func openSearch(path string) (*searched, error) {
	j, err := readJob(path)
	if err != nil {
		return nil, err
	}
	if j.Search == nil {
		return nil, interv.Within(path+", search", &interv.Error{Got: "none", Wanted: "one: the job is for govene " + j.command()})
	}
	s := &searched{job: j}
	if s.data, err = j.samples(); err != nil {
		return nil, err
	}
	if s.engine, s.model, err = j.load(); err != nil {
		return nil, err
	}
	switch model := s.model.(type) {
	case *transformer.Model:
		s.untrained, err = transformer.New(model.Config(), j.Search.Untrained)
	case *gru.Model:
		s.untrained, err = model.Redrawn(j.Search.Untrained)
	case *mlp.Model:
		s.untrained, err = mlp.NewClassifier(model.Config(), j.Search.Untrained)
	}
	if err == nil {
		s.search, err = j.Search.search()
	}
	return s, interv.Within(path, err)
}

func (s *searched) check(c *call) (*das.Report, error) {
	report, err := das.Check(c, s.engine, s.model, s.untrained, s.search, s.data)
	return report, interv.Within(s.path, err)
}

// search is the part of a job's file that is a das.Search.
type search struct {
	Places []struct {
		Layer     int              `json:"layer"`
		Component interv.Component `json:"component"`
		Position  int              `json:"position"`
	} `json:"places"`
	Ranks       []int       `json:"ranks,omitempty"`
	Seeds       int         `json:"seeds,omitempty"`
	Kind        das.Kind    `json:"kind,omitempty"`
	Steps       int         `json:"steps,omitempty"`
	Batch       int         `json:"batch,omitempty"`
	Rate        float64     `json:"rate,omitempty"`
	MaskRate    float64     `json:"mask_rate,omitempty"`
	WarmUp      int         `json:"warm_up,omitempty"`     // steps in which the rate rises
	DecayTo     *float64    `json:"decay_to,omitempty"`    // the share of the rate at the last step, to which it falls evenly; without it, it stays
	Temperature *[2]float64 `json:"temperature,omitempty"` // of the first step and of the last
	Penalty     float64     `json:"penalty,omitempty"`
	Every       int         `json:"every,omitempty"`
	Patience    int         `json:"patience,omitempty"`
	MaxRows     int         `json:"max_rows,omitempty"`
	Seed        uint64      `json:"seed,omitempty"`
	Untrained   uint64      `json:"untrained,omitempty"` // what the weights of the untrained network are drawn from
}

func (f *search) search() (das.Search, error) {
	s := das.Search{Ranks: f.Ranks, Seeds: f.Seeds, Kind: f.Kind, Steps: f.Steps, Batch: f.Batch, Rate: f.Rate, MaskRate: f.MaskRate, Penalty: f.Penalty,
		Every: f.Every, Patience: f.Patience, MaxRows: f.MaxRows, Seed: f.Seed}
	if s.Steps == 0 {
		s.Steps = das.DefaultSteps
	}
	if f.WarmUp < 0 || f.WarmUp > 0 && f.WarmUp >= s.Steps {
		return s, &interv.Error{Where: "search", Axis: "warm_up", Got: fmt.Sprint(f.WarmUp), Wanted: fmt.Sprintf("0 to %d of the steps", s.Steps-1)}
	}
	for _, place := range f.Places {
		s.Places = append(s.Places, das.Place{Site: interv.Site{Layer: place.Layer, Component: place.Component}, Position: place.Position})
	}
	if f.DecayTo != nil {
		s.Schedule = interv.Linear(1, *f.DecayTo, s.Steps-f.WarmUp-1)
	}
	if f.WarmUp > 0 {
		s.Schedule = interv.WarmUp(f.WarmUp, s.Schedule)
	}
	if f.Temperature != nil {
		s.Temperature = interv.Linear(f.Temperature[0], f.Temperature[1], s.Steps-1)
	}
	return s, nil
}

// counterfactual is a line of a file of examples. A run is a text, a list of ids, or of vectors; a label is a class, or a text that is one token.
type counterfactual struct {
	Split        string            `json:"split"` // train, held or test
	Base         json.RawMessage   `json:"base"`
	Sources      []json.RawMessage `json:"sources"`
	Label        json.RawMessage   `json:"label"`
	BaseLabel    json.RawMessage   `json:"base_label"`
	SourceLabels []json.RawMessage `json:"source_labels"`
	Values       []int             `json:"values,omitempty"`
}

// samples reads the job's file of counterfactual examples.
func (j *job) samples() (samples das.Samples, err error) {
	path := j.Examples
	if !filepath.IsAbs(path) {
		path = filepath.Join(filepath.Dir(j.path), path)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return samples, err
	}
	splits := map[string][]counterfactual{}
	for i, line := range bytes.Split(text, []byte("\n")) {
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		var example counterfactual
		where := fmt.Sprintf("%s, line %d", path, i+1)
		err := strict.Once(line)
		if err == nil {
			err = strict.Unmarshal(line, &example)
		}
		if err != nil {
			return samples, interv.Within(where, err)
		}
		if name := example.Split; name != "train" && name != "held" && name != "test" {
			return samples, interv.UnknownName(where, "split", name, []string{"train", "held", "test"})
		}
		splits[example.Split] = append(splits[example.Split], example)
	}
	for name, into := range map[string]*das.Data{"train": &samples.Train, "held": &samples.Held, "test": &samples.Test} {
		if *into, err = j.counterfactuals(splits[name]); err != nil {
			return samples, interv.Within(fmt.Sprintf("%s, split %s", path, name), err)
		}
	}
	return samples, nil
}

// counterfactuals are the examples of a split as tensors.
func (j *job) counterfactuals(list []counterfactual) (d das.Data, err error) {
	if len(list) == 0 {
		return d, &interv.Error{Axis: "examples", Got: "none", Wanted: "some"}
	}
	variables := len(list[0].Sources)
	d.Sources, d.SourceLabels = make([]interv.Inputs, variables), make([][]int, variables)
	if list[0].Values != nil {
		d.Values = make([][]int, variables)
	}
	var bases []json.RawMessage
	sources := make([][]json.RawMessage, variables)
	label := func(into *[]int, text json.RawMessage) error {
		id, err := j.label(text)
		*into = append(*into, id)
		return err
	}
	for i, example := range list {
		if len(example.Sources) != variables || len(example.SourceLabels) != variables || len(example.Values) != len(d.Values) {
			return d, &interv.Error{Axis: fmt.Sprintf("example %d", i), Got: fmt.Sprintf("%d sources, %d source labels and %d values", len(example.Sources), len(example.SourceLabels), len(example.Values)),
				Wanted: fmt.Sprintf("%d of each, as in the first (values in all examples, or in none)", variables)}
		}
		bases = append(bases, example.Base)
		if err := label(&d.Labels, example.Label); err != nil {
			return d, interv.Within(fmt.Sprintf("label of example %d", i), err)
		}
		if err := label(&d.BaseLabels, example.BaseLabel); err != nil {
			return d, interv.Within(fmt.Sprintf("base label of example %d", i), err)
		}
		for v := range variables {
			sources[v] = append(sources[v], example.Sources[v])
			if err := label(&d.SourceLabels[v], example.SourceLabels[v]); err != nil {
				return d, interv.Within(fmt.Sprintf("label of source %d of example %d", v, i), err)
			}
			if d.Values != nil {
				d.Values[v] = append(d.Values[v], example.Values[v])
			}
		}
	}
	if d.Base, err = j.runs(bases); err != nil {
		return d, interv.Within("base", err)
	}
	for v := range variables {
		if d.Sources[v], err = j.runs(sources[v]); err != nil {
			return d, interv.Within(fmt.Sprintf("source %d", v), err)
		}
	}
	return d, nil
}

// runs are inputs, all texts, all lists of ids, or all lists of vectors, as the first is.
func (j *job) runs(list []json.RawMessage) (interv.Inputs, error) {
	var in inputs
	first := bytes.TrimSpace(list[0])
	for i, text := range list {
		var err error
		switch {
		case bytes.HasPrefix(first, []byte(`"`)):
			in.Text = append(in.Text, "")
			err = strict.Unmarshal(text, &in.Text[i])
		case bytes.HasPrefix(bytes.ReplaceAll(first, []byte(" "), nil), []byte("[[")):
			in.Embeds = append(in.Embeds, nil)
			err = strict.Unmarshal(text, &in.Embeds[i])
		default:
			in.IDs = append(in.IDs, nil)
			err = strict.Unmarshal(text, &in.IDs[i])
		}
		if err != nil {
			return nil, interv.Within(fmt.Sprintf("example %d", i), err)
		}
	}
	return in.tensors(j)
}

// label is a class, or the token that a text is.
func (j *job) label(text json.RawMessage) (class int, err error) {
	text = bytes.TrimSpace(text)
	if len(text) == 0 || string(text) == "null" {
		return 0, &interv.Error{Got: "none", Wanted: "a class, or a text that is one token"}
	}
	if !bytes.HasPrefix(text, []byte(`"`)) {
		err = strict.Unmarshal(text, &class)
		return class, err
	}
	var word string
	if err := strict.Unmarshal(text, &word); err != nil {
		return 0, err
	}
	tokenizer, err := j.texts()
	if err != nil {
		return 0, err
	}
	id, err := tokenizer.ID(word)
	return int(id), err
}

// explainSearch says what a search does; its examples have been read.
func explainSearch(c *call, path string) error {
	s, err := openSearch(path)
	if err != nil {
		return err
	}
	alignments := len(s.search.Places) * max(1, len(s.search.Ranks)) * max(1, s.search.Seeds)
	_, err = fmt.Fprintf(c.out, "%s of the kind %s at %s, %s each, in the model, in an untrained one and with shuffled sources\n%s to train on, %d to choose by and %d to test on\n",
		plural.Of(alignments, "alignment"), s.search.Kind, plural.Of(len(s.search.Places), "place"), plural.Of(s.search.Steps, "step"), plural.Of(len(s.data.Train.Labels), "example"), len(s.data.Held.Labels), len(s.data.Test.Labels))
	return err
}

// verifySearch makes a report again, from the beginning, and compares the files.
func verifySearch(c *call, path, results string) error {
	s, err := openSearch(path)
	if err != nil {
		return err
	}
	if results == "" {
		results = s.beside(searchResults)
	}
	kept, err := os.ReadFile(results)
	if err != nil {
		return err
	}
	report, err := s.check(c)
	if err != nil {
		return err
	}
	again, err := reportText(report)
	if err != nil {
		return err
	}
	if !bytes.Equal(kept, again) {
		return fmt.Errorf("%s: the report is another", results)
	}
	fmt.Fprintf(c.out, "%s: the same report, to the bit\n", results)
	return nil
}
