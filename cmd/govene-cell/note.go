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

// noteBuild has go build, and leaves a plan if it could be made. Its error is go's, or that go was not called.
func noteBuild(notes, command string, arguments []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if strings.Contains(self, "'") && strings.Contains(self, `"`) {
		return errors.New("go cannot be told a path with both quotes")
	}
	begun := time.Now()
	s, err := settingsOf(command)
	if err != nil {
		return err
	}
	if !allKnown(strings.Fields(s.GOFLAGS)) {
		return errors.New("GOFLAGS ask for more than a cell")
	}
	p := &plan{notes: notes, Command: command, Arguments: arguments, Environment: environment()}
	listed := make(chan error, 1)
	go func() {
		var err error
		p.inputs, err = list(command, arguments[3:], s)
		p.State, _ = p.state()
		listed <- err
	}()
	build := exec.Command(command, slices.Insert(slices.Clone(arguments), 1, "-toolexec="+quoted(self))...)
	build.Env = append(os.Environ(), notesVariable+"="+notes)
	build.Stdout, build.Stderr = os.Stdout, os.Stderr
	if err := build.Run(); err != nil {
		return err
	}
	if <-listed != nil || p.complete(begun) != nil || p.write() != nil {
		os.RemoveAll(notes)
	}
	return nil
}

// settings are what "go env" says of them.
type settings struct{ GOENV, GOFLAGS, GOMOD, GOROOT, GOWORK string }

func settingsOf(command string) (s settings, err error) {
	text, err := exec.Command(command, "env", "-json", "GOENV", "GOFLAGS", "GOMOD", "GOROOT", "GOWORK").Output()
	if err != nil {
		return s, errors.New("go env: " + err.Error()) // and not the error of a build
	}
	return s, json.Unmarshal(text, &s)
}

// quoted is a path as go takes it where arguments may follow.
func quoted(path string) string {
	if strings.Contains(path, "'") {
		return `"` + path + `"`
	}
	return "'" + path + "'"
}

// list asks go for the files and folders that the build of the cell depends on, except for its own, and adds those that are not there and
// would change it if they were; but for folders of one module that would make packages of another ambiguous, which go refuses.
func list(command string, flags []string, s settings) ([]string, error) {
	template := `{{if .DepOnly}}{{.Dir}}{{"\x00"}}{{with .Module}}{{.Dir}}{{"\x00"}}{{.GoMod}}{{else}}{{"\x00"}}{{end}}{{"\x00"}}{{if .EmbedPatterns}}embeds{{end}}`
	for _, files := range []string{"Go", "Cgo", "IgnoredGo", "IgnoredOther", "C", "CXX", "M", "H", "F", "S", "Swig", "SwigCXX", "Syso", "Embed"} {
		template += `{{range .` + files + `Files}}{{"\x00"}}{{.}}{{end}}`
	}
	packages, err := exec.Command(command, slices.Concat([]string{"list", "-deps", "-f", template + "{{end}}"}, flags)...).Output()
	if err != nil {
		return nil, err
	}
	modules, err := exec.Command(command, "list", "-m", "-f", "{{.GoMod}}").Output() // of the workspace, those without packages of the cell, too
	if err != nil {
		return nil, err
	}
	paths := []string{s.GOENV, filepath.Join(s.GOROOT, "go.env"), filepath.Join(s.GOROOT, "VERSION"), s.GOWORK + ".sum"}
	for _, file := range append(strings.Split(strings.TrimSpace(string(modules)), "\n"), s.GOMOD, s.GOWORK) {
		folder := filepath.Dir(file)
		paths = append(paths, file, filepath.Join(folder, "go.sum"), filepath.Join(folder, "vendor"), filepath.Join(folder, "vendor", "modules.txt"))
	}
	folder, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	for ; ; folder = filepath.Dir(folder) { // the nearest of these is go's
		paths = append(paths, filepath.Join(folder, "go.mod"), filepath.Join(folder, "go.work"))
		if folder == filepath.Dir(folder) {
			break
		}
	}
	for line := range strings.Lines(string(packages)) {
		if fields := strings.Split(strings.TrimSuffix(line, "\n"), "\x00"); len(fields) > 4 {
			paths = append(paths, ofPackage(fields[0], fields[1], fields[2], fields[3] != "", fields[4:])...)
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths), nil
}

// ofPackage are the files and folders that a package depends on.
func ofPackage(folder, module, modFile string, embeds bool, files []string) []string {
	paths := []string{folder}
	for _, file := range files {
		paths = append(paths, filepath.Join(folder, file))
	}
	if embeds { // what is new in any folder may be embedded, too; the separator leads through a link
		filepath.WalkDir(folder+string(filepath.Separator), func(path string, entry os.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				paths = append(paths, path)
			}
			return nil
		})
	}
	if module == "" {
		return paths
	}
	paths = append(paths, modFile)
	for inner := folder; inner != module && len(inner) > len(module); inner = filepath.Dir(inner) { // a module within is one of its own
		paths = append(paths, filepath.Join(inner, "go.mod"))
	}
	return paths
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
	if strings.Contains(packages, filepath.Dir(work)) || strings.Contains(packages, "vcs.revision") {
		return
	}
	if os.WriteFile(filepath.Join(notes, filepath.Base(config)), []byte(packages), 0o600) != nil {
		return
	}
	if t.Folder, err = os.Getwd(); err != nil {
		return
	}
	for i, argument := range arguments {
		if t.Arguments[i] = strings.ReplaceAll(argument, work, notes); strings.HasPrefix(argument, "-buildid=") {
			t.Arguments[i] = "-buildid=govene-cell" // by that of the program that go linked go would know this one, another's, as up to date
		}
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

// run calls the tool, with files of its own in place of some that were noted. What it says is go's to say, which is asked then.
func (t tool) run(files map[string]string) error {
	arguments := slices.Clone(t.Arguments)
	for i, argument := range arguments {
		if file, ok := files[argument]; ok {
			arguments[i] = file
		}
	}
	command := exec.Command(t.Path, arguments...)
	command.Env, command.Dir = append(os.Environ(), t.Environment...), t.Folder
	return command.Run()
}
