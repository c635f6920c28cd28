package resident

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/dtypes"
	"github.com/gomlx/compute/shapes"
	"github.com/gomlx/gomlx/core/graph"

	"github.com/govene/govene/internal/stored"
	"github.com/govene/govene/resident/internal/program"
	"github.com/govene/govene/resident/internal/program/random"
	"github.com/govene/govene/resident/internal/wire"
)

// NewOn is a client on a connection.
func NewOn(conn net.Conn) (*Backend, error) {
	in := bufio.NewReader(conn)
	if err := wire.Greet(conn, in, program.Dialect()); err != nil {
		return nil, err
	}
	return newBackend("test", connection{conn, in})
}

// Greeting is what a client says first.
func Greeting() string { return fmt.Sprintf("govene-engine %d %s\n", wire.Version, program.Dialect()) }

// Recordings are what clients say after the greeting.
func Recordings(t testing.TB, socket string) [][]byte {
	t.Helper()
	var said [][]byte
	for _, use := range []func(b compute.Backend) error{
		func(b compute.Backend) error {
			_, err := graph.CallOnce(b, func(x, y *graph.Node) *graph.Node { return graph.ReduceAllSum(graph.Dot(x, y).Product()) },
				[][]float32{{1, 2}, {3, 4}}, [][]float32{{1, 2}, {3, 4}})
			return err
		},
		func(b compute.Backend) error {
			_, err := graph.CallOnce(b, func(x *graph.Node) *graph.Node { return graph.Sort(x, 0, true) }, []float32{3, 1, 2})
			return err
		},
		func(b compute.Backend) error {
			path := filepath.Join(t.TempDir(), "weights")
			if err := os.WriteFile(path, make([]byte, 64), 0o600); err != nil {
				return err
			}
			file, err := stored.Open(path)
			if err != nil {
				return err
			}
			piece := stored.Piece{File: file, Offset: 8, DType: "F16"}
			_, err = b.(*Backend).FileBuffers(0, []*stored.Tensor{
				{As: shapes.Make(dtypes.Float32, 2, 3), Pieces: []stored.Piece{piece, piece}}, {As: shapes.Make(dtypes.BFloat16, 3), Pieces: []stored.Piece{piece}, Twin: &piece}})
			return err
		},
	} {
		conn, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		taped := &tape{Conn: conn}
		b, err := NewOn(taped)
		if err == nil {
			err = use(b)
		}
		if err != nil {
			t.Fatal(err)
		}
		b.Finalize()
		taped.mu.Lock()
		_, afterGreeting, _ := bytes.Cut(taped.said, []byte("\n"))
		said = append(said, afterGreeting)
		taped.mu.Unlock()
	}
	return said
}

// AsksToStop tells whether what is said after the greeting ends the engine.
func AsksToStop(said []byte) bool {
	for r := bufio.NewReader(bytes.NewReader(said)); ; {
		f, err := wire.ReadFrame(r)
		if err != nil || f.Kind == wire.Stop {
			return err == nil
		}
		if _, err := io.CopyN(io.Discard, r, int64(min(f.Data, uint64(len(said))))); err != nil {
			return false
		}
	}
}

// tape keeps what is said on a connection.
type tape struct {
	net.Conn
	mu   sync.Mutex
	said []byte
}

func (c *tape) Write(b []byte) (int, error) {
	c.mu.Lock()
	c.said = append(c.said, b...)
	c.mu.Unlock()
	return c.Conn.Write(b)
}

// CompileRandom has the engine compile a program made of bytes, as it is: no builder here looks at it.
func CompileRandom(b *Backend, choices []byte) (made compute.Executable, steps []string, err error) {
	p := random.New(choices, b.oracle.Builder("random"))
	builder := newBuilder(b, "random")
	builder.code.Bytes, builder.outputs = p.Code, p.Outputs
	made, err = builder.Compile()
	return made, p.Steps, err
}
