package resident_test

import (
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/gomlx/core/graph"

	"github.com/govene/govene/resident"
	"github.com/govene/govene/resident/engine"
)

// Whatever bytes a client sends, others go on.
func FuzzEngine(f *testing.F) {
	socket := serveOn(f, pureGo(f), engine.Options{Limit: 64 << 20})
	other := client(f, socket)
	for _, seed := range resident.Recordings(f, socket) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		if resident.AsksToStop(sent) {
			t.Skip("any client may")
		}
		conn, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			fmt.Fprint(conn, resident.Greeting())
			conn.Write(sent)
			conn.(*net.UnixConn).CloseWrite()
		}()
		conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		buffer := make([]byte, 1<<16)
		for err == nil {
			_, err = conn.Read(buffer)
		}
		if failed, ok := err.(net.Error); ok && failed.Timeout() {
			t.Errorf("the engine hangs on %q", sent)
		}
		conn.Close()
		if got, err := graph.CallOnce(other, square, float32(3)); err != nil || got.Value() != float32(9) {
			t.Errorf("got %v, %v, want 9", got, err)
		}
	})
}

// Whatever graph a client sends, and runs, others go on.
func FuzzGraph(f *testing.F) {
	socket := serveOn(f, pureGo(f), engine.Options{Limit: 64 << 20})
	other, client := client(f, socket), client(f, socket)
	for first := range 200 {
		seed := make([]byte, 300)
		for i := range seed {
			seed[i] = byte(first*first*31 + i*i*17 + first*i + i)
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, choices []byte) {
		exec, steps, err := resident.CompileRandom(client, choices)
		if err == nil && !slices.ContainsFunc(steps, mayBeEndless) {
			shapes := exec.Outputs()
			results, err := exec.Execute(zeros(t, client, exec), nil, 0)
			if err == nil && len(results) != len(shapes) {
				t.Errorf("%v: %d results, want %d", steps, len(results), len(shapes))
			}
			for i, result := range results {
				flat := dtypes.MakeAnySlice(shapes[i].DType, shapes[i].Size())
				if err := result.ToFlatData(flat); err != nil {
					t.Errorf("%v: result %d: %v", steps, i, err)
				}
			}
		}
		if got, err := graph.CallOnce(other, square, float32(3)); err != nil || got.Value() != float32(9) {
			t.Errorf("%v: then got %v, %v, want 9", steps, got, err)
		}
	})
}

// mayBeEndless are operations that may go on for ever: loops, and GoMLX v0.28's FusedLayerNorm when an axis is named twice.
func mayBeEndless(step string) bool { return step == "While" || step == "FusedLayerNorm" }

// zeros are inputs for a program.
func zeros(t *testing.T, b compute.Backend, exec compute.Executable) (inputs []compute.Buffer) {
	_, shapes := exec.Inputs()
	for _, shape := range shapes {
		input, err := b.BufferFromFlatData(0, dtypes.MakeAnySlice(shape.DType, shape.Size()), shape)
		if err != nil {
			t.Fatal(err)
		}
		inputs = append(inputs, input)
	}
	return inputs
}
