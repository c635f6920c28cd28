//go:build linux

package resident_test

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gomlx/compute"

	"github.com/govene/govene/backend"
	"github.com/govene/govene/resident"
)

const soakVar = "GOVENE_SOAK" // how long the soak takes, such as 1h

// figures are what an engine takes when nobody is there.
type figures struct {
	resident.State
	rss, files int
}

func figuresOf(t *testing.T, watcher *resident.Backend, pid int) figures {
	t.Helper()
	eventually(t, "all clients gone, and what they had", func() bool {
		s := stateOf(t, watcher)
		held := 0
		for _, w := range s.Weights {
			held += w.Held
		}
		return s.Clients == 1 && s.Executing+s.Waiting+s.Orphans+s.Compiling+held == 0
	})
	f := figures{State: stateOf(t, watcher)}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		fmt.Sscanf(line, "VmRSS: %d kB", &f.rss)
	}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	f.files = len(files)
	return f
}

// Random clients start, call, crash and leave, and what is none sends bytes; the engine then takes what it took before. Two minutes;
// GOVENE_SOAK says how long else.
func TestSoak(t *testing.T) {
	const clients = 3
	long := 2 * time.Minute
	if said := os.Getenv(soakVar); said != "" {
		var err error
		if long, err = time.ParseDuration(said); err != nil {
			t.Fatal(err)
		}
	} else if os.Getenv("GOVENE_LONG") == "" {
		t.Skip("takes minutes: set GOVENE_LONG to run it")
	}
	config := strings.TrimPrefix(os.Getenv(compute.ConfigEnvVar), resident.Name+":")
	if config == "" {
		config = backend.GoSequential
	}
	folder, file := place(t), weightsOfRandom(t)
	watcher, err := resident.New(config)
	if err != nil {
		t.Fatal(err)
	}
	defer watcher.Stop()
	pid := started(t, folder)[0]
	socket, err := resident.Place(config)
	if err != nil {
		t.Fatal(err)
	}
	said := resident.Recordings(t, socket)

	run := func(seed uint64) {
		r := rand.New(rand.NewPCG(seed, 1))
		if r.IntN(8) == 0 {
			babble(t, socket, said[r.IntN(len(said))], r)
			return
		}
		client, out := startRandom(t, seed, config, file)
		killed := r.IntN(2) == 0
		if killed {
			defer time.AfterFunc(time.Duration(r.IntN(1500))*time.Millisecond, func() { client.Process.Kill() }).Stop()
		}
		if err := client.Wait(); err != nil && !(killed && client.ProcessState.ExitCode() == -1) {
			t.Errorf("client %d: %v\n%s", seed, err, out)
		}
	}
	const rounds = 12
	var warm figures
	seed := uint64(0)
	for round := range rounds + 1 {
		now := figuresOf(t, watcher, pid)
		t.Logf("%3.0f min: %d clients were there; RSS %d MiB, %d bytes counted, %d programs, %d files, %d goroutines",
			(long * time.Duration(round) / rounds).Minutes(), seed, now.rss>>10, now.Used, now.Programs, now.files, now.Goroutines)
		if round == rounds/4 {
			warm = now
		}
		if t.Failed() || round == rounds {
			break
		}
		end := time.Now().Add(long / rounds)
		var all sync.WaitGroup
		seeds := make(chan uint64)
		for range clients {
			all.Go(func() {
				for s := range seeds {
					run(s)
				}
			})
		}
		for time.Now().Before(end) && !t.Failed() {
			seeds <- seed
			seed++
		}
		close(seeds)
		all.Wait()
	}
	last := figuresOf(t, watcher, pid)
	var weights int64
	for _, w := range last.Weights {
		weights += w.Bytes
	}
	if last.Used != weights || last.files > warm.files || last.Goroutines > warm.Goroutines || last.rss > warm.rss*5/4+(32<<10) {
		t.Errorf("a leak: after a quarter of the time %+v, at the end %+v", warm, last)
	}
}

// babble says what a client has said, with some of it cut off or changed.
func babble(t *testing.T, socket string, said []byte, r *rand.Rand) {
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	said = append([]byte(resident.Greeting()), said[:r.IntN(len(said))]...)
	for range r.IntN(4) {
		said[r.IntN(len(said))] ^= byte(1 << r.IntN(8))
	}
	conn.Write(said)
	if r.IntN(2) == 0 {
		conn.Read(make([]byte, 1+r.IntN(2000)))
	}
}
