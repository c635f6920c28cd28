package interv_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// docs/pyvene.md names nothing that a package does not declare.
func TestNamesForPyveneUsers(t *testing.T) {
	text, err := os.ReadFile("../docs/pyvene.md")
	must(t, err)
	folders := map[string]string{"interv": ".", "backend": "../backend", "plotting": "../plotting"}
	for _, inner := range []string{"causal", "foreign", "gru", "mlp", "readout", "tokens", "toy", "transformer"} {
		folders[inner] = inner
	}
	known := map[string]map[string]bool{}
	names := regexp.MustCompile("`([a-z]+)\\.([A-Z][A-Za-z.]*)`").FindAllStringSubmatch(string(text), -1)
	for _, name := range names {
		folder, ok := folders[name[1]]
		if !ok {
			t.Errorf("%s: no such package", name[0])
			continue
		}
		if known[folder] == nil {
			known[folder] = declared(t, folder)
		}
		if len(known[folder]) > 0 && !known[folder][name[2]] {
			t.Errorf("%s: package %s does not declare it", name[0], name[1])
		}
	}
	if len(names) < 100 {
		t.Errorf("got %d names, wanted more", len(names))
	}
}

// declared are the names that a package declares: T, T.Field, T.Method.
func declared(t *testing.T, folder string) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	must(t, err)
	for _, path := range files {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		must(t, err)
		for _, declaration := range file.Decls {
			switch d := declaration.(type) {
			case *ast.FuncDecl:
				names[receiver(d)+d.Name.Name] = true
			case *ast.GenDecl:
				for _, spec := range d.Specs {
					addSpec(names, spec)
				}
			}
		}
	}
	return names
}

// receiver is "T." for a method of T or *T.
func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return ""
	}
	kind := d.Recv.List[0].Type
	if pointer, ok := kind.(*ast.StarExpr); ok {
		kind = pointer.X
	}
	if name, ok := kind.(*ast.Ident); ok {
		return name.Name + "."
	}
	return ""
}

func addSpec(names map[string]bool, spec ast.Spec) {
	var fields *ast.FieldList
	switch s := spec.(type) {
	case *ast.ValueSpec:
		for _, name := range s.Names {
			names[name.Name] = true
		}
		return
	case *ast.TypeSpec:
		names[s.Name.Name] = true
		switch kind := s.Type.(type) {
		case *ast.StructType:
			fields = kind.Fields
		case *ast.InterfaceType:
			fields = kind.Methods
		default:
			return
		}
		for _, field := range fields.List {
			for _, name := range field.Names {
				names[s.Name.Name+"."+name.Name] = true
			}
		}
	}
}
