package resident

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/govene/govene/resident/internal/place"
	"github.com/govene/govene/resident/internal/program"
	"github.com/govene/govene/resident/internal/wire"
)

// ProgramVar is the environment variable that names the engine's program, where [Program] is not on the path.
const ProgramVar = "GOVENE_ENGINE"

// Program is the name of the engine's program.
const Program = "govene-engine"

// version tells engines apart that speak otherwise.
func version() string { return fmt.Sprint(wire.Version, " ", program.Dialect()) }

// Place is where the engine with a configuration listens.
func Place(config string) (socket string, err error) {
	p, err := place.Of(config, version())
	return p.Socket, err
}

// Connect connects to the engine with a configuration if there is one.
func Connect(config string) (*Backend, error) {
	p, err := place.Of(config, version())
	if err != nil {
		return nil, err
	}
	conn, err := greeted(p)
	if err != nil {
		return nil, err
	}
	return newBackend(config, conn)
}

// Listen makes the socket of the engine with a configuration. The engine's program calls it.
func Listen(config string) (net.Listener, error) {
	p, err := place.Of(config, version())
	if err != nil {
		return nil, err
	}
	return p.Listen()
}

// connect connects to the engine with a configuration, and starts it if there is none. Of many who ask at once one starts it.
func connect(config string) (connection, error) {
	p, err := place.Of(config, version())
	if err != nil {
		return connection{}, err
	}
	conn, err := greeted(p)
	if err == nil || !absent(err) {
		return conn, err
	}
	release, err := place.Lock(p.Starting, true)
	if err != nil {
		return connection{}, err
	}
	defer release()
	if conn, err = greeted(p); err == nil || !absent(err) {
		return conn, err
	}
	if err := start(config, p); err != nil {
		return connection{}, err
	}
	return greeted(p)
}

// greeted connects and greets. An engine that ends meanwhile is no engine: the next try finds none. What forwards to another machine still
// listens then, and its error stays.
func greeted(p place.Place) (connection, error) {
	for try := 0; ; try++ {
		conn, err := greetedAtOnce(p)
		if try == 3 || !ended(err) {
			return conn, err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func greetedAtOnce(p place.Place) (connection, error) {
	conn, err := p.Dial()
	if err != nil {
		return connection{}, err
	}
	in := bufio.NewReaderSize(conn, 64<<10)
	if err := wire.Greet(conn, in, program.Dialect()); err != nil {
		conn.Close()
		return connection{}, err
	}
	return connection{conn, in}, nil
}

// absent tells whether nobody listens.
func absent(err error) bool {
	return errors.Is(err, os.ErrNotExist) || refusedConnection(err)
}

// FindProgram finds the engine's program.
func FindProgram() (path string, err error) {
	if named := os.Getenv(ProgramVar); named != "" {
		_, err := os.Stat(named)
		return named, err
	}
	if path, err = exec.LookPath(Program); err != nil {
		return "", fmt.Errorf("there is no engine: %s is not on the path, and %s names none (go build ./cmd/%s makes it)",
			Program, ProgramVar, Program)
	}
	return path, nil
}

// start starts the engine's program and waits until it listens, or says why it can't.
func start(config string, p place.Place) error {
	engine, err := FindProgram()
	if err != nil {
		return err
	}
	if err := fits(engine, config, p); err != nil {
		return err
	}
	said, err := os.OpenFile(p.Log, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer said.Close()
	ready, signal, err := os.Pipe()
	if err != nil {
		return err
	}
	defer ready.Close()
	command := exec.Command(engine, "serve", "-ready", config)
	command.Env = environment()
	command.Dir = "/"
	command.Stdout, command.Stderr, command.ExtraFiles = said, said, []*os.File{signal}
	ofItsOwn(command)
	err = command.Start()
	signal.Close()
	if err != nil {
		return fmt.Errorf("the engine can't be started: %w", err)
	}
	words, _ := io.ReadAll(ready)
	if string(words) == "ready\n" {
		return command.Process.Release()
	}
	command.Process.Kill()
	command.Wait()
	if len(words) == 0 {
		log, _ := os.ReadFile(p.Log)
		words = log[max(0, len(log)-2000):]
	}
	return fmt.Errorf("the engine did not start: %s", strings.TrimSpace(string(words)))
}

// fits refuses an engine's program of another version, which would listen elsewhere.
func fits(engine, config string, p place.Place) error {
	command := exec.Command(engine, "socket", config)
	command.Env = environment()
	if socket, err := command.Output(); err == nil && strings.TrimSpace(string(socket)) != p.Socket {
		return fmt.Errorf("the engine's program %s and this one are of different versions; build both from one checkout (go build ./cmd/%s; lab/setup makes a lab's)",
			engine, Program)
	}
	return nil
}

// environment is that of this process without what chooses its backend: the engine's is chosen by its configuration.
func environment() []string {
	var kept []string
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "GOMLX_BACKEND=") {
			kept = append(kept, variable)
		}
	}
	return kept
}
