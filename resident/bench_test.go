package resident_test

import (
	"fmt"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"

	"github.com/govene/govene/backend"
)

// The backend that GOMLX_BACKEND names: compare resident:xla:cpu with xla:cpu.
func bench(b *testing.B) compute.Backend {
	b.Helper()
	engine, _, err := backend.New()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(engine.Finalize)
	return engine
}

func BenchmarkCall(b *testing.B) {
	call, err := graph.NewExec(bench(b), square)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		result, err := call.Call1(float32(3))
		if err != nil || result.Value() != float32(9) {
			b.Fatal(result, err)
		}
	}
}

func BenchmarkTensors(b *testing.B) {
	for _, n := range []int{1 << 10, 1 << 20, 1 << 26} {
		values := make([]float32, n)
		b.Run(fmt.Sprintf("to/%d", 4*n), func(b *testing.B) {
			engine := bench(b)
			b.SetBytes(int64(4 * n))
			for b.Loop() {
				buffer, err := engine.BufferFromFlatData(0, values, shapes.Make(dtypes.Float32, n))
				if err == nil {
					_, err = buffer.Shape()
				}
				if err != nil {
					b.Fatal(err)
				}
				buffer.Finalize()
			}
		})
		b.Run(fmt.Sprintf("from/%d", 4*n), func(b *testing.B) {
			engine := bench(b)
			buffer, err := engine.BufferFromFlatData(0, values, shapes.Make(dtypes.Float32, n))
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(4 * n))
			for b.Loop() {
				if err := buffer.ToFlatData(values); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
