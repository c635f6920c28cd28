//go:build linux

package resident_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/resident"
	"github.com/govene/govene/resident/engine"
)

// The tests run their own binary as the engine's program and as a client.
const roleVar = "GOVENE_TEST_ROLE"

func TestMain(m *testing.M) {
	var err error
	switch {
	case len(os.Args) > 1 && os.Args[1] == "serve":
		err = serveAsProgram(os.Args[len(os.Args)-1])
	case len(os.Args) > 1 && os.Args[1] == "socket":
		var socket string
		socket, err = resident.Place(os.Args[len(os.Args)-1])
		fmt.Println(socket)
	case os.Getenv(roleVar) == "client":
		err = beClient()
	case os.Getenv(roleVar) == "random":
		err = beRandom()
	default:
		os.Exit(m.Run())
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

// serveAsProgram does what cmd/govene-engine does, and counts how often it was started.
func serveAsProgram(config string) error {
	ready := os.NewFile(3, "ready")
	started, err := os.CreateTemp(os.Getenv("GOVENE_ENGINE_FOLDER"), "started")
	if err != nil {
		return err
	}
	fmt.Fprint(started, os.Getpid())
	started.Close()
	os.Setenv(compute.ConfigEnvVar, config)
	b, _, err := backend.New()
	if err != nil {
		return err
	}
	listener, err := resident.Listen(config)
	if err != nil {
		fmt.Fprintln(ready, err)
		return err
	}
	fmt.Fprintln(ready, "ready")
	ready.Close()
	return engine.Serve(context.Background(), listener, b, engine.Options{Idle: 20 * time.Second, Limit: 512 << 20})
}

// beClient holds a tensor, says so, and uses it when it is told to.
func beClient() error {
	b, _, err := backend.New()
	if err != nil {
		return err
	}
	million, err := graph.NewExec(b, func(x *graph.Node) *graph.Node { return graph.BroadcastToDims(x, 1<<20) })
	if err != nil {
		return err
	}
	for in := bufio.NewScanner(os.Stdin); ; {
		all, err := million.Call1(float32(1))
		if err != nil {
			return err
		}
		fmt.Println(all.Shape())
		if !in.Scan() {
			return nil
		}
	}
}

// program starts a client and returns it when it has said its first line.
func program(t *testing.T) (command *exec.Cmd, tell func(), out *bufio.Scanner) {
	t.Helper()
	command = exec.Command(os.Args[0])
	command.Env = append(os.Environ(), roleVar+"=client", "GOMLX_BACKEND=resident:go:ops_sequential")
	stdin, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	command.Stderr = os.Stderr
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { command.Process.Kill(); command.Wait() })
	out = bufio.NewScanner(stdout)
	out.Scan()
	return command, func() { fmt.Fprintln(stdin) }, out
}

// place makes a folder for engines of this test.
func place(t *testing.T) string {
	folder := t.TempDir()
	if err := os.Chmod(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GOVENE_ENGINE_FOLDER", folder)
	t.Setenv(resident.ProgramVar, os.Args[0])
	return folder
}

func started(t *testing.T, folder string) (pids []int) {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(folder, "started*"))
	for _, file := range files {
		content, _ := os.ReadFile(file)
		pid, err := strconv.Atoi(string(content))
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

// Of many programs that ask at once one starts the engine, which outlives them; killed at any moment, they leave nothing in it. When the
// engine is killed they say so, and the next starts another.
func TestProcesses(t *testing.T) {
	const config = "go:ops_sequential"
	folder := place(t)
	var all sync.WaitGroup
	for range 6 {
		all.Go(func() {
			command, _, out := program(t)
			if !strings.Contains(out.Text(), "1048576") {
				t.Errorf("a client says %q", out.Text())
			}
			command.Process.Kill()
		})
	}
	all.Wait()
	pids := started(t, folder)
	if len(pids) != 1 {
		t.Fatalf("%d engines were started", len(pids))
	}
	watcher, err := resident.Connect(config)
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the memory of killed clients", func() bool { s := stateOf(t, watcher); return s.Used == 0 && s.Clients == 1 })

	_, tell, out := program(t)
	engine, _ := os.FindProcess(pids[0])
	engine.Kill()
	eventually(t, "the engine's end", func() bool { _, err := watcher.State(); return err != nil })
	tell()
	said := ""
	for out.Scan() {
		said += out.Text() + "\n"
	}
	if !strings.Contains(said, "the engine is gone") {
		t.Errorf("a client whose engine was killed says %q", said)
	}
	if _, _, out := program(t); !strings.Contains(out.Text(), "1048576") {
		t.Errorf("the next client says %q", out.Text())
	}
	if pids = started(t, folder); len(pids) != 2 {
		t.Errorf("%d engines were started, want 2", len(pids))
	}
	next, err := resident.Connect(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := next.Stop(); err != nil {
		t.Error(err)
	}
}

// A folder that others can enter is refused.
func TestFolder(t *testing.T) {
	if err := os.Chmod(place(t), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := resident.New("go"); err == nil || !strings.Contains(err.Error(), "other users can enter") {
		t.Errorf("got %v", err)
	}
}

// An engine that can't be started says why.
func TestNoEngine(t *testing.T) {
	place(t)
	if _, err := resident.New("nonsense"); err == nil || !strings.Contains(err.Error(), "the engine did not start") {
		t.Errorf("got %v", err)
	}
	t.Setenv(resident.ProgramVar, "")
	t.Setenv("PATH", t.TempDir())
	if _, err := resident.New("go"); err == nil || !strings.Contains(err.Error(), "there is no engine") {
		t.Errorf("got %v", err)
	}
}

// What ssh -L does: the engine's socket is in one folder, what forwards to it in another.
func TestForwarded(t *testing.T) {
	const config = "go:ops_sequential"
	there := place(t)
	listener, err := resident.Listen(config)
	if err != nil {
		t.Fatal(err)
	}
	far, err := resident.Place(config)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- engine.Serve(ctx, listener, pureGo(t), engine.Options{}) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()

	here := place(t)
	near, err := resident.Place(config)
	if err != nil {
		t.Fatal(err)
	}
	if filepath.Dir(near) != here || filepath.Dir(far) != there {
		t.Fatalf("sockets %s and %s", near, far)
	}
	forwarding, err := net.Listen("unix", near)
	if err != nil {
		t.Fatal(err)
	}
	defer forwarding.Close()
	go func() {
		client, err := forwarding.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("unix", far)
		if err != nil {
			return
		}
		go func() { io.Copy(server, client); server.Close() }()
		io.Copy(client, server)
		client.Close()
	}()
	b, err := resident.New(config)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Finalize()
	if got, err := graph.CallOnce(b, square, float32(3)); err != nil || got.Value() != float32(9) {
		t.Errorf("got %v, %v, want 9", got, err)
	}
	if n := len(started(t, here)); n != 0 {
		t.Errorf("%d engines were started, want none", n)
	}
}

// A program of another version would listen where nobody looks: it is not started, in words.
func TestProgramOfAnotherVersion(t *testing.T) {
	place(t)
	program := filepath.Join(t.TempDir(), "older")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n[ $1 = socket ] && echo /elsewhere.sock\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv(resident.ProgramVar, program)
	_, err := resident.New("go:ops_sequential")
	if err == nil || !strings.Contains(err.Error(), program+" and this one are of different versions; build both from one checkout") {
		t.Errorf("got %v", err)
	}
}
