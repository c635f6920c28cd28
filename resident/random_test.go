//go:build linux

package resident_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/internal/stored"
	"github.com/govene/govene/resident"
)

const (
	seedVar    = "GOVENE_TEST_SEED"    // what a client of the soak does
	weightsVar = "GOVENE_TEST_WEIGHTS" // the file that it reads
)

// weightsOfRandom is a file of numbers that random clients read, each its own place.
func weightsOfRandom(t *testing.T) (file string) {
	file = filepath.Join(t.TempDir(), "weights")
	values := make([]float32, 1<<18)
	for i := range values {
		values[i] = float32(i)
	}
	fileOf(t, file, values...)
	return file
}

// startRandom starts a random client.
func startRandom(t *testing.T, seed uint64, config, weights string) (client *exec.Cmd, out *bytes.Buffer) {
	client, out = exec.Command(os.Args[0]), new(bytes.Buffer)
	client.Env = append(os.Environ(), roleVar+"=random", fmt.Sprint(seedVar, "=", seed), weightsVar+"="+weights,
		compute.ConfigEnvVar+"="+resident.Name+":"+config)
	client.Stdout, client.Stderr = out, out
	if err := client.Start(); err != nil {
		t.Fatal(err)
	}
	return client, out
}

// beRandom is a client that does what a seed says and leaves in one of four ways; the fifth is that it is killed before.
func beRandom() error {
	seed, err := strconv.ParseUint(os.Getenv(seedVar), 10, 64)
	if err != nil {
		return err
	}
	b, _, err := backend.New()
	if err != nil {
		return err
	}
	c := &randomClient{Rand: rand.New(rand.NewPCG(seed, 0)), b: b.(*resident.Backend)}
	acts := []func() error{c.squares, c.ownProgram, c.donations, c.weights, c.buffers, c.refusals, c.together}
	for range 1 + c.IntN(40) {
		if err := acts[c.IntN(len(acts))](); err != nil {
			return err
		}
		time.Sleep(time.Duration(c.IntN(20)) * time.Millisecond)
	}
	switch c.IntN(4) {
	case 0:
		b.Finalize()
	case 1: // leaves while something executes
		go c.squares()
	case 2: // leaves with a tensor that it has announced and not sent
		go c.b.BufferFromFlatData(0, make([]float32, 1<<22), shapes.Make(dtypes.Float32, 1<<22))
		time.Sleep(time.Millisecond)
	}
	return nil
}

type randomClient struct {
	*rand.Rand
	b    *resident.Backend
	held []compute.Buffer
}

func wanted[T comparable](what string, got, want T) error {
	if got != want {
		return fmt.Errorf("WRONG: %s: got %v, want %v", what, got, want)
	}
	return nil
}

// squares runs one of a few programs that all clients share.
func (c *randomClient) squares() error {
	x := make([]float32, 1+c.IntN(4)*50_000)
	x[len(x)-1] = 7
	y, err := graph.CallOnce(c.b, square, x)
	if err != nil {
		return err
	}
	return wanted("a square", y.Value().([]float32)[len(x)-1], 49)
}

// ownProgram compiles what nobody has compiled before, so that old programs go.
func (c *randomClient) ownProgram() error {
	own := float64(c.IntN(1 << 20))
	y, err := graph.CallOnce(c.b, func(x *graph.Node) *graph.Node {
		return graph.ReduceAllSum(graph.AddScalar(graph.Dot(x, x).Product(), own))
	}, [][]float32{{1, 0}, {0, 1}})
	if err != nil {
		return err
	}
	return wanted("a program of its own", y.Value().(float32), float32(2+4*own))
}

// donations gives a tensor away and goes on with what it becomes.
func (c *randomClient) donations() error {
	next, err := graph.NewExec(c.b, func(x *graph.Node) *graph.Node { return graph.AddScalar(x, 1) })
	if err != nil {
		return err
	}
	x := floats(nobody{}, c.b, 1000)
	at := c.b.Builder("next")
	p, _ := at.Main().Parameter("x", shapes.Make(dtypes.Float32, 1000), nil)
	sum, err := at.Main().Add(p, p)
	if err != nil {
		return err
	}
	if err := at.Main().Return([]compute.Value{sum}, nil); err != nil {
		return err
	}
	program, err := at.Compile()
	if err != nil {
		return err
	}
	for range c.IntN(20) {
		out, err := program.Execute([]compute.Buffer{x}, []bool{true}, 0)
		if err != nil {
			return err
		}
		x = out[0]
	}
	if c.IntN(2) == 0 {
		program.Finalize()
	}
	y, err := next.Call1(float32(1))
	if err != nil {
		return err
	}
	return wanted("one more", y.Value().(float32), 2)
}

// inFile asks for numbers of the file that all clients read, from a place on, as float32 or, rounded, as bfloat16.
func (c *randomClient) inFile(at int64, as dtypes.DType, n int) (compute.Buffer, error) {
	file, err := stored.Open(os.Getenv(weightsVar))
	if err != nil {
		return nil, err
	}
	buffers, err := c.b.FileBuffers(0, []*stored.Tensor{{As: shapes.Make(as, n), Pieces: []stored.Piece{{Name: "values", File: file, Offset: 8 + 4*at, DType: "F32"}}}})
	if err != nil {
		return nil, err
	}
	return buffers[0], nil
}

// weights are shared by all clients, whatever becomes of those.
func (c *randomClient) weights() error {
	at, n := c.IntN(16)*1000, 1000
	buffer, err := c.inFile(int64(at), dtypes.Float32, n)
	if err != nil {
		return err
	}
	values := make([]float32, n)
	if err := buffer.ToFlatData(values); err != nil {
		return err
	}
	c.held = append(c.held, buffer)
	if half, err := c.inFile(int64(at), dtypes.BFloat16, n); err != nil || half == nil {
		return fmt.Errorf("in 16 bits: %v, %v", half, err)
	}
	return wanted("a weight", values[n-1], float32(at+n-1))
}

// buffers makes some, and forgets some.
func (c *randomClient) buffers() error {
	for range c.IntN(10) {
		n := 1 + c.IntN(1<<18)
		buffer, err := c.b.BufferFromFlatData(0, make([]float32, n), shapes.Make(dtypes.Float32, n))
		if err != nil {
			return err
		}
		switch c.IntN(3) {
		case 0:
			buffer.Finalize()
		case 1:
			c.held = append(c.held, buffer)
		}
	}
	return nil
}

// refusals are errors, and nothing else happens.
func (c *randomClient) refusals() error {
	if _, err := graph.CallOnce(c.b, func(x *graph.Node) *graph.Node { return graph.BroadcastToDims(x, 1<<28) }, float32(1)); err == nil {
		return wanted("a tensor beyond the limit", "nothing", "an error")
	}
	if buffer, err := c.inFile(1<<40, dtypes.Float32, 1); err == nil && buffer != nil {
		return wanted("a weight beyond the file", "a buffer", "none")
	}
	return nil
}

// together calls one program from several goroutines.
func (c *randomClient) together() error {
	exec, err := graph.NewExec(c.b, square)
	if err != nil {
		return err
	}
	errs := make(chan error, 4)
	for i := range cap(errs) {
		go func() {
			y, err := exec.Call1(float32(i))
			if err == nil {
				err = wanted("a square", y.Value().(float32), float32(i*i))
			}
			errs <- err
		}()
	}
	for range cap(errs) {
		if e := <-errs; e != nil {
			err = e
		}
	}
	return err
}

// nobody is told of failures by a panic: a client has no test.
type nobody struct{ testing.TB }

func (nobody) Helper()           {}
func (nobody) Fatal(args ...any) { panic(fmt.Sprint(args...)) }
