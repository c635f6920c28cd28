package engine

import (
	"crypto/sha256"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gomlx/compute"
	"github.com/gomlx/compute/shapes"

	"github.com/govene/govene/resident/internal/program"
)

// programs are those compiled, under the hash of what was recorded.
type programs struct {
	engine *engine

	mu        sync.Mutex
	known     map[[32]byte]*compiled
	compiling int
	waiting   int // executions that wait for their turn
}

// compiled is a program that is compiled, or about to be.
type compiled struct {
	name    string
	size    int64
	users   int // clients' handles and executions
	last    time.Time
	took    atomic.Int64  // nanoseconds of the last execution
	loops   bool          // how long it takes may be in its inputs
	done    chan struct{} // closed when it has been compiled
	err     error
	exec    compute.Executable
	names   []string
	inputs  []shapes.Shape
	outputs []shapes.Shape
}

// unusedPrograms is how many programs without users are kept.
const unusedPrograms = 256

// get compiles a program or finds it compiled. The caller holds it until it lets go.
func (p *programs) get(name string, code []byte) (*compiled, error) {
	hash := sha256.Sum256(code)
	p.mu.Lock()
	c, ok := p.known[hash]
	if !ok {
		c = &compiled{name: name, size: int64(len(code)), done: make(chan struct{})}
		c.took.Store(math.MaxInt64)
		p.known[hash] = c
		p.compiling++
	}
	c.users++
	p.mu.Unlock()
	if ok {
		<-c.done
	} else {
		start := time.Now()
		c.err = safely(func() error { return c.compile(p.engine, code) })
		p.mu.Lock()
		p.compiling--
		if c.err != nil {
			delete(p.known, hash)
		}
		p.mu.Unlock()
		close(c.done)
		p.engine.Log("compiled %q, %x, in %s: %v", name, hash[:4], time.Since(start).Round(time.Millisecond), orOK(c.err))
	}
	if c.err != nil {
		return nil, c.err
	}
	return c, nil
}

func orOK(err error) any {
	if err == nil {
		return "ok"
	}
	return err
}

func (c *compiled) compile(e *engine, code []byte) (err error) {
	builder := e.backend.Builder(c.name)
	if c.loops, err = program.Run(builder, code, e.fits); err != nil {
		return err
	}
	if c.exec, err = builder.Compile(); err != nil {
		return err
	}
	c.names, c.inputs = c.exec.Inputs()
	c.outputs = c.exec.Outputs()
	return nil
}

// fits refuses values that could never be held.
func (e *engine) fits(s shapes.Shape) error {
	if !s.Ok() || s.IsDynamic() || len(s.TupleShapes) > 0 {
		return nil
	}
	if n := size(s); e.Limit > 0 && n > e.Limit {
		return fmt.Errorf("a value of shape %s takes %s, more than the %s that the engine may use", s, inWords(n), inWords(e.Limit))
	}
	return nil
}

// letGo ends one use of a program. Of those without users the longest unused go.
func (p *programs) letGo(c *compiled) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.users--
	c.last = time.Now()
	if c.users > 0 {
		return
	}
	unused := 0
	var oldest [32]byte
	var found *compiled
	for hash, c := range p.known {
		if c.users == 0 {
			unused++
			if found == nil || c.last.Before(found.last) {
				oldest, found = hash, c
			}
		}
	}
	if unused > unusedPrograms {
		delete(p.known, oldest)
		found.exec.Finalize()
	}
}
