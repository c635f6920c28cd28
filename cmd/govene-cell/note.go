package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// notesVariable tells govene-cell, where go calls it in place of a tool, the folder that the notes of a build are kept in.
const notesVariable = "GOVENE_CELL_NOTES"

// noteBuild has go build, and leaves a plan if it could be made. Its error is go's, or that go could not be called.
func noteBuild(notes, command string, arguments []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	begun := time.Now()
	inputs := make(chan []string, 1)
	go func() { inputs <- list(command, arguments[3:]) }()
	build := exec.Command(command, slices.Insert(slices.Clone(arguments), 1, "-toolexec="+quoted(self))...)
	build.Env = append(os.Environ(), notesVariable+"="+notes)
	build.Stdout, build.Stderr = os.Stdout, os.Stderr
	if err := build.Run(); err != nil {
		return err
	}
	if p, err := newPlan(notes, command, arguments, <-inputs, begun); err != nil || p.write() != nil {
		os.RemoveAll(notes)
	}
	return nil
}

// quoted is a path as go takes it where arguments may follow.
func quoted(path string) string {
	if strings.Contains(path, "'") {
		return `"` + path + `"`
	}
	return "'" + path + "'"
}

// list asks go for the files and folders that the build of the cell depends on, except for its own; nil if it cannot tell.
func list(command string, flags []string) []string {
	template := `{{with .Module}}{{.GoMod}}{{"\n"}}{{.Dir}}/go.sum{{"\n"}}{{end}}{{if .DepOnly}}{{.Dir}}{{"\n"}}`
	for _, files := range []string{"Go", "Cgo", "IgnoredGo", "IgnoredOther", "C", "CXX", "M", "H", "F", "S", "Swig", "SwigCXX", "Syso", "Embed"} {
		template += `{{range .` + files + `Files}}{{$.Dir}}{{"\t"}}{{.}}{{"\n"}}{{end}}`
	}
	packages, err := exec.Command(command, slices.Concat([]string{"list", "-deps", "-f", template + "{{end}}"}, flags)...).Output()
	if err != nil {
		return nil
	}
	settings, err := exec.Command(command, "env", "GOENV", "GOWORK").Output()
	if err != nil {
		return nil
	}
	var paths []string
	for line := range strings.Lines(string(packages) + string(settings)) {
		folder, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		for ; name != "" && name != "."; name = filepath.Dir(name) { // what is embedded may lie in folders of its own
			paths = append(paths, filepath.Join(folder, name))
		}
		if paths = append(paths, folder); strings.HasSuffix(folder, ".work") {
			paths = append(paths, folder+".sum")
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

// tool is a program that go called to build the cell, compile or link.
type tool struct {
	Path        string
	Arguments   []string // with the notes' folder in place of go's
	Environment []string // beyond that of go
	Folder      string
}

// note writes down a call of a tool, if it is for the cell. What cannot be noted leaves no plan.
func note(notes, path string, arguments []string) {
	name := strings.TrimSuffix(filepath.Base(path), ".exe")
	t := tool{Path: path, Arguments: slices.Clone(arguments), Environment: os.Environ()}
	config := t.value("-importcfg")
	if config == "" || name == "compile" && t.value("-p") != "main" || name != "compile" && name != "link" {
		return
	}
	text, err := os.ReadFile(config)
	if err != nil {
		return
	}
	work := filepath.Dir(config) // go's folder for the cell, beside those of other packages that it has to compile
	packages := strings.ReplaceAll(string(text), work, notes)
	if strings.Contains(packages, filepath.Dir(work)) || os.WriteFile(filepath.Join(notes, filepath.Base(config)), []byte(packages), 0o600) != nil {
		return
	}
	if t.Folder, err = os.Getwd(); err != nil {
		return
	}
	for i, argument := range arguments {
		t.Arguments[i] = strings.ReplaceAll(argument, work, notes)
	}
	if written, err := json.Marshal(t); err == nil {
		os.WriteFile(filepath.Join(notes, name), written, 0o600)
	}
}

// noted takes up what note wrote down of a tool. It refuses one that wants more files of go's folder than are kept.
func noted(notes, name string) (t tool, err error) {
	path := filepath.Join(notes, name)
	text, err := os.ReadFile(path)
	if err != nil {
		return t, err
	}
	if err := errors.Join(os.Remove(path), json.Unmarshal(text, &t)); err != nil {
		return t, err
	}
	kept := []string{t.value("-importcfg"), t.value("-o"), t.value("-trimpath"), filepath.Join(notes, "_pkg_.a")}
	for _, argument := range t.Arguments {
		if strings.Contains(argument, notes) && !slices.Contains(kept, argument) {
			return t, errors.New(name + " wants " + argument)
		}
	}
	ours := os.Environ()
	t.Environment = slices.DeleteFunc(t.Environment, func(setting string) bool { return slices.Contains(ours, setting) })
	return t, nil
}

// value is what follows a flag; "" without it.
func (t tool) value(flag string) string {
	if i := slices.Index(t.Arguments, flag); i >= 0 && i+1 < len(t.Arguments) {
		return t.Arguments[i+1]
	}
	return ""
}

// sources are the files that compile is given.
func (t tool) sources() []string {
	i := len(t.Arguments)
	for i > 0 && strings.HasSuffix(t.Arguments[i-1], ".go") {
		i--
	}
	return t.Arguments[i:]
}

// run calls the tool. What it says is go's to say, which is asked then.
func (t tool) run() error {
	command := exec.Command(t.Path, t.Arguments...)
	command.Env, command.Dir = append(os.Environ(), t.Environment...), t.Folder
	return command.Run()
}
