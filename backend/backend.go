// Package backend picks the GoMLX backend that programs, notebooks and tests run on.
//
// The order is: what the environment variable GOMLX_BACKEND names; for a model said to be small, the Go backend; where [ResidentVar] is
// set, the engine of package resident, which keeps models between programs; XLA, where a plugin is found; the Go backend. A backend that
// GOMLX_BACKEND names is never replaced by another: if it can't be had, that is an error. The Go backend is always taken as [GoSequential],
// because its default configuration can deadlock when large matrix products run concurrently.
//
// Every backend computes in full precision. On CUDA, GOMLX_BACKEND=xla:cuda,tf32=true asks for TF32, which is faster and off by 1e-3;
// what rotations compute stays in full precision there.
//
// XLA reads the environment variable XLA_FLAGS. Programs that link XLA add to it what the user has not set:
// --xla_allow_excess_precision=false, so that numbers of 16 bits are rounded in every program alike, and for xla:cpu
// --xla_backend_optimization_level=1 and --xla_cpu_use_xnnpack=false, with which programs compile sooner and sweeps run faster. There xla:cpu is
// one device, with as many threads as the process may use cores. For xla:cuda it is --xla_gpu_enable_triton_gemm=false, with which programs
// compile in a twentieth of the time, and --xla_gpu_autotune_level=0, with which two processes come to the same bits.
//
// Nothing is downloaded or installed here, and nothing printed but by [MustNew] where it goes on without an engine. What was chosen, and why,
// is a [Choice] that the caller shows:
//
//	engine, choice, err := backend.New()
//	fmt.Println(choice) // xla:cpu (XLA): found the plugin /usr/local/lib/go-xla/pjrt_c_api_cpu_plugin.so
//
// A notebook makes the engine when a cell first asks for it, since every cell is a process of its own:
//
//	var engine = sync.OnceValue(backend.MustNew)
//	var engine = sync.OnceValue(backend.Parameters(42).MustNew) // a model of 42 parameters: Go answers sooner
//
// XLA is linked where GoMLX supports it and cgo is enabled; -tags=noxla leaves it out, which makes programs build sooner.
package backend

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/gomlx/compute"
	_ "github.com/gomlx/compute/gobackend" // registers "go"

	"github.com/govene/govene/internal/must"
	"github.com/govene/govene/internal/nearest"
	"github.com/govene/govene/resident"
)

// GoSequential names the pure-Go backend with the operations of a graph run one after the other.
const GoSequential = "go:ops_sequential"

// Small is the number of parameters below which XLA's time to load and compile, 0.6 s for a small graph where the Go backend
// takes milliseconds, is worth more than what it saves per call.
const Small Parameters = 1 << 20

// ResidentVar is the environment variable that, set to anything but 0, has models kept in an engine that outlives the program, if it can be had.
const ResidentVar = "GOVENE_RESIDENT"

// Parameters is the number of parameters of the model to run, which decides where the user does not; zero says nothing.
type Parameters int

// Choice is the backend chosen and the reason.
type Choice struct {
	Name string // as GOMLX_BACKEND would name it, such as "xla:cpu"
	Why  string // one line
}

// String returns one line such as "go:ops_sequential (pure Go): GOMLX_BACKEND names it"; where a device has more than one precision, as
// CUDA's have, it says which: "xla:cuda,tf32=false (XLA, full precision): …".
func (c Choice) String() string {
	kind := "XLA" + precision(c.Name)
	switch engineOf(c.Name) {
	case "go":
		kind = "pure Go"
	case resident.Name:
		kind = "in an engine of its own"
	}
	return fmt.Sprintf("%s (%s): %s", c.Name, kind, c.Why)
}

// New makes the backend chosen.
func (c Choice) New() (compute.Backend, error) {
	var engine compute.Backend
	var err error
	beforeLoading(c.Name)
	withSignalsBlocked(func() { engine, err = load(c.Name) })
	onceLoaded()
	if err != nil {
		return nil, fmt.Errorf("backend %s: %w; %s=%s goes on without it", c.Name, err, compute.ConfigEnvVar, GoSequential)
	}
	return engine, nil
}

// beforeLoading is what there is to do before XLA's plugin is first used.
var beforeLoading = func(name string) {}

// load makes the backend of a name.
var load = compute.NewWithConfig

// onceLoaded is what there is to do when XLA's plugin has been loaded.
var onceLoaded = func() {}

// Choose chooses for a model of unknown size, without making the backend.
func Choose() (Choice, error) { return Parameters(0).Choose() }

// MustChoose is Choose for notebooks: it panics on an error.
func MustChoose() Choice { return Parameters(0).MustChoose() }

// New chooses for a model of unknown size and makes the backend.
func New() (compute.Backend, Choice, error) { return Parameters(0).New() }

// MustNew is New for notebooks: it panics on an error and leaves the choice to [MustChoose], but for an engine that can't be had.
func MustNew() compute.Backend { return Parameters(0).MustNew() }

// Choose chooses for a model of n parameters, without making the backend.
func (n Parameters) Choose() (Choice, error) {
	if n < 0 {
		return Choice{}, fmt.Errorf("a model of %d parameters: want 0 (unknown) or more", n)
	}
	if name := os.Getenv(compute.ConfigEnvVar); name != "" {
		return named(name)
	}
	if 0 < n && n < Small {
		return Choice{GoSequential, fmt.Sprintf("the model has %d parameters, and below %d compiling with XLA costs more than it saves", n, Small)}, nil
	}
	if n.wantsEngine() {
		program, err := resident.FindProgram()
		if err == nil {
			return Choice{resident.Name, ResidentVar + " asks for it; the engine is " + program}, nil
		}
		return besidesResident(err)
	}
	return inProcess()
}

// wantsEngine tells whether the environment asks for an engine where a model has n parameters.
func (n Parameters) wantsEngine() bool {
	asked := os.Getenv(ResidentVar)
	return asked != "" && asked != "0" && os.Getenv(compute.ConfigEnvVar) == "" && (n == 0 || n >= Small)
}

// inProcess chooses among the backends that are linked.
func inProcess() (Choice, error) {
	plugins, err := findPlugins()
	if err != nil {
		return Choice{GoSequential, err.Error()}, nil
	}
	best := plugins[0]
	full, err := inFullPrecision("xla:"+best.name, best.name)
	return Choice{full, "found the plugin " + best.path}, err
}

// besidesResident chooses where there is no engine, for a reason.
func besidesResident(why error) (Choice, error) {
	choice, err := inProcess()
	choice.Why += fmt.Sprintf("; %s asks for an engine, but %v", ResidentVar, why)
	return choice, err
}

// MustChoose is Choose for notebooks: it panics on an error.
func (n Parameters) MustChoose() Choice { return must.Of(n.Choose()) }

// New chooses for a model of n parameters and makes the backend.
func (n Parameters) New() (compute.Backend, Choice, error) {
	choice, err := n.Choose()
	if err != nil {
		return nil, Choice{}, err
	}
	engine, err := choice.New()
	if err != nil && n.wantsEngine() && choice.Name == resident.Name {
		if choice, err = besidesResident(err); err != nil {
			return nil, Choice{}, err
		}
		engine, err = choice.New()
	}
	return engine, choice, err
}

// MustNew is New for notebooks: it panics on an error. Where an engine was asked for and can't be had, it says on the standard error what
// it goes on with, and why.
func (n Parameters) MustNew() compute.Backend {
	engine, choice, err := n.New()
	if err == nil && n.wantsEngine() && choice.Name != resident.Name {
		fmt.Fprintln(os.Stderr, choice)
	}
	return must.Of(engine, err)
}

// plugin is an XLA plugin: a shared library that holds a compiler for one kind of device.
type plugin struct{ name, path string }

// errNoPlugin is the root of every reason why XLA can't be had.
var errNoPlugin = errors.New("no XLA plugin")

// named checks the name that the user gave, so that a wrong one is an error here and not a panic deep in GoMLX.
func named(name string) (Choice, error) {
	wrong := func(format string, args ...any) (Choice, error) {
		return Choice{}, fmt.Errorf("%s=%s: %w", compute.ConfigEnvVar, name, fmt.Errorf(format, args...))
	}
	engines := compute.List()
	slices.Sort(engines)
	engine, config, _ := strings.Cut(name, ":")
	if !slices.Contains(engines, engine) {
		if !xlaLinked && engine == "xla" {
			return wrong("%w; there are %s", errNotLinked, strings.Join(engines, ", "))
		}
		return wrong("there is no backend %q; there are %s; the nearest is %q",
			engine, strings.Join(engines, ", "), nearest.Name(engine, engines))
	}
	if engine == "go" || engine == resident.Name {
		return Choice{name, compute.ConfigEnvVar + " names it"}, nil
	}
	pluginName, _, _ := strings.Cut(config, ",")
	if strings.ContainsAny(pluginName, `/\`) { // a path
		full, err := inFullPrecision(name, pluginName)
		if err != nil {
			return wrong("%w", err)
		}
		return Choice{full, compute.ConfigEnvVar + " names it"}, nil
	}
	plugins, err := findPlugins()
	if err != nil {
		return wrong("%w", err)
	}
	var names []string
	for _, found := range plugins {
		if pluginName == "" || found.name == pluginName || strings.HasPrefix(found.name, pluginName+"_v") {
			full, err := inFullPrecision(name, found.name)
			if err != nil {
				return wrong("%w", err)
			}
			return Choice{full, compute.ConfigEnvVar + " names it; the plugin is " + found.path}, nil
		}
		names = append(names, found.name)
	}
	return wrong("there is no XLA plugin %q; there are %s; the nearest is %q",
		pluginName, strings.Join(names, ", "), nearest.Name(pluginName, names))
}

// engineOf returns what stands before the colon of a configuration such as "go:ops_sequential".
func engineOf(name string) string {
	engine, _, _ := strings.Cut(name, ":")
	return engine
}
