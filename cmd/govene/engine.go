package main

import (
	"flag"
	"os"
	"os/exec"
	"slices"

	"github.com/govene/govene/resident"
)

// The engine that keeps models between programs is a program of its own, which others start by themselves; these commands hand on to it.
var (
	serveCommand  = toEngine("serve", "keeps models for programs that come and go")
	statusCommand = toEngine("status", "says what the engine of govene serve holds")
	stopCommand   = toEngine("stop", "ends it")
)

func toEngine(name, does string) command {
	return command{name: name, arguments: "[CONFIG]", does: does, more: `
It is the program govene-engine, from the path or from where ` + resident.ProgramVar + ` says. CONFIG is what stands behind "resident:" in GOMLX_BACKEND,
such as xla:cpu. "govene-engine ` + name + ` --help" has its flags, which may stand before CONFIG.
`, do: func(c *call) error {
		if slices.ContainsFunc(c.given, func(given string) bool { return slices.Contains([]string{"-h", "-help", "--help"}, given) }) {
			return flag.ErrHelp
		}
		program, err := resident.FindProgram()
		if err != nil {
			return err
		}
		engine := exec.CommandContext(c, program, append([]string{name}, c.given...)...)
		engine.Cancel = func() error { return engine.Process.Signal(os.Interrupt) }
		engine.Stdout, engine.Stderr = c.out, c.err
		return engine.Run()
	}}
}
