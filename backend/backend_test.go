package backend

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/gomlx/core/graph"
)

// GoMLX reads the environment when a program starts, so these tests run their own binary anew, as a program that
// adds one and one on the backend picked for the number of parameters in pickVar.
const pickVar = "GOVENE_TEST_PICK"

// programs are what this binary is when a variable is set.
var programs = map[string]func() error{pickVar: pickAndAdd, mustVar: func() error { MustNew(); return nil }}

const mustVar = "GOVENE_TEST_MUST"

func TestMain(m *testing.M) {
	for variable, program := range programs {
		if os.Getenv(variable) != "" {
			if err := program(); err != nil {
				fmt.Fprintln(os.Stdout, "error:", err)
			}
			return
		}
	}
	os.Exit(m.Run())
}

func pickAndAdd() error {
	var n Parameters
	if _, err := fmt.Sscan(os.Getenv(pickVar), &n); err != nil {
		return err
	}
	engine, choice, err := n.New()
	if err != nil {
		return err
	}
	sum, err := graph.CallOnce(engine, func(x *graph.Node) *graph.Node { return graph.Add(x, x) }, float32(1))
	if err != nil {
		return err
	}
	fmt.Println(choice)
	fmt.Println("1+1 =", sum.Value())
	return nil
}

// pick returns what the program above prints. The environment is this process's without the variables that matter, and env.
func pick(t *testing.T, parameters int, env ...string) string {
	t.Helper()
	command := exec.Command(os.Args[0])
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		switch name {
		case compute.ConfigEnvVar, "PJRT_PLUGIN_LIBRARY_PATH", "GOMLX_NO_AUTO_INSTALL", "LD_LIBRARY_PATH", "HOME":
		default:
			command.Env = append(command.Env, variable)
		}
	}
	command.Env = append(command.Env, fmt.Sprintf("%s=%d", pickVar, parameters), "HOME="+t.TempDir())
	command.Env = append(command.Env, env...)
	out, err := command.Output() // what go-xla logs goes to the standard error
	if err != nil {
		t.Fatalf("%v: %v\n%s", env, err, out)
	}
	return string(out)
}

func wantAll(t *testing.T, got string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(got, want) {
			t.Errorf("got  %swant %q in it", got, want)
		}
	}
}

func TestGOMLXBackendWins(t *testing.T) {
	for _, parameters := range []int{0, 10, 1 << 30} {
		got := pick(t, parameters, "GOMLX_BACKEND=go:ops_sequential")
		wantAll(t, got, "go:ops_sequential (pure Go): GOMLX_BACKEND names it\n", "1+1 = 2\n")
	}
	wantAll(t, pick(t, 0, "GOMLX_BACKEND=go"), "go (pure Go): GOMLX_BACKEND names it\n", "1+1 = 2\n")
}

func TestWrongNames(t *testing.T) {
	wantAll(t, pick(t, 0, "GOMLX_BACKEND=goo:ops_sequential"), `error: GOMLX_BACKEND=goo:ops_sequential: there is no backend "goo"; there are go`,
		`the nearest is "go"`)
	wantAll(t, pick(t, 0, "GOMLX_BACKEND=go:ops_sequental"), `error: backend go:ops_sequental: `, `"ops_sequental"`, "ops_sequential")
	wantAll(t, pick(t, -1), "error: a model of -1 parameters: want 0 (unknown) or more")
}

func TestSmallModelsRunOnGo(t *testing.T) {
	wantAll(t, pick(t, 42), "go:ops_sequential (pure Go): the model has 42 parameters", "1+1 = 2\n")
}

// An empty GOMLX_BACKEND counts as unset, where compute.New would take the backend that happened to register first.
func TestWithoutPlugin(t *testing.T) {
	for _, parameters := range []int{0, int(Small)} {
		got := pick(t, parameters, "GOMLX_BACKEND=", "PJRT_PLUGIN_LIBRARY_PATH="+t.TempDir())
		wantAll(t, got, "go:ops_sequential (pure Go): no XLA plugin", "1+1 = 2\n")
	}
}

func TestChoiceIsOneLine(t *testing.T) {
	got := Choice{Name: "xla:cpu", Why: "reason"}.String()
	if want := "xla:cpu (XLA): reason"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestMustPanics(t *testing.T) {
	t.Setenv(compute.ConfigEnvVar, "nonsense")
	for name, must := range map[string]func(){
		"MustNew":               func() { MustNew() },
		"MustChoose":            func() { MustChoose() },
		"Parameters.MustNew":    func() { Parameters(42).MustNew() },
		"Parameters.MustChoose": func() { Parameters(42).MustChoose() },
	} {
		func() {
			defer func() {
				if err, ok := recover().(error); !ok || !strings.Contains(err.Error(), `there is no backend "nonsense"`) {
					t.Errorf("%s: panicked with %v", name, err)
				}
			}()
			must()
		}()
	}
}

// Where there is no engine, one that GOMLX_BACKEND names is an error, and one that GOVENE_RESIDENT would like is done without.
func TestNoEngine(t *testing.T) {
	nowhere := []string{"PATH=", "GOVENE_ENGINE="}
	wantAll(t, pick(t, 0, append(nowhere, "GOMLX_BACKEND=resident:go")...),
		"error: backend resident:go: resident:go: there is no engine: ", "GOMLX_BACKEND=go:ops_sequential goes on without it")
	wantAll(t, pick(t, 0, append(nowhere, "GOVENE_RESIDENT=1")...), "GOVENE_RESIDENT asks for an engine, but there is no engine: ", "1+1 = 2\n")
	if got := pick(t, 0, append(nowhere, "GOVENE_RESIDENT=0")...); strings.Contains(got, "asks for") {
		t.Errorf("got %s", got)
	}
	wantAll(t, pick(t, 42, append(nowhere, "GOVENE_RESIDENT=1")...), "go:ops_sequential (pure Go): the model has 42 parameters", "1+1 = 2\n")
}

// In a notebook nothing else would tell that there is no engine.
func TestMustNewSaysThatThereIsNoEngine(t *testing.T) {
	for asked, want := range map[string]bool{"1": true, "0": false, "": false} {
		command := exec.Command(os.Args[0])
		command.Env = []string{mustVar + "=1", "GOVENE_RESIDENT=" + asked, "HOME=" + t.TempDir(), "PJRT_PLUGIN_LIBRARY_PATH=" + t.TempDir()}
		var said strings.Builder
		command.Stderr = &said
		if err := command.Run(); err != nil {
			t.Fatalf("%v: %s", err, said.String())
		}
		if got := strings.Contains(said.String(), "go:ops_sequential (pure Go): no XLA plugin") &&
			strings.Contains(said.String(), "GOVENE_RESIDENT asks for an engine, but there is no engine: "); got != want {
			t.Errorf("GOVENE_RESIDENT=%s: it says %q", asked, said.String())
		}
	}
}
