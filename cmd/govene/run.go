package main

import (
	"bytes"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"

	"github.com/govene/govene/internal/host"
	"github.com/govene/govene/internal/plural"
	"github.com/govene/govene/internal/strict"
	"github.com/govene/govene/internal/whole"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/plotting"
)

var runCommand = command{name: "run", arguments: "JOB.json", does: "makes one call and measures it", more: `
What its metrics say is written as CSV to JOB.result.csv, a line for each number. A job for it has a config and a call in place of a sweep.
`, do: doRun}

func doRun(c *call) error {
	out := c.flags.String("out", "", "the `file` of results (default JOB.result.csv)")
	parquets := c.flags.String("parquet", "", "write them to this `file`, too, as Parquet")
	activations := c.flags.String("activations", "", "write what is collected to this `file`, as safetensors")
	if err := c.parse(1); err != nil {
		return err
	}
	j, err := readJob(c.arguments[0])
	if err != nil {
		return err
	}
	iv, call, err := j.call()
	if err != nil {
		return err
	}
	if len(call.Metrics) == 0 && *activations == "" {
		return interv.Within(j.path+", call", &interv.Error{Axis: "metrics", Got: "none, and no -activations", Wanted: "something to write"})
	}
	result, err := iv.Run(call)
	if err != nil {
		return interv.Within(j.path, err)
	}
	if *activations != "" {
		if err := result.SaveCollected(*activations); err != nil {
			return interv.Within(j.path, err)
		}
		fmt.Fprintf(c.out, "%s: %s\n", *activations, plural.Of(len(result.Collected), "activation"))
	}
	if len(call.Metrics) == 0 {
		return nil
	}
	rows := measured(result)
	if *out == "" {
		*out = j.beside(callResults)
	}
	if err := whole.Write(*out, func(w io.Writer) error { return writeMeasured(w, rows) }); err != nil {
		return err
	}
	if *parquets != "" {
		if err := whole.Write(*parquets, func(w io.Writer) error { return parquet.Write(w, rows) }); err != nil {
			return err
		}
	}
	fmt.Fprintf(c.out, "%s: %s\n", *out, plural.Of(len(rows), "number"))
	return nil
}

// callResults stands for .json in the name of a call's results.
const callResults = ".result.csv"

// callFile is a call as a job has it, without its inputs.
type callFile struct {
	Locations []*interv.Location `json:"locations"`
	Subspaces [][][]int          `json:"subspaces,omitempty"`
	Metrics   []interv.Measure   `json:"metrics,omitempty"`
	WithBase  bool               `json:"with_base,omitempty"` // measure the clean run on the base, too
}

// call makes the job's interventions and its call.
func (j *job) call() (*interv.Intervenable, interv.Call, error) {
	within := func(part string, err error) (*interv.Intervenable, interv.Call, error) {
		return nil, interv.Call{}, interv.Within(j.path+", "+part, err)
	}
	if j.Config == nil {
		return within("config", &interv.Error{Got: "none", Wanted: "one: the job is for govene " + j.command()})
	}
	var file callFile
	if j.Call != nil {
		text, err := j.words(j.Call)
		if err == nil {
			err = strict.Unmarshal(text, &file)
		}
		if err != nil {
			return within("call", err)
		}
	}
	call := interv.Call{Locations: file.Locations, Subspaces: file.Subspaces, Metrics: file.Metrics, WithBase: file.WithBase}
	var err error
	if call.Base, err = j.Base.tensors(j); err != nil {
		return within("base", err)
	}
	for i, source := range j.Sources {
		var list interv.Inputs
		if source != nil {
			if list, err = source.tensors(j); err != nil {
				return within(fmt.Sprintf("source %d", i), err)
			}
		}
		call.Sources = append(call.Sources, list)
	}
	engine, model, err := j.load()
	if err != nil {
		return nil, interv.Call{}, err
	}
	iv, err := interv.New(engine, model, *j.Config)
	return iv, call, interv.Within(j.path, err)
}

// explainCall says what a call does, and binds it: what would be refused is.
func (j *job) explainCall(c *call) error {
	iv, call, err := j.call()
	if err != nil {
		return err
	}
	if _, err := iv.Prepare(call); err != nil {
		return interv.Within(j.path, err)
	}
	fmt.Fprintf(c.out, "%s\n%s\n", iv, call)
	return nil
}

// number is one of a call's, in tables.
type number struct {
	Metric  string   `parquet:"metric,dict"`
	Example int32    `parquet:"example"`
	Index   int32    `parquet:"index"` // of the metric's numbers of an example
	Value   float64  `parquet:"value"`
	Base    *float64 `parquet:"base,optional"` // of the clean run on the base
}

func measured(r *interv.Result) (rows []number) {
	for _, m := range r.Metrics {
		values, bases := host.Floats(m.Value), []float64(nil)
		if m.Base != nil {
			bases = host.Floats(m.Base)
		}
		each := len(values) / m.Value.Shape().Dim(0)
		for i, value := range values {
			n := number{Metric: m.Name, Example: int32(i / each), Index: int32(i % each), Value: value}
			if bases != nil {
				n.Base = &bases[i]
			}
			rows = append(rows, n)
		}
	}
	return rows
}

// writeMeasured writes numbers as CSV; they read back the same.
func writeMeasured(w io.Writer, rows []number) error {
	var names []string
	var examples, indices []int
	var values, bases []float64
	for _, n := range rows {
		names, examples, indices, values = append(names, n.Metric), append(examples, int(n.Example)), append(indices, int(n.Index)), append(values, n.Value)
		if n.Base != nil {
			bases = append(bases, *n.Base)
		}
	}
	columns := []plotting.Column{plotting.NewColumn("metric", names), plotting.NewColumn("example", examples), plotting.NewColumn("index", indices), plotting.NewColumn("value", values)}
	if bases != nil {
		columns = append(columns, plotting.NewColumn("base", bases))
	}
	frame, err := plotting.NewFrame(columns...)
	if err != nil {
		return err
	}
	return frame.WriteCSV(w)
}

// measuredText is writeMeasured's text.
func measuredText(rows []number) ([]byte, error) {
	var text bytes.Buffer
	err := writeMeasured(&text, rows)
	return text.Bytes(), err
}
