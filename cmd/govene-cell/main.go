// Govene-cell is the command go of the lab's kernel, which compiles each cell with "go build". From cell to cell only the cell changes, yet go
// looks through two hundred packages each time, which takes longer than compiling the cell. So govene-cell notes which two commands go ran
// in the end, compile and link, and runs these alone for as long as nothing but the cell's own file is another. Whatever else it is asked
// for, and whatever it is not sure of, is left to the go that comes after it on the PATH.
package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

func main() {
	if notes := os.Getenv(notesVariable); notes != "" && len(os.Args) > 1 { // go calls it in place of a tool
		os.Unsetenv(notesVariable)
		note(notes, os.Args[1], os.Args[2:])
		become(os.Args[1], os.Args[2:])
	}
	command, err := behind()
	if err != nil {
		fail(err)
	}
	if arguments := os.Args[1:]; isCell(arguments) {
		build(command, arguments)
	}
	become(command, os.Args[1:])
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "govene-cell:", err)
	os.Exit(1)
}

// become goes on as another program, that of a path or one on the PATH.
func become(program string, arguments []string) {
	path, err := exec.LookPath(program)
	if err != nil {
		fail(err)
	}
	fail(fmt.Errorf("%s: %w", path, syscall.Exec(path, append([]string{program}, arguments...), os.Environ())))
}

// behind is the next command go on the PATH after this one.
func behind() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	own, err := os.Stat(self)
	if err != nil {
		return "", err
	}
	for _, folder := range filepath.SplitList(os.Getenv("PATH")) {
		path, err := exec.LookPath(filepath.Join(folder, "go"))
		if err != nil || !filepath.IsAbs(path) {
			continue
		}
		if info, err := os.Stat(path); err == nil && !os.SameFile(info, own) {
			return path, nil
		}
	}
	return "", fmt.Errorf("there is no other command go on the PATH, %s", os.Getenv("PATH"))
}

// known are flags of "go build" that say how a program is compiled, and ask for nothing else, such as to print commands.
var known = []string{"-asmflags", "-buildvcs", "-gcflags", "-ldflags", "-mod", "-race", "-tags", "-trimpath"}

// isCell tells a kernel's "build -o file", with flags that are known.
func isCell(arguments []string) bool {
	return len(arguments) >= 3 && arguments[0] == "build" && arguments[1] == "-o" && allKnown(arguments[3:])
}

func allKnown(flags []string) bool {
	return !slices.ContainsFunc(flags, func(flag string) bool {
		name, _, _ := strings.Cut(flag, "=")
		return !slices.Contains(known, name)
	})
}

// most is how many notes are kept.
const most = 16

// build builds as noted, or notes how go builds, and ends the process. It returns if go is to build unnoted. Notes of builds are kept side
// by side, as cells import now these packages and now those.
func build(command string, arguments []string) {
	root, err := filepath.Abs(".govene-cell")
	if err != nil {
		return
	}
	failed := ""
	for i, notes := range newestFirst(root) {
		if i >= most {
			os.RemoveAll(notes)
			continue
		}
		p, err := readPlan(notes)
		if err != nil || !p.fits(command, arguments) {
			continue
		}
		if !p.holds() {
			os.RemoveAll(notes)
			continue
		}
		if p.run(arguments[2]) == nil {
			os.Exit(0)
		}
		failed = notes // most often as the cell is wrong, which go will say
		break
	}
	if err := os.MkdirAll(root, 0o700); err != nil {
		return
	}
	notes, err := os.MkdirTemp(root, "")
	if err != nil {
		return
	}
	if err := noteBuild(notes, command, arguments); err != nil {
		os.RemoveAll(notes)
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
			os.Exit(max(exit.ExitCode(), 1))
		}
		return
	}
	if failed != "" {
		os.RemoveAll(failed)
	}
	os.Exit(0)
}

// newestFirst are the folders of notes.
func newestFirst(root string) []string {
	entries, _ := os.ReadDir(root) // none before the first
	changed := func(entry os.DirEntry) int64 {
		info, err := entry.Info()
		if err != nil {
			return 0
		}
		return info.ModTime().UnixNano()
	}
	slices.SortFunc(entries, func(a, b os.DirEntry) int { return cmp.Compare(changed(b), changed(a)) })
	folders := make([]string, len(entries))
	for i, entry := range entries {
		folders[i] = filepath.Join(root, entry.Name())
	}
	return folders
}
