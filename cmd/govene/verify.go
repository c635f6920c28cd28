package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"strings"

	"github.com/govene/govene/internal/plural"
	"github.com/govene/govene/interv"
	"github.com/govene/govene/interv/sweep"
)

var verifyCommand = command{name: "verify", arguments: "JOB.json", does: "runs a job again, and compares all bits", more: `
It compares with the file of results that the command for the job has left, or "govene merge", and exits with 1 where a number differs: it says
how many do, which by most, and by how much; of a search, that the report is another. On another backend than
the one that the results are of, numbers differ by rounding.
`, do: doVerify}

func doVerify(c *call) error {
	path := c.flags.String("results", "", "the `file` to compare with (default JOB.result.json, for a search JOB.report.json, for all else JOB.result.csv)")
	memory := c.memory()
	if err := c.parse(1); err != nil {
		return err
	}
	j, err := readJob(c.arguments[0])
	if err != nil {
		return err
	}
	if j.Search != nil {
		return verifySearch(c, j.path, *path)
	}
	switch {
	case j.Config != nil:
		return verifyCall(c, j, cmp.Or(*path, j.beside(callResults)))
	case j.Attribution != nil:
		return verifyEffects(c, j, "attribution", cmp.Or(*path, j.beside(callResults)))
	case j.Paths != nil:
		return verifyEffects(c, j, "paths", cmp.Or(*path, j.beside(callResults)))
	}
	if *path == "" {
		*path = j.results(sweep.Part{})
	}
	kept, err := sweep.Load(*path)
	if err != nil {
		return err
	}
	plan, err := j.plan(func(s *sweep.Sweep) {
		memory.set(s)
		if terminal(c.err) {
			s.Progress = sweep.Bar(c.err)
		}
	})
	if err != nil {
		return err
	}
	again, err := plan.Run(c)
	if err != nil {
		return err
	}
	if err := sameJob(*path, kept, again); err != nil {
		return err
	}
	d := differences(kept, again)
	if d.count > 0 {
		return fmt.Errorf("%s: %d of %s differ, most %s", *path, d.count, plural.Of(d.of, "number"), d.most)
	}
	fmt.Fprintf(c.out, "%s: %s\n", *path, same(d.of))
	return nil
}

// sameJob refuses results of other cells, pairs or metrics than those of now.
func sameJob(path string, kept, again *sweep.Result) error {
	refuse := func(axis, got, wanted string) error {
		return &interv.Error{Where: path, Axis: axis, Got: got, Wanted: wanted + ", as in the job"}
	}
	if kept.Metric != again.Metric {
		return refuse("metric", kept.Metric, again.Metric)
	}
	if len(kept.Base) != len(again.Base) || (kept.Source == nil) != (again.Source == nil) {
		return refuse("pairs", fmt.Sprintf("%d, sources %t", len(kept.Base), kept.Source != nil), fmt.Sprintf("%d, sources %t", len(again.Base), again.Source != nil))
	}
	if len(kept.Cells) != len(again.Cells) {
		return refuse("cells", fmt.Sprint(len(kept.Cells)), fmt.Sprint(len(again.Cells)))
	}
	for i := range kept.Cells {
		got, err := json.Marshal(kept.Cells[i])
		wanted, err2 := json.Marshal(again.Cells[i])
		if err != nil || err2 != nil || string(got) != string(wanted) {
			return refuse(fmt.Sprintf("cell %d", i), string(got), string(wanted))
		}
	}
	return nil
}

// difference is what differs between two results.
type difference struct {
	count, of int
	by        float64 // the most, −1 where nothing does; infinite where only one is a number
	most      string  // where, and the two numbers
}

func differences(kept, again *sweep.Result) difference {
	d := difference{by: -1}
	compare := func(where string, pair int, a, b float64) {
		d.of++
		if math.Float64bits(a) == math.Float64bits(b) || math.IsNaN(a) && math.IsNaN(b) {
			return
		}
		d.count++
		by := math.Abs(a - b)
		if math.IsNaN(by) {
			by = math.Inf(1)
		}
		if by > d.by {
			d.by, d.most = by, fmt.Sprintf("at %s, pair %d, by %.3g: got %v, kept %v", where, pair, by, b, a)
		}
	}
	for pair := range kept.Base {
		compare("the base", pair, kept.Base[pair], again.Base[pair])
		if kept.Source != nil {
			compare("the source", pair, kept.Source[pair], again.Source[pair])
		}
	}
	for i, cell := range kept.Cells {
		for pair := range kept.Base {
			compare(cell.String(), pair, kept.Values[i][pair], again.Values[i][pair])
		}
	}
	return d
}

// verifyCall compares the table of a call.
func verifyCall(c *call, j *job, path string) error {
	return compareTables(c, path, func() ([]byte, error) {
		iv, call, err := j.call()
		if err != nil {
			return nil, err
		}
		result, err := iv.Run(call)
		if err != nil {
			return nil, interv.Within(j.path, err)
		}
		return measuredText(measured(result))
	})
}

// compareTables compares a table with the one that is made again, line by line: a number is written with all of its bits.
func compareTables(c *call, path string, make func() ([]byte, error)) error {
	kept, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	again, err := make()
	if err != nil {
		return err
	}
	had, has := strings.Split(string(kept), "\n"), strings.Split(string(again), "\n")
	if len(had) != len(has) || had[0] != has[0] {
		return &interv.Error{Where: path, Axis: "table", Got: fmt.Sprintf("%d lines, columns %s", len(had), had[0]), Wanted: fmt.Sprintf("%d lines, columns %s", len(has), has[0])}
	}
	lines := len(has) - 2 // without the columns' names, and what follows the last line's end
	count, first := 0, ""
	for i := range has {
		if had[i] != has[i] {
			if count++; count == 1 {
				first = fmt.Sprintf("line %d: got %s, kept %s", i+1, has[i], had[i])
			}
		}
	}
	if count > 0 {
		return fmt.Errorf("%s: %d of %s differ, the first of them %s", path, count, plural.Of(lines, "line"), first)
	}
	fmt.Fprintf(c.out, "%s: %s\n", path, same(lines))
	return nil
}

// same says that so many numbers are.
func same(numbers int) string {
	if numbers == 1 {
		return "the one number is the same, to the bit"
	}
	return fmt.Sprintf("all %d numbers are the same, to the bit", numbers)
}
