package engine

import (
	"fmt"
	"sync"
	"time"

	"github.com/gomlx/compute"

	"github.com/govene/govene/internal/stored"
	"github.com/govene/govene/resident/internal/wire"
)

// memory counts what buffers and weights take.
type memory struct {
	limit int64
	log   func(string, ...any)

	mu      sync.Mutex
	used    int64
	weights map[weightKey]*weight
}

// weight is a tensor that comes from a file and that any number of clients hold.
type weight struct {
	key   weightKey
	name  string // where it comes from, for the log
	file  string
	size  int64
	users int // clients' buffers
	last  time.Time
	read  chan struct{} // closed when it has been read
	buf   compute.Buffer
	err   error
}

// reserve takes n bytes. Weights that nobody holds make room, the longest unused first.
func (m *memory) reserve(n int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.reserveLocked(n)
}

func (m *memory) reserveLocked(n int64) error {
	for m.limit > 0 && m.used+n > m.limit {
		oldest := m.oldest()
		if oldest == nil {
			return fmt.Errorf("it takes %s, and %s is missing: the engine may use %s and holds %s for its clients",
				inWords(n), inWords(m.used+n-m.limit), inWords(m.limit), inWords(m.used))
		}
		m.log("weights %s make room: %s, unused since %s", oldest.name, inWords(oldest.size), oldest.last.Format(time.TimeOnly))
		m.dropLocked(oldest)
	}
	m.used += n
	return nil
}

func (m *memory) oldest() (oldest *weight) {
	for _, w := range m.weights {
		if w.users == 0 && (oldest == nil || w.last.Before(oldest.last)) {
			oldest = w
		}
	}
	return oldest
}

func (m *memory) dropLocked(w *weight) {
	delete(m.weights, w.key)
	m.used -= w.size
	if w.buf != nil {
		w.buf.Finalize()
	}
}

// release gives n bytes back.
func (m *memory) release(n int64) {
	m.mu.Lock()
	m.used -= n
	m.mu.Unlock()
}

// weight returns the tensor of a key, which is read by the first who asks. The caller holds it until it lets go.
func (m *memory) weight(key weightKey, t *stored.Tensor, read func() (compute.Buffer, error)) (*weight, error) {
	m.mu.Lock()
	w, ok := m.weights[key]
	if !ok {
		first := t.Pieces[0]
		w = &weight{key: key, name: fmt.Sprintf("%s[%d:] %s", first.File.Path, first.Offset, t.As), file: first.File.Path, size: size(t.As), read: make(chan struct{})}
		if err := m.reserveLocked(w.size); err != nil {
			m.mu.Unlock()
			return nil, err
		}
		m.weights[key] = w
	}
	w.users++
	m.mu.Unlock()
	if ok {
		<-w.read
	} else {
		w.err = safely(func() (err error) { w.buf, err = read(); return err })
		close(w.read)
	}
	if w.err != nil {
		err := w.err
		m.letGo(w)
		return nil, err
	}
	return w, nil
}

// letGo ends one use of a weight.
func (m *memory) letGo(w *weight) {
	m.mu.Lock()
	defer m.mu.Unlock()
	w.users--
	w.last = time.Now()
	if w.err != nil && w.users == 0 && m.weights[w.key] == w {
		m.dropLocked(w)
	}
}

func (m *memory) report(state *wire.State) {
	m.mu.Lock()
	defer m.mu.Unlock()
	state.Limit, state.Used = m.limit, m.used
	files := map[string]*wire.Weights{}
	for _, w := range m.weights {
		file := files[w.file]
		if file == nil {
			file = &wire.Weights{File: w.file}
			files[w.file] = file
		}
		file.Tensors++
		file.Bytes += w.size
		if w.users > 0 {
			file.Held++
		}
	}
	for _, file := range files {
		state.Weights = append(state.Weights, *file)
	}
}

func inWords(bytes int64) string {
	switch {
	case bytes >= 1<<30:
		return fmt.Sprintf("%.2f GiB", float64(bytes)/(1<<30))
	case bytes >= 1<<20:
		return fmt.Sprintf("%.1f MiB", float64(bytes)/(1<<20))
	}
	return fmt.Sprintf("%d bytes", bytes)
}
