package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/govene/govene/internal/stored"
)

// plan is how a cell was built, and all that this depends on.
type plan struct {
	notes  string   // the folder it is kept in
	inputs []string // files and folders but for the cell's own; in a file by themselves

	Command       string
	Arguments     []string // of go
	Environment   []byte   // of go, in short
	State         []byte   // of the inputs, in short
	Imports       []string // of the cell
	Compile, Link tool
}

// complete adds what was noted of the build. It refuses where something may have changed since that begun.
func (p *plan) complete(begun time.Time) (err error) {
	if p.Compile, err = noted(p.notes, "compile"); err != nil {
		return err
	}
	if p.Link, err = noted(p.notes, "link"); err != nil {
		return err
	}
	if p.Imports, err = p.imports(); err != nil {
		return err
	}
	early := p.State
	state, newest := p.state()
	if !bytes.Equal(state, early) || newest.After(begun.Add(-10*time.Millisecond)) { // the clocks of file systems go in such steps
		return errors.New("something changed while the cell was built")
	}
	p.inputs = append(p.inputs, p.Command, p.Compile.Path, p.Link.Path)
	p.State, _ = p.state()
	return nil
}

func (p *plan) write() error {
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return errors.Join(os.WriteFile(p.file("inputs"), []byte(strings.Join(p.inputs, "\n")), 0o600), os.WriteFile(p.file("plan"), text, 0o600))
}

func readPlan(notes string) (*plan, error) {
	p := &plan{notes: notes}
	text, err := os.ReadFile(p.file("plan"))
	if err != nil {
		return nil, err
	}
	return p, json.Unmarshal(text, p)
}

func (p *plan) file(name string) string { return filepath.Join(p.notes, name) }

// fits tells whether this is a plan for what go is asked now and for the cell as it is now.
func (p *plan) fits(command string, arguments []string) bool {
	folder, err := os.Getwd()
	if err != nil || folder != p.Compile.Folder || command != p.Command || !slices.Equal(arguments, p.Arguments) || !bytes.Equal(environment(), p.Environment) {
		return false
	}
	imports, err := p.imports()
	return err == nil && !slices.ContainsFunc(imports, func(path string) bool { return !slices.Contains(p.Imports, path) })
}

// holds tells whether the inputs are what they were.
func (p *plan) holds() bool {
	text, err := os.ReadFile(p.file("inputs"))
	if err != nil {
		return false
	}
	p.inputs = strings.Split(string(text), "\n")
	state, _ := p.state()
	return bytes.Equal(state, p.State)
}

// run compiles and links the cell as it is now, in a folder of its own, as others may be at it, too.
func (p *plan) run(output string) error {
	folder, err := os.MkdirTemp(p.notes, "")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	program := filepath.Join(folder, "program")
	files := map[string]string{p.file("_pkg_.a"): filepath.Join(folder, "_pkg_.a"), p.Link.value("-o"): program}
	if err := p.Compile.run(files); err != nil {
		return err
	}
	if err := p.Link.run(files); err != nil {
		return err
	}
	if !isProgram(output, program) {
		return errors.New(output + " is no program, which go will not replace")
	}
	return os.Rename(program, output)
}

// isProgram tells whether there is nothing yet, or a program for the same system as another.
func isProgram(path, other string) bool {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	return err == nil && info.Mode().IsRegular() && bytes.Equal(magic(path), magic(other))
}

// magic is how a file begins.
func magic(path string) []byte {
	file, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer file.Close()
	begins := make([]byte, 4)
	n, _ := io.ReadFull(file, begins) // fewer are another's
	return begins[:n]
}

// heeded are comments that go reads, and not only its tools.
var heeded = [][]byte{[]byte("//go:build"), []byte("//go:debug"), []byte("//go:embed"), []byte("+build"), []byte(`import "C"`)}

// imports are what the cell imports. It refuses what is more than Go code in the files that were compiled.
func (p *plan) imports() ([]string, error) {
	entries, err := os.ReadDir(p.Compile.Folder)
	if err != nil {
		return nil, err
	}
	sources := p.Compile.sources()
	for _, entry := range entries {
		path := filepath.Join(p.Compile.Folder, entry.Name())
		if slices.Contains(compiled, filepath.Ext(path)) && !slices.Contains(sources, path) {
			return nil, fmt.Errorf("%s was not compiled", path)
		}
	}
	var imports []string
	for _, path := range sources {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if slices.ContainsFunc(heeded, func(comment []byte) bool { return bytes.Contains(text, comment) }) {
			return nil, fmt.Errorf("%s has comments that go reads", path)
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, text, parser.ImportsOnly)
		if err != nil {
			return nil, err
		}
		if file.Name.Name != "main" {
			return nil, fmt.Errorf("%s is of package %s", path, file.Name.Name)
		}
		for _, spec := range file.Imports {
			imports = append(imports, spec.Path.Value)
		}
	}
	return imports, nil
}

// compiled are the extensions of what "go build" compiles, or compiles by.
var compiled = []string{".go", ".c", ".cc", ".cpp", ".cxx", ".m", ".h", ".hh", ".hpp", ".hxx", ".f", ".F", ".for", ".f90", ".s", ".S", ".sx",
	".swig", ".swigcxx", ".syso", ".pgo"}

// environment tells this process's environment from others.
func environment() []byte {
	sum := sha256.Sum256([]byte(strings.Join(slices.Sorted(slices.Values(os.Environ())), "\x00")))
	return sum[:]
}

// state tells the inputs from what else they could be, and when any of them last changed.
func (p *plan) state() (sum []byte, newest time.Time) {
	hash := sha256.New()
	for _, path := range p.inputs {
		info, err := os.Stat(path)
		if err != nil {
			fmt.Fprintln(hash, "no", path)
			continue
		}
		identity := stored.IdentityOf(path, info)
		fmt.Fprintln(hash, identity)
		if changed := time.Unix(0, max(identity.Modified, identity.Changed)); changed.After(newest) {
			newest = changed
		}
	}
	return hash.Sum(nil), newest
}
