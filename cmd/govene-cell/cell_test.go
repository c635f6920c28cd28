package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The tests' own program stands for govene-cell, under the name go.
func TestMain(m *testing.M) {
	if os.Getenv("GOVENE_CELL_TEST") != "" {
		main()
	}
	os.Exit(m.Run())
}

// kernel is a folder of cells beside a library, as GoNB makes it, with a go behind govene-cell that says what it was asked.
type kernel struct {
	t              *testing.T
	cells, library string
	plain          string // the go behind both
	environment    []string
	log            string
	count          int // of cells made anew
}

func newKernel(t *testing.T) *kernel {
	if testing.Short() {
		t.Skip("links programs, which takes seconds")
	}
	root := t.TempDir()
	k := &kernel{t: t, cells: filepath.Join(root, "it's cells"), library: filepath.Join(root, "library"), log: filepath.Join(root, "log")}
	var err error
	if k.plain, err = exec.LookPath("go"); err != nil {
		t.Skip("there is no go")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	front, behind := filepath.Join(root, "front of all"), filepath.Join(root, "behind")
	k.write(filepath.Join(behind, "go"), fmt.Sprintf("#!/bin/sh\necho \"$*\" >>'%s'\n'%s' \"$@\"\nstatus=$?\n[ \"$1\" != build ] || eval \"$AFTER\"\nexit $status\n", k.log, k.plain))
	if err := os.Chmod(filepath.Join(behind, "go"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(front, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(self, filepath.Join(front, "go")); err != nil {
		t.Skip(err)
	}
	k.environment = append(os.Environ(), "PATH="+strings.Join([]string{front, behind, os.Getenv("PATH")}, string(filepath.ListSeparator)), "GOVENE_CELL_TEST=1",
		"GOWORK=", "GOFLAGS=-ldflags=-s", "GOEXPERIMENT=")
	k.write(filepath.Join(k.cells, "go.mod"), "module cells\n\ngo 1.24\n")
	k.write(filepath.Join(k.cells, "go.work"), "go 1.24\n\nuse (\n\t.\n\t../link\n)\n")
	if err := os.Symlink("library", filepath.Join(root, "link")); err != nil {
		t.Skip(err)
	}
	k.write(filepath.Join(k.library, "go.mod"), "module example.org/library\n\ngo 1.24\n")
	k.write(filepath.Join(k.library, "library.go"), `package library

import (
	"embed"
	"strings"

	"example.org/library/internal/secret"
)

//go:embed words
var words embed.FS

// Says is what all files of the package say.
func Says() string {
	var all []string
	for _, name := range []string{"words/deep/a", "words/deep/b"} {
		text, _ := words.ReadFile(name)
		all = append(all, string(text))
	}
	return strings.Join(append(all, said...), " ")
}

var said = []string{secret.Word}
`)
	k.write(filepath.Join(k.library, "internal", "secret", "secret.go"), "package secret\n\nconst Word = \"secret\"\n")
	k.write(filepath.Join(k.library, "words", "deep", "a"), "a")
	k.write(filepath.Join(k.library, "tagged.go"), "//go:build tagged\n\npackage library\n\nfunc init() { said = append(said, \"tagged\") }\n")
	return k
}

func (k *kernel) write(path, text string) {
	k.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		k.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		k.t.Fatal(err)
	}
}

// cell writes a cell that prints a value, and imports further packages.
func (k *kernel) cell(value any, imports ...string) {
	text := "package main\n\nimport (\n\t\"fmt\"\n\t\"example.org/library\"\n"
	for _, path := range imports {
		text += fmt.Sprintf("\t_ %q\n", path)
	}
	k.write(filepath.Join(k.cells, "main.go"), text+fmt.Sprintf(")\n\nfunc main() { fmt.Println(library.Says(), %#v) }\n", value))
}

// build is "go build" with flags: what the cell then says, and whether the go behind was asked to build.
func (k *kernel) build(flags ...string) (says string, asked bool) {
	k.t.Helper()
	time.Sleep(30 * time.Millisecond) // what has just been written is taken for what may still change
	os.Remove(k.log)
	program := filepath.Join(k.cells, "cell")
	if out, err := k.run("go", append([]string{"build", "-o", program}, flags...)...); err != nil {
		k.t.Fatalf("%v\n%s", err, out)
	}
	out, err := k.run(program)
	if err != nil {
		k.t.Fatal(err)
	}
	log, _ := os.ReadFile(k.log)
	return strings.TrimSpace(out), strings.Contains("\n"+string(log), "\nbuild ")
}

func (k *kernel) run(program string, arguments ...string) (string, error) {
	command := exec.Command("env", append([]string{program}, arguments...)...) // env looks along the environment's PATH
	command.Dir, command.Env = k.cells, k.environment
	out, err := command.CombinedOutput()
	return string(out), err
}

// check builds, and compares what the cell says and who built it.
func (k *kernel) check(says string, asked bool, flags ...string) {
	k.t.Helper()
	if got, asking := k.build(flags...); got != says || asking != asked {
		k.t.Errorf("got %q, and that go was asked is %v; wanted %q, %v", got, asking, says, asked)
	}
}

// anew checks that go is asked, for one cell more where it compiles the library first, and then no more.
func (k *kernel) anew(says string, flags ...string) {
	k.t.Helper()
	for i := range 3 {
		k.count++ // go keeps cells, too
		k.cell(-k.count)
		wanted := fmt.Sprint(says, " ", -k.count)
		if got, asked := k.build(flags...); got != wanted || i != 1 && asked != (i == 0) {
			k.t.Errorf("cell %d: got %q, and that go was asked is %v; wanted %q", i, got, asked, wanted)
		}
	}
}

// Cells are built without go, until something else than the cell changes.
func TestBuild(t *testing.T) {
	k := newKernel(t)
	k.anew("a  secret")

	library := filepath.Join(k.library, "internal", "secret", "secret.go")
	before, err := os.Stat(library)
	if err != nil {
		t.Fatal(err)
	}
	k.write(library, "package secret\n\nconst Word = \"open\"\n")
	k.anew("a  open")
	k.write(library, "package secret\n\nconst Word = \"SECRET\"\n")
	if err := os.Chtimes(library, before.ModTime(), before.ModTime()); err != nil { // as long and as old as it was at first
		t.Fatal(err)
	}
	k.anew("a  SECRET")

	k.write(filepath.Join(k.library, "words", "deep", "b"), "b")
	k.anew("a b SECRET")
	k.write(filepath.Join(k.library, "words", "deep", "a"), "A")
	k.anew("A b SECRET")
	k.write(filepath.Join(k.library, "more.go"), "package library\n\nfunc init() { said = append(said, \"more\") }\n")
	k.anew("A b SECRET more")
	if err := os.Remove(filepath.Join(k.library, "more.go")); err != nil {
		t.Fatal(err)
	}
	k.cell(3)
	k.check("A b SECRET 3", true)

	k.cell(4)
	k.check("A b SECRET 4", false) // go had compiled that library before
	k.anew("A b SECRET tagged", "-tags=tagged")
	k.cell(5)
	k.check("A b SECRET 5", false)

	k.cell(6, "strings", "unicode/utf8")
	k.check("A b SECRET 6", true)
	for i, imports := range [][]string{{"unicode/utf8"}, {}, {"strings"}, {"unicode/utf8", "strings"}} {
		k.cell(i, imports...)
		k.check(fmt.Sprint("A b SECRET ", i), false)
	}

	k.environment = append(k.environment, "GOFLAGS=-ldflags=-s -tags=tagged")
	k.cell(7)
	k.check("A b SECRET tagged 7", true)
	k.cell(8)
	k.check("A b SECRET tagged 8", false)
	k.write(filepath.Join(k.library, "go.mod"), "module example.org/library\n\ngo 1.23\n")
	k.anew("A b SECRET tagged")
	k.write(filepath.Join(k.cells, "more.go"), "package main\n\nfunc init() { fmt.Print(1) }\n\nimport \"fmt\"\n")
	k.cell(9)
	if says, _ := k.run("go", "build", "-o", "cell"); says == "" {
		t.Error("an import after a declaration was built")
	}
	k.write(filepath.Join(k.cells, "more.go"), "package main\n\nimport \"fmt\"\n\nfunc init() { fmt.Print(1) }\n")
	k.check("1A b SECRET tagged 9", true)
	k.cell(10)
	k.check("1A b SECRET tagged 10", false)
	os.Remove(filepath.Join(k.cells, "more.go"))
	k.cell(11)
	k.check("A b SECRET tagged 11", false)
	k.write(filepath.Join(k.library, "tagged.go"), "//go:build !tagged\n\npackage library\n\nfunc init() { said = append(said, \"not\") }\n")
	k.anew("A b SECRET")
	k.write(filepath.Join(k.library, "tagged.go"), "//go:build tagged || !tagged\n\npackage library\n\nfunc init() { said = append(said, \"so\") }\n")
	k.anew("A b SECRET so")
}

// Go takes a program that has another cell's identity for built, so those that are built without it have none.
func TestIdentity(t *testing.T) {
	k := newKernel(t)
	k.anew("a  secret")
	for i, cell := range []int{1, 2, 1} {
		if i != 1 {
			k.write(filepath.Join(k.library, ".none"), "")
			os.Remove(filepath.Join(k.library, ".none")) // so that go is asked, and finds nothing else
		}
		k.cell(cell)
		k.check(fmt.Sprint("a  secret ", cell), i != 1)
	}
}

// What changes while a cell is built may not be in it, so nothing is noted then, though what is there now be old.
func TestChanging(t *testing.T) {
	k := newKernel(t)
	other := filepath.Join(filepath.Dir(k.library), "other")
	if err := os.CopyFS(other, os.DirFS(k.library)); err != nil {
		t.Fatal(err)
	}
	k.write(filepath.Join(other, "internal", "secret", "secret.go"), "package secret\n\nconst Word = \"other\"\n")
	k.anew("a  secret")
	environment, link := k.environment, filepath.Join(filepath.Dir(k.library), "link")
	for i, change := range []string{
		fmt.Sprintf("ln -sfn other '%s'", link),
		fmt.Sprintf("cp '%s/internal/secret/secret.go' '%s/internal/secret/secret.go'", other, k.library),
	} {
		if err := errors.Join(os.Remove(link), os.Symlink("library", link)); err != nil {
			t.Fatal(err)
		}
		k.environment = append(environment, "AFTER="+change)
		k.cell(i)
		k.check(fmt.Sprint("a  secret ", i), true)
		k.cell("next")
		k.check("a  other next", true)
	}
}

// What go refuses is refused with its words, whatever was built before, and the notes of that are kept.
func TestRefused(t *testing.T) {
	k := newKernel(t)
	k.anew("a  secret")
	for _, text := range []string{
		"package main\n\nimport \"fmt\"\n\nfunc main() { fmt.Println(unknown) }\n",
		"package main\n\nfunc main() { var unused int }\n",
		"package main\n\nimport \"fmt\"\n\nfunc main() {}\n",
		"package main\n\nfunc main() {",
		"package main\n\nimport \"no/such/package\"\n\nfunc main() {}\n",
		"package main\n\nimport _ \"example.org/library/internal/secret\"\n\nfunc main() {}\n",
		"package main\n\nimport _ \"embed\"\n\n//go:embed missing\nvar text string\n\nfunc main() { print(text) }\n",
		"//go:build ignore\n\npackage main\n\nfunc main() {}\n",
		"//go:debug nosuch=1\npackage main\n\nfunc main() {}\n",
		"//\t+build ignore\n\npackage main\n\nfunc main() {}\n",
		"package main\n\nfunc other() {}\n",
		"package main\n\nfunc bodyless()\n\nfunc main() { bodyless() }\n",
	} {
		k.write(filepath.Join(k.cells, "main.go"), text)
		said, err := k.run("go", "build", "-o", "cell")
		wanted, wantedErr := k.run(k.plain, "build", "-o", "cell")
		if err == nil || wantedErr == nil || err.Error() != wantedErr.Error() || said != wanted {
			t.Errorf("%s\ngot %v, %s\nwanted %v, %s", text, err, said, wantedErr, wanted)
		}
	}
	k.cell(2)
	k.check("a  secret 2", false)

	work := filepath.Join(k.cells, "go.work")
	was, err := os.ReadFile(work)
	if err != nil {
		t.Fatal(err)
	}
	k.write(work, "no such line\n")
	if said, err := k.run("go", "build", "-o", "cell"); err == nil || !strings.Contains(said, "go.work") {
		t.Errorf("a broken go.work: got %v, %s", err, said)
	}
	k.write(work, string(was))

	program := filepath.Join(k.cells, "cell")
	k.cell(3)
	k.build()
	k.write(program, "dear to somebody")
	if said, err := k.run("go", "build", "-o", program); err == nil || !strings.Contains(said, "not an object file") {
		t.Errorf("a file that is no program: got %v, %s", err, said)
	}
}

// What a build would find if it were there is waited for, too.
func TestAppears(t *testing.T) {
	k := newKernel(t)
	other := filepath.Join(filepath.Dir(k.library), "other")
	k.write(filepath.Join(other, "library.go"), "package library\n\n// Says says so.\nfunc Says() string { return \"other\" }\n")
	k.write(filepath.Join(other, "go.mod"), "module example.org/library\n\ngo 1.24\n")
	k.write(filepath.Join(k.library, "words", "empty", "deep", ".none"), "")
	k.write(filepath.Join(filepath.Dir(k.library), "none", "go.mod"), "module example.org/none\n\ngo 1.24\n")
	work := "go 1.24\n\nuse (\n\t.\n\t../none\n\t../link\n)\n"
	k.write(filepath.Join(k.cells, "go.work"), work)
	k.anew("a  secret")

	k.write(filepath.Join(k.library, "words", "empty", "deep", "b"), "b") // embedded, and not said
	k.anew("a  secret")

	mod := filepath.Join(k.cells, "go.mod")
	k.write(filepath.Join(k.cells, "go.work"), strings.Replace(work, "\t../link\n", "", 1))
	k.write(mod, "module cells\n\ngo 1.24\n\nrequire example.org/library v1.0.0\n")
	k.write(filepath.Join(filepath.Dir(k.library), "none", "go.mod"), "module example.org/none\n\ngo 1.24\n\nreplace example.org/library => ../library\n")
	k.anew("a  secret")
	k.write(filepath.Join(filepath.Dir(k.library), "none", "go.mod"), "module example.org/none\n\ngo 1.24\n\nreplace example.org/library => ../other\n")
	k.anew("other")

	settings := filepath.Join(filepath.Dir(k.library), "env")
	k.environment = append(k.environment, "GOENV="+settings, "GOFLAGS=")
	k.anew("other")
	k.write(settings, "GOFLAGS=-v\n")
	k.cell(1)
	k.check("other 1", true)
	k.cell(2)
	k.check("other 2", true) // asks for more than a cell

	k.write(settings, "GOFLAGS=-ldflags=-s\n")
	k.anew("other")
	k.write(filepath.Join(k.cells, "go.work"), "go 1.24\n\nuse .\n")
	if said, err := k.run("go", "build", "-o", "cell"); err == nil {
		t.Errorf("without the library: got %s", said)
	}
	k.write(mod, "module cells\n\ngo 1.24\n\nrequire example.org/library v1.0.0\n\nreplace example.org/library => ../library\n")
	k.anew("a  secret")
	k.write(filepath.Join(k.library, "internal", "go.mod"), "module example.org/library/internal\n\ngo 1.24\n")
	if said, err := k.run("go", "build", "-o", "cell"); err == nil {
		t.Errorf("a module within the library: got %s", said)
	}
}

// What is no build of a cell is go's alone.
func TestElse(t *testing.T) {
	k := newKernel(t)
	k.anew("a  secret")
	for _, arguments := range [][]string{{"version"}, {"env", "GOWORK"}, {"list", "."}, {"build", "-n", "-o", "cell"}, {"build", "-o"}, {"build", "-nosuch"}, {}} {
		said, err := k.run("go", arguments...)
		wanted, wantedErr := k.run(k.plain, arguments...)
		if fmt.Sprint(err) != fmt.Sprint(wantedErr) || said != wanted && arguments[0] != "build" {
			t.Errorf("go %v: got %v, %s; wanted %v, %s", arguments, err, said, wantedErr, wanted)
		}
	}
	if said, err := k.run("go", "build", "-o", "cell", "-x"); err != nil || !strings.Contains(said, "WORK=") {
		t.Errorf("go build -x: got %v, %s", err, said)
	}
	k.cell(2)
	k.check("a  secret 2", false)

	k.environment = append(k.environment, notesVariable+"="+t.TempDir())
	if said, err := k.run("go", "sh", "-c", "echo $"+notesVariable); err != nil || said != "\n" { // go asks compilers of C who they are, by name
		t.Errorf("in place of a tool: got %v, %q", err, said)
	}
}

// Whatever is written in whatever order, the program is the one that go alone builds, to the byte but for the build's identity.
func TestAsGo(t *testing.T) {
	k := newKernel(t)
	random := rand.New(rand.NewPCG(22, 1))
	asked, steps := 0, 16
	for step := range steps {
		for range random.IntN(4) / 2 {
			switch random.IntN(6) {
			case 0:
				k.write(filepath.Join(k.library, "internal", "secret", "secret.go"), fmt.Sprintf("package secret\n\nconst Word = \"%d\"\n", random.IntN(3)))
			case 1:
				k.write(filepath.Join(k.library, "words", "deep", []string{"a", "b"}[random.IntN(2)]), fmt.Sprint(random.IntN(3)))
			case 2:
				k.write(filepath.Join(k.library, "more.go"), fmt.Sprintf("package library\n\nfunc init() { said = append(said, \"%d\") }\n", random.IntN(3)))
			case 3:
				os.Remove(filepath.Join(k.library, "more.go"))
			case 4:
				k.write(filepath.Join(k.library, ".none"), "") // changes the folder alone
			case 5:
				k.environment = append(k.environment, fmt.Sprint("ANY=", random.IntN(2)))
			}
		}
		k.cell(random.IntN(3), [][]string{{}, {"strings"}, {"net/url"}, {"net/url", "strings"}}[random.IntN(4)]...)
		says, asking := k.build()
		if asking {
			asked++
		}
		if out, err := k.run(k.plain, "build", "-o", "other"); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if out, err := k.run(filepath.Join(k.cells, "other")); err != nil || strings.TrimSpace(out) != says {
			t.Fatalf("step %d: got %q, wanted %q, %v", step, says, out, err)
		}
	}
	if asked == 0 || asked == steps {
		t.Errorf("go was asked in %d of %d steps", asked, steps)
	}
}

// Without another go on the PATH it says so.
func TestNoGo(t *testing.T) {
	k := newKernel(t)
	command := exec.Command(filepath.Join(filepath.Dir(k.cells), "front of all", "go"), "version")
	command.Env = []string{"PATH=" + filepath.Join(filepath.Dir(k.cells), "front of all"), "GOVENE_CELL_TEST=1"}
	out, err := command.CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("no other command go")) {
		t.Errorf("got %v, %s", err, out)
	}
}
