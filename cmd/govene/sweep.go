package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/govene/govene/internal/plural"
	"github.com/govene/govene/interv/sweep"
)

var sweepCommand = command{name: "sweep", arguments: "JOB.json", does: "runs a sweep, or goes on with one that was ended", more: `
What has been measured is kept in a file of results, JOB.result.json, written as a whole every two seconds: a sweep that is killed goes on
with it when it is started again. A file of another sweep, model or inputs is refused and left as it is.

With -shard i/n one of n shares of the work is done, into JOB.part-i-of-n.json; "govene merge" puts them together, with the bits of a sweep
that does it all. "govene explain" says how many chunks there are to share.

With -memory 2GiB no more than about that is taken besides the weights; "memory" of the job's sweep is the same.
`, do: doSweep}

func doSweep(c *call) error {
	out := c.flags.String("out", "", "the `file` of results (default JOB.result.json, or JOB.part-i-of-n.json)")
	shard := c.flags.String("shard", "", "do only share `i/n` of the work, counted from 1")
	memory := c.memory()
	t := c.tables()
	if err := c.parse(1); err != nil {
		return err
	}
	part, err := parseShard(*shard)
	if err != nil {
		return err
	}
	if part.Count > 0 && t.any() {
		return wrongUse{fmt.Errorf("got -shard and a table or plot, wanted these of govene merge, once all shards are there")}
	}
	j, err := readJob(c.arguments[0])
	if err != nil {
		return err
	}
	plan, err := j.plan(func(s *sweep.Sweep) {
		s.Part, s.File = part, j.results(part)
		memory.set(s)
		if *out != "" {
			s.File = *out
		}
		if terminal(c.err) {
			s.Progress = sweep.Bar(c.err)
		}
	})
	if err != nil {
		return err
	}
	begun := time.Now()
	result, err := plan.Run(c)
	if err != nil {
		if c.Err() != nil {
			return fmt.Errorf("ended before it was done: the same command goes on with %s", plan.File)
		}
		return err
	}
	fmt.Fprintf(c.out, "%s: %s", plan.File, sizes(result))
	if part.Count > 0 {
		fmt.Fprintf(c.out, ", part %s", part)
	}
	fmt.Fprintf(c.out, ", in %v\n", time.Since(begun).Round(time.Millisecond))
	return t.write(result)
}

// sizes is what a result holds, in words.
func sizes(r *sweep.Result) string {
	return fmt.Sprintf("%s × %s by %s", plural.Of(len(r.Cells), "cell"), plural.Of(len(r.Base), "pair"), r.Metric)
}

// limit is a flag for a sweep's memory; 0 if it is not given.
type limit struct{ sweep.Bytes }

func (c *call) memory() *limit {
	l := &limit{}
	c.flags.TextVar(&l.Bytes, "memory", sweep.Bytes(0), "how much a sweep may take besides the weights, such as `2GiB`; 0B for what the job says")
	return l
}

func (l *limit) set(s *sweep.Sweep) {
	if l.Bytes > 0 {
		s.Memory = l.Bytes
	}
}

// results is where a job's results are kept, of all of it or of a part.
func (j *job) results(part sweep.Part) string {
	if part.Count > 0 {
		return j.beside(fmt.Sprintf(".part-%d-of-%d.json", part.Index, part.Count))
	}
	return j.beside(".result.json")
}

// plan loads the model and checks the job's sweep, once it has been set up.
func (j *job) plan(set func(s *sweep.Sweep)) (*sweep.Plan, error) {
	s, err := j.sweep()
	if err != nil {
		return nil, err
	}
	engine, model, err := j.load()
	if err != nil {
		return nil, err
	}
	set(&s)
	return s.Plan(engine, model)
}

var shardForm = regexp.MustCompile(`^([0-9]{1,6})/([0-9]{1,6})$`)

func parseShard(text string) (part sweep.Part, err error) {
	if text == "" {
		return part, nil
	}
	if match := shardForm.FindStringSubmatch(text); match != nil {
		part.Index, _ = strconv.Atoi(match[1])
		part.Count, _ = strconv.Atoi(match[2])
	}
	if part.Index < 1 || part.Index > part.Count {
		return part, wrongUse{fmt.Errorf("-shard: got %q, wanted i/n with i from 1 to n, such as 2/8", text)}
	}
	return part, nil
}

var explainCommand = command{name: "explain", arguments: "JOB.json", does: "says what a job will do, before anything is compiled", do: func(c *call) error {
	memory := c.memory()
	if err := c.parse(1); err != nil {
		return err
	}
	j, err := readJob(c.arguments[0])
	if err != nil {
		return err
	}
	if j.Search != nil {
		return explainSearch(c, j.path)
	}
	if j.Config != nil {
		return j.explainCall(c)
	}
	for part, text := range map[string]json.RawMessage{"attribution": j.Attribution, "paths": j.Paths} {
		if text != nil {
			plan, err := j.planEffects(c, part)
			if err == nil {
				fmt.Fprint(c.out, plan.explain())
			}
			return err
		}
	}
	plan, err := j.plan(memory.set)
	if err == nil {
		fmt.Fprint(c.out, plan.Explain())
	}
	return err
}}

var mergeCommand = command{name: "merge", arguments: "PART.json...", does: "puts the parts of a sweep together", more: `
The parts are what "govene sweep -shard" has left, all of them. The model is not needed. Parts of different sweeps, missing, given twice,
unfinished or cut short are refused.
`, do: func(c *call) error {
	out := c.flags.String("out", "", "the `file` of results (default JOB.result.json, for parts named JOB.part-i-of-n.json)")
	t := c.tables()
	if err := c.parse(-1); err != nil {
		return err
	}
	if *out == "" {
		name := partName.ReplaceAllString(c.arguments[0], ".result.json")
		if name == c.arguments[0] {
			return wrongUse{fmt.Errorf("got parts of another name than JOB.part-i-of-n.json, wanted -out")}
		}
		*out = name
	}
	result, err := sweep.Merge(*out, c.arguments...)
	if err != nil {
		return err
	}
	fmt.Fprintf(c.out, "%s: %s, from %s\n", *out, sizes(result), plural.Of(len(c.arguments), "part"))
	return t.write(result)
}}

var partName = regexp.MustCompile(`\.part-[0-9]+-of-[0-9]+\.json$`)
