package engine

import (
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/gomlx/compute"

	"github.com/govene/govene/internal/gpu"
)

// DefaultLimit is three quarters of the memory in which a backend's tensors lie: of the smallest GPU's, as NVIDIA's nvidia-smi tells it, or of
// the machine's. It is 8 GiB where neither tells how much that is.
func DefaultLimit(b compute.Backend) int64 {
	all := machineMemory
	if gpu.Runs(b) {
		all = cardMemory
	}
	if bytes := all(); bytes > 0 {
		return bytes / 4 * 3
	}
	return 8 << 30
}

// machineMemory is 0 where the system does not tell.
func machineMemory() int64 {
	content, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(content)) {
		if rest, ok := strings.CutPrefix(line, "MemTotal:"); ok {
			kib, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return kib << 10
		}
	}
	return 0
}

// cardMemory is 0 where there is no nvidia-smi, or it says something else than the numbers that it is asked for.
func cardMemory() (smallest int64) {
	said, err := exec.Command("nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits").Output()
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(said)) {
		mib, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
		if err != nil {
			return 0
		}
		if smallest == 0 || mib<<20 < smallest {
			smallest = mib << 20
		}
	}
	return smallest
}
