package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"github.com/govene/govene/internal/strict"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/attribution"
	"github.com/govene/govene/interv/paths"
	"github.com/govene/govene/interv/sweep"
)

var attributeCommand = command{name: "attribute", arguments: "JOB.json", does: "estimates from gradients what patches would change", more: `
The table has a row for each cell and pair, as that of a sweep has. A job for it has an attribution in place of a sweep.
`, do: func(c *call) error { return doEffects(c, "attribution") }}

var pathsCommand = command{name: "paths", arguments: "JOB.json", does: "patches paths from heads and other senders into receivers", more: `
The table has a row for each sender and pair, as that of a sweep has. A job for it has paths in place of a sweep.
`, do: func(c *call) error { return doEffects(c, "paths") }}

func doEffects(c *call, part string) error {
	t := c.tables()
	if err := c.parse(1); err != nil {
		return err
	}
	j, err := readJob(c.arguments[0])
	if err != nil {
		return err
	}
	begun := time.Now()
	result, err := j.effects(c, part)
	if err != nil {
		return err
	}
	if *t.csv == "" {
		*t.csv = j.beside(callResults)
	}
	if err := t.write(result); err != nil {
		return err
	}
	fmt.Fprintf(c.out, "%s: %s, in %v\n", *t.csv, sizes(result), time.Since(begun).Round(time.Millisecond))
	return nil
}

// site is an interv.Site in a job.
type site struct {
	Layer     int              `json:"layer"`
	Component interv.Component `json:"component"`
}

// attributed is an attribution as a job has it, without its inputs.
type attributed struct {
	Components []interv.Component `json:"components"`
	Layers     []int              `json:"layers,omitempty"`    // nil for every layer that a component is in
	Positions  []sweep.Place      `json:"positions,omitempty"` // nil for every one
	Metric     json.RawMessage    `json:"metric"`
	ReadAt     [][]int            `json:"read_at,omitempty"`
	Steps      int                `json:"steps,omitempty"`
	Along      *site              `json:"along,omitempty"`
	Drop       []interv.Component `json:"drop,omitempty"`
	Softmax    bool               `json:"softmax,omitempty"`
}

// patched is paths as a job has them, without their inputs.
type patched struct {
	Senders   []sweep.Cell `json:"senders,omitempty"` // nil for every head below the last receiver
	Receivers []struct {
		site
		Heads []int `json:"heads,omitempty"`
	} `json:"receivers"`
	ThroughMLPs bool            `json:"through_mlps,omitempty"`
	Metric      json.RawMessage `json:"metric"`
	ReadAt      [][]int         `json:"read_at,omitempty"`
}

// planned is an attribution or paths that have been checked, and what says what running them will do.
type planned struct {
	explain func() string
	run     func() (*sweep.Result, error)
}

// effects are what the job's attribution estimates or its paths measure.
func (j *job) effects(c *call, part string) (*sweep.Result, error) {
	p, err := j.planEffects(c, part)
	if err != nil {
		return nil, err
	}
	result, err := p.run()
	return result, interv.Within(j.path, err)
}

// planEffects checks a part of the job, an attribution or paths.
func (j *job) planEffects(c *call, part string) (*planned, error) {
	text, plan := j.Attribution, j.planAttribution
	if part == "paths" {
		text, plan = j.Paths, j.planPaths
	}
	within := func(err error) (*planned, error) { return nil, interv.Within(j.path+", "+part, err) }
	if text == nil {
		return within(&interv.Error{Got: "none", Wanted: "one: the job is for govene " + j.command()})
	}
	base, source, err := j.pairs()
	if err != nil {
		return nil, err
	}
	if text, err = j.words(text); err != nil {
		return within(err)
	}
	p, err := plan(c, text, base, source)
	return p, interv.Within(j.path, err)
}

func (j *job) planAttribution(c *call, text json.RawMessage, base, source interv.Inputs) (*planned, error) {
	var file attributed
	if err := strict.Unmarshal(text, &file); err != nil {
		return nil, interv.Within("attribution", err)
	}
	m, err := readMetric(file.Metric)
	if err != nil {
		return nil, interv.Within("attribution", err)
	}
	engine, model, err := j.load()
	if err != nil {
		return nil, err
	}
	a := attribution.Attribution{Base: base, Source: source, Measure: interv.Measure{Metric: m, At: file.ReadAt}, Steps: file.Steps, Drop: file.Drop, Softmax: file.Softmax}
	if file.Along != nil {
		a.Along = interv.Site(*file.Along)
	}
	catalogue := model.Catalogue()
	for _, component := range file.Components {
		layers := file.Layers
		if layers == nil {
			for _, s := range catalogue.Of(component) {
				layers = append(layers, s.Layer)
			}
		}
		if layers == nil {
			_, err := catalogue.Find(interv.Site{Component: component})
			return nil, interv.Within("attribution", err)
		}
		for _, layer := range layers {
			a.Sites = append(a.Sites, interv.Site{Layer: layer, Component: component})
		}
	}
	plan, err := a.Plan(engine, model)
	if err != nil {
		return nil, err
	}
	return &planned{plan.Explain, func() (*sweep.Result, error) {
		result, err := plan.Run(c)
		if err != nil {
			return nil, err
		}
		return result.Sweep(file.Positions)
	}}, nil
}

func (j *job) planPaths(c *call, text json.RawMessage, base, source interv.Inputs) (*planned, error) {
	var file patched
	if err := strict.Unmarshal(text, &file); err != nil {
		return nil, interv.Within("paths", err)
	}
	m, err := readMetric(file.Metric)
	if err != nil {
		return nil, interv.Within("paths", err)
	}
	engine, model, err := j.load()
	if err != nil {
		return nil, err
	}
	p := paths.Paths{Base: base, Source: source, Senders: file.Senders, ThroughMLPs: file.ThroughMLPs, Metric: m, ReadAt: file.ReadAt}
	for _, r := range file.Receivers {
		p.Receivers = append(p.Receivers, paths.Receiver{Layer: r.Layer, Component: r.Component, Heads: r.Heads})
	}
	plan, err := p.Plan(engine, model)
	if err != nil {
		return nil, err
	}
	return &planned{plan.Explain, func() (*sweep.Result, error) { return plan.Run(c) }}, nil
}

// readMetric is the metric of a job's part; none is an error.
func readMetric(text json.RawMessage) (interv.Metric, error) {
	if text == nil {
		return nil, &interv.Error{Axis: "metric", Got: "none", Wanted: "one"}
	}
	return interv.UnmarshalMetric(text)
}

// verifyEffects makes the table again, and compares its lines.
func verifyEffects(c *call, j *job, part, path string) error {
	return compareTables(c, path, func() ([]byte, error) {
		result, err := j.effects(c, part)
		if err != nil {
			return nil, err
		}
		var text bytes.Buffer
		err = result.Frame().WriteCSV(&text)
		return text.Bytes(), err
	})
}
