// Govene-engine holds models for programs that come and go: it serves GOMLX_BACKEND=resident. Programs start it by themselves.
//
//	govene-engine serve [-limit GiB] [-idle duration] [configuration]    serves until nobody has been there for a while
//	govene-engine status [configuration]                                 says what it holds
//	govene-engine stop [configuration]                                   ends it
//	govene-engine socket [configuration]                                 says where it listens
//
// A configuration is what stands behind "resident:" in GOMLX_BACKEND, such as xla:cpu; none leaves the choice to the engine.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/gomlx/compute"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/resident"
	"github.com/govene/govene/resident/engine"
)

func main() {
	log.SetFlags(log.Ltime)
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "govene-engine:", err)
		os.Exit(1)
	}
}

const usage = `govene-engine serve | status | stop | socket [configuration]

A configuration is what stands behind "resident:" in GOMLX_BACKEND, such as xla:cpu; the lab's engine has none.
"govene-engine serve --help" has the flags of serve.`

func run(arguments []string) error {
	if len(arguments) == 0 {
		return fmt.Errorf("usage: %s", usage)
	}
	flags := flag.NewFlagSet(arguments[0], flag.ExitOnError)
	limit := flags.Float64("limit", 0, "GiB that tensors may take; 0 for three quarters of the memory that they lie in, the GPU's or the machine's")
	idle := flags.Duration("idle", 30*time.Minute, "how long without clients until it ends")
	ready := flags.Bool("ready", false, "tell file 3 when it listens")
	if err := flags.Parse(arguments[1:]); err != nil {
		return err
	}
	if *limit < 0 {
		return fmt.Errorf("-limit %g: want GiB, or 0 for three quarters of the memory that tensors lie in", *limit)
	}
	config := flags.Arg(0)
	switch arguments[0] {
	case "help", "-h", "-help", "--help":
		fmt.Println(usage)
		return nil
	case "serve":
		return serve(config, engine.Options{Limit: int64(*limit * (1 << 30)), Idle: *idle, Log: log.Printf}, *ready)
	case "status":
		return status(config)
	case "stop":
		b, err := running(config)
		if err != nil {
			return err
		}
		return b.Stop()
	case "socket":
		socket, err := resident.Place(config)
		fmt.Println(socket)
		return err
	}
	return fmt.Errorf("%q: want serve, status, stop or socket", arguments[0])
}

// serve listens before it makes the backend, which takes time: those who start it wait for that.
func serve(config string, o engine.Options, tell bool) (err error) {
	var waiting *os.File
	if tell {
		waiting = os.NewFile(3, "ready")
		defer func() {
			if err != nil {
				fmt.Fprintln(waiting, err)
			}
			waiting.Close()
		}()
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	b, err := makeBackend(config)
	if err != nil {
		return err
	}
	listener, err := resident.Listen(config)
	if err != nil {
		return err
	}
	if o.Limit == 0 {
		o.Limit = engine.DefaultLimit(b)
	}
	log.Printf("serves %s, with %.3g GiB for tensors", b.Description(), float64(o.Limit)/(1<<30))
	if tell {
		fmt.Fprintln(waiting, "ready")
		waiting.Close()
	}
	return engine.Serve(ctx, listener, b, o)
}

func makeBackend(config string) (compute.Backend, error) {
	if name, _, _ := strings.Cut(config, ":"); name == resident.Name {
		return nil, fmt.Errorf("%s: an engine does the work itself", config)
	}
	if config == "" {
		os.Unsetenv(compute.ConfigEnvVar)
		os.Unsetenv(backend.ResidentVar)
	} else {
		os.Setenv(compute.ConfigEnvVar, config)
	}
	b, choice, err := backend.New()
	log.Print(choice)
	return b, err
}

// running is the engine with a configuration, which must be there already.
func running(config string) (*resident.Backend, error) {
	b, err := resident.Connect(config)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		name := resident.Name
		if config != "" {
			name += ":" + config
		}
		return nil, fmt.Errorf("no engine runs for GOMLX_BACKEND=%s", name)
	}
	return b, err
}

func status(config string) error {
	b, err := running(config)
	if err != nil {
		return err
	}
	state, err := b.State()
	if err != nil {
		return err
	}
	const mib = 1 << 20
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "backend\t%s\n", state.Backend)
	fmt.Fprintf(w, "since\t%s\n", state.Since.Format(time.DateTime))
	fmt.Fprintf(w, "clients\t%d\n", state.Clients-1)
	fmt.Fprintf(w, "executing\t%d, %d wait, %d of clients that are gone\n", state.Executing, state.Waiting, state.Orphans)
	fmt.Fprintf(w, "programs\t%d, %d being compiled\n", state.Programs, state.Compiling)
	fmt.Fprintf(w, "memory\t%d MiB of %d MiB\n", state.Used/mib, state.Limit/mib)
	for _, file := range state.Weights {
		fmt.Fprintf(w, "weights\t%s: %d tensors, %d held, %d MiB\n", file.File, file.Tensors, file.Held, file.Bytes/mib)
	}
	return w.Flush()
}
