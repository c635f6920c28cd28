//go:build linux && cgo && !noxla

package backend

import (
	"io"
	"os"
	"os/exec"
	"runtime/pprof"
	"testing"
	"time"

	"github.com/gomlx/gomlx/core/graph"
	"github.com/gomlx/gomlx/core/tensors"
)

// profileVar makes this binary a program that multiplies matrices on XLA under a CPU profile.
const profileVar = "GOVENE_TEST_PROFILE"

func init() { programs[profileVar] = multiplyProfiled }

// multiplyProfiled multiplies on all of XLA's threads for two seconds, matrices that it shares out among them.
func multiplyProfiled() error {
	if err := pprof.StartCPUProfile(io.Discard); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	engine, _, err := New()
	if err != nil {
		return err
	}
	products, err := graph.NewExec(engine, func(x *graph.Node) *graph.Node {
		of := func(x, y *graph.Node) *graph.Node { return graph.DotGeneral(x, []int{0}, nil, y, []int{0}, nil) }
		loss := graph.ReduceAllSum(graph.Square(graph.DotGeneral(x, []int{1}, nil, graph.Tanh(of(x, x)), []int{0}, nil)))
		return graph.Gradient(loss, x)[0]
	})
	if err != nil {
		return err
	}
	for start := time.Now(); time.Since(start) < 2*time.Second; {
		x := tensors.FromFlatDataAndDimensions(make([]float32, 768*16), 768, 16)
		if _, err := products.Call1(x); err != nil {
			return err
		}
	}
	return nil
}

// A CPU profile of a program that runs XLA leaves its heap whole.
func TestProfileUnderXLA(t *testing.T) {
	plugins := pluginDirectory(t)
	if testing.Short() {
		t.Skip("takes seconds")
	}
	command := exec.Command(os.Args[0])
	command.Env = append(os.Environ(), profileVar+"=1", "GOMLX_BACKEND=xla:cpu", plugins)
	if out, err := command.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}
