package interv_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// A cell of a notebook compiles all methods of the generic types that it can reach, those in fields that are not exported among them: forty for a
// sync.Map, ten for an atomic.Pointer, which take longer than the cell itself. So no type that a cell can reach has such fields.
func TestCellsCompileLittle(t *testing.T) {
	if testing.Short() {
		t.Skip("asks go for all packages, which takes seconds")
	}
	const module = "github.com/govene/govene/"
	command := exec.Command("go", "list", "-export", "-deps", "-tags=noxla,nohub", "-json=ImportPath,Export",
		"./interv/...", "./plotting/...", "./backend", "./resident")
	command.Dir, command.Stderr = "..", os.Stderr
	listed, err := command.Output()
	if err != nil {
		t.Fatal(err)
	}
	exports := map[string]string{}
	for decoder := json.NewDecoder(bytes.NewReader(listed)); ; {
		var p struct{ ImportPath, Export string }
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		exports[p.ImportPath] = p.Export
	}
	imports := importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) { return os.Open(exports[path]) })

	walk := reached{t: t, module: module, seen: map[types.Type]bool{}}
	packages := 0
	for path := range exports {
		inside, ours := strings.CutPrefix(path, module)
		if !ours || strings.Contains(inside, "internal") {
			continue
		}
		p, err := imports.Import(path)
		if err != nil {
			t.Fatal(err)
		}
		packages++
		for _, name := range p.Scope().Names() {
			if o := p.Scope().Lookup(name); o.Exported() {
				walk.from(o.Type())
			}
		}
	}
	if packages < 10 || len(walk.seen) < 1000 {
		t.Errorf("only %d packages and %d types were reached", packages, len(walk.seen))
	}
}

type reached struct {
	t      *testing.T
	module string
	seen   map[types.Type]bool
}

// from visits a type and those that it is made of.
func (r *reached) from(t types.Type) {
	if r.seen[t] {
		return
	}
	r.seen[t] = true
	switch t := t.(type) {
	case *types.Alias:
		r.from(types.Unalias(t))
	case *types.Named:
		if p := t.Obj().Pkg(); p == nil || !strings.HasPrefix(p.Path(), r.module) {
			return
		}
		for m := range t.Methods() {
			r.from(m.Type())
		}
		if fields, ok := t.Underlying().(*types.Struct); ok {
			for field := range fields.Fields() {
				if generic := holdsGeneric(field.Type()); generic != "" {
					r.t.Errorf("%s.%s holds %s", t, field.Name(), generic)
				}
			}
		}
		r.from(t.Underlying())
	case *types.Struct:
		for field := range t.Fields() {
			r.from(field.Type())
		}
	case *types.Signature:
		r.from(t.Params())
		r.from(t.Results())
	case *types.Tuple:
		for v := range t.Variables() {
			r.from(v.Type())
		}
	case *types.Interface:
		for m := range t.Methods() {
			r.from(m.Type())
		}
	case *types.Map:
		r.from(t.Key())
		r.from(t.Elem())
	case interface{ Elem() types.Type }:
		r.from(t.Elem())
	}
}

// holdsGeneric names the generic type with methods that a field's type is, or has elements of; "" if it is none.
func holdsGeneric(t types.Type) string {
	switch t := t.(type) {
	case *types.Named:
		if t.String() == "sync.Map" || t.TypeArgs().Len() > 0 && t.NumMethods() > 0 {
			return fmt.Sprint(t)
		}
	case *types.Alias:
		return holdsGeneric(types.Unalias(t))
	case interface{ Elem() types.Type }:
		return holdsGeneric(t.Elem())
	}
	return ""
}
