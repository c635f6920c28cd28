// Package timing times calls and prints each measurement as a line of JSON, which the scripts in bench read.
package timing

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/govene/govene/interv"
)

// line is one measurement.
type line struct {
	Library  string  `json:"library"`
	Backend  string  `json:"backend"`
	Name     string  `json:"name"`
	MedianS  float64 `json:"median_s"`
	MinS     float64 `json:"min_s"`
	CompileS float64 `json:"compile_s"`
	N        int     `json:"n"`
	PeakMiB  float64 `json:"peak_mib"` // of the process so far
}

// Report prints the median and least time of single calls, after some to warm up, and apart what compiling took.
func Report(backend, name string, iv *interv.Intervenable, warmUp, count int, call func()) {
	for range warmUp {
		call()
	}
	times := make([]float64, count)
	for i := range times {
		start := time.Now()
		call()
		times[i] = time.Since(start).Seconds()
	}
	slices.Sort(times)
	text, err := json.Marshal(line{"govene", backend, name, times[count/2], times[0], iv.Stats().Compiling.Seconds(), count, peak()})
	if err != nil {
		panic(err)
	}
	fmt.Println(string(text))
}

// Memory prints what the process holds, and the most that it has held so far.
func Memory(backend, name string) {
	text, err := json.Marshal(struct {
		Library     string  `json:"library"`
		Backend     string  `json:"backend"`
		Name        string  `json:"name"`
		ResidentMiB float64 `json:"resident_mib"`
		PeakMiB     float64 `json:"peak_mib"`
	}{"govene", backend, name, memory("VmRSS"), peak()})
	if err != nil {
		panic(err)
	}
	fmt.Println(string(text))
}

// peak is the most memory that the process has held, in MiB; 0 where Linux's /proc is missing.
func peak() float64 { return memory("VmHWM") }

// memory is a line of /proc/self/status, in MiB.
func memory(name string) float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for _, text := range strings.Split(string(status), "\n") {
		var kib float64
		if n, _ := fmt.Sscanf(text, name+": %f kB", &kib); n == 1 {
			return kib / 1024
		}
	}
	return 0
}
