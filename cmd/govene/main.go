// Govene runs, explains, verifies and merges the jobs that files describe: sweeps of patches, attributions, path patching, searches for
// alignments, and single calls.
//
//	govene explain JOB.json         what a job will do, before anything is compiled
//	govene sweep JOB.json           runs a sweep: results, tables and a map; goes on where it was ended
//	govene merge PART.json...       puts the parts of a sweep together that several machines have done
//	govene attribute JOB.json       estimates from gradients what patches would change
//	govene paths JOB.json           patches paths from heads into receivers
//	govene run JOB.json             makes one call and measures it
//	govene das JOB.json             searches for alignments, and reports on them beside controls
//	govene verify JOB.json          runs a job again, and compares all bits with the results that are there
//	govene fetch MODEL              fetches a model from the hub into the cache
//	govene serve | status | stop    the engine that keeps models between programs
//	govene version                  says what this is
//
// A job is one JSON file, as docs/command.md describes it. The backend is the one that package backend picks; GOMLX_BACKEND names another.
// The exit status is 0 if all went well, 1 if the job failed or its results differ, and 2 if the command was used wrongly.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/govene/govene/internal/nearest"
	"github.com/govene/govene/internal/plural"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // who says it again is not waited for
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(status)
}

// The exit statuses.
const (
	ok     = 0
	failed = 1
	misuse = 2
)

// command is one of govene's.
type command struct {
	name      string
	arguments string // as usage writes them
	does      string // in one line
	more      string // in its help
	do        func(c *call) error
}

var commands = []command{explainCommand, sweepCommand, mergeCommand, attributeCommand, pathsCommand, runCommand, dasCommand, verifyCommand, fetchCommand, serveCommand, statusCommand, stopCommand, versionCommand}

// call is a command under way.
type call struct {
	context.Context
	command
	flags     *flag.FlagSet
	given     []string  // the command line after the command's name
	arguments []string  // those of them that are no flags
	out, err  io.Writer // for results, and for what is said beside them
}

// wrongUse is an error of who wrote the command line.
type wrongUse struct{ error }

func run(ctx context.Context, arguments []string, out, err io.Writer) int {
	if len(arguments) == 0 {
		usage(err)
		return misuse
	}
	switch name := arguments[0]; name {
	case "help", "-h", "-help", "--help":
		if len(arguments) < 2 {
			usage(out)
			return ok
		}
		return run(ctx, []string{arguments[1], "--help"}, out, err)
	}
	var names []string
	for _, c := range commands {
		if names = append(names, c.name); c.name == arguments[0] {
			return (&call{Context: ctx, command: c, given: arguments[1:], out: out, err: err}).run()
		}
	}
	fmt.Fprintf(err, "govene: got command %q, wanted one of %s", arguments[0], strings.Join(names, ", "))
	if name := nearest.Name(arguments[0], names); name != "" {
		fmt.Fprintf(err, "; did you mean %q?", name)
	}
	fmt.Fprintln(err)
	return misuse
}

func (c *call) run() int {
	c.flags = flag.NewFlagSet(c.name, flag.ContinueOnError)
	c.flags.SetOutput(io.Discard)
	err := c.do(c)
	var wrong wrongUse
	switch {
	case err == nil:
		return ok
	case errors.Is(err, flag.ErrHelp):
		c.help()
		return ok
	}
	fmt.Fprintf(c.err, "govene %s: %s\n", c.name, strings.ReplaceAll(err.Error(), "\n", "; "))
	if errors.As(err, &wrong) {
		fmt.Fprintf(c.err, "govene %s --help says how it is used\n", c.name)
		return misuse
	}
	return failed
}

// parse reads the flags, which may stand before and after the arguments, and wants so many arguments, at least one for −1.
func (c *call) parse(count int) error {
	for rest := c.given; ; rest = rest[1:] {
		if err := c.flags.Parse(rest); errors.Is(err, flag.ErrHelp) {
			return err
		} else if err != nil {
			return wrongUse{err}
		}
		if rest = c.flags.Args(); len(rest) == 0 {
			break
		}
		c.arguments = append(c.arguments, rest[0])
	}
	if got := len(c.arguments); got != count && (count >= 0 || got == 0) {
		return wrongUse{fmt.Errorf("got %s, wanted %s", plural.Of(got, "argument"), c.command.arguments)}
	}
	return nil
}

func usage(w io.Writer) {
	fmt.Fprint(w, "Govene finds out what the activations of a neural network cause: it runs the jobs that files describe.\n\n")
	for _, c := range commands {
		fmt.Fprintf(w, "  govene %-9s %-15s %s\n", c.name, c.arguments, c.does)
	}
	fmt.Fprint(w, "\ngovene COMMAND --help says more. GOMLX_BACKEND names the backend. Exit status: 0 done, 1 failed or different, 2 used wrongly.\n")
}

// help is the command's own; its flags have been declared.
func (c *call) help() {
	fmt.Fprintf(c.out, "%s: %s.\n%s", strings.TrimSpace("govene "+c.name+" "+c.command.arguments), c.does, c.more)
	c.flags.SetOutput(c.out)
	some := false
	c.flags.VisitAll(func(*flag.Flag) { some = true })
	if some {
		fmt.Fprintln(c.out, "\nFlags:")
		c.flags.PrintDefaults()
	}
}
